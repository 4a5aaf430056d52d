//! What ops write about how long backups are kept.

use std::str::FromStr;

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::buckets::Sort;
use crate::{
    backups::{name::Verdict, shelf::Entry},
    vault::LockMode,
};

/// How long backups are kept, each rule for itself: what any of them keeps, stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The newest ones that count.
    #[serde(default)]
    pub last: Option<u32>,
    /// All that are not so many days old.
    #[serde(default)]
    pub days: Option<u32>,
    /// The newest of each of the last days.
    #[serde(default)]
    pub daily: Option<u32>,
    /// The newest of each of the last weeks, which begin on Monday.
    #[serde(default)]
    pub weekly: Option<u32>,
    /// The newest of each of the last months.
    #[serde(default)]
    pub monthly: Option<u32>,
    /// The newest of each of the last years.
    #[serde(default)]
    pub yearly: Option<u32>,
    /// The newest proven ones that stay, however old they are.
    #[serde(default = "two")]
    pub min_proven: u32,
    /// The time zone in which days, weeks, months and years begin.
    #[serde(default = "utc", deserialize_with = "zone")]
    #[schemars(with = "String")]
    pub zone: Tz,
    /// Which ones count: `proven`, or `verified` ones, too, which were read back but not restored.
    #[serde(default)]
    pub counts: Counts,
    /// Locks what stays in the bucket until the date that the plan gives.
    #[serde(default)]
    pub lock: Option<Lock>,
}

/// Which backups fill the rules' places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// Those that were restored and equal.
    #[default]
    Proven,
    /// Those that were at least read back whole, too.
    Verified,
}

/// Who may lift a lock before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// A person with a permission of their own.
    Governance,
    /// Nobody.
    Compliance,
}

impl From<Lock> for LockMode {
    fn from(lock: Lock) -> Self {
        match lock {
            Lock::Governance => Self::Governance,
            Lock::Compliance => Self::Compliance,
        }
    }
}

/// Days that an unproven backup is given where no rule says how many.
const PATIENCE: u32 = 7;

/// The most that a rule may count.
const MOST: u32 = 36_525;

fn two() -> u32 {
    2
}

fn utc() -> Tz {
    Tz::UTC
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom(format!("`{text}` is no time zone (write Europe/Berlin, say)")))
}

impl Keep {
    /// What is wrong with it.
    pub fn problem(&self) -> Option<&'static str> {
        let rules = [self.last, self.days, self.daily, self.weekly, self.monthly, self.yearly];
        if rules.iter().flatten().all(|count| *count == 0) {
            return Some("would keep nothing but `min_proven`");
        }
        if rules.iter().flatten().any(|count| *count > MOST) {
            return Some("has a rule past a hundred years");
        }
        (self.min_proven == 0).then_some("`min_proven` is at least 1: the last proven backup never goes")
    }

    /// Whether a backup fills a place.
    pub(super) fn counts(&self, entry: &Entry) -> bool {
        entry.is_proven() || self.counts == Counts::Verified && matches!(entry.verdict, Some((_, Verdict::Verified)))
    }

    /// The word for those that count.
    pub(super) fn word(&self) -> &'static str {
        match self.counts {
            Counts::Proven => "proven",
            Counts::Verified => "verified",
        }
    }

    /// How many buckets of a sort are kept.
    pub(super) fn buckets(&self, sort: Sort) -> Option<u32> {
        let count = match sort {
            Sort::Day => self.daily,
            Sort::Week => self.weekly,
            Sort::Month => self.monthly,
            Sort::Year => self.yearly,
        };
        count.filter(|count| *count > 0)
    }

    /// The days that an unproven backup is given: as many as the policy's day rules.
    pub(super) fn patience(&self) -> u32 {
        [self.days, self.daily].into_iter().flatten().max().filter(|days| *days > 0).unwrap_or(PATIENCE)
    }
}

impl FromStr for Keep {
    type Err = String;

    /// Reads `days=30,weekly=8,zone=Europe/Berlin`, as the command line writes it.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut table = Map::new();
        for part in text.trim().trim_matches(['{', '}']).split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}`: write KEY=VALUE"))?;
            let value = value.trim().trim_matches('"');
            let value = value.parse::<u32>().map_or_else(|_| Value::from(value), Value::from);
            table.insert(key.trim().to_owned(), value);
        }
        let keep: Self = serde_json::from_value(Value::Object(table)).map_err(|error| error.to_string())?;
        match keep.problem() {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(keep),
        }
    }
}
