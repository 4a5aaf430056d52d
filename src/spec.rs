//! What a run carries with it: the job as it was when the run became due.
//!
//! Editing a file never changes a run in flight, because nothing that a worker does looks at a file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{lanes::Gate, retry::Retry, span::Span, state::OnLost};

/// The format of a run that nothing follows, or one job after the other, each once the one before is done.
pub const FORMAT: u32 = 1;

/// The format of a run whose chain is more than that, which an older binary would carry out wrongly. This binary reads
/// formats up to here.
pub const NEWEST: u32 = 2;

/// The snapshot of a resolved job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Which shape this snapshot has; see [`FORMAT`].
    pub format: u32,
    /// The job's name: the stem of its file.
    pub job: String,
    /// The kind's name.
    pub kind: String,
    /// The kind's table with the parameters of this run set in it.
    pub table: Value,
    /// The data set that the table names, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Value>,
    /// The parameters of this run, resolved: what a person sees.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How often it is tried.
    pub retry: Retry,
    /// What happens when its worker is lost.
    pub on_lost: OnLost,
    /// How long a worker may be silent before the run counts as lost.
    pub lease: Span,
    /// Higher is claimed earlier; a point is worth a minute of waiting.
    #[serde(default)]
    pub priority: i16,
    /// Channels that are told; empty means the log only.
    #[serde(default)]
    pub alert: Vec<String>,
    /// Thresholds on the report, by entry: `bytes = ">= 1 MiB"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, crate::expect::Expect>,
    /// Whether a breached threshold fails the run.
    #[serde(default)]
    pub fail_on_breach: bool,
    /// As a link of a chain: what it comes after. A snapshot of an older binary has none, and its `then` is a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Follows>,
    /// The links that come after this one, near or far, in the order in which they were written; each becomes a run
    /// of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Spec>,
    /// What the daemon that takes it must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What it is limited by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Gate>,
    /// When its schedule is paused for failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_on_failure: Option<Fails>,
}

/// What a link of a chain comes after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    /// Jobs of the chain that must be over first; a link is known by its job.
    pub after: Vec<String>,
    /// How they must have ended.
    #[serde(default)]
    pub on: On,
}

/// How the runs that a link comes after must have ended, once all of them are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// All are done.
    #[default]
    Success,
    /// At least one failed for good.
    Failure,
    /// However they ended, and also if they never started.
    Always,
}

impl On {
    /// The word for it, as files write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Always => "always",
        }
    }
}

/// How many failures in a row pause a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fails {
    /// The schedule.
    pub schedule: String,
    /// The how-manieth pauses it.
    pub after: u32,
}

impl Spec {
    /// The same with these links after it, in the format that they need.
    #[must_use]
    pub fn followed_by(mut self, then: Vec<Self>) -> Self {
        let mut before = self.job.as_str();
        let line = then.iter().all(|link| {
            let follows = link.follows.as_ref();
            let plain = follows.is_none_or(|follows| follows.on == On::Success && follows.after == [before]);
            before = &link.job;
            plain
        });
        self.format = if line { FORMAT } else { NEWEST };
        self.then = then;
        self
    }
}
