//! The one door to events, health and deliveries.
//!
//! A fact is recorded in the transaction that makes it true; whether it is news is decided later, from the event row
//! alone; and a message is a row until its receiver has it. Nothing here is lost with a process.

mod deliver;
mod events;
pub mod forget;
mod health;
mod record;

pub use deliver::{
    Delivery, Pending, Sent, Waits, bury, bury_orphans, claim_deliveries, defer, delivered, deliveries, pending,
    waiting,
};
pub use events::{Event, LookedEvent, Message, decided, events, tell, undecided};
pub use health::{Health, health, healths};
pub use record::{call, record, still_well};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::expect::Breach;

/// The channel that wakes the alerts after a fact was recorded.
pub const CHANNEL: &str = "sexton_event";

/// The subject of facts about the files; no job can have this name.
pub const FILES: &str = ":files";

/// What the subject of a fact about a channel begins with; its name follows. No job can have this name either.
pub const OF_CHANNEL: &str = ":channel ";

/// What the subject of a fact about a job's readiness begins with; the job's name and a machine's follow.
pub const OF_READY: &str = ":ready ";

/// What the subject of a fact about the age of proven backups begins with; their name and vault follow.
pub const OF_PROOF: &str = ":proof ";

/// What the subject of a fact about a schedule begins with; its name follows.
pub const OF_SCHEDULE: &str = ":schedule ";

/// Something that is settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The job that it is about, or [`FILES`], or [`OF_CHANNEL`] and a channel's name, [`OF_READY`] and a job's,
    /// [`OF_PROOF`] and the name of backups, or [`OF_SCHEDULE`] and a schedule's.
    pub job: String,
    /// The run.
    pub run: Option<Uuid>,
    /// When it became true.
    pub at: DateTime<Utc>,
    /// What.
    pub what: What,
    /// Who is to be told; empty means the log only.
    pub channels: Vec<String>,
    /// Everything that a message may want to say: `why`, `help`, `kind`, `attempt`, `report`, …
    pub detail: Value,
}

/// What is settled.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A run is done (or a channel delivered a message); these of its thresholds were not kept.
    Done {
        /// Thresholds that were not kept.
        breaches: Vec<Breach>,
    },
    /// A run had nothing to do.
    Skipped,
    /// A run's last attempt failed.
    Failed,
    /// A person ended a run.
    Cancelled,
    /// A run's worker was lost, and the run is held for a person.
    Held,
    /// A run's worker was lost, and the run gets another attempt.
    Lost,
    /// Slots were missed for good.
    Missed,
    /// The files on disk cannot be used; the last good revision stays.
    FilesBroken,
    /// The files on disk are an older revision than the active one.
    FilesDrifted,
    /// The files on disk are good and active again.
    FilesMended,
    /// A message did not reach its channel.
    ChannelFailed,
    /// The newest proven backup is older than it may be.
    Late,
    /// A schedule failed so often that it was paused.
    Paused,
}
