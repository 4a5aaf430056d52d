//! The slots of an expression of fields: along the wall clock, with what changes of the clocks do to it.

use std::sync::Arc;

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::dst::{Dst, Fold, Rule, Shift, gap_before, gap_turn};

/// An expression of fields, and what holds when clocks are changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wall {
    pub(super) cron: Arc<croner::Cron>,
    pub(super) fixed: bool,
    pub(super) rule: Rule,
}

impl Wall {
    pub(super) fn new(cron: Arc<croner::Cron>, fixed: bool) -> Self {
        Self { cron, fixed, rule: Rule::of(Dst::default(), fixed) }
    }

    /// The first slot strictly after an instant.
    pub(super) fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = after.with_timezone(&zone).naive_local().with_nanosecond(0)?;
        let Some(fold) = Fold::around(zone, wall) else { return self.walk(zone, wall, false, after) };
        let first_pass = after < fold.turn;
        if (if first_pass { self.rule.first } else { self.rule.second })
            && let Some(wall) = self.matching(wall, false).filter(|wall| *wall < fold.end)
        {
            return Some(fold.instant(wall, first_pass));
        }
        if first_pass
            && self.rule.second
            && let Some(wall) = self.matching(fold.begin, true).filter(|wall| *wall < fold.end)
        {
            return Some(fold.instant(wall, false));
        }
        self.walk(zone, fold.end, true, after)
    }

    /// How many slots there are with `after < slot <= until`, counting whole hours at once.
    pub(super) fn count(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        let pattern = &self.cron.pattern;
        let hourly = (pattern.minutes.values().len() * pattern.seconds.values().len()) as u64;
        let (mut at, mut count) = (after, 0);
        while let Some(slot) = self.next(zone, at).filter(|slot| *slot <= until) {
            let hour = if hourly > 1 { self.plain_hour(zone, slot) } else { None };
            match hour.filter(|begin| *begin > at && *begin + Duration::seconds(3599) <= until) {
                Some(begin) => (at, count) = (begin + Duration::seconds(3599), count + hourly),
                None => (at, count) = (slot, count + 1),
            }
        }
        count
    }

    /// The beginning of the hour on the clock that `slot` lies in, if no change of the clocks touches it.
    fn plain_hour(&self, zone: Tz, slot: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = slot.with_timezone(&zone).naive_local();
        let begin = wall.with_minute(0)?.with_second(0)?;
        let at = |wall| zone.from_local_datetime(&wall).single().map(|at| at.to_utc());
        let (from, to) = (at(begin)?, at(begin + Duration::hours(1))?);
        (to - from == Duration::hours(1) && self.shift(zone, slot).is_none()).then_some(from)
    }

    /// What a change of the clocks did to a slot.
    pub(super) fn shift(&self, zone: Tz, slot: DateTime<Utc>) -> Option<Shift> {
        let wall = slot.with_timezone(&zone).naive_local();
        match Fold::around(zone, wall) {
            Some(fold) if slot < fold.turn => Some(Shift::FirstPass),
            Some(_) => Some(Shift::SecondPass),
            None => self.swallowed(zone, slot).map(|_| Shift::AfterGap),
        }
    }

    /// The first time of the gap before a slot that the slot stands for.
    pub(super) fn swallowed(&self, zone: Tz, slot: DateTime<Utc>) -> Option<NaiveDateTime> {
        let begin = gap_before(zone, slot).filter(|_| self.rule.gap)?;
        let end = slot.with_timezone(&zone).naive_local();
        self.matching(begin, true).filter(|wall| *wall < end)
    }

    /// Goes along the wall clock from `wall` to the first instant after `after`.
    fn walk(&self, zone: Tz, wall: NaiveDateTime, inclusive: bool, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut from, mut inclusive) = (wall, inclusive);
        loop {
            let wall = self.matching(from, inclusive)?;
            (from, inclusive) = (wall, false);
            let slot = match zone.from_local_datetime(&wall) {
                MappedLocalTime::Single(at) => Some(at.to_utc()),
                MappedLocalTime::Ambiguous(one, other) => {
                    Some(if self.rule.first { one.min(other) } else { one.max(other) }.to_utc())
                }
                MappedLocalTime::None => {
                    let turn = gap_turn(zone, wall)?;
                    (from, inclusive) = (turn.with_timezone(&zone).naive_local(), true);
                    self.rule.gap.then_some(turn)
                }
            };
            if let Some(slot) = slot.filter(|slot| *slot > after) {
                return Some(slot);
            }
        }
    }

    /// The next wall-clock time that matches, as if clocks were never changed.
    fn matching(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }
}
