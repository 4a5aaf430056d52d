//! Every change of every run's state, written down by the database itself, and which of them may be.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// One change of one row.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Change {
    transaction: i64,
    run: Uuid,
    place: String,
    before: Option<String>,
    after: Option<String>,
    token: Option<i64>,
}

impl Change {
    /// Whether a run came to this state.
    pub(super) fn is_to(&self, state: &str) -> bool {
        self.after.as_deref() == Some(state)
    }
}

/// From here on changes are written down.
pub(super) async fn start(queue: &PgPool) {
    sqlx::raw_sql(include_str!("record.sql")).execute(queue).await.expect("triggers");
}

pub(super) async fn read(queue: &mut PgConnection) -> Result<Vec<Change>, sqlx::Error> {
    sqlx::query_as("select transaction, run, place, before, after, token from record.change order by id")
        .fetch_all(queue)
        .await
}

/// The usual changes of runs that end like this.
pub(super) fn walked(runs: &[(Uuid, &str)]) -> Vec<Change> {
    let change = |run, transaction, place: &str, before: Option<&str>, after: Option<&str>, token| Change {
        transaction,
        run,
        place: place.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        token: Some(token),
    };
    let walk = |(run, end): &(Uuid, &str)| {
        [
            change(*run, 1, "run", None, Some("ready"), 0),
            change(*run, 2, "run", Some("ready"), Some("running"), 7),
            change(*run, 3, "run", Some("running"), None, 7),
            change(*run, 3, "history", None, Some(end), 7),
        ]
    };
    runs.iter().flat_map(walk).collect()
}

/// The changes that may be, by the state before; the empty word is what is not there yet.
const LEGAL: [(&str, &[&str]); 10] = [
    ("", &["waiting", "ready", "running"]),
    ("waiting", &["ready", "cancelled", "skipped"]),
    ("ready", &["running", "cancelled", "skipped"]),
    ("running", &["ready", "waiting", "retrying", "held", "done", "skipped", "failed", "cancelled"]),
    ("retrying", &["ready", "cancelled"]),
    ("held", &["ready", "cancelled"]),
    ("failed", &["ready"]),
    ("cancelled", &["ready"]),
    ("done", &[]),
    ("skipped", &[]),
];

/// What is known of a run while its changes are gone through.
#[derive(Default)]
struct Standing {
    state: String,
    live: Option<String>,
    over: Option<String>,
    token: i64,
    claims: usize,
}

/// How often each run was claimed, and every change that may not be.
pub(super) fn illegal(changes: &[Change]) -> (BTreeMap<Uuid, usize>, Vec<String>) {
    let mut standings: BTreeMap<Uuid, Standing> = BTreeMap::new();
    let mut problems = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let standing = standings.entry(change.run).or_default();
        let place = if change.place == "run" { &mut standing.live } else { &mut standing.over };
        if *place != change.before {
            problems.push(format!("{change:?}: it was {place:?} there"));
        }
        place.clone_from(&change.after);
        let token = change.token.unwrap_or_default();
        if token < standing.token {
            problems.push(format!("{change:?}: its token was {} before", standing.token));
        }
        let claimed = change.after.as_deref() == Some("running") && token > standing.token;
        standing.claims += usize::from(claimed);
        standing.token = token;
        // A move from one table to the other is two changes of one transaction.
        let more = changes[at + 1..]
            .iter()
            .take_while(|next| next.run != change.run || next.transaction == change.transaction)
            .any(|next| next.run == change.run);
        let now = match (&standing.live, &standing.over) {
            (Some(state), None) | (None, Some(state)) => state.clone(),
            _ if more => continue,
            both => {
                problems.push(format!("{change:?}: it is in {both:?} now"));
                continue;
            }
        };
        let may = LEGAL.iter().find(|(before, _)| *before == standing.state).map_or(&[][..], |(_, after)| after);
        if now != standing.state && !may.contains(&now.as_str()) {
            problems.push(format!("{change:?}: from {:?} to {now:?}", standing.state));
        }
        standing.state = now;
    }
    (standings.into_iter().map(|(run, standing)| (run, standing.claims)).collect(), problems)
}

#[test]
fn the_record_sees_what_may_not_be() {
    let run = Uuid::now_v7();
    let change = |transaction, place: &str, before: Option<&str>, after: Option<&str>, token| Change {
        transaction,
        run,
        place: place.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        token: Some(token),
    };
    let good = vec![
        change(1, "run", None, Some("ready"), 0),
        change(2, "run", Some("ready"), Some("running"), 7),
        change(3, "run", Some("running"), Some("ready"), 8),
        change(4, "run", Some("ready"), Some("running"), 9),
        change(5, "run", Some("running"), None, 9),
        change(5, "history", None, Some("failed"), 9),
        change(6, "history", Some("failed"), None, 9),
        change(6, "run", None, Some("ready"), 9),
    ];
    assert_eq!(illegal(&good), (BTreeMap::from([(run, 2)]), Vec::new()));
    let spoiled = |spoil: &dyn Fn(&mut Vec<Change>)| {
        let mut bad = good.clone();
        spoil(&mut bad);
        illegal(&bad).1.len()
    };
    let lost = spoiled(&|rows| drop(rows.remove(5)));
    let in_both = spoiled(&|rows| drop(rows.remove(4)));
    let older = spoiled(&|rows| rows[3].token = Some(5));
    let from_done = spoiled(&|rows| {
        rows[5].after = Some("done".to_owned());
        rows[6].before = Some("done".to_owned());
    });
    let never_claimed = spoiled(&|rows| drop(rows.remove(1)));
    let all = [lost, in_both, older, from_done, never_claimed];
    assert!(all.iter().all(|problems| *problems > 0), "{all:?}");
}
