//! Whether the promises were kept: from what the tables, the target and the ticks say to a list of what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    crew::Senseless,
    record::{self, Change},
    work::{Effects, Work},
};

/// A run's end.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct End {
    id: Uuid,
    job: String,
    state: String,
    losses: i32,
    attempts: Value,
    report: Value,
}

/// Ticks of one child: what it worked for, where, and when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticked {
    run: Uuid,
    daemon: u32,
    first: f64,
    last: f64,
    count: usize,
}

/// All that is known, read once when all is quiet.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    pub(super) asked: Vec<(Uuid, Work)>,
    pub(super) ends: Vec<End>,
    changes: Vec<Change>,
    /// Rows of each run in the target.
    rows: BTreeMap<Uuid, i64>,
    ticked: Vec<Ticked>,
    pub(super) senseless: Vec<Senseless>,
    /// Runs and kinds of events, decided or not.
    events: Vec<(Option<Uuid>, String, bool)>,
    /// Messages that nobody has got.
    undelivered: i64,
    /// Rows of the data set's main table and its archive, and those in both or in neither.
    archived: i64,
    misplaced: i64,
}

impl Evidence {
    pub(super) async fn read(queue: &PgPool, effects: &Effects) -> Result<Self, sqlx::Error> {
        let target = effects.target.pool();
        // Slots go on firing: all of it must be of one instant.
        let mut moment = queue.begin().await?;
        sqlx::query("set transaction isolation level repeatable read").execute(&mut *moment).await?;
        let ends = sqlx::query_as("select id, job, state::text as state, losses, attempts, report from sexton.history")
            .fetch_all(&mut *moment)
            .await?;
        let changes = record::read(&mut moment).await?;
        let events = sqlx::query_as("select run, kind::text, decided_at is not null from sexton.event")
            .fetch_all(&mut *moment)
            .await?;
        let undelivered = sqlx::query_scalar(
            "select count(*) from sexton.delivery where state <> 'delivered' and created_at < now() - interval '5 s'",
        )
        .fetch_one(&mut *moment)
        .await?;
        moment.rollback().await?;
        let rows: Vec<(Uuid, i64)> =
            sqlx::query_as("select run, count(*) from effect group by run").fetch_all(target).await?;
        let there: bool = sqlx::query_scalar("select to_regclass('public.interface_exceptions_archive') is not null")
            .fetch_one(target)
            .await?;
        let (archived, misplaced) = match there {
            false => (0, 0),
            true => {
                sqlx::query_as(
                    "select (select count(*) from interface_exceptions_archive),
                            (select count(*) from interface_exceptions join interface_exceptions_archive using (id))
                          + abs((select count(*) from interface_exceptions)
                              + (select count(*) from interface_exceptions_archive) - $1)",
                )
                .bind(effects.rows())
                .fetch_one(target)
                .await?
            }
        };
        let rows = rows.into_iter().collect();
        let ticked = ticked(&std::fs::read_to_string(effects.ticks()).unwrap_or_default());
        Ok(Self { ends, changes, rows, ticked, events, undelivered, archived, misplaced, ..Self::default() })
    }

    /// Everything that is not as promised.
    pub(super) fn problems(&self) -> Vec<String> {
        let (claims, mut problems) = record::illegal(&self.changes);
        let ends: BTreeMap<Uuid, &End> = self.ends.iter().map(|end| (end.id, end)).collect();
        let works: BTreeMap<Uuid, Work> = self.asked.iter().copied().collect();
        for (run, what) in &works {
            match ends.get(run) {
                None => problems.push(format!("{what:?} {run}: it is lost, or has not ended")),
                Some(end) => problems.extend(of_end(*what, end).map(|why| format!("{what:?} {end:?}: {why}"))),
            }
        }
        for end in &self.ends {
            problems.extend(self.of_rows(end, claims.get(&end.id).copied().unwrap_or_default()));
            let told = self.events.iter().any(|(run, kind, _)| *run == Some(end.id) && kind == "failed");
            if end.state == "failed" && !told {
                problems.push(format!("{end:?}: nobody was told"));
            }
        }
        problems.extend(self.overlaps(&works));
        let undecided = self.events.iter().filter(|event| !event.2).count();
        if undecided > 0 || self.undelivered > 0 {
            problems.push(format!("{undecided} events are undecided, {} messages undelivered", self.undelivered));
        }
        // What a person retried or cancelled has moved rows, too, and says so in no report.
        let moved: i64 = self.ends.iter().filter_map(|end| end.report.get("rows_archived")?.as_i64()).sum();
        let all_done = self.ends.iter().filter(|end| end.job == "archive").all(|end| end.state == "done");
        if self.misplaced != 0 || moved > self.archived || all_done && moved != self.archived {
            problems.push(format!(
                "{} rows are in both places or in neither; {} are in the archive, and runs say {moved}",
                self.misplaced, self.archived
            ));
        }
        problems
    }

    /// A statement's transaction commits once for each attempt, and another attempt follows only on a lost one.
    fn of_rows(&self, end: &End, claims: usize) -> Option<String> {
        if !matches!(end.job.as_str(), "row" | "slot") {
            return None;
        }
        let rows = self.rows.get(&end.id).copied().unwrap_or_default();
        let done = i64::from(end.state == "done");
        let lost = i64::from(lost(end));
        let wrong = rows < done || rows > done + lost || rows > claims as i64;
        wrong.then(|| format!("{end:?}: {rows} effects by {claims} attempts, {lost} of them lost"))
    }

    /// Children that worked for one run at one time, although their daemons had their senses.
    fn overlaps(&self, works: &BTreeMap<Uuid, Work>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut by_run: BTreeMap<Uuid, Vec<&Ticked>> = BTreeMap::new();
        self.ticked.iter().for_each(|one| by_run.entry(one.run).or_default().push(one));
        for (run, mut all) in by_run {
            all.sort_by(|one, other| one.first.total_cmp(&other.first));
            for (nth, one) in all.iter().enumerate() {
                let deep = matches!(works.get(&run), Some(Work::HeldTicks(_)));
                // How long it worked with a daemon that knew.
                let senseless = self.senseless.iter().filter(|it| it.pid == one.daemon && (!it.killed || deep));
                let last = senseless.filter(|it| it.until >= one.first).map(|it| it.from).fold(one.last, f64::min);
                problems.extend(
                    all[nth + 1..]
                        .iter()
                        .filter(|other| other.first <= last)
                        .map(|other| format!("{one:?} and {other:?}")),
                );
            }
        }
        problems
    }

    /// What must have happened for the campaign to mean something, and how often it did.
    pub(super) fn sometimes(&self) -> BTreeMap<&'static str, usize> {
        let ended = |state: &str| self.ends.iter().filter(|end| end.state == state).count();
        let attempts = |word: &str| {
            let of = |end: &End| {
                let all = end.attempts.as_array().map(Vec::as_slice).unwrap_or_default();
                all.iter().filter(|attempt| attempt["outcome"] == word).count()
            };
            self.ends.iter().map(of).sum::<usize>()
        };
        let runs: BTreeSet<Uuid> = self.ticked.iter().map(|one| one.run).collect();
        BTreeMap::from([
            ("runs done", ended("done")),
            ("runs failed", ended("failed")),
            ("runs cancelled", ended("cancelled")),
            ("runs that lost a worker", self.ends.iter().filter(|end| lost(end) > 0).count()),
            ("attempts lost", attempts("lost")),
            ("attempts given back", attempts("given_back")),
            ("attempts retried", attempts("retrying")),
            ("runs held", self.changes.iter().filter(|change| change.is_to("held")).count()),
            ("children of one run after another", self.ticked.len() - runs.len()),
            ("rows archived", self.archived.unsigned_abs() as usize),
            ("events", self.events.len()),
        ])
    }
}

/// How many attempts were lost; what a person retried begins to count anew.
fn lost(end: &End) -> i32 {
    let attempts = end.attempts.as_array().map(Vec::as_slice).unwrap_or_default();
    let told = attempts.iter().filter(|one| matches!(one["outcome"].as_str(), Some("lost" | "held"))).count();
    end.losses.max(i32::try_from(told).unwrap_or(i32::MAX))
}

/// How work of this sort may end.
fn of_end(what: Work, end: &End) -> Option<String> {
    let may: &[&str] = match what {
        Work::Fails | Work::Unreadable => &["failed", "cancelled"],
        // It takes its daemon with it, and is given up; a daemon may be killed by somebody else first.
        Work::Killer => &["failed", "cancelled"],
        Work::Row(_) | Work::Archive | Work::Backup | Work::Ticks(_) | Work::HeldTicks(_) => &["done", "cancelled"],
    };
    (!may.contains(&end.state.as_str())).then(|| format!("it may be {may:?}"))
}

fn ticked(text: &str) -> Vec<Ticked> {
    let mut all: BTreeMap<(Uuid, u32, u32), Ticked> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        // A killed process may have written half a line.
        let [run, daemon, child, up] = fields[..] else { continue };
        let (Ok(run), Ok(daemon), Ok(child), Ok(at)) = (run.parse(), daemon.parse(), child.parse(), up.parse()) else {
            continue;
        };
        let one = all.entry((run, daemon, child)).or_insert(Ticked { run, daemon, first: at, last: at, count: 0 });
        one.last = at;
        one.count += 1;
    }
    all.into_values().collect()
}

#[test]
fn the_verdict_sees_what_is_lost_doubled_or_untold() {
    let [row, ticks, bad] = [(); 3].map(|()| Uuid::now_v7());
    let end = |id, job: &str, state: &str| End {
        id,
        job: job.to_owned(),
        state: state.to_owned(),
        losses: 0,
        attempts: Value::Array(Vec::new()),
        report: Value::Null,
    };
    let good = Evidence {
        asked: vec![(row, Work::Row(0)), (ticks, Work::Ticks(3)), (bad, Work::Fails)],
        ends: vec![end(row, "row", "done"), end(ticks, "ticks", "done"), end(bad, "fails", "failed")],
        changes: record::walked(&[(row, "done"), (ticks, "done"), (bad, "failed")]),
        rows: BTreeMap::from([(row, 1)]),
        ticked: ticked(&format!("{ticks} 7 70 1.0\n{ticks} 7 70 1.1\n{ticks} 8 80 5.0\nhalf a l")),
        events: vec![(Some(bad), "failed".to_owned(), true)],
        ..Evidence::default()
    };
    assert_eq!(good.problems(), Vec::<String>::new());
    let spoiled = |spoil: &dyn Fn(&mut Evidence)| {
        let mut bad = good.clone();
        spoil(&mut bad);
        bad.problems().len()
    };
    let lost = spoiled(&|it| drop(it.ends.remove(1)));
    let doubled = spoiled(&|it| it.rows.extend([(row, 2)]));
    let undone = spoiled(&|it| it.rows.clear());
    let untold = spoiled(&|it| it.events.clear());
    let undecided = spoiled(&|it| it.events[0].2 = false);
    let overlap = spoiled(&|it| it.ticked[0].last = 6.0);
    let wrong_end = spoiled(&|it| it.ends[2].state = "done".to_owned());
    let misplaced = spoiled(&|it| it.misplaced = 1);
    let said_twice = spoiled(&|it| it.ends[0].report = serde_json::json!({ "rows_archived": 5 }));
    let all = [lost, doubled, undone, untold, undecided, overlap, wrong_end, misplaced, said_twice];
    assert!(all.iter().all(|problems| *problems > 0), "{all:?}");
    // A child whose daemon stood still meanwhile is no surprise.
    let frozen = spoiled(&|it| {
        it.ticked[0].last = 6.0;
        it.senseless.push(Senseless { pid: 7, from: 2.0, until: 9.0, killed: false });
    });
    assert_eq!(frozen, 0);
}
