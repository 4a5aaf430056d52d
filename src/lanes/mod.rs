//! What runs need of the daemon that takes them, and what they are limited by.
//!
//! All runs that need the same and are limited by the same are one *lane*. A need is a word that the daemon must have:
//! `target:collector`, `vault:main`, or a label such as `region=eu`. A *gate* is a limit by name; while a run's attempt
//! is running it holds each of its gates. [`plan`](plan()) decides which of the waiting runs may go through theirs.

mod plan;
#[cfg(test)]
mod tests;
mod wait;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::span::Span;

pub use plan::{Facts, Holder, Plan, Waiting, plan};
pub use wait::Wait;

/// The lane of runs that need nothing and that nothing limits.
pub const OPEN: i32 = 0;

/// A limit by name, as a run carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What is limited: `job:NAME`, `kind:NAME`, `target:NAME`, `key:JOB:VALUE`, `exclusive:NAME`, `data:TARGET`.
    pub name: String,
    /// How many runs may hold it at the same time; any number without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
    /// Which of the gate's sides the run is on: runs of different sides never hold it at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// How many runs may start in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// So many starts in so long: as many at once after a rest, and one more each `per / most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub most: u32,
    /// In how long.
    pub per: Span,
}

/// What a lane is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// What a daemon must have.
    pub needs: Vec<String>,
    /// What its runs are limited by.
    pub gates: Vec<Gate>,
}

impl Gate {
    /// A gate that limits nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), most: None, side: None, rate: None }
    }
}

impl Lane {
    /// Needs and gates in one order, each once, so that the same set is the same lane.
    pub fn new(needs: &[String], gates: &[Gate]) -> Self {
        let (mut needs, mut gates) = (needs.to_vec(), gates.to_vec());
        needs.sort();
        needs.dedup();
        gates.sort_by(|a, b| a.name.cmp(&b.name));
        gates.dedup_by(|a, b| a.name == b.name);
        Self { needs, gates }
    }

    /// What of its needs `has` does not have.
    pub fn lacks<'a>(&'a self, has: &'a [String]) -> impl Iterator<Item = &'a str> {
        self.needs.iter().filter(|need| !has.contains(need)).map(String::as_str)
    }

    /// What stands in the way when none of the daemons may take its runs: all that none of them has, or all that it
    /// needs when each is there but not on one daemon.
    pub fn nobody(&self, daemons: &[Vec<String>]) -> Option<Vec<String>> {
        if daemons.iter().any(|has| self.fits(has)) {
            return None;
        }
        let lacking = self.needs.iter().filter(|need| !daemons.iter().any(|has| has.contains(need)));
        let lacking: Vec<String> = lacking.cloned().collect();
        Some(if lacking.is_empty() { self.needs.clone() } else { lacking })
    }

    /// Whether who has `has` may take its runs.
    pub fn fits(&self, has: &[String]) -> bool {
        self.lacks(has).next().is_none()
    }
}

/// Whether a text can be a label of a daemon: `region=eu`, `gpu`. What a daemon has by its settings has a colon.
pub fn is_label(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '=');
    !text.is_empty() && text.len() <= 100 && text.chars().all(plain)
}

/// What a label looks like.
pub const LABEL_HELP: &str = "write letters, digits, `-`, `_`, `.`, `/` and `=`, such as \"region=eu\"; targets and vaults are \
                              needed by themselves";

/// What tells a long text from others, short.
pub fn short(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.0.as_secs() {
            1 => "a second".to_owned(),
            60 => "a minute".to_owned(),
            3600 => "an hour".to_owned(),
            86_400 => "a day".to_owned(),
            _ => format!("in {}", self.per),
        };
        let runs = if self.most == 1 { "run" } else { "runs" };
        write!(f, "{} {runs} {unit}", self.most)
    }
}
