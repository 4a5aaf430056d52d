//! Which backups stay, which go, why, and until when. Pure: the clock is an argument.
//!
//! Only backups that count (proven ones, unless told otherwise) fill the rules' places, so one that nobody could restore
//! never takes the place of one that somebody did.

mod buckets;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::{name::Verdict, shelf::Entry};
use buckets::Sort;
pub use policy::{Counts, Keep, Lock};

/// What happens to every backup of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The name.
    pub name: String,
    /// The instant that it is made for.
    pub at: DateTime<Utc>,
    /// Every backup, the newest first.
    pub items: Vec<Item>,
    /// Why it must not be executed now, if so.
    pub blocked: Option<String>,
}

/// What happens to one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The backup.
    pub entry: Entry,
    /// What happens to it.
    pub fate: Fate,
    /// Why: each rule that keeps it, or what keeps it no longer.
    pub reasons: Vec<Reason>,
}

/// What happens to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Delete,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For people.
    pub words: String,
    /// Until when it keeps the backup, where only time ends it.
    pub until: Option<DateTime<Utc>>,
}

impl Item {
    /// All reasons in one line.
    pub fn because(&self) -> String {
        self.reasons.iter().map(|reason| reason.words.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Until when it stays at least.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.reasons.iter().filter_map(|reason| reason.until).max()
    }
}

impl Plan {
    /// What goes, the oldest first.
    pub fn going(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().rev().filter(|item| item.fate == Fate::Delete)
    }

    /// A short name for what goes: two plans that delete the same have the same.
    pub fn hash(&self) -> String {
        let going: BTreeSet<String> = self.going().map(|item| item.entry.stem.to_string()).collect();
        let digest = Sha256::digest(going.into_iter().collect::<Vec<_>>().join("\n"));
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The backups that this plan deletes and the other one does not.
    pub fn beyond(&self, shown: &Self) -> Vec<String> {
        let known: BTreeSet<_> = shown.going().map(|item| &item.entry.stem).collect();
        let mine = self.going().filter(|item| !known.contains(&item.entry.stem));
        mine.map(|item| item.entry.stem.to_string()).collect()
    }
}

/// Decides for every backup of one name; the newest comes first.
pub fn plan(name: &str, backups: Vec<Entry>, keep: &Keep, now: DateTime<Utc>) -> Plan {
    let past: Vec<&Entry> = backups.iter().filter(|entry| entry.stem.taken_at <= now).collect();
    let newest = past.first().map(|entry| entry.stem.clone());
    let failed = past.first().is_some_and(|entry| matches!(entry.verdict, Some((_, Verdict::Failed))));
    let blocked = failed.then(|| match &newest {
        Some(stem) => format!("the newest backup, {stem}, is failed: nothing is deleted until a good one is there"),
        None => String::new(),
    });
    let counting: Vec<&Entry> = past.iter().copied().filter(|entry| keep.counts(entry)).collect();
    let proven: Vec<&Entry> = past.iter().copied().filter(|entry| entry.is_proven()).collect();
    let firsts: Vec<(Sort, u32, BTreeSet<i32>)> =
        Sort::ALL.into_iter().filter_map(|sort| Some((sort, keep.buckets(sort)?, BTreeSet::new()))).collect();
    let mut seen = Seen { keep, now, counting, proven, firsts, newest: newest.map(|stem| stem.to_string()) };
    let fates: Vec<_> = backups.iter().map(|entry| seen.judge(entry)).collect();
    let items = backups.into_iter().zip(fates).map(|(entry, (fate, reasons))| Item { entry, fate, reasons }).collect();
    Plan { name: name.to_owned(), at: now, items, blocked }
}

/// What is known of the others when one is judged. They are judged from the newest to the oldest.
struct Seen<'a> {
    keep: &'a Keep,
    now: DateTime<Utc>,
    counting: Vec<&'a Entry>,
    proven: Vec<&'a Entry>,
    /// For each sort of bucket: how many are kept, and which have their backup already.
    firsts: Vec<(Sort, u32, BTreeSet<i32>)>,
    newest: Option<String>,
}

impl Seen<'_> {
    fn judge(&mut self, entry: &Entry) -> (Fate, Vec<Reason>) {
        let (now, keep, at) = (self.now, self.keep, entry.stem.taken_at);
        let mut stays = Vec::new();
        let mut because = |words: String, until: Option<DateTime<Utc>>| stays.push(Reason { words, until });
        if let Some(hold) = entry.hold_at(now) {
            // Whoever holds it may release it any time.
            because(hold.words(), None);
        }
        if at > now {
            because("its time is yet to come: a clock was wrong, or is".to_owned(), None);
            return (Fate::Keep, stays);
        }
        if self.newest.as_deref() == Some(entry.stem.to_string().as_str()) {
            because("the newest".to_owned(), None);
        }
        let least = keep.min_proven as usize;
        let newer =
            |of: &[&Entry]| of.iter().filter(|other| (other.stem.taken_at, &other.stem) > (at, &entry.stem)).count();
        if entry.is_proven() && newer(&self.proven) < least {
            because(format!("while among the {}", newest_of(least, "proven")), None);
        }
        if !keep.counts(entry) {
            return self.judge_unproven(entry, stays);
        }
        if newer(&self.counting) < least && !entry.is_proven() {
            because(format!("while among the {}", newest_of(least, keep.word())), None);
        }
        let mut lacks = Vec::new();
        if let Some(last) = keep.last.filter(|last| *last > 0) {
            if newer(&self.counting) < last as usize {
                because(format!("while among the {}", newest_of(last as usize, keep.word())), None);
            } else {
                lacks.push(format!("not among the {}", newest_of(last as usize, keep.word())));
            }
        }
        if let Some(days) = keep.days.filter(|days| *days > 0) {
            let until = at + TimeDelta::days(i64::from(days));
            if now < until {
                because(format!("not {days} days old"), Some(until));
            } else {
                lacks.push(format!("{days} days old"));
            }
        }
        let mut no_bucket = Vec::new();
        for (sort, count, taken) in &mut self.firsts {
            let bucket = sort.of(at, keep.zone);
            let first = taken.insert(bucket);
            let until = sort.begins(bucket.saturating_add_unsigned(*count), keep.zone);
            if first && now < until {
                let label = sort.label(bucket);
                // While its bucket lasts, a newer one may take its place.
                let open = now < sort.begins(bucket.saturating_add(1), keep.zone);
                let words =
                    if open { format!("while the newest of {label}") } else { format!("the newest of {label}") };
                because(words, (!open).then_some(until));
            } else {
                no_bucket.push(format!("{count} {}", sort.word(*count)));
            }
        }
        if !no_bucket.is_empty() {
            lacks.push(format!("not the newest of any of the last {}", no_bucket.join(", ")));
        }
        if stays.is_empty() {
            let words = lacks.join(", ");
            return (Fate::Delete, vec![Reason { words, until: None }]);
        }
        (Fate::Keep, stays)
    }

    /// One that does not count: it goes once enough newer ones do, and it is old.
    fn judge_unproven(&self, entry: &Entry, mut stays: Vec<Reason>) -> (Fate, Vec<Reason>) {
        let at = entry.stem.taken_at;
        let least = self.keep.min_proven as usize;
        let newer = self.counting.iter().filter(|other| other.stem.taken_at > at).count();
        let days = self.keep.patience();
        let until = at + TimeDelta::days(i64::from(days));
        let state = entry.state();
        if newer < least {
            let words = format!("{state}, while only {newer} newer ones are {} ({least} must be)", self.keep.word());
            stays.push(Reason { words, until: None });
        }
        if self.now < until {
            stays.push(Reason { words: format!("{state}, and not {days} days old"), until: Some(until) });
        }
        if stays.is_empty() {
            let words = format!("{state}, {days} days old, and {newer} newer ones are {}", self.keep.word());
            return (Fate::Delete, vec![Reason { words, until: None }]);
        }
        (Fate::Keep, stays)
    }
}

fn newest_of(count: usize, word: &str) -> String {
    if count == 1 { format!("newest {word} one") } else { format!("newest {count} {word} ones") }
}
