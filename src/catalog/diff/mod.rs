//! What changes from one set of files to another: schedule by schedule, job by job, key by key.
//!
//! It looks at the texts alone, so that a revision that another version of Sexton wrote can be compared, too. Where an
//! entry stands, its comments and its spacing are no change.

mod effect;
mod entries;
mod removed;
mod words;

use serde::Serialize;
use serde_json::Value;

pub use effect::{Effect, effects};
pub use removed::too_many_removed;

use super::Files;

/// All that changes, by sort and name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Diff(pub Vec<Change>);

/// What changes of one entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What it is.
    pub what: Noun,
    /// Its name.
    pub name: String,
    /// How it changes.
    #[serde(flatten)]
    pub how: How,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// An `[[at]]`.
    Schedule,
    /// A file of `jobs/`.
    Job,
    /// A file of `jobs/datasets/`.
    Dataset,
    /// A `[[window]]`.
    Window,
    /// Any other file, and one that is no TOML.
    File,
}

/// How an entry changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// These of its keys are others.
    Changed {
        /// By name.
        keys: Vec<Key>,
    },
}

/// A key whose value changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Key {
    /// Its name, with dots: `backup.keep.days`.
    pub key: String,
    /// What it was; `None` where it was not there.
    pub from: Option<Value>,
    /// What it is; `None` where it is gone.
    pub to: Option<Value>,
}

impl Diff {
    /// What changes from `old` to `new`.
    pub fn between(old: &Files, new: &Files) -> Self {
        let (old, new) = (entries::entries(old), entries::entries(new));
        let change = |what: &(Noun, String), how| Change { what: what.0, name: what.1.clone(), how };
        let gone = old.keys().filter(|key| !new.contains_key(key)).map(|key| change(key, How::Removed));
        let rest = new.iter().filter_map(|(entry, now)| match old.get(entry) {
            None => Some(change(entry, How::Added)),
            Some(was) => {
                let keys = keys(was, now);
                (!keys.is_empty()).then(|| change(entry, How::Changed { keys }))
            }
        });
        let mut changes: Vec<Change> = gone.chain(rest).collect();
        changes.sort_by(|a, b| (a.what, &a.name).cmp(&(b.what, &b.name)));
        Self(changes)
    }

    /// Whether an entry or a key of one goes: what a file that is only half there looks like.
    pub fn loses(&self) -> bool {
        self.0.iter().any(|change| match &change.how {
            How::Added => false,
            How::Removed => true,
            How::Changed { keys } => keys.iter().any(|key| key.to.is_none()),
        })
    }

    /// The names of the schedules that change, with how.
    fn schedules(&self) -> impl Iterator<Item = (&str, &How)> {
        let schedules = self.0.iter().filter(|change| change.what == Noun::Schedule);
        schedules.map(|change| (change.name.as_str(), &change.how))
    }
}

fn keys(was: &entries::Keys, now: &entries::Keys) -> Vec<Key> {
    let names: std::collections::BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let pairs = names.into_iter().map(|key| (key, was.get(key), now.get(key)));
    pairs
        .filter(|(_, from, to)| from != to)
        .map(|(key, from, to)| Key { key: key.clone(), from: from.cloned(), to: to.cloned() })
        .collect()
}

#[cfg(test)]
mod tests;
