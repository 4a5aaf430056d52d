//! Thresholds on a run's report: `">= 1 MiB"`, `"< 30m"`, `"<= 100"`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{outcome::Report, span::Span};

/// What a number in a report must be. Lengths of time are compared in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    compare: Compare,
    bound: f64,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    More,
}

/// A threshold that a report did not keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The report's entry.
    pub name: String,
    /// What was expected, as written in the job.
    pub expected: String,
    /// What the report said; `None` when the entry is missing or no number.
    pub actual: Option<f64>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actual {
            Some(actual) => write!(f, "{} is {actual}, expected {}", self.name, self.expected),
            None => write!(f, "{} is missing from the report, expected {}", self.name, self.expected),
        }
    }
}

/// Every threshold that the report does not keep. A missing number is a breach: silence is no success, unless the report
/// says that it cannot be known yet.
pub fn breaches<'a>(expect: impl IntoIterator<Item = (&'a String, &'a Expect)>, report: &Report) -> Vec<Breach> {
    expect
        .into_iter()
        .filter(|(name, _)| !report.is_unknown(name))
        .filter_map(|(name, expect)| {
            let actual = report.number(name);
            let kept = actual.is_some_and(|actual| expect.holds(actual));
            (!kept).then(|| Breach { name: name.clone(), expected: expect.text.clone(), actual })
        })
        .collect()
}

impl Expect {
    /// Whether `actual` keeps the threshold.
    pub fn holds(&self, actual: f64) -> bool {
        match self.compare {
            Compare::Less => actual < self.bound,
            Compare::AtMost => actual <= self.bound,
            Compare::Equal => actual == self.bound,
            Compare::NotEqual => actual != self.bound,
            Compare::AtLeast => actual >= self.bound,
            Compare::More => actual > self.bound,
        }
    }
}

/// Why a text is no threshold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a threshold (write a comparison and a number, size or time: `\">= 1 MiB\"`, `\"< 30m\"`, `\"<= 100\"`)"
)]
pub struct ExpectError(String);

impl FromStr for Expect {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        const SIGNS: [(&str, Compare); 6] = [
            ("<=", Compare::AtMost),
            (">=", Compare::AtLeast),
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<", Compare::Less),
            (">", Compare::More),
        ];
        let fail = || ExpectError(text.to_owned());
        let (compare, rest) = SIGNS
            .iter()
            .find_map(|(sign, compare)| text.trim().strip_prefix(sign).map(|rest| (*compare, rest.trim())))
            .ok_or_else(fail)?;
        let bound = quantity(rest).ok_or_else(fail)?;
        Ok(Self { compare, bound, text: text.to_owned() })
    }
}

/// A plain number, a size (`1 MiB`, `2GB`) in bytes, or a length of time in seconds.
fn quantity(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number);
    }
    if let Ok(span) = text.parse::<Span>() {
        return Some(span.0.as_secs_f64());
    }
    size(text)
}

/// A size (`1 MiB`, `2GB`) in bytes.
pub fn size(text: &str) -> Option<f64> {
    const SIZES: [(&str, f64); 9] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1.0),
    ];
    let (number, factor) =
        SIZES.iter().find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number.trim(), factor)))?;
    number.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n * factor)
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Expect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^\\s*(<=|>=|==|!=|<|>)\\s*[^<>=!\\s]",
            "description": "A comparison with a number, a size in bytes or a length of time in seconds.",
            "examples": [">= 1 MiB", "< 30m", "<= 100"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_bytes_and_seconds() {
        let holds = |text: &str, actual| text.parse::<Expect>().map(|e| e.holds(actual));
        assert_eq!(holds(">= 1 MiB", 1_048_576.0), Ok(true));
        assert_eq!(holds("< 30m", 1_800.0), Ok(false));
        assert_eq!(holds("== 0", 0.0), Ok(true));
        assert!("about 3".parse::<Expect>().is_err());
        assert!("> lots".parse::<Expect>().is_err());
    }

    #[test]
    fn a_missing_number_is_a_breach() {
        let expect = [("bytes".to_owned(), ">= 1 kB".parse::<Expect>().expect("a threshold"))];
        let found = breaches(expect.iter().map(|(n, e)| (n, e)), &Report::new());
        assert_eq!(found[0].to_string(), "bytes is missing from the report, expected >= 1 kB");
        let mut unknown = Report::new();
        unknown.unknown("bytes");
        assert_eq!(breaches(expect.iter().map(|(n, e)| (n, e)), &unknown), []);
        assert!(unknown.for_people().is_empty());
    }
}
