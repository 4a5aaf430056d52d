//! Everything that an explanation hangs on, as values.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    catalog::Schedule,
    ledger::{Daemon, Pause, Planning, RecentSlot, Revision},
    queue::{LiveThen, Run},
    slots::Shift,
};

/// What is known about one instant of one schedule.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The schedule.
    pub schedule: String,
    /// The instant.
    pub at: DateTime<Utc>,
    /// The time that was asked for, where the clock does not show it; `at` is the first instant after the gap then.
    pub missing: Option<NaiveDateTime>,
    /// The clock on which times are shown.
    pub zone: Tz,
    /// The schedule as it was at that instant, or is, for one to come.
    pub then: Then,
    /// Its expression in the files of today, where it is there.
    pub today: Option<Text>,
    /// Every slot at or before this instant has its decision.
    pub watermark: Option<DateTime<Utc>>,
    /// When the files no longer had it.
    pub removed_at: Option<DateTime<Utc>>,
    /// What the ledger decided.
    pub decision: Option<Decision>,
    /// Pauses of it, or of all, that hold at that instant or are open now.
    pub pauses: Vec<Pause>,
    /// The window that closes a slot to come, and what becomes of it.
    pub closed: Option<String>,
    /// Runs of the job that are live now.
    pub live: Vec<LiveThen>,
    /// Who plans, and the database's time.
    pub planning: Planning,
    /// Daemons that were heard of.
    pub daemons: Vec<Daemon>,
}

/// The schedule at some instant.
#[derive(Debug, Clone)]
pub enum Then {
    /// There were no files yet.
    NoFiles,
    /// The files did not have it.
    Absent {
        /// What was followed.
        followed: Mark,
        /// The first later revision that has it.
        first: Option<Mark>,
    },
    /// This binary cannot read them.
    Unreadable {
        /// What was followed.
        followed: Mark,
        /// What is wrong.
        problem: String,
    },
    /// It was there.
    There(Box<Entry>),
}

/// A revision, without its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Its number.
    pub id: i64,
    /// When it became the current one.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: String,
}

impl From<&Revision> for Mark {
    fn from(revision: &Revision) -> Self {
        Self { id: revision.id, applied_at: revision.applied_at, applied_by: revision.applied_by.clone() }
    }
}

/// When a schedule is due, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The expression.
    pub cron: String,
    /// Its zone.
    pub zone: Tz,
    /// The job.
    pub job: String,
}

impl From<&Schedule> for Text {
    fn from(schedule: &Schedule) -> Self {
        Self { cron: schedule.cron_text.clone(), zone: schedule.zone, job: schedule.job.clone() }
    }
}

/// What the files of one revision say about one instant.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The revision.
    pub revision: Mark,
    /// When it is due.
    pub text: Text,
    /// When the slot starts: later than its instant where splay or jitter move it.
    pub start: DateTime<Utc>,
    /// Whether it is on.
    pub enabled: bool,
    /// Whether the instant is a slot.
    pub slot: bool,
    /// The nearest slot before it.
    pub before: Option<DateTime<Utc>>,
    /// The nearest slot after it.
    pub after: Option<DateTime<Utc>>,
    /// What a change of the clocks did to it, whether or not it is a slot for that.
    pub shift: Option<Shift>,
    /// The first time that does not exist and that it stands for.
    pub swallowed: Option<NaiveDateTime>,
    /// Whether it would be a slot if changes of the clocks took nothing.
    pub left_out: bool,
    /// Whether runs of the job may overlap.
    pub may_overlap: bool,
}

impl Entry {
    /// Asks a schedule.
    pub fn of(schedule: &Schedule, revision: Mark, at: DateTime<Utc>) -> Self {
        let (cron, zone) = (&schedule.cron, schedule.zone);
        let all = cron.with_all_passes();
        let is_slot = |cron: &crate::slots::Cron| cron.next(zone, at - TimeDelta::nanoseconds(1)) == Some(at);
        let slot = is_slot(cron);
        let left_out = !slot && is_slot(&all);
        let touched = if slot { cron } else { &all };
        Self {
            revision,
            text: Text::from(schedule),
            start: if slot { schedule.start(at) } else { at },
            enabled: schedule.enabled,
            slot,
            before: before(schedule, at),
            after: cron.next(zone, at),
            shift: touched.shift(zone, at).filter(|_| slot || left_out),
            swallowed: touched.swallowed(zone, at).filter(|_| slot || left_out),
            left_out,
            may_overlap: schedule.policy.overlap == crate::catalog::Overlap::AllowAll,
        }
    }
}

/// The last slot before an instant, looked for further and further back.
pub(in crate::requests) fn before(schedule: &Schedule, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let until = at - TimeDelta::nanoseconds(1);
    let reach = [TimeDelta::hours(2), TimeDelta::days(3), TimeDelta::days(70), TimeDelta::days(3_000)];
    reach.iter().find_map(|reach| schedule.cron.latest(schedule.zone, at - *reach, until))
}

/// A decision, with what became of it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The ledger's row.
    pub slot: RecentSlot,
    /// Its run, where it made one that is still on record.
    pub run: Option<Told>,
    /// Runs that followed that one, oldest first.
    pub chain: Vec<Told>,
    /// Runs that were live when it was decided.
    pub in_the_way: Vec<LiveThen>,
    /// The slot that fired in its place.
    pub stand_in: Option<RecentSlot>,
}

/// What is told of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// The run.
    pub id: Uuid,
    /// Its job.
    pub job: String,
    /// Its state.
    pub state: String,
    /// Since when it may be worked on.
    pub due_at: DateTime<Utc>,
    /// When its newest attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Attempts spent.
    pub spent: i32,
    /// Attempts in all.
    pub most_attempts: i32,
    /// Why earlier attempts failed, oldest first.
    pub failures: Vec<String>,
    /// Why it was skipped, failed or was cancelled.
    pub why: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Who cancelled it.
    pub cancel_by: Option<String>,
    /// Who had it rest, while it does.
    pub pause_by: Option<String>,
}

impl From<&Run> for Told {
    fn from(run: &Run) -> Self {
        let failures = run.attempts.as_array().into_iter().flatten();
        let failures = failures.filter_map(|attempt| attempt.get("why").and_then(Value::as_str).map(str::to_owned));
        Self {
            id: run.id,
            job: run.job.clone(),
            state: run.state.clone(),
            due_at: run.due_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            spent: run.spent,
            most_attempts: run.most_attempts,
            failures: failures.collect(),
            why: run.why.clone(),
            help: run.help.clone(),
            cancel_by: run.cancel_by.clone(),
            pause_by: run.pause_by.clone().filter(|_| run.pause_requested_at.is_some()),
        }
    }
}
