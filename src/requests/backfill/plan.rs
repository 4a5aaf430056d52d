//! Which slots a backfill runs: a pure function of the facts.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    catalog::Schedule,
    ledger::{Decided, RecentSlot},
    queue::SlotRun,
    requests::words::length,
    span::Span,
};

/// The most runs that one command queues.
pub const MOST: usize = 1000;
/// The most slots that one command looks at.
const LOOKED: usize = 10_000;
/// The smallest step between instants here.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

/// What somebody wants run again.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it all.
    pub to: DateTime<Utc>,
    /// Whether slots whose run is done are run again.
    pub again: bool,
    /// Whether the runs may overlap; otherwise each waits until no other run of the job is live.
    pub overlap: bool,
    /// How far apart they become due.
    pub pace: Span,
}

/// What a plan hangs on.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The schedule, as it is today.
    pub schedule: &'a Schedule,
    /// Every slot at or before this instant has its decision.
    pub watermark: DateTime<Utc>,
    /// Decisions that reach into the time, the earliest first.
    pub decisions: &'a [RecentSlot],
    /// Runs of slots in the time, the oldest first.
    pub runs: &'a [SlotRun],
    /// How long a run of the job usually takes.
    pub usual: Option<Duration>,
}

/// What a backfill comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Every slot that was looked at, oldest first.
    pub slots: Vec<Item>,
    /// How many of them get a run.
    pub runs: usize,
    /// Where to go on, when not everything fits one command.
    pub go_on_from: Option<DateTime<Utc>>,
    /// How many seconds it takes at that pace, and with runs that take as long as usual.
    pub seconds: f64,
    /// How many seconds a run usually takes.
    pub usual_seconds: Option<f64>,
}

/// One slot of a backfill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// The slot.
    pub at: DateTime<Utc>,
    /// What the ledger says of it.
    pub decision: Option<Decided>,
    /// Its newest run.
    pub run: Option<SlotRun>,
    /// Whether it gets a run now.
    pub runs: bool,
    /// Why, or why not.
    pub why: String,
}

/// Says of each slot in `[from, to)` whether it gets a run.
pub fn plan(facts: &Facts<'_>, wanted: &Wanted) -> Plan {
    let schedule = facts.schedule;
    let (after, until) = (wanted.from - TICK, wanted.to - TICK);
    let mut slots = schedule.cron.between(schedule.zone, after, until, LOOKED + 1);
    let mut go_on_from = (slots.len() > LOOKED).then(|| slots[LOOKED]);
    slots.truncate(LOOKED);
    let mut runs_of: BTreeMap<DateTime<Utc>, Vec<&SlotRun>> = BTreeMap::new();
    for run in facts.runs {
        runs_of.entry(run.nominal_at).or_default().push(run);
    }
    let (mut items, mut runs) = (Vec::new(), 0);
    for at in slots {
        let item = item(facts, wanted, at, runs_of.get(&at).map_or(&[], Vec::as_slice));
        if item.runs && runs == MOST {
            go_on_from = Some(at);
            break;
        }
        runs += usize::from(item.runs);
        items.push(item);
    }
    let usual = facts.usual.map(|usual| usual.as_secs_f64());
    let pace = wanted.pace.0.as_secs_f64();
    let each = if wanted.overlap { pace } else { pace.max(usual.unwrap_or(0.0)) };
    let seconds = each * runs.saturating_sub(1) as f64 + if runs > 0 { usual.unwrap_or(0.0) } else { 0.0 };
    Plan { slots: items, runs, go_on_from, seconds, usual_seconds: usual }
}

fn item(facts: &Facts<'_>, wanted: &Wanted, at: DateTime<Utc>, runs: &[&SlotRun]) -> Item {
    let last = facts.decisions.partition_point(|row| row.nominal_at <= at);
    let row = last.checked_sub(1).map(|last| &facts.decisions[last]).filter(|row| row.until >= at);
    let live = runs.iter().find(|run| run.is_live());
    let done = runs.iter().find(|run| run.state == "done");
    let newest = live.or(done).or(runs.last());
    // A slot that is still to be decided would have two runs: ours, and the planner's.
    let left_out = if at > facts.watermark {
        Some("not decided yet: that is the planner's".to_owned())
    } else if let Some(run) = live {
        Some(format!("its run {} is {}", run.id, run.state))
    } else if wanted.again {
        None
    } else if let Some(run) = done {
        Some(format!("its run {} is done", run.id))
    } else {
        let lost = row.is_some_and(|row| row.decision == Decided::Fired) && runs.is_empty();
        lost.then(|| "it fired, and what became of its run is no longer on record".to_owned())
    };
    let known = || match (newest, row) {
        (Some(run), _) => format!("its run {} is {}", run.id, run.state),
        (None, Some(row)) => format!("{}: {}", row.decision.word(), row.reason),
        (None, None) => "the ledger has no decision for it".to_owned(),
    };
    Item {
        at,
        decision: row.map(|row| row.decision),
        run: newest.map(|run| (**run).clone()),
        runs: left_out.is_none(),
        why: left_out.unwrap_or_else(known),
    }
}

impl Plan {
    /// The slots that get a run.
    pub fn chosen(&self) -> impl Iterator<Item = DateTime<Utc>> {
        self.slots.iter().filter(|item| item.runs).map(|item| item.at)
    }

    /// The whole in one sentence.
    pub fn words(&self, wanted: &Wanted) -> String {
        let how = if wanted.overlap { "overlapping if they must" } else { "one after the other" };
        let usual = match self.usual_seconds {
            Some(seconds) => format!("a run usually takes {}", span(seconds)),
            None => "how long a run takes is not known yet".to_owned(),
        };
        match self.runs {
            0 => "no slot gets a run".to_owned(),
            1 => format!("1 run: {usual}"),
            n => format!("{n} runs, {how}, {} apart at least: about {} ({usual})", wanted.pace, span(self.seconds)),
        }
    }
}

fn span(seconds: f64) -> String {
    length(TimeDelta::milliseconds((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Catalog, Files};

    fn schedule() -> Schedule {
        let text = "[[at]]\nname = \"hourly\"\njob = \"tidy\"\ncron = \"0 * * * *\"\n";
        let job = "alert = []\n[sql]\ntarget = \"one\"\nsql = \"select 1\"\n";
        let files = [("jobs/tidy.toml", job), ("schedules/all.toml", text)];
        let files = Files(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect());
        Catalog::parse(&files).catalog.expect("good files").schedules.remove(0)
    }

    fn hour(hour: u32) -> DateTime<Utc> {
        format!("2026-06-01T{hour:02}:00:00Z").parse().expect("an instant")
    }

    fn wanted(to: u32) -> Wanted {
        Wanted { from: hour(0), to: hour(to), again: false, overlap: false, pace: Span::seconds(10) }
    }

    fn row(from: u32, until: u32, decision: Decided) -> RecentSlot {
        RecentSlot {
            schedule: "hourly".to_owned(),
            nominal_at: hour(from),
            until: hour(until),
            slots: i64::from(until - from + 1),
            decision,
            reason: "a reason".to_owned(),
            lateness: 0.0,
            revision: 1,
            decided_by: Uuid::nil(),
            decided_at: hour(until),
            run: None,
        }
    }

    fn run(at: u32, state: &str) -> SlotRun {
        let id = Uuid::from_u128(at.into());
        SlotRun { id, nominal_at: hour(at), state: state.to_owned(), requested_by: "schedule hourly".to_owned() }
    }

    #[test]
    fn what_is_done_or_live_or_the_planner_s_is_left_out() {
        let schedule = schedule();
        let decisions = [
            row(1, 2, Decided::MissedExpired),
            row(3, 3, Decided::Fired),
            row(4, 4, Decided::Fired),
            row(5, 5, Decided::Fired),
            row(6, 6, Decided::Fired),
        ];
        let runs = [run(3, "done"), run(4, "failed"), run(5, "retrying"), run(7, "done"), run(7, "failed")];
        let facts = Facts { schedule: &schedule, watermark: hour(8), decisions: &decisions, runs: &runs, usual: None };
        let chosen = |again| {
            let plan = plan(&facts, &Wanted { again, ..wanted(10) });
            assert_eq!((plan.slots.len(), plan.runs), (10, plan.chosen().count()));
            plan.chosen().map(|at| at.format("%H").to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(chosen(false), "00 01 02 04 08");
        assert_eq!(chosen(true), "00 01 02 03 04 06 07 08");
        let why: Vec<_> = plan(&facts, &wanted(10)).slots.into_iter().map(|item| item.why).collect();
        assert_eq!(why[0], "the ledger has no decision for it");
        assert_eq!(why[2], "missed_expired: a reason");
        assert!(
            why[3].ends_with("is done") && why[4].ends_with("is failed") && why[5].ends_with("is retrying"),
            "{why:?}"
        );
        assert!(why[6].contains("no longer on record") && why[9].contains("planner"), "{why:?}");
    }

    #[test]
    fn a_command_has_its_cap_and_says_how_to_go_on() {
        let schedule = schedule();
        let to = hour(0) + TimeDelta::hours(1500);
        let facts = Facts { schedule: &schedule, watermark: to, decisions: &[], runs: &[], usual: None };
        let plan = plan(&facts, &Wanted { to, ..wanted(0) });
        assert_eq!((plan.runs, plan.slots.len()), (MOST, MOST));
        assert_eq!(plan.go_on_from, Some(hour(0) + TimeDelta::hours(1000)));
    }

    #[test]
    fn how_long_it_takes_hangs_on_the_pace_and_on_the_job() {
        let schedule = schedule();
        let facts = |usual| Facts {
            schedule: &schedule,
            watermark: hour(23),
            decisions: &[],
            runs: &[],
            usual: Some(Duration::from_secs(usual)),
        };
        let words = |usual, overlap| {
            let wanted = Wanted { overlap, ..wanted(5) };
            plan(&facts(usual), &wanted).words(&wanted)
        };
        assert_eq!(
            words(2, false),
            "5 runs, one after the other, 10s apart at least: about 42s (a run usually takes 2s)"
        );
        assert_eq!(
            words(60, false),
            "5 runs, one after the other, 10s apart at least: about 5m (a run usually takes 1m)"
        );
        assert_eq!(
            words(60, true),
            "5 runs, overlapping if they must, 10s apart at least: about 1m 40s (a run usually takes 1m)"
        );
    }
}
