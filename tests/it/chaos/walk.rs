//! When schedules are due, found by looking at the clock on the wall second by second.
//!
//! It shares the time zone database with Sexton and nothing else: no cron library, no search for the next slot.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::schedules::When;

/// A zone's clock over some time, second by second.
pub(super) struct Wall(Vec<Second>);

struct Second {
    at: DateTime<Utc>,
    shows: NaiveDateTime,
    /// It showed this before, an hour ago.
    again: bool,
    /// What it would have shown since the second before, had it not jumped.
    swallowed: Vec<NaiveDateTime>,
}

impl Wall {
    /// From strictly after one instant up to another.
    pub(super) fn new(zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let second = TimeDelta::seconds(1);
        let first = after.with_nanosecond(0).unwrap_or(after) + second;
        let shown = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
        let seconds = std::iter::successors(Some(first), |at| Some(*at + second)).take_while(|at| *at <= until);
        let look = |at: DateTime<Utc>| {
            let (shows, before) = (shown(at), shown(at - second));
            let again = match zone.from_local_datetime(&shows) {
                MappedLocalTime::Ambiguous(first, _) => first != at,
                _ => false,
            };
            let jumped = std::iter::successors(Some(before + second), |time| Some(*time + second));
            Second { at, shows, again, swallowed: jumped.take_while(|time| *time < shows).collect() }
        };
        Self(seconds.map(look).collect())
    }

    /// When a schedule is due in that time, by Vixie's rule: what has a fixed time does not come again in the hour that
    /// comes twice, and comes after a gap that swallowed it; everything else goes by what the clock shows.
    pub(super) fn due(&self, when: &When) -> Vec<DateTime<Utc>> {
        let is_due = |second: &&Second| match when {
            When::Never => false,
            When::Every(length) => second.at.timestamp() % length == 0,
            When::Wall { fixed: false, .. } => when.shows(second.shows.time()),
            When::Wall { fixed: true, .. } => {
                when.shows(second.shows.time()) && !second.again
                    || second.swallowed.iter().any(|time| when.shows(time.time()))
            }
        };
        self.0.iter().filter(is_due).map(|second| second.at).collect()
    }
}
