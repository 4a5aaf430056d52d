//! Which backups a rotation would keep, and why. Pure.
//!
//! Until backups can be proven, the plan is only told and nothing is deleted.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::Deserialize;

/// How long backups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Days after which a backup may go.
    pub days: u32,
    /// The newest ones that stay, however old they are. Complete ones count until backups can be proven.
    #[serde(default = "two")]
    pub min_proven: u32,
}

fn two() -> u32 {
    2
}

/// A complete backup: what a plan needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    /// The key of its dump.
    pub(super) key: String,
    /// When it was taken.
    pub(super) taken_at: DateTime<Utc>,
    /// The size of its dump.
    pub(super) bytes: u64,
}

/// What would happen to one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) fate: Fate,
    /// Why, for people.
    pub(super) because: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    Delete,
}

/// Decides for every backup of one name; the newest comes first.
pub(super) fn plan(mut backups: Vec<Summary>, keep: Keep, now: DateTime<Utc>) -> Vec<Item> {
    backups.sort_by(|a, b| (b.taken_at, &b.key).cmp(&(a.taken_at, &a.key)));
    let oldest = now - TimeDelta::days(i64::from(keep.days));
    let decide = |(place, backup): (usize, Summary)| {
        let (fate, because) = if backup.taken_at >= oldest {
            (Fate::Keep, format!("not older than {} days", keep.days))
        } else if place < keep.min_proven as usize {
            (Fate::Keep, format!("one of the newest {}", keep.min_proven))
        } else {
            (Fate::Delete, format!("older than {} days", keep.days))
        };
        Item { key: backup.key, bytes: backup.bytes, fate, because }
    };
    backups.into_iter().enumerate().map(decide).collect()
}

/// When the backup with this key was taken, if it is one of `name`: `NAME_backup_YYYYMMDD_HHMMSS_RUN.dump.zst`.
pub(super) fn taken_at(key: &str, name: &str) -> Option<DateTime<Utc>> {
    let rest = key.strip_prefix(name)?.strip_prefix("_backup_")?;
    let (at, run) = rest.split_at_checked(15)?;
    // Another name may begin with this one and `_backup_`.
    let run = run.strip_prefix('_')?.split('.').next()?;
    let whole = !run.is_empty() && run.chars().all(|c| c.is_ascii_hexdigit());
    NaiveDateTime::parse_from_str(at, "%Y%m%d_%H%M%S").ok().filter(|_| whole).map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days_ago(days: &[i64]) -> (Vec<Summary>, DateTime<Utc>) {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let one = |days: &i64| Summary { key: format!("{days}"), taken_at: now - TimeDelta::days(*days), bytes: 1 };
        (days.iter().map(one).collect(), now)
    }

    fn deleted(days: &[i64], keep: Keep) -> Vec<String> {
        let (backups, now) = days_ago(days);
        let items = plan(backups, keep, now);
        assert_eq!(items.len(), days.len());
        items.into_iter().filter(|item| item.fate == Fate::Delete).map(|item| item.key).collect()
    }

    #[test]
    fn what_is_older_than_its_days_goes() {
        assert_eq!(deleted(&[1, 30, 31, 400], Keep { days: 30, min_proven: 2 }), ["31", "400"]);
    }

    #[test]
    fn the_newest_stay_however_old_they_are() {
        assert_eq!(deleted(&[500, 90, 60], Keep { days: 30, min_proven: 2 }), ["500"]);
        assert_eq!(deleted(&[90], Keep { days: 30, min_proven: 2 }), Vec::<String>::new());
    }

    #[test]
    fn a_key_tells_its_name_and_time() {
        let at = taken_at("shop_backup_20260102_030405_0a1b.dump.zst", "shop").map(|at| at.to_rfc3339());
        assert_eq!(at.as_deref(), Some("2026-01-02T03:04:05+00:00"));
        for (key, name) in [
            ("shop_backup_20260102_030405_0a1b.dump.zst", "sho"),
            ("shop_backup_x_backup_20260102_030405_0a1b.dump.zst", "shop"),
            ("shop_backup_20261302_030405_0a1b.dump.zst", "shop"),
            ("shop_backup_20260102.sql", "shop"),
        ] {
            assert_eq!(taken_at(key, name), None, "{key}");
        }
    }
}
