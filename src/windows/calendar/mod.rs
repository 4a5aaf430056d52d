//! A calendar as windows use it: days and times that are taken, whatever they are called.
//!
//! Events that repeat are written out up to the end of 2100, so that the same text gives the same answer whenever it
//! is read. Whole days, and times without a zone, are on the clock of the window that uses the calendar.

mod event;
mod ics;
mod lines;
mod repeat;
mod stamp;
mod zones;

use std::ops::Range;

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use super::When;

/// The year up to whose end events that repeat are written out.
pub const LAST_YEAR: i32 = 2100;

/// What a calendar has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    /// In any order; they may overlap.
    pub busy: Vec<Busy>,
}

/// A stretch of time that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Busy {
    /// Whole days, up to the first that is not one of them.
    Days(Range<NaiveDate>),
    /// Times on the window's clock.
    Local(Range<NaiveDateTime>),
    /// Instants.
    Fixed(Range<DateTime<Utc>>),
}

/// What cannot be read in a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub help: String,
    /// Where in the text, in bytes.
    pub at: Range<usize>,
}

impl Busy {
    /// Whether it takes any time at all; a reminder takes none.
    fn lasts(&self) -> bool {
        match self {
            Self::Days(days) => !days.is_empty(),
            Self::Local(times) => !times.is_empty(),
            Self::Fixed(instants) => !instants.is_empty(),
        }
    }
}

impl Calendar {
    /// Reads the text of an iCalendar file (RFC 5545).
    ///
    /// # Errors
    /// Everything in it that cannot be read: half a calendar would let jobs run on the other half's holidays.
    pub fn ics(text: &str) -> Result<Self, Vec<Unclear>> {
        ics::read(text)
    }

    /// What it has, as instants on a zone's clock. A day has the 23, 24 or 25 hours that it has there.
    pub fn when(&self, zone: Tz) -> When {
        let day = |date: NaiveDate| instant(zone, date.and_time(NaiveTime::MIN));
        When::listed(
            self.busy
                .iter()
                .map(|busy| match busy {
                    Busy::Days(days) => day(days.start)..day(days.end),
                    Busy::Local(times) => instant(zone, times.start)..instant(zone, times.end),
                    Busy::Fixed(instants) => instants.clone(),
                })
                .collect(),
        )
    }
}

/// The instant of a time on a clock: the first of two, and the end of the gap for one that there is not.
pub fn instant(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) => at.to_utc(),
        MappedLocalTime::Ambiguous(one, other) => one.min(other).to_utc(),
        MappedLocalTime::None => {
            let end = GapInfo::new(&wall, &zone).and_then(|gap| gap.end);
            end.map_or_else(|| wall.and_utc(), |end| end.to_utc())
        }
    }
}

#[cfg(test)]
mod tests;
