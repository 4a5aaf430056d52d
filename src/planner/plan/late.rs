//! What becomes of slots that come too late: the catch-up rule.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Decision, Slots,
    stretch::{Reach, Stretch},
    words,
};
use crate::{
    catalog::{CatchUp, Schedule, TICK},
    ledger::Decided,
    span::Span,
};

/// What becomes of the late slots of all free stretches.
pub(super) struct Plan<'a> {
    schedule: &'a Schedule,
    /// Slots at or before it are older than the window.
    edge: DateTime<Utc>,
    /// Slots at or before it are late; those after it are on time.
    late_until: DateTime<Utc>,
    /// Late slots that fire, oldest first.
    fire: Vec<DateTime<Utc>>,
    /// Why those between `edge` and the first of `fire` do not.
    others: (Decided, String),
}

impl<'a> Plan<'a> {
    pub(super) fn of(schedule: &'a Schedule, now: DateTime<Utc>, stretches: &[Stretch]) -> Self {
        let policy = &schedule.policy;
        let started = |ago: Option<Span>| match ago.and_then(|ago| TimeDelta::from_std(ago.0).ok()) {
            Some(ago) => {
                now.checked_sub_signed(ago + TICK).map_or(DateTime::<Utc>::MIN_UTC, |at| schedule.started_until(at))
            }
            None => DateTime::<Utc>::MIN_UTC,
        };
        let late_until = started(Some(policy.grace));
        let edge = started(policy.catch_up_window).min(late_until);
        let mut plan =
            Self { schedule, edge, late_until, fire: Vec::new(), others: (Decided::Coalesced, String::new()) };
        let free: Vec<_> = stretches.iter().filter(|stretch| matches!(stretch.reach, Reach::Free)).collect();
        match policy.catch_up {
            CatchUp::Skip => {
                let reason = format!("more than {} late, and catch_up = \"skip\"", words(grace(policy.grace)));
                plan.others = (Decided::MissedExpired, reason);
                plan.edge = DateTime::<Utc>::MIN_UTC;
            }
            CatchUp::Latest => plan.latest(&free),
            CatchUp::All => plan.all(&free, policy.catch_up_max),
        }
        plan
    }

    /// The newest stands for the ones before it; one that is on time stands for all.
    fn latest(&mut self, free: &[&Stretch]) {
        let on_time = free.iter().find_map(|stretch| {
            let next = self.schedule.cron.next(self.schedule.zone, self.on_time_from(stretch));
            next.filter(|slot| *slot <= stretch.until)
        });
        if let Some(slot) = on_time {
            self.others.1 = format!("the slot of {slot:?} is on time and stands for it");
            return;
        }
        let newest = free.iter().rev().find_map(|stretch| {
            let (after, until) = (stretch.after.max(self.edge), stretch.until.min(self.late_until));
            self.schedule.cron.latest(self.schedule.zone, after, until)
        });
        if let Some(slot) = newest {
            self.others.1 = format!("the slot of {slot:?} is newer and stands for it");
            self.fire.push(slot);
        }
    }

    /// The newest `most` fire.
    fn all(&mut self, free: &[&Stretch], most: u32) {
        for stretch in free.iter().rev() {
            let (after, mut until) = (stretch.after.max(self.edge), stretch.until.min(self.late_until));
            while self.fire.len() < most as usize
                && let Some(slot) = self.schedule.cron.latest(self.schedule.zone, after, until)
            {
                self.fire.push(slot);
                until = slot - TICK;
            }
        }
        self.fire.reverse();
        self.others = (Decided::MissedExpired, format!("catch_up_max = {most}: only the newest {most} are caught up"));
    }

    /// After which instant the slots of a stretch are on time.
    pub(super) fn on_time_from(&self, stretch: &Stretch) -> DateTime<Utc> {
        self.late_until.clamp(stretch.after, stretch.until)
    }

    /// Decisions of the stretch's late slots that do not fire.
    pub(super) fn late(&self, stretch: &Stretch) -> Vec<Decision> {
        let late_until = self.on_time_from(stretch);
        let edge = self.edge.clamp(stretch.after, late_until);
        let fires =
            self.fire.iter().find(|slot| **slot > edge).map_or(late_until, |slot| (*slot - TICK).min(late_until));
        let mut decisions = Vec::new();
        if let (Some(slots), Some(window)) =
            (Slots::within(self.schedule, stretch.after, edge), self.schedule.policy.catch_up_window)
        {
            let reason = format!("older than catch_up_window = \"{window}\"");
            decisions.push(Decision::of(self.schedule, slots, Decided::MissedExpired, reason));
        }
        if let Some(slots) = Slots::within(self.schedule, edge, fires) {
            decisions.push(Decision::of(self.schedule, slots, self.others.0, self.others.1.clone()));
        }
        decisions
    }

    /// The late slots of a stretch that may fire, oldest first.
    pub(super) fn caught_up(&self, stretch: &Stretch) -> impl Iterator<Item = DateTime<Utc>> {
        let (after, until) = (stretch.after, stretch.until);
        self.fire.iter().copied().filter(move |slot| *slot > after && *slot <= until)
    }
}

fn grace(span: Span) -> TimeDelta {
    TimeDelta::from_std(span.0).unwrap_or(TimeDelta::MAX)
}
