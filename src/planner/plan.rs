//! Which decision each slot that is due gets: a pure function of the facts.
//!
//! ```text
//! watermark ─┬─ pause ─┬─ free ─┬─ window ─┬─ free ──────────────────────────── now
//!            │ skipped │        │ skipped, │        │ catch_up window │ grace    │
//!            │         │        │ deferred │ expired│ latest, all     │ on time  │
//! ```
//! First time is cut at pauses and windows. Of what is free, the catch-up rule says which late slots may fire at all; then
//! the overlap rule looks at each of those, and at those on time, in turn. While a schedule is paused nothing is
//! decided; afterwards the slots of the pause are skipped as one, and those before it are as late as after an outage.

mod late;
mod overlap;
mod slots;
mod stretch;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    catalog::Schedule,
    ledger::{Decided, Pause},
    queue::Crowd,
    windows::Windows,
};
use slots::Slots;
use stretch::{Reach, stretches};

pub use overlap::{Instead, Launch};

/// Slots that are on time and decided at once, at most. The rest is decided by the next look.
const MOST: usize = 1000;

/// Everything that a plan hangs on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The schedule, in the words of its revision.
    pub schedule: &'a Schedule,
    /// Every slot at or before this instant has its decision.
    pub watermark: DateTime<Utc>,
    /// The database's time.
    pub now: DateTime<Utc>,
    /// The live runs of its job; not looked at where runs may overlap.
    pub crowd: Crowd,
    /// The windows that it keeps.
    pub windows: &'a Windows<'a>,
    /// Until when the newest of its waiting runs waits; looked at only where a window may defer slots.
    pub deferred: Option<DateTime<Utc>>,
    /// The schedule's pauses since the watermark, the earliest first; they may overlap.
    pub pauses: &'a [Pause],
    /// Whether this is the last act of a revision: then slots of an open pause are decided, too, and those whose start
    /// is moved and still to come.
    pub closing: bool,
}

/// One decision, for one slot or for consecutive ones that share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The first slot.
    pub from: DateTime<Utc>,
    /// The last slot.
    pub until: DateTime<Utc>,
    /// How many.
    pub slots: u64,
    /// The word.
    pub decided: Decided,
    /// Why, for people.
    pub reason: String,
    /// When the last slot was to start.
    pub due: DateTime<Utc>,
    /// The run that it makes.
    pub launch: Option<Launch>,
}

impl Decision {
    fn one(schedule: &Schedule, slot: DateTime<Utc>, decided: Decided, reason: impl Into<String>) -> Self {
        let due = schedule.start(slot);
        Self { from: slot, until: slot, slots: 1, decided, reason: reason.into(), due, launch: None }
    }

    fn of(schedule: &Schedule, slots: Slots, decided: Decided, reason: impl Into<String>) -> Self {
        let due = schedule.start(slots.last);
        Self {
            from: slots.first,
            until: slots.last,
            slots: slots.count,
            decided,
            reason: reason.into(),
            due,
            launch: None,
        }
    }

    /// How late its last slot is; what is decided ahead of its start is not late.
    pub fn lateness(&self, now: DateTime<Utc>) -> TimeDelta {
        (now - self.due).max(TimeDelta::zero())
    }

    /// Whether it makes a run although its slot was missed.
    pub fn is_caught_up(&self) -> bool {
        self.launch.as_ref().is_some_and(|launch| launch.caught_up)
    }
}

/// Decides every slot that was to start by now, oldest first, consecutive equal ones in one row. While a pause is open,
/// none.
pub fn plan(facts: &Facts<'_>) -> Vec<Decision> {
    let Facts { schedule, now, pauses, .. } = *facts;
    if !facts.closing && pauses.iter().any(|pause| pause.is_open(now)) {
        return Vec::new();
    }
    let until = if facts.closing { now } else { schedule.started_until(now) };
    let stretches = stretches(facts, until);
    let (plan, mut overlap) = (late::Plan::of(schedule, now, &stretches), overlap::Rule::of(facts));
    let mut decisions = Vec::new();
    for stretch in &stretches {
        match &stretch.reach {
            Reach::Shut { decided, reason } => {
                let slots = Slots::within(schedule, stretch.after, stretch.until);
                decisions.extend(slots.map(|slots| Decision::of(schedule, slots, *decided, reason.clone())));
            }
            Reach::Deferred { window, opens_at } => {
                let slots = Slots::within(schedule, stretch.after, stretch.until);
                decisions.extend(slots.into_iter().flat_map(|slots| overlap.defer(slots, window, *opens_at)));
            }
            Reach::Free => {
                decisions.extend(plan.late(stretch));
                let on_time = schedule.cron.between(schedule.zone, plan.on_time_from(stretch), stretch.until, MOST);
                let cut = on_time.len() == MOST;
                for slot in plan.caught_up(stretch) {
                    add(&mut decisions, overlap.decide(slot, true));
                }
                for slot in on_time {
                    add(&mut decisions, overlap.decide(slot, false));
                }
                if cut {
                    break;
                }
            }
        }
    }
    overlap.settle(&mut decisions);
    decisions
}

/// Appends a decision, or widens the last one when it says the same. What makes a run stands alone.
fn add(decisions: &mut Vec<Decision>, next: Decision) {
    match decisions.last_mut() {
        Some(last)
            if last.decided == next.decided
                && last.reason == next.reason
                && last.launch.is_none()
                && next.launch.is_none() =>
        {
            last.until = next.until;
            last.due = next.due;
            last.slots += next.slots;
        }
        _ => decisions.push(next),
    }
}

/// A length of time in at most two units: `2h 5m`.
fn words(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let parts = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let shown = parts.iter().scan(seconds, |rest, (size, unit)| {
        let count = *rest / size;
        *rest %= size;
        Some((count, unit))
    });
    let shown: Vec<_> = shown.skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0).collect();
    let shown: Vec<_> = shown.iter().map(|(count, unit)| format!("{count}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests;
