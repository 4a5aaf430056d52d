//! What the next run of a job must know to say what is new: for each check, hashes of the keys of its bad rows.
//!
//! A report carries them, at most [`MOST`] a check: the lowest ones, so that two runs keep the same part. Past that,
//! what is new is counted among the kept part, and said to be at least so many.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::outcome::Report;

/// How many keys of a check are remembered.
pub(super) const MOST: usize = 1_000;
/// The report's entry; the underscore keeps it from people's eyes.
pub(super) const ENTRY: &str = "_known";

/// What the job's last run knew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Memory(BTreeMap<String, Known>);

/// The bad rows of one check, as a run saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// How many there were.
    pub(super) count: u64,
    /// Which query found them: a changed check starts anew.
    pub(super) of: String,
    /// Hashes of their keys, 12 hexadecimal digits each, lowest first.
    keys: String,
}

/// How many bad rows are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct New {
    /// This many.
    pub(super) count: u64,
    /// Whether there may be more.
    pub(super) at_least: bool,
}

impl Memory {
    /// From the report of the job's last run.
    pub(super) fn read(report: Option<&Report>) -> Self {
        let entry = report.and_then(|report| report.get(ENTRY));
        entry.and_then(|entry| Self::deserialize(entry).ok()).unwrap_or_default()
    }

    /// For the report of this run.
    pub(super) fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(super) fn of(&self, check: &str) -> Option<&Known> {
        self.0.get(check)
    }

    pub(super) fn set(&mut self, check: &str, known: Known) {
        self.0.insert(check.to_owned(), known);
    }
}

impl Known {
    /// `hashes` are the lowest ones, sorted.
    pub(super) fn new(count: u64, sql: &str, hashes: &[u64]) -> Self {
        let keys = hashes.iter().take(MOST).map(|hash| format!("{hash:012x}")).collect();
        Self { count, of: digest(sql), keys }
    }

    /// Whether it is of this query.
    pub(super) fn is_of(&self, sql: &str) -> bool {
        self.of == digest(sql)
    }

    pub(super) fn hashes(&self) -> Vec<u64> {
        let digits = self.keys.as_bytes().chunks(12);
        digits.filter_map(|one| u64::from_str_radix(std::str::from_utf8(one).ok()?, 16).ok()).collect()
    }

    /// Whether every bad row is remembered.
    fn is_whole(&self) -> bool {
        let keys = self.keys.len() / 12;
        // Two bad rows may have one key.
        keys < MOST || self.count <= keys as u64
    }

    /// How many of this run's bad rows the last one had not. `beyond` counts this run's keys that were not
    /// remembered, where this run has more than it could list.
    pub(super) fn new_since(&self, before: &Self, beyond: Option<u64>) -> New {
        let old: HashSet<u64> = before.hashes().into_iter().collect();
        let most = old.iter().max().copied().unwrap_or_default();
        // Beyond the last remembered key nothing can be told.
        let told = |hash: &u64| before.is_whole() || *hash <= most;
        let listed = self.hashes().iter().filter(|hash| told(hash) && !old.contains(hash)).count() as u64;
        let sure = beyond.unwrap_or(listed).max(self.count.saturating_sub(before.count));
        New { count: sure, at_least: !before.is_whole() || (!self.is_whole() && beyond.is_none()) }
    }
}

fn digest(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(hashes: std::ops::Range<u64>) -> Known {
        let all: Vec<u64> = hashes.collect();
        Known::new(all.len() as u64, "select 1", &all)
    }

    #[test]
    fn what_is_new_is_what_the_last_run_had_not() {
        let (before, now) = (known(0..10), known(5..12));
        assert_eq!(now.new_since(&before, None), New { count: 2, at_least: false });
        assert_eq!(before.new_since(&before, None), New { count: 0, at_least: false });
    }

    #[test]
    fn past_the_bound_it_is_at_least_so_many() {
        let before = Known::new(5_000, "select 1", &(0..1_000).map(|n| n * 2).collect::<Vec<_>>());
        let now = Known::new(5_000, "select 1", &(0..1_000).map(|n| n * 2 + 1).collect::<Vec<_>>());
        let new = now.new_since(&before, None);
        assert!(new.at_least && new.count == 999, "{new:?}");
        let more = Known::new(9_000, "select 1", &before.hashes()).new_since(&before, None);
        assert_eq!(more, New { count: 4_000, at_least: true });
    }

    #[test]
    fn it_survives_the_way_through_a_report() {
        let mut memory = Memory::default();
        memory.set("a", known(7..9));
        let report = Report::new().with(ENTRY, memory.value());
        assert_eq!(Memory::read(Some(&report)), memory);
        assert_eq!(memory.of("a").expect("a").hashes(), [7, 8]);
        assert!(memory.of("a").expect("a").is_of("select 1"));
        assert_eq!(Memory::read(None), Memory::default());
    }
}
