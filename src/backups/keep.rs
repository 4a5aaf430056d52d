//! Which backups a rotation would keep, and why. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::shelf::Entry;

/// How long backups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Days after which a backup may go.
    pub days: u32,
    /// The newest proven ones that stay, however old they are.
    #[serde(default = "two")]
    pub min_proven: u32,
}

fn two() -> u32 {
    2
}

/// What would happen to one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The backup.
    pub entry: Entry,
    /// What happens to it.
    pub fate: Fate,
    /// Why, for people.
    pub because: String,
}

/// What happens to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Delete,
}

/// Decides for every backup of one name; the newest comes first.
pub fn plan(backups: Vec<Entry>, keep: Keep, now: DateTime<Utc>) -> Vec<Item> {
    let oldest = now - TimeDelta::days(i64::from(keep.days));
    let mut proven = 0;
    let mut decide = |entry: Entry| {
        proven += u32::from(entry.is_proven());
        let (fate, because) = if entry.stem.taken_at >= oldest {
            (Fate::Keep, format!("not older than {} days", keep.days))
        } else if proven <= keep.min_proven {
            (Fate::Keep, format!("one of the newest {} proven ones, or newer than these", keep.min_proven))
        } else {
            (Fate::Delete, format!("older than {} days", keep.days))
        };
        Item { entry, fate, because }
    };
    backups.into_iter().map(&mut decide).collect()
}
