//! Consecutive slots of a schedule, never listed: there may be millions.

use chrono::{DateTime, Utc};

use crate::catalog::Schedule;

/// The first, the last and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    pub(super) count: u64,
}

impl Slots {
    /// Those with `after < slot <= until`, if there are any.
    pub(super) fn within(schedule: &Schedule, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<Self> {
        let (cron, zone) = (&schedule.cron, schedule.zone);
        let first = cron.next(zone, after).filter(|slot| *slot <= until)?;
        let last = cron.latest(zone, first, until).unwrap_or(first);
        Some(Self { first, last, count: 1 + cron.count(zone, first, until) })
    }
}
