//! What a change of the clocks does to a slot: the choice that a schedule states, and the stretch of time it is about.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a schedule states. What it leaves out follows Vixie's rule: a fixed time in a gap fires after it, and one
/// that comes twice on the first pass; an interval counts real time, so nothing for the gap, and both passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dst {
    /// For times that the clocks jump over.
    pub gap: Option<Gap>,
    /// For times that come twice.
    pub overlap: Option<Passes>,
}

/// What becomes of times that the clocks jump over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// They fire, once for all of them, at the first instant after the gap.
    After,
    /// Nothing fires for them.
    Skip,
}

/// On which pass of an hour that comes twice its times fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Passes {
    /// The first.
    First,
    /// The second.
    Last,
    /// Each.
    Both,
}

/// A word that is none of those that a setting can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write one of: {0}")]
pub struct WordError(&'static str);

impl FromStr for Gap {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        match text {
            "after" => Ok(Self::After),
            "skip" => Ok(Self::Skip),
            _ => Err(WordError("after, skip")),
        }
    }
}

impl FromStr for Passes {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        match text {
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            "both" => Ok(Self::Both),
            _ => Err(WordError("first, last, both")),
        }
    }
}

/// What a change of the clocks did to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// It stands for times that do not exist on that day, at the first instant after the gap.
    AfterGap,
    /// Its time of day comes twice on that day; this is the first.
    FirstPass,
    /// Its time of day comes twice on that day; this is the second.
    SecondPass,
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AfterGap => "after a gap",
            Self::FirstPass => "first of two",
            Self::SecondPass => "second of two",
        })
    }
}

/// What holds for one expression: the choice, with Vixie's rule where none was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Rule {
    /// Whether times in a gap fire after it.
    pub(super) gap: bool,
    /// Whether the first pass fires.
    pub(super) first: bool,
    /// Whether the second pass fires.
    pub(super) second: bool,
}

impl Rule {
    /// Everything that any choice would fire.
    pub(super) const ALL: Self = Self { gap: true, first: true, second: true };

    pub(super) fn of(dst: Dst, fixed: bool) -> Self {
        Self {
            gap: dst.gap.map_or(fixed, |gap| gap == Gap::After),
            first: dst.overlap != Some(Passes::Last),
            second: dst.overlap.map_or(!fixed, |passes| passes != Passes::First),
        }
    }
}

/// A stretch of wall-clock time that comes twice, because the clocks are put back at `turn`.
pub(super) struct Fold {
    pub(super) turn: DateTime<Utc>,
    pub(super) begin: NaiveDateTime,
    pub(super) end: NaiveDateTime,
}

impl Fold {
    /// The fold that a wall-clock time lies in, if any.
    pub(super) fn around(zone: Tz, wall: NaiveDateTime) -> Option<Self> {
        let MappedLocalTime::Ambiguous(one, other) = zone.from_local_datetime(&wall) else { return None };
        let (first, second) = (one.min(other), one.max(other));
        let (before, behind) = (first.offset().fix(), second.offset().fix());
        let (mut low, mut high) = (first.timestamp(), second.timestamp());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let at = DateTime::from_timestamp(middle, 0)?;
            if at.with_timezone(&zone).offset().fix() == before { low = middle } else { high = middle }
        }
        let turn = DateTime::from_timestamp(high, 0)?;
        let local = |offset| turn.with_timezone(&offset).naive_local();
        Some(Self { turn, begin: local(behind), end: local(before) })
    }

    /// The instant of a wall-clock time inside it.
    pub(super) fn instant(&self, wall: NaiveDateTime, first_pass: bool) -> DateTime<Utc> {
        let edge = if first_pass { self.end } else { self.begin };
        self.turn + (wall - edge)
    }
}

/// The instant at which the clocks are put forward over `wall`.
pub fn gap_turn(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    let (begin, offset) = GapInfo::new(&wall, &zone)?.begin?;
    Some(begin.and_utc() - Duration::seconds(offset.fix().local_minus_utc().into()))
}

/// The first wall-clock time of the gap that ends at this instant, if one does.
pub(super) fn gap_before(zone: Tz, at: DateTime<Utc>) -> Option<NaiveDateTime> {
    let wall = at.with_timezone(&zone).naive_local();
    let begin = (at - Duration::seconds(1)).with_timezone(&zone).naive_local() + Duration::seconds(1);
    (begin < wall).then_some(begin)
}
