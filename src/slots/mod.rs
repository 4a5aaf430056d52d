//! When a schedule is due: a cron expression in a time zone, as instants.
//!
//! croner reads the expression and walks the wall clock; which instants a wall-clock time stands for is decided
//! here. Where the schedule's `dst` says nothing, Vixie's rule holds: a *fixed-time* expression, one without wildcard
//! and step in its second, minute and hour, fires once at the first instant after a gap that swallowed it, and on
//! the first pass only of an hour that repeats. Every other expression counts real time: nothing for the gap, both
//! passes of the overlap. `@every` knows no clock on the wall at all.

mod dst;
mod every;
mod fields;
mod hash;
mod lint;
mod parse;
mod spread;
mod wall;

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use dst::{Dst, Gap, Passes, Shift, WordError, gap_turn};
pub use lint::Lint;
pub use parse::CronError;
pub use spread::Spread;

use dst::Rule;
use every::Every;
use wall::Wall;

/// The version of the time zone database that slots are computed with.
pub const TZDB: &str = chrono_tz::IANA_TZDB_VERSION;

/// A cron expression of 5, 6 (seconds first) or 7 (year last) fields, a nickname (`@daily`) or `@every 90s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    when: When,
    lints: Vec<Lint>,
}

/// What tells the slots of one expression from those of another, however it is written; in the same zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rhythm(When);

/// The two ways in which slots follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum When {
    Wall(Box<Wall>),
    Every(Every),
}

impl Cron {
    /// Reads an expression without `H`; one that can never fire is an error too.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        Self::read(text, None, &mut parse::Known::default())
    }

    /// Reads the expression of the schedule of this name, from which `H` is made.
    pub fn named(text: &str, name: &str) -> Result<Self, CronError> {
        Self::read(text, Some(name), &mut parse::Known::default())
    }

    fn read(text: &str, name: Option<&str>, known: &mut parse::Known) -> Result<Self, CronError> {
        let (when, lints) = parse::parse(text, name, known)?;
        Ok(Self { text: text.trim().to_owned(), when, lints })
    }

    /// The same expression, with what holds for it when clocks are changed.
    #[must_use]
    pub fn with_dst(self, dst: Dst) -> Self {
        self.with_rule(|wall| Rule::of(dst, wall.fixed))
    }

    fn with_rule(mut self, rule: impl Fn(&Wall) -> Rule) -> Self {
        if let When::Wall(wall) = &mut self.when {
            wall.rule = rule(wall);
        }
        self
    }

    /// Whether it names times of day (`30 2,14 * * *`) and not an interval (`*/30 * * * *`): what a change of
    /// the clocks does to it, unless stated otherwise, follows from this.
    pub fn is_fixed(&self) -> bool {
        matches!(&self.when, When::Wall(wall) if wall.fixed)
    }

    /// Whether it counts real time (`@every`), whatever clocks say.
    pub fn is_real_time(&self) -> bool {
        matches!(self.when, When::Every(_))
    }

    /// What it has in common with every expression that has the same slots.
    pub fn rhythm(&self) -> Rhythm {
        Rhythm(self.when.clone())
    }

    /// What is doubtful in it, although it can be read.
    pub fn lints(&self) -> &[Lint] {
        &self.lints
    }

    /// The first slot strictly after an instant; none where the years of the expression are over.
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.when {
            When::Wall(wall) => wall.next(zone, after),
            When::Every(every) => every.next(after),
        }
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

    /// How many slots there are with `after < slot <= until`, without listing them.
    pub fn count(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        match &self.when {
            When::Wall(wall) => wall.count(zone, after, until),
            When::Every(every) => every.count(after, until),
        }
    }

    /// What a change of the clocks did to a slot of this expression, for previews.
    pub fn shift(&self, zone: Tz, slot: DateTime<Utc>) -> Option<Shift> {
        match &self.when {
            When::Wall(wall) => wall.shift(zone, slot),
            When::Every(_) => None,
        }
    }

    /// The first time on the clock that a slot after a gap stands for, and that does not exist.
    pub fn swallowed(&self, zone: Tz, slot: DateTime<Utc>) -> Option<NaiveDateTime> {
        match &self.when {
            When::Wall(wall) => wall.swallowed(zone, slot),
            When::Every(_) => None,
        }
    }

    /// The same expression, as it would be if changes of the clocks took nothing from it: each time in a gap fires
    /// after it, and each that comes twice fires twice. What it has more than this one is what this one leaves out.
    #[must_use]
    pub fn with_all_passes(&self) -> Self {
        self.clone().with_rule(|_| Rule::ALL)
    }
}

/// Reads many expressions: equal ones are checked once and share what croner keeps of them, some 10 KB.
#[derive(Debug, Default)]
pub struct Crons(parse::Known);

impl Crons {
    /// Reads the expression of the schedule of this name, from which `H` is made.
    pub fn named(&mut self, text: &str, name: &str) -> Result<Cron, CronError> {
        Cron::read(text, Some(name), &mut self.0)
    }
}

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

impl JsonSchema for Cron {
    fn schema_name() -> Cow<'static, str> {
        "Cron".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "When, on the clock of `zone`: five fields (minute, hour, day of the month, month, day of the week), \
                            six with a second first, seven with a year last, `@daily` and its like, `@every 90s`.",
            "examples": ["0 2 * * *", "H 2 * * *", "@every 90s"],
        })
    }
}

#[cfg(test)]
mod tests;
