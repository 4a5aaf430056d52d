//! Carries a plan out: runs, slot rows and watermark in the caller's one transaction.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Decision, Facts, plan};
use crate::{
    catalog::{Catalog, Overlap, Schedule},
    ledger::{self, Decided, Slot, Watermark},
    outbox::{Fact, What},
    queue::{self, EnqueueError, NewRun},
    spec::Spec,
};

/// What became of the slots that were due.
#[derive(Debug, Default)]
pub(super) struct Fired {
    /// The decisions, oldest first.
    pub(super) decisions: Vec<Decision>,
    /// What people are told. The caller records it before it commits, of several schedules at once: subjects are
    /// locked in the order of their names.
    pub(super) facts: Vec<Fact>,
}

/// Decides everything that is due of one schedule, which the caller holds. `None`, and the caller must roll back,
/// when it is not as we saw it. `closing`: this is the last act of a revision.
pub(super) async fn fire(
    connection: &mut PgConnection,
    catalog: &Catalog,
    schedule: &Schedule,
    watermark: &Watermark,
    now: DateTime<Utc>,
    closing: bool,
    me: Uuid,
) -> Result<Option<Fired>, EnqueueError> {
    let live = match schedule.overlap {
        Overlap::AllowAll => false,
        Overlap::Skip => {
            queue::lock_job(connection, &schedule.job).await?;
            queue::is_live(connection, &schedule.job).await?
        }
    };
    // A statement of its own, after the schedule is held: whoever pauses it waits for us, or we see the pause.
    let pauses = ledger::pauses(connection, &schedule.name, watermark.at).await?;
    let decisions = plan(&Facts { schedule, watermark: watermark.at, now, live, pauses: &pauses, closing });
    let Some(spec) = catalog.spec_for(schedule).filter(|_| !decisions.is_empty()) else {
        return Ok(Some(Fired::default()));
    };

    let fired = decisions.iter().filter(|decision| decision.decided == Decided::Fired);
    let runs: Vec<_> = fired.map(|decision| run(schedule, &spec, decision)).collect();
    let ids = if runs.is_empty() { Vec::new() } else { queue::enqueue_all(connection, &runs).await? };
    let mut ids = ids.into_iter();
    let slots: Vec<_> = decisions
        .iter()
        .map(|decision| Slot {
            nominal_at: decision.from,
            until: decision.until,
            slots: decision.slots,
            decision: decision.decided,
            reason: decision.reason.clone(),
            lateness: decision.lateness(now).as_seconds_f64(),
            run: if decision.decided == Decided::Fired { ids.next() } else { None },
        })
        .collect();
    if !ledger::decide(connection, watermark, &slots, me).await? {
        return Ok(None);
    }
    let missed = decisions.iter().filter(|decision| decision.decided == Decided::MissedExpired);
    let facts = missed.map(|decision| fact(schedule, &spec, decision, now)).collect();
    Ok(Some(Fired { decisions, facts }))
}

fn fact(schedule: &Schedule, spec: &Spec, missed: &Decision, now: DateTime<Utc>) -> Fact {
    Fact {
        job: schedule.job.clone(),
        run: None,
        at: now,
        what: What::Missed,
        channels: spec.alert.clone(),
        detail: json!({
            "schedule": schedule.name,
            "kind": spec.kind,
            "from": missed.from,
            "until": missed.until,
            "slots": missed.slots,
            "why": missed.reason,
        }),
    }
}

fn run(schedule: &Schedule, spec: &Spec, decision: &Decision) -> NewRun {
    NewRun {
        // What is caught up is due now: its place in the queue is not that of hours ago.
        due_at: (!decision.caught_up).then_some(decision.from),
        schedule: Some(schedule.name.clone()),
        nominal_at: Some(decision.from),
        caught_up: decision.caught_up,
        ..NewRun::now(spec.clone(), format!("schedule {}", schedule.name))
    }
}
