//! Thresholds of checks: a count (`"> 100"`), a share of the rows looked at (`"> 0.1%"`), or what is new since the
//! job's last run (`"new > 0"`).

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::expect::Expect;

/// When a count of bad rows is too much.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    sort: Sort,
    reached: Expect,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Count,
    Percent,
    New,
}

/// What a check has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Bad rows.
    pub bad: u64,
    /// Rows looked at, where that was counted.
    pub looked: Option<u64>,
    /// Bad rows that the last run had not, where that is known.
    pub new: Option<u64>,
}

/// Why a text is no threshold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a threshold (write a count `\"> 100\"`, a share `\"> 0.1%\"`, or what is new `\"new > 0\"`)")]
pub struct ThresholdError(String);

impl Threshold {
    /// Any bad row.
    pub fn any() -> Self {
        // A constant that parses; a threshold that nothing reaches would hide a mistake in it, so fail loudly.
        "> 0".parse().unwrap_or_else(|_| unreachable!("`> 0` is a threshold"))
    }

    /// Whether it is reached. What is not known reaches nothing: a first run knows nothing that is new.
    pub fn reached(&self, seen: Seen) -> bool {
        let value = match self.sort {
            Sort::Count => Some(seen.bad as f64),
            Sort::New => seen.new.map(|new| new as f64),
            Sort::Percent => seen.looked.map(|looked| match (seen.bad, looked) {
                (0, _) => 0.0,
                // More than all of nothing.
                (_, 0) => f64::INFINITY,
                (bad, looked) => bad as f64 * 100.0 / looked as f64,
            }),
        };
        value.is_some_and(|value| self.reached.holds(value))
    }

    /// Whether the rows looked at must be counted.
    pub fn is_share(&self) -> bool {
        self.sort == Sort::Percent
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let trimmed = text.trim();
        let (sort, rest) = match (trimmed.strip_prefix("new"), trimmed.strip_suffix('%')) {
            (Some(rest), None) => (Sort::New, rest),
            (None, Some(rest)) => (Sort::Percent, rest),
            (None, None) => (Sort::Count, trimmed),
            (Some(_), Some(_)) => return Err(ThresholdError(text.to_owned())),
        };
        // Sizes and times are no counts.
        let number = rest.trim_start_matches(['<', '>', '=', '!', ' ']).trim();
        let reached = rest.parse().ok().filter(|_| number.parse::<f64>().is_ok());
        let reached = reached.ok_or_else(|| ThresholdError(text.to_owned()))?;
        Ok(Self { sort, reached, text: text.to_owned() })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^\\s*(new\\s*)?(<=|>=|==|!=|<|>)\\s*[0-9.]+\\s*%?\\s*$",
            "description": "A comparison with a count of bad rows, a share of the rows looked at, or of those that are new.",
            "examples": ["> 100", "> 0.1%", "new > 0"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(text: &str, seen: Seen) -> bool {
        text.parse::<Threshold>().expect(text).reached(seen)
    }

    #[test]
    fn a_count_a_share_and_what_is_new() {
        let seen = Seen { bad: 3, looked: Some(2_000), new: Some(1) };
        assert!(reached("> 2", seen) && !reached("> 3", seen));
        assert!(reached("> 0.1%", seen) && !reached("> 0.15 %", seen) && reached(">= 0.15%", seen));
        assert!(reached("new > 0", seen) && !reached("new > 1", seen));
    }

    #[test]
    fn what_is_not_known_reaches_nothing() {
        let seen = Seen { bad: 9, looked: None, new: None };
        assert!(!reached("new > 0", seen) && !reached("> 0.1%", seen));
        assert!(!reached("> 1%", Seen { bad: 0, looked: Some(0), new: None }));
        assert!(reached("> 1%", Seen { bad: 1, looked: Some(0), new: None }));
    }

    #[test]
    fn sizes_times_and_mixtures_are_no_thresholds() {
        for text in ["lots", "> 1 MiB", "> 5m", "new > 1%", "new", "%", "> %", ""] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }
}
