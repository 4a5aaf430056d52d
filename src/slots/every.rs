//! `@every 90s`: slots that are so far apart, whatever the clocks say.
//!
//! They are the multiples of the length since 1970 began in UTC, so that every daemon, also one that was just
//! started, finds the same ones.

use chrono::{DateTime, Utc};

use crate::span::Span;

/// A length of time between two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Every {
    seconds: i64,
}

/// A year, about: what is rarer is written with a date.
const LONGEST: u64 = 366 * 86_400;

impl Every {
    /// Reads `90s` or `1h30m`; whole seconds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut rest, mut millis) = (text, 0_u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
            let (part, more) = rest.split_at(digits + unit);
            let length = u64::try_from(part.parse::<Span>().ok()?.0.as_millis()).ok()?;
            millis = millis.checked_add(length)?;
            rest = more;
        }
        let whole = millis.is_multiple_of(1000) && (1..=LONGEST).contains(&(millis / 1000));
        whole.then_some(Self { seconds: (millis / 1000) as i64 })
    }

    /// How many slots there are from 1970 to an instant.
    fn number(self, at: DateTime<Utc>) -> i64 {
        at.timestamp().div_euclid(self.seconds)
    }

    fn slot(self, number: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(number.checked_mul(self.seconds)?, 0)
    }

    pub(super) fn next(self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.slot(self.number(after) + 1)
    }

    pub(super) fn count(self, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        u64::try_from(self.number(until) - self.number(after)).unwrap_or(0)
    }
}
