//! How far this machine's clock is from the database's, shared between who measures it and who is asked about it.
//!
//! Slots, leases and lateness are decided by the database's clock alone, so that daemons whose clocks differ agree. The
//! machine's own clock is in what people read: its log, the names of backups, the ages of files.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

/// From here on people are told.
pub const TOO_FAR: TimeDelta = TimeDelta::seconds(60);

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// How far the machine's clock is ahead of the database's; negative when it is behind.
    pub ahead: TimeDelta,
    /// How wrong that may be: half of the time that asking took.
    pub give: TimeDelta,
}

impl Skew {
    /// From the machine's time when it asked, how long the answer took, and the time that the database said. The answer
    /// is taken to be from the middle of that time.
    pub fn between(asked_at: DateTime<Utc>, took: Duration, database: DateTime<Utc>) -> Self {
        let give = TimeDelta::from_std(took / 2).unwrap_or(TimeDelta::MAX);
        Self { ahead: asked_at + give - database, give }
    }

    /// The more exact of two measurements.
    pub fn or(self, other: Self) -> Self {
        if other.give < self.give { other } else { self }
    }

    /// Whether it is surely so far that people are told.
    pub fn is_too_far(&self) -> bool {
        self.ahead.abs() - self.give >= TOO_FAR
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ahead.abs().as_seconds_f64();
        let side = if self.ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
        write!(f, "this machine's clock is {seconds:.1} s {side} the queue database's")
    }
}

/// The newest measurement, for everybody who has a copy.
#[derive(Debug, Clone, Default)]
pub struct Shown(Arc<Mutex<Option<Skew>>>);

impl Shown {
    /// This is how it is now; gives what was before.
    pub fn set(&self, skew: Skew) -> Option<Skew> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(skew)
    }

    /// What was measured last; nothing before the first time.
    pub fn get(&self) -> Option<Skew> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn skew(took_ms: u64, database_ahead_ms: i64) -> Skew {
        Skew::between(NOON, Duration::from_millis(took_ms), NOON + TimeDelta::milliseconds(database_ahead_ms))
    }

    #[test]
    fn half_of_the_round_trip_is_halved_out() {
        assert_eq!(skew(200, 100), Skew { ahead: TimeDelta::zero(), give: TimeDelta::milliseconds(100) });
        assert_eq!(skew(200, -900).ahead, TimeDelta::seconds(1));
        assert_eq!(skew(20, 0).or(skew(2, 0)).give, TimeDelta::milliseconds(1));
    }

    #[test]
    fn only_what_is_surely_too_far_is_told() {
        for (took, database_ahead, told) in [
            (0, 59_999, false),
            (0, 60_000, true),
            (0, -60_000, true),
            (0, -59_999, false),
            // A minute in which the answer came proves nothing.
            (60_000, 100_000, false),
            (60_000, 121_000, true),
        ] {
            assert_eq!(skew(took, database_ahead).is_too_far(), told, "{took} {database_ahead}");
        }
    }

    #[test]
    fn it_says_which_clock_is_ahead() {
        assert_eq!(skew(0, 90_250).to_string(), "this machine's clock is 90.2 s behind the queue database's");
        assert_eq!(skew(0, -60_000).to_string(), "this machine's clock is 60.0 s ahead of the queue database's");
    }
}
