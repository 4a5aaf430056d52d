//! The states of a run, and who takes it from one to the next.
//!
//! ```text
//!            due                claim                 settle
//! waiting ─────────▶ ready ─────────────▶ running ─────────────▶ done · skipped · failed · cancelled
//!                      ▲                  │  │  │                          │
//!                      │   interrupted    │  │  └── lost, on_lost = hold ─▶ held
//!                      ├──────────────────┘  │                             │
//!                      │        due          ▼ failed, attempts left       │ a person retries
//!                      ├──────────────── retrying                          │
//!                      └───────────────────────────────────────────────────┘
//!
//! running ── not yet (snoozed) ──▶ waiting
//! running ── lost, on_lost = retry ──▶ ready, or failed once its attempts are spent
//! failed · cancelled ── a person retries ──▶ ready
//! waiting · ready · retrying · held ── a person cancels, or a newer slot (overlap = cancel_other) ──▶ cancelled
//! running ── the same, once its worker has stopped it ──▶ cancelled
//! waiting ── a newer slot takes its place (overlap = buffer_latest) ──▶ skipped
//! ```
//!
//! A pause is no state: a ready run that is paused is passed by, and one that runs is given back after its step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a live run, as `sexton.live_state` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "sexton.live_state", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Live {
    /// Not due yet, or behind others of its job. Promotion makes it [`Ready`](Self::Ready) when `due_at` has come.
    Waiting,
    /// Due. Any worker may claim it, lowest `rank` first.
    Ready,
    /// A worker holds it. Left by settling, by being given back at shutdown, or by rescue once the lease is over.
    Running,
    /// An attempt failed and another one is due at `due_at`. Promotion makes it [`Ready`](Self::Ready).
    Retrying,
    /// Its worker was lost and the job says `on_lost = "hold"`. Only a person's retry or cancel moves it.
    Held,
}

/// The state of a run that is over, as `sexton.final_state` spells it. A person's retry brings a failed or
/// cancelled run back to life; the others stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "sexton.final_state", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Final {
    /// The work is done.
    Done,
    /// The kind decided that there was nothing to do.
    Skipped,
    /// The last attempt failed.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl Final {
    /// The word for it, as the database, logs, metrics and the API write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What happens to a run whose worker was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// Another attempt: for work that is checkpointed or harmless to repeat.
    Retry,
    /// Held for a person: for work whose half-done effects we cannot know.
    Hold,
}
