//! Lengths of time as ops write them: `500ms`, `90s`, `15m`, `2h`, `365d`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time that reads and prints as text. A day is 24 hours; there are no months or years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole days in it.
    pub fn days(self) -> u64 {
        self.0.as_secs() / 86_400
    }
}

/// Why a text is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a length of time (write a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `15m`, `365d`)")]
pub struct SpanError(String);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let fail = || SpanError(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
        let (number, unit) = text.split_at(digits);
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?;
        let number: u64 = number.parse().map_err(|_| fail())?;
        // Past a thousand years, dates no longer fit Postgres and chrono.
        let total = number.checked_mul(*millis).filter(|ms| *ms <= 366_000 * 86_400_000).ok_or_else(fail)?;
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis() as u64;
        let whole = UNITS.iter().rev().find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit));
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", millis / unit),
            None => write!(f, "{millis}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "description": "A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`.",
            "examples": ["500ms", "90s", "15m", "2h", "365d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_prints_as_it_was_written() {
        for text in ["500ms", "90s", "15m", "2h", "365d"] {
            assert_eq!(text.parse::<Span>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("120s".parse::<Span>().map(|s| s.to_string()), Ok("2m".to_owned()));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "5", "d", "1y", "1.5h", "-1s", "1 d", "99999999999999999999d", "999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
