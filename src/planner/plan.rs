//! Which decision each slot that is due gets: a pure function of the facts.
//!
//! ```text
//! watermark ──────────── window ──────────────────── now - grace ─────────── now
//!      │ missed_expired    │ coalesced … newest: fired    │ fired, fired, …    │
//! ```
//! First the catch-up rule says which slots may fire at all, then the overlap rule looks at each of those in turn. While a
//! schedule is paused nothing is decided; afterwards the slots of the pause are skipped as one, and those before it are as
//! late as after an outage.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    catalog::{CatchUp, Overlap, Schedule},
    ledger::{Decided, Pause},
};

/// A slot that is at most this late is on time.
pub const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Slots that are on time and decided at once, at most; with [`GRACE`], a schedule of every second has 61.
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
    /// Whether a run of the job is live; not looked at where runs may overlap.
    pub live: bool,
    /// The schedule's pauses since the watermark, the earliest first; they may overlap.
    pub pauses: &'a [Pause],
    /// Whether this is the last act of a revision: then slots of an open pause are decided, too.
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
    /// Whether it fires although it was missed.
    pub caught_up: bool,
}

impl Decision {
    fn one(slot: DateTime<Utc>, decided: Decided, reason: impl Into<String>) -> Self {
        Self { from: slot, until: slot, slots: 1, decided, reason: reason.into(), caught_up: false }
    }

    fn of(slots: Slots, decided: Decided, reason: impl Into<String>) -> Self {
        Self { until: slots.last, slots: slots.count, ..Self::one(slots.first, decided, reason) }
    }

    /// How late its last slot is.
    pub fn lateness(&self, now: DateTime<Utc>) -> TimeDelta {
        now - self.until
    }
}

/// The smallest step between instants here: what is before an instant ends this much earlier.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

/// Decides every slot in `(watermark, now]`, oldest first, consecutive equal ones in one row. While a pause is open, none.
pub fn plan(facts: &Facts<'_>) -> Vec<Decision> {
    let Facts { schedule, watermark, now, pauses, .. } = *facts;
    if !facts.closing && pauses.iter().any(|pause| pause.made_at <= now && pause.ends_at.is_none_or(|end| end > now)) {
        return Vec::new();
    }
    let stretches = stretches(watermark, now, pauses);
    // Of the stretches in between, the newest that has a slot stands for the ones before it.
    let free = |stretch: &&Stretch<'_>| {
        stretch.pause.is_none() && Slots::within(schedule, stretch.after, stretch.until).is_some()
    };
    let newest = stretches.iter().rfind(free).map(|stretch| stretch.after);
    let mut decisions = Vec::new();
    for stretch in &stretches {
        match stretch.pause {
            Some(pause) => {
                let reason = format!("paused by {}: {}", pause.author, pause.reason);
                let slots = Slots::within(schedule, stretch.after, stretch.until);
                decisions.extend(slots.map(|slots| Decision::of(slots, Decided::SkippedPaused, reason)));
            }
            None if newest == Some(stretch.after) => decisions.extend(unpaused(facts, stretch)),
            None => {
                let slots = Slots::within(schedule, stretch.after, stretch.until);
                let (decided, reason) = match schedule.catch_up {
                    CatchUp::Skip => (Decided::MissedExpired, "not decided before a pause, and catch_up = \"skip\""),
                    CatchUp::Latest => (Decided::Coalesced, "not decided before a pause; a newer slot stands for it"),
                };
                decisions.extend(slots.map(|slots| Decision::of(slots, decided, reason)));
            }
        }
    }
    decisions
}

/// A time between watermark and now: `(after, until]`, in a pause or not.
#[derive(Debug, Clone, Copy)]
struct Stretch<'a> {
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    pause: Option<&'a Pause>,
}

/// Cuts `(watermark, now]` at the pauses, all of which are over.
fn stretches(watermark: DateTime<Utc>, now: DateTime<Utc>, pauses: &[Pause]) -> Vec<Stretch<'_>> {
    let mut cut = Vec::new();
    let mut at = watermark;
    for pause in pauses {
        let (from, until) = ((pause.made_at - TICK).max(at), pause.ends_at.map_or(now, |end| (end - TICK).min(now)));
        if until <= from {
            continue;
        }
        if from > at {
            cut.push(Stretch { after: at, until: from, pause: None });
        }
        cut.push(Stretch { after: from, until, pause: Some(pause) });
        at = until;
    }
    if now > at {
        cut.push(Stretch { after: at, until: now, pause: None });
    }
    cut
}

/// Decides the slots of a time without a pause.
fn unpaused(facts: &Facts<'_>, stretch: &Stretch<'_>) -> Vec<Decision> {
    let Facts { schedule, now, .. } = *facts;
    let facts = &Facts { watermark: stretch.after, ..*facts };
    let on_time_from = stretch.after.max((now - GRACE - TICK).min(stretch.until));
    let on_time = schedule.cron.between(schedule.zone, on_time_from, stretch.until, MOST);
    let (mut decisions, caught_up) = catch_up(facts, on_time_from, on_time.first().copied());

    let mut live = facts.live;
    let candidates =
        caught_up.into_iter().map(|slot| (slot, true)).chain(on_time.into_iter().map(|slot| (slot, false)));
    for (slot, caught_up) in candidates {
        let decision = match schedule.overlap {
            Overlap::Skip if live => {
                let reason = format!("a run of {} was still live, and overlap = \"skip\"", schedule.job);
                Decision::one(slot, Decided::SkippedOverlap, reason)
            }
            Overlap::Skip | Overlap::AllowAll => {
                live = true;
                let reason =
                    if caught_up { format!("caught up, {} late", words(now - slot)) } else { "on time".to_owned() };
                Decision { caught_up, ..Decision::one(slot, Decided::Fired, reason) }
            }
        };
        add(&mut decisions, decision);
    }
    decisions
}

/// What becomes of the slots in `(watermark, until]`, all of which are late: decisions, and the one that may still
/// fire.
fn catch_up(
    facts: &Facts<'_>,
    until: DateTime<Utc>,
    on_time: Option<DateTime<Utc>>,
) -> (Vec<Decision>, Option<DateTime<Utc>>) {
    let Facts { schedule, watermark, now, .. } = *facts;
    let mut decisions = Vec::new();
    if schedule.catch_up == CatchUp::Skip {
        let reason = format!("more than {} late, and catch_up = \"skip\"", words(GRACE));
        let missed = Slots::within(schedule, watermark, until);
        decisions.extend(missed.map(|slots| Decision::of(slots, Decided::MissedExpired, reason)));
        return (decisions, None);
    }
    let mut from = watermark;
    if let Some(window) = schedule.catch_up_window
        && let Ok(age) = TimeDelta::from_std(window.0)
        && let Some(oldest) = now.checked_sub_signed(age)
    {
        let edge = (oldest - TimeDelta::nanoseconds(1)).clamp(watermark, until.max(watermark));
        let reason = format!("older than catch_up_window = \"{window}\"");
        let expired = Slots::within(schedule, watermark, edge);
        decisions.extend(expired.map(|slots| Decision::of(slots, Decided::MissedExpired, reason)));
        from = edge;
    }
    let Some(missed) = Slots::within(schedule, from, until) else { return (decisions, None) };
    if let Some(stand_in) = on_time {
        let reason = format!("the slot of {stand_in:?} is on time and stands for it");
        decisions.push(Decision::of(missed, Decided::Coalesced, reason));
        return (decisions, None);
    }
    let older = Slots::within(schedule, from, missed.last - TimeDelta::nanoseconds(1));
    let reason = format!("the slot of {:?} is newer and stands for it", missed.last);
    decisions.extend(older.map(|slots| Decision::of(slots, Decided::Coalesced, reason)));
    (decisions, Some(missed.last))
}

/// Appends a decision, or widens the last one when it says the same. What fires stands alone.
fn add(decisions: &mut Vec<Decision>, next: Decision) {
    match decisions.last_mut() {
        Some(last) if last.decided == next.decided && last.reason == next.reason && next.decided != Decided::Fired => {
            last.until = next.until;
            last.slots += next.slots;
        }
        _ => decisions.push(next),
    }
}

/// Consecutive slots of a schedule, never listed: there may be millions.
#[derive(Debug, Clone, Copy)]
struct Slots {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    count: u64,
}

impl Slots {
    fn within(schedule: &Schedule, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<Self> {
        let (cron, zone) = (&schedule.cron, schedule.zone);
        let first = cron.next(zone, after).filter(|slot| *slot <= until)?;
        let last = cron.latest(zone, first, until).unwrap_or(first);
        Some(Self { first, last, count: 1 + cron.count(zone, first, until) })
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
