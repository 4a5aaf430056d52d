//! Whether the promise was kept: from what the tables say to a list of what is wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use sexton::slots::Cron;
use sqlx::PgPool;
use uuid::Uuid;

use super::{plan::STEP, schedules::Planned, walk::Wall};

/// What the tables say, read once when all is quiet.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// When the schedules became known.
    pub(super) since: DateTime<Utc>,
    /// Each schedule's watermark.
    pub(super) watermarks: BTreeMap<String, DateTime<Utc>>,
    /// Each schedule's decisions, in the order of their slots.
    pub(super) decisions: BTreeMap<String, Vec<Decision>>,
    /// Every run that a slot made, live or over.
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Decision {
    schedule: String,
    pub(super) nominal_at: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    slots: i64,
    pub(super) decision: String,
    lateness: f64,
    decided_at: DateTime<Utc>,
    run: Option<Uuid>,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Run {
    id: Uuid,
    schedule: String,
    nominal_at: Option<DateTime<Utc>>,
}

impl Evidence {
    pub(super) async fn read(pool: &PgPool) -> Result<Self, sqlx::Error> {
        // Daemons go on deciding: all of it must be of one instant.
        let mut moment = pool.begin().await?;
        sqlx::query("set transaction isolation level repeatable read").execute(&mut *moment).await?;
        let since = sqlx::query_scalar("select applied_at from sexton.revision order by id limit 1")
            .fetch_one(&mut *moment)
            .await?;
        let watermarks: Vec<(String, DateTime<Utc>)> =
            sqlx::query_as("select name, watermark from sexton.schedule").fetch_all(&mut *moment).await?;
        let rows: Vec<Decision> = sqlx::query_as(
            "select schedule, nominal_at, until, slots, decision::text, extract(epoch from lateness)::float8 as lateness, \
             decided_at, run from sexton.slot order by nominal_at",
        )
        .fetch_all(&mut *moment)
        .await?;
        // Both tables by their names: the view could hide what is in both.
        let runs = sqlx::query_as(
            "select id, schedule, nominal_at from sexton.run where schedule is not null and parent is null \
             union all \
             select id, schedule, nominal_at from sexton.history where schedule is not null and parent is null",
        )
        .fetch_all(&mut *moment)
        .await?;
        let mut decisions: BTreeMap<String, Vec<Decision>> = BTreeMap::new();
        for row in rows {
            decisions.entry(row.schedule.clone()).or_default().push(row);
        }
        Ok(Self { since, watermarks: watermarks.into_iter().collect(), decisions, runs })
    }

    /// Everything that is not as promised.
    pub(super) fn problems(&self, schedules: &[Planned]) -> Vec<String> {
        let mut problems = Vec::new();
        let last = self.watermarks.values().max().copied().unwrap_or(self.since);
        let mut walls: HashMap<_, Wall> = HashMap::new();
        for schedule in schedules {
            let wall = walls.entry(schedule.zone).or_insert_with(|| Wall::new(schedule.zone, self.since, last));
            problems.extend(self.problems_of(schedule, wall));
        }
        let known: BTreeSet<_> = schedules.iter().map(|schedule| schedule.name.as_str()).collect();
        let strange = self.decisions.keys().chain(self.watermarks.keys()).filter(|name| !known.contains(name.as_str()));
        problems.extend(strange.map(|name| format!("{name}: there is no such schedule")));
        problems.extend(self.problems_of_runs());
        problems
    }

    /// Every slot of a schedule between its first watermark and its last is covered by exactly one decision.
    fn problems_of(&self, schedule: &Planned, wall: &Wall) -> Vec<String> {
        let name = &schedule.name;
        let Some(&watermark) = self.watermarks.get(name) else { return vec![format!("{name}: it is not known")] };
        let cron = Cron::named(&schedule.cron, name).expect("an expression").with_dst(Default::default());
        let due = cron.between(schedule.zone, self.since, watermark, usize::MAX);
        let seen: Vec<_> = wall.due(&schedule.when).into_iter().filter(|at| *at <= watermark).collect();
        let mut problems = Vec::new();
        if due != seen {
            let odd = due.iter().find(|at| !seen.contains(at)).or(seen.iter().find(|at| !due.contains(at)));
            problems.push(format!(
                "{name}: {} in {}: the clock on the wall disagrees at {odd:?}",
                schedule.cron, schedule.zone
            ));
        }
        let mut rest = due.as_slice();
        for row in self.decisions.get(name).into_iter().flatten() {
            let covered = usize::try_from(row.slots).unwrap_or_default();
            let (first, last) = (rest.first(), covered.checked_sub(1).and_then(|last| rest.get(last)));
            if first != Some(&row.nominal_at) || last != Some(&row.until) {
                problems.push(format!("{name}: the next slot is {first:?}, and the decision is {row:?}"));
                return problems;
            }
            rest = &rest[covered..];
            // By the clock that the planner read first: it may be set back before the row is written.
            let early = row.decided_at < row.until - TimeDelta::seconds(STEP);
            let (fired, grace) = (row.decision == "fired", schedule.grace as f64);
            let missed = fired && schedule.catch_up == "skip" && row.lateness > grace + 0.001;
            if early || missed {
                problems.push(format!("{name}: decided early, or fired although it was missed: {row:?}"));
            }
            let makes = matches!(row.decision.as_str(), "fired" | "deferred");
            if makes != row.run.is_some() || makes && row.slots != 1 {
                problems.push(format!("{name}: what fires or waits has one slot and one run: {row:?}"));
            }
        }
        if let Some(slot) = rest.first() {
            problems.push(format!("{name}: {} slots up to {watermark} have no decision, first {slot}", rest.len()));
        }
        problems
    }

    /// What fired or waits has exactly one run, and there is no other.
    fn problems_of_runs(&self) -> Vec<String> {
        let mut runs: HashMap<_, Vec<Uuid>> = HashMap::new();
        for run in &self.runs {
            runs.entry((run.schedule.as_str(), run.nominal_at)).or_default().push(run.id);
        }
        let mut problems = Vec::new();
        for row in self.decisions.values().flatten().filter(|row| row.run.is_some()) {
            let made = runs.remove(&(row.schedule.as_str(), Some(row.nominal_at))).unwrap_or_default();
            if Some(made.as_slice()) != row.run.as_ref().map(std::slice::from_ref) {
                problems.push(format!("{row:?} has the runs {made:?}"));
            }
        }
        problems.extend(runs.iter().map(|(slot, made)| format!("{made:?} of {slot:?}: a run without a decision")));
        problems
    }

    /// How many slots got each decision, and in how many rows.
    pub(super) fn words(&self) -> BTreeMap<&str, (i64, usize)> {
        let mut words = BTreeMap::new();
        for row in self.decisions.values().flatten() {
            let (slots, rows): &mut (i64, usize) = words.entry(row.decision.as_str()).or_default();
            *slots += row.slots;
            *rows += 1;
        }
        words
    }
}

#[test]
fn the_verdict_sees_what_is_lost_doubled_or_made_up() {
    use super::{
        plan::{Plan, Size},
        schedules::schedules,
    };
    let plan = Plan::new(1, Size { daemons: 1, schedules: 20, seconds: 10 });
    let planned = schedules(&plan);
    let (since, until) = (plan.start, plan.start + TimeDelta::minutes(20));
    let mut good = Evidence { since, ..Evidence::default() };
    for schedule in &planned {
        let cron = Cron::named(&schedule.cron, &schedule.name).expect("an expression");
        let decisions = cron.between(schedule.zone, since, until, usize::MAX).into_iter().map(|at| Decision {
            schedule: schedule.name.clone(),
            nominal_at: at,
            until: at,
            slots: 1,
            decision: "fired".to_owned(),
            lateness: 0.5,
            decided_at: at + TimeDelta::milliseconds(500),
            run: Some(Uuid::now_v7()),
        });
        let decisions: Vec<_> = decisions.collect();
        good.runs.extend(decisions.iter().map(|row| Run {
            id: row.run.expect("a run"),
            schedule: row.schedule.clone(),
            nominal_at: Some(row.nominal_at),
        }));
        good.decisions.insert(schedule.name.clone(), decisions);
        good.watermarks.insert(schedule.name.clone(), until);
    }
    assert_eq!(good.problems(&planned), Vec::<String>::new());

    let name = "s-0000";
    let spoiled = |spoil: &dyn Fn(&mut Vec<Decision>, &mut Vec<Run>)| {
        let mut bad = good.clone();
        spoil(bad.decisions.get_mut(name).expect("decisions"), &mut bad.runs);
        bad.problems(&planned).len()
    };
    let lost = spoiled(&|rows, runs| {
        let gone = rows.remove(3);
        runs.retain(|run| Some(run.id) != gone.run);
    });
    let lost_at_the_end = spoiled(&|rows, runs| {
        let gone = rows.pop().expect("a row");
        runs.retain(|run| Some(run.id) != gone.run);
    });
    let twice = spoiled(&|rows, _| rows.insert(3, rows[3].clone()));
    let stretched = spoiled(&|rows, _| rows[3].until += TimeDelta::seconds(1));
    let ran_twice = spoiled(&|_, runs| runs.push(Run { id: Uuid::now_v7(), ..runs[0].clone() }));
    let in_both_tables = spoiled(&|_, runs| runs.push(runs[0].clone()));
    let never_ran = spoiled(&|_, runs| drop(runs.remove(0)));
    let made_up = spoiled(&|_, runs| runs[0].nominal_at = Some(since));
    let early = spoiled(&|rows, _| rows[3].decided_at -= TimeDelta::hours(1));
    let all = [lost, lost_at_the_end, twice, stretched, ran_twice, in_both_tables, never_ran, made_up, early];
    assert!(all.iter().all(|problems| *problems > 0), "{all:?}");
    let mut elsewhere = planned.clone();
    elsewhere.iter_mut().for_each(|schedule| schedule.cron = "30 30 12 * * *".to_owned());
    assert!(good.problems(&elsewhere).iter().any(|problem| problem.contains("disagrees")));
}
