//! What a run carries with it: the job as it was when the run became due.
//!
//! Editing a file never changes a run in flight, because nothing that a worker does looks at a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{retry::Retry, span::Span, state::OnLost};

/// The format that this binary writes and reads.
pub const FORMAT: u32 = 1;

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
    /// What follows once this is done, first to last; each a run of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Spec>,
}
