//! When a schedule is due: a cron expression in a time zone, as instants.
//!
//! croner reads the expression and walks the wall clock; which instants a wall-clock time stands for is decided
//! here, by Vixie's rule: a *fixed-time* expression, one without wildcard
//! and step in its second, minute and hour, fires once at the first instant after a gap that swallowed it, and on
//! the first pass only of an hour that repeats. Every other expression counts real time: nothing for the gap, both
//! passes of the overlap.

mod parse;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use parse::CronError;

/// A cron expression of 5, 6 (seconds first) or 7 (year last) fields.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    wall: croner::Cron,
    fixed: bool,
}

impl Cron {
    /// Reads an expression; one that can never fire is an error too.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let (wall, fixed) = parse::parse(text)?;
        Ok(Self { text: text.trim().to_owned(), wall, fixed })
    }

    /// Whether it names times of day (`30 2,14 * * *`) and not an interval (`*/30 * * * *`): what a change of
    /// the clocks does to it follows from this.
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// The first slot strictly after an instant; none where the years of the expression are over.
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&zone);
        let wall = local.naive_local().with_nanosecond(0)?;
        let MappedLocalTime::Ambiguous(one, other) = zone.from_local_datetime(&wall) else {
            return self.walk(zone, wall, false, after);
        };
        let fold = Fold::of(one.min(other), one.max(other));
        let first_pass = after < fold.turn;
        if (first_pass || !self.fixed)
            && let Some(wall) = self.wall(wall, false).filter(|wall| *wall < fold.end)
        {
            return Some(fold.instant(wall, first_pass));
        }
        if first_pass
            && !self.fixed
            && let Some(wall) = self.wall(fold.begin, true).filter(|wall| *wall < fold.end)
        {
            return Some(fold.instant(wall, false));
        }
        self.walk(zone, fold.end, true, after)
    }

    /// All slots with `after < slot <= until`, oldest first, at most `cap`.
    pub fn between(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>, cap: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next(zone, after), |slot| self.next(zone, *slot))
            .take_while(|slot| *slot <= until)
            .take(cap)
            .collect()
    }

    /// The last slot with `after < slot <= until`, found in steps that grow with the logarithm of the span.
    pub fn latest(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let within = |after, until| self.next(zone, after).filter(|slot| *slot <= until);
        let (mut found, mut until) = (within(after, until)?, until);
        while let Some(later) = within(found, until) {
            let middle = later + (until - later) / 2;
            match within(middle, until) {
                Some(slot) => found = slot,
                None => (found, until) = (later, middle),
            }
        }
        Some(found)
    }

    /// How many slots there are with `after < slot <= until`, counting whole hours at once.
    pub fn count(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        let pattern = &self.wall.pattern;
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

    /// What a change of the clocks did to a slot of this expression, for previews.
    pub fn shift(&self, zone: Tz, slot: DateTime<Utc>) -> Option<Shift> {
        let wall = slot.with_timezone(&zone).naive_local();
        match zone.from_local_datetime(&wall) {
            MappedLocalTime::Ambiguous(one, other) if slot == one.min(other) => Some(Shift::FirstPass),
            MappedLocalTime::Ambiguous(..) => Some(Shift::SecondPass),
            _ if !self.wall.is_time_matching(&wall).unwrap_or(true) => Some(Shift::AfterGap),
            _ => None,
        }
    }

    /// Goes along the wall clock from `wall` to the first instant after `after`, seeing only first passes.
    fn walk(&self, zone: Tz, wall: NaiveDateTime, inclusive: bool, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut from, mut inclusive) = (wall, inclusive);
        loop {
            let wall = self.wall(from, inclusive)?;
            (from, inclusive) = (wall, false);
            let slot = match zone.from_local_datetime(&wall) {
                MappedLocalTime::Single(at) => Some(at.to_utc()),
                MappedLocalTime::Ambiguous(one, other) => Some(one.min(other).to_utc()),
                MappedLocalTime::None => {
                    let turn = gap_turn(zone, wall)?;
                    (from, inclusive) = (turn.with_timezone(&zone).naive_local(), true);
                    self.fixed.then_some(turn)
                }
            };
            if let Some(slot) = slot.filter(|slot| *slot > after) {
                return Some(slot);
            }
        }
    }

    /// The next wall-clock time that matches, as if clocks were never changed.
    fn wall(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.wall.find_next_occurrence(&from, inclusive).ok()
    }
}

/// What a change of the clocks did to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// Its time of day does not exist on that day; it fires at the first instant after the gap.
    AfterGap,
    /// Its time of day comes twice on that day; this is the first.
    FirstPass,
    /// Its time of day comes twice on that day; this is the second.
    SecondPass,
}

/// A stretch of wall-clock time that comes twice, because the clocks are put back at `turn`.
struct Fold {
    turn: DateTime<Utc>,
    begin: NaiveDateTime,
    end: NaiveDateTime,
}

impl Fold {
    /// The fold that one wall-clock time with these two instants lies in.
    fn of(first: DateTime<Tz>, second: DateTime<Tz>) -> Self {
        let (zone, before, behind) = (first.timezone(), first.offset().fix(), second.offset().fix());
        let (mut low, mut high) = (first.timestamp(), second.timestamp());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let at = DateTime::from_timestamp(middle, 0).unwrap_or(first.to_utc());
            if at.with_timezone(&zone).offset().fix() == before { low = middle } else { high = middle }
        }
        let turn = DateTime::from_timestamp(high, 0).unwrap_or(second.to_utc());
        Self { turn, begin: turn.with_timezone(&behind).naive_local(), end: turn.with_timezone(&before).naive_local() }
    }

    /// The instant of a wall-clock time inside it.
    fn instant(&self, wall: NaiveDateTime, first_pass: bool) -> DateTime<Utc> {
        let edge = if first_pass { self.end } else { self.begin };
        self.turn + (wall - edge)
    }
}

/// The instant at which the clocks are put forward over `wall`.
fn gap_turn(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    let (begin, offset) = GapInfo::new(&wall, &zone)?.begin?;
    Some(begin.and_utc() - Duration::seconds(offset.fix().local_minus_utc().into()))
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        Self::parse(text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
