//! When slots are held back and alerts wait: blackouts, maintenance windows, holidays.
//!
//! A window is a set of stretches of time: it contains the start of each and not its end. [`Windows`] are those of one
//! schedule, looked at together. Nothing here has a clock or reads a file: time is an argument, and a calendar comes
//! as what it says.

mod calendar;
mod spell;
mod together;
mod walk;

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::slots::Cron;

pub use calendar::{Busy, Calendar, LAST_YEAR, Unclear, instant};
pub use together::{Closed, Muted, Stretch, Windows};

/// A stretch of time with a name, and what becomes of slots and alerts in it.
#[derive(Debug, Clone)]
pub struct Window {
    /// Its name, unique over all files.
    pub name: String,
    /// What it is for.
    pub about: Option<String>,
    /// When it is.
    pub when: When,
    /// The clock on which its times and whole days count.
    pub zone: Tz,
    /// A maintenance window: slots *outside* of it are closed, and those inside fire. Of several, one is enough.
    pub only: bool,
    /// What becomes of slots that it closes.
    pub slots: Slots,
    /// Whether alerts wait while it lasts.
    pub mute: bool,
    /// Whether it is for every schedule, also those that do not name it.
    pub everywhere: bool,
}

/// When a window is.
#[derive(Debug, Clone)]
pub enum When {
    /// From each time of an expression for a length of real time; occurrences that meet are one.
    Recurring {
        /// When it begins.
        cron: Cron,
        /// How long each lasts.
        lasts: TimeDelta,
    },
    /// These stretches, in order, apart from one another: once, or what a calendar has.
    Listed(Vec<Range<DateTime<Utc>>>),
}

impl When {
    /// Stretches in any order; those that meet become one, and those that end before they begin are none.
    pub fn listed(mut stretches: Vec<Range<DateTime<Utc>>>) -> Self {
        stretches.retain(|stretch| !stretch.is_empty());
        stretches.sort_by_key(|stretch| stretch.start);
        stretches.dedup_by(|later, first| {
            let meet = later.start <= first.end;
            if meet {
                first.end = first.end.max(later.end);
            }
            meet
        });
        Self::Listed(stretches)
    }
}

/// What becomes of the slots that a window closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Slots {
    /// They are skipped.
    #[default]
    Skip,
    /// They wait until it is open again.
    Defer,
    /// They fire; the window is there for its alerts.
    Fire,
}

/// What closes a slot does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// It is skipped.
    Skip,
    /// It waits until it is open again.
    Defer,
}

impl Window {
    /// Whether an instant lies in it, whatever that means for slots.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        spell::Spell::of(self, at).inside
    }

    /// Whether it ever ends once it has begun: occurrences that run into one another for ever are a mistake.
    pub fn ends(&self) -> bool {
        let When::Recurring { cron, .. } = &self.when else { return true };
        let first = cron.next(self.zone, DateTime::UNIX_EPOCH);
        let inside = Self { only: false, slots: Slots::Skip, ..self.clone() };
        first.and_then(|first| Windows(vec![&inside]).closed(first)).is_none_or(|closed| closed.opens_at.is_some())
    }

    /// What it does with the slots that it closes; none where they fire.
    fn act(&self) -> Option<Act> {
        match self.slots {
            Slots::Skip => Some(Act::Skip),
            Slots::Defer => Some(Act::Defer),
            Slots::Fire => None,
        }
    }
}

#[cfg(test)]
mod tests;
