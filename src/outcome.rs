//! How an attempt ends: a closed list of words.
//!
//! Kinds return an [`Outcome`]; panic, timeout, cancel and a lost lease are mapped to it in one place,
//! `worker::guard`. What happens next (another attempt, history, an alert) follows from the word alone.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an attempt of a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done; these are its numbers.
    Done(Report),
    /// There was nothing to do, or it must not be done now; not a failure and not retried.
    Skipped(String),
    /// Not yet: try again after this long. Costs no attempt.
    Snoozed(Duration),
    /// It went wrong.
    Failed(Failure),
    /// A person asked for the end.
    Cancelled {
        /// Who asked.
        by: String,
    },
}

impl Outcome {
    /// The word for it, as logs, metrics and the API write it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Skipped(_) => "skipped",
            Self::Snoozed(_) => "snoozed",
            Self::Failed(_) => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

/// What went wrong, for the person who will fix it.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What was tried, on which thing, and what came back. Never a secret.
    pub why: String,
    /// What to do about it, where we know.
    pub help: Option<String>,
    /// Whether another attempt can help.
    pub again: Again,
    /// The numbers up to here.
    pub report: Report,
}

impl Failure {
    /// A failure that another attempt may cure: the network, a lock, a full queue.
    pub fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), help: None, again: Again::Later, report: Report::default() }
    }

    /// A failure that stays until a person changes something.
    pub fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), help: None, again: Again::Never, report: Report::default() }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the numbers up to here.
    #[must_use]
    pub fn report(mut self, report: Report) -> Self {
        self.report = report;
        self
    }
}

/// Whether another attempt can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Again {
    /// Yes, after a pause.
    Later,
    /// No: a person must change something first.
    Never,
}

/// The entry with the names of what cannot be known yet.
const UNKNOWN: &str = "_unknown";

/// The numbers (and short texts) that a run gives: what thresholds are asserted on.
///
/// Names are `snake_case` with their unit where it is not a count: `rows_archived`, `bytes`, `dump_seconds`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(BTreeMap<String, Value>);

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one entry; the last one wins.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The same, for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Says that an entry cannot be known yet: a threshold on it then waits.
    pub fn unknown(&mut self, name: &str) -> &mut Self {
        let entry = self.0.entry(UNKNOWN.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(names) = entry {
            names.push(name.into());
        }
        self
    }

    /// Whether an entry cannot be known yet.
    pub fn is_unknown(&self, name: &str) -> bool {
        let names = self.0.get(UNKNOWN).and_then(Value::as_array);
        !self.0.contains_key(name) && names.is_some_and(|names| names.iter().any(|known| known == name))
    }

    /// One entry.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// One entry as a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Without the entries that begin with an underscore: those are for the job's next run, not for people.
    #[must_use]
    pub fn for_people(&self) -> Self {
        Self(self.0.iter().filter(|(name, _)| !name.starts_with('_')).map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
