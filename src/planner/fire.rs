//! Carries plans out: runs, slot rows and watermarks of many schedules in the caller's one transaction.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Decision, Facts, Instead, plan};
use crate::{
    catalog::{BUFFER_MOST, Catalog, Overlap, Schedule},
    ledger::{self, Decided, Slot, Watermark},
    outbox::{Fact, What},
    queue::{self, EnqueueError, NewRun, Others},
    spec::Spec,
    windows,
};

/// Why the runs before a slot end, where it takes their place.
const DISPLACED: &str = "a newer slot takes its place";

/// What became of the slots that were due.
#[derive(Debug, Default)]
pub(super) struct Fired {
    /// The decisions by schedule, oldest first.
    pub(super) decisions: Vec<(String, Decision)>,
    /// What people are told. The caller records it before it commits.
    pub(super) facts: Vec<Fact>,
    /// Whether running work was asked to stop, so that workers must be told after the commit.
    pub(super) stops: bool,
}

/// When something is decided, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The database's time.
    pub(super) now: DateTime<Utc>,
    /// Whether it is the last act of a revision.
    pub(super) closing: bool,
    /// The planner.
    pub(super) me: Uuid,
}

/// Decides everything that is due of schedules, which the caller holds. `None`, and the caller must roll back, when
/// one is not as we saw it.
pub(super) async fn fire(
    connection: &mut PgConnection,
    catalog: &Catalog,
    held: &[Watermark],
    moment: Moment,
) -> Result<Option<Fired>, EnqueueError> {
    let Moment { now, closing, me } = moment;
    let known = held.iter().filter_map(|watermark| Some((catalog.schedule(&watermark.schedule)?, watermark.at)));
    let known: Vec<(&Schedule, DateTime<Utc>)> = known.collect();
    let jobs: Vec<&str> =
        known.iter().filter(|(schedule, _)| looks_around(schedule)).map(|(s, _)| s.job.as_str()).collect();
    let mut crowds = HashMap::new();
    if !jobs.is_empty() {
        queue::lock_jobs(connection, &jobs).await?;
        crowds = queue::crowds(connection, &jobs, BUFFER_MOST).await?;
    }
    let defers =
        |schedule: &Schedule| catalog.windows_of(schedule).0.iter().any(|window| window.slots == windows::Slots::Defer);
    let deferring: Vec<&str> = known.iter().filter(|(s, _)| defers(s)).map(|(s, _)| s.name.as_str()).collect();
    let deferred = if deferring.is_empty() { HashMap::new() } else { queue::deferred(connection, &deferring).await? };
    // A statement of its own, after the schedules are held: whoever pauses one waits for us, or we see the pause.
    let names: Vec<&str> = known.iter().map(|(schedule, _)| schedule.name.as_str()).collect();
    let Some(oldest) = known.iter().map(|(_, at)| *at).min() else { return Ok(Some(Fired::default())) };
    let all_pauses = ledger::pauses(connection, &names, oldest).await?;

    let mut fired = Fired::default();
    let mut runs: Vec<NewRun> = Vec::new();
    let mut instead: Vec<(&Schedule, Spec, Instead)> = Vec::new();
    for (schedule, watermark) in known {
        let of_it =
            |pause: &&ledger::Pause| pause.is_of(&schedule.name) && pause.ends_at.is_none_or(|end| end > watermark);
        let pauses: Vec<_> = all_pauses.iter().filter(of_it).cloned().collect();
        let crowd = crowds.get(&schedule.job).copied().unwrap_or_default();
        let (windows, deferred) = (catalog.windows_of(schedule), deferred.get(&schedule.name).copied());
        let facts = Facts { schedule, watermark, now, crowd, windows: &windows, deferred, pauses: &pauses, closing };
        let decisions = plan(&facts);
        let Some(spec) = catalog.spec_for(schedule).filter(|_| !decisions.is_empty()) else { continue };
        for decision in &decisions {
            if let Some(launch) = decision.launch {
                // The next schedule of the same job sees this run.
                let crowd = crowds.entry(schedule.job.clone()).or_default();
                if launch.behind {
                    crowd.behind += 1
                } else {
                    crowd.live += 1
                }
                instead.extend((launch.instead != Instead::Nobody).then(|| (schedule, spec.clone(), launch.instead)));
                runs.push(run(schedule, &spec, decision));
            }
            if decision.decided == Decided::MissedExpired {
                fired.facts.push(fact(schedule, &spec, decision, now));
            }
        }
        fired.decisions.extend(decisions.into_iter().map(|decision| (schedule.name.clone(), decision)));
    }
    for (schedule, spec, instead) in &instead {
        let others = make_room(connection, schedule, *instead).await?;
        fired.stops |= others.asked;
        // A worker tells of what it had; of what nobody had begun, only we can.
        fired.facts.extend(others.ended.iter().map(|run| displaced(schedule, spec, *run, now)));
    }
    let ids = if runs.is_empty() { Vec::new() } else { queue::enqueue_all(connection, &runs).await? };
    let mut ids = ids.into_iter();
    let slots: Vec<_> = fired
        .decisions
        .iter()
        .map(|(schedule, decision)| Slot {
            schedule: schedule.clone(),
            nominal_at: decision.from,
            until: decision.until,
            slots: decision.slots,
            decision: decision.decided,
            reason: decision.reason.clone(),
            lateness: decision.lateness(now).as_seconds_f64(),
            run: decision.launch.and_then(|_| ids.next()),
        })
        .collect();
    Ok(ledger::decide(connection, &slots, me).await?.then_some(fired))
}

/// Whether a schedule's decisions hang on the live runs of its job.
fn looks_around(schedule: &Schedule) -> bool {
    schedule.policy.overlap != Overlap::AllowAll
}

/// Ends what a new run takes the place of.
async fn make_room(
    connection: &mut PgConnection,
    schedule: &Schedule,
    instead: Instead,
) -> Result<Others, sqlx::Error> {
    let by = format!("schedule {}", schedule.name);
    match instead {
        Instead::Nobody => Ok(Others::default()),
        Instead::Waiting => {
            queue::replace(connection, &schedule.name, "a newer slot took its place").await?;
            Ok(Others::default())
        }
        Instead::Everybody { at_once } => {
            queue::cancel_others(connection, &schedule.job, &by, DISPLACED, at_once).await
        }
    }
}

fn displaced(schedule: &Schedule, spec: &Spec, run: Uuid, now: DateTime<Utc>) -> Fact {
    Fact {
        job: schedule.job.clone(),
        run: Some(run),
        at: now,
        what: What::Cancelled,
        channels: spec.alert.clone(),
        detail: json!({
            "schedule": schedule.name,
            "kind": spec.kind,
            "outcome": "cancelled",
            "why": DISPLACED,
            "by": format!("schedule {}", schedule.name),
        }),
    }
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
    let launch = decision.launch;
    NewRun {
        due_at: launch.and_then(|launch| launch.due_at),
        first_due_at: Some(decision.due),
        schedule: Some(schedule.name.clone()),
        nominal_at: Some(decision.from),
        caught_up: decision.is_caught_up(),
        behind: launch.is_some_and(|launch| launch.behind),
        ..NewRun::now(spec.clone(), format!("schedule {}", schedule.name))
    }
}
