//! Gives every slot its one decision.
//!
//! ```text
//! glance (now, revision) ── agenda: whose slot is due ── hold schedules, lock jobs ── plan ── runs + slots + watermarks
//!                                                        └────────────── one transaction for many ──────────────┘ nudge
//! ```
//! Any number of planners do this side by side. Whoever holds a schedule's row decides, by the watermark that it finds
//! there; the others come back and find it moved. All time is the database's.

mod agenda;
mod alarm;
mod error;
mod fire;
mod follow;
mod plan;
mod run;
mod tick;

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    catalog::Catalog,
    db::Ear,
    ledger::{Decided, Look, Watermark},
    metrics::SLOTS,
    outbox,
    pulse::Pulse,
    queue::EnqueueError,
};

use fire::Moment;

pub use error::PlanError;
pub use plan::{Decision, Facts, Instead, Launch, plan};
pub use run::run;
pub use tick::{Planner, Tick};

/// The longest sleep: how long a new revision may go unseen when nobody pokes.
const LONGEST: Duration = Duration::from_secs(5);
/// How many schedules one transaction decides at most: whoever pauses one of them waits for it.
const MOST: usize = 500;

/// What a planner is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who decides, in the slots' rows.
    pub me: Uuid,
    /// Channels of jobs that name none.
    pub default_alert: Vec<String>,
    /// When planning last went well.
    pub pulse: Pulse,
    /// How long one exchange with the database may take.
    pub patience: Duration,
    /// Hears of new revisions and of pauses.
    pub ear: Ear,
}

impl Options {
    /// For a planner of its own, with the usual patience and nobody to tell.
    pub fn new() -> Self {
        Self {
            me: Uuid::now_v7(),
            default_alert: Vec::new(),
            pulse: Pulse::default(),
            patience: Duration::from_secs(10),
            ear: Ear::default(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Decides everything that is due under a revision, in the caller's transaction, which has frozen the schedules:
/// the last act of that revision. `false`, and the caller must roll back, when a schedule is not as we saw it.
///
/// # Errors
/// The database's, or that a slot has its run already.
pub async fn close(
    connection: &mut PgConnection,
    catalog: &Catalog,
    look: &Look,
    me: Uuid,
) -> Result<bool, EnqueueError> {
    let Some(revision) = look.revision else { return Ok(true) };
    let moment = Moment { now: look.now, closing: true, me };
    let ours: Vec<Watermark> = look.watermarks.iter().filter(|mark| mark.revision == revision).cloned().collect();
    let mut facts = Vec::new();
    for some in ours.chunks(MOST) {
        let Some(fired) = fire::fire(connection, catalog, some, moment).await? else { return Ok(false) };
        for (schedule, decision) in &fired.decisions {
            note(schedule, decision);
        }
        facts.extend(fired.facts);
    }
    outbox::record(connection, &facts).await?;
    Ok(true)
}

fn note(schedule: &str, decision: &Decision) {
    metrics::counter!(SLOTS, "decision" => decision.decided.word()).increment(decision.slots);
    let (word, slots, reason) = (decision.decided.word(), decision.slots, decision.reason.as_str());
    match decision.decided {
        Decided::Fired => tracing::debug!(schedule, nominal_at = %decision.from, "{schedule} fired: {reason}"),
        _ => tracing::info!(
            schedule, from = %decision.from, until = %decision.until, slots, decision = word,
            "{schedule}: {slots} slot(s) {word}: {reason}"
        ),
    }
}
