//! Backfill: runs for slots of the past that somebody names, at a pace, after a look.
//!
//! What the ledger decided for a slot stays as it is; the run is one that a person asked for. All of it is one
//! transaction, and the same command a second time finds its runs and makes none again.

mod plan;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{RequestError, active, known_schedule, why::time, words::near};
use crate::{
    catalog::{Catalog, Schedule},
    ledger,
    queue::{self, EnqueueError, NewRun},
    span::Span,
    spec::Spec,
};
pub use plan::{Facts, Item, MOST, Plan, Wanted, plan};

/// A backfill, looked at or done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backfill {
    /// The schedule.
    pub schedule: String,
    /// The job.
    pub job: String,
    /// The jobs that follow each run.
    pub then: Vec<String>,
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it all.
    pub to: DateTime<Utc>,
    /// Slot by slot.
    #[serde(flatten)]
    pub plan: Plan,
    /// The whole in one sentence.
    pub words: String,
    /// What else is worth knowing before.
    pub notes: Vec<String>,
    /// The runs that were queued, in the order of their slots; none when it was only looked at.
    pub queued: Vec<Uuid>,
}

/// What is asked for, as it is written: times as RFC 3339 or on the schedule's clock.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The schedule.
    pub schedule: &'a str,
    /// The first instant.
    pub from: &'a str,
    /// The first instant after it all.
    pub to: &'a str,
    /// Whether slots whose run is done are run again.
    pub again: bool,
    /// Whether the runs may overlap.
    pub overlap: bool,
    /// How far apart they become due.
    pub pace: Span,
}

/// Shows what a backfill would do, or does it in the name of `by`.
///
/// # Errors
/// When there is no such schedule, the times make no sense, or the database fails; nothing is queued then.
pub async fn backfill(pool: &PgPool, asked: &Asked<'_>, by: Option<&str>) -> Result<Backfill, RequestError> {
    let catalog = active(pool).await?;
    let schedule = known_schedule(&catalog, asked.schedule)?;
    let wanted = wanted(schedule, asked, ledger::planning(pool).await?.now)?;
    let spec = spec(&catalog, schedule)?;
    let mut transaction = pool.begin().await?;
    if by.is_some() {
        // Of two that backfill the same slots, the second finds the runs of the first.
        ledger::backfill_turn(&mut *transaction, &schedule.name).await?;
    }
    let plan = look(&mut transaction, schedule, &wanted).await?;
    let notes = notes(&mut transaction, schedule, &wanted, &plan).await?;
    let mut queued = Vec::new();
    if let Some(by) = by.filter(|_| plan.runs > 0) {
        let now = ledger::planning(&mut *transaction).await?.now;
        let runs = runs(schedule, &spec, &wanted, &plan, now, by);
        queued = queue::enqueue_all(&mut transaction, &runs).await.map_err(refused)?;
        transaction.commit().await?;
        queue::nudge(pool).await;
        tracing::info!(
            schedule = schedule.name, job = schedule.job, by, runs = queued.len(), from = %wanted.from, to = %wanted.to,
            again = wanted.again, overlap = wanted.overlap, pace = %wanted.pace,
            "{by} backfills {} runs of {}", queued.len(), schedule.name
        );
    }
    Ok(Backfill {
        schedule: schedule.name.clone(),
        job: schedule.job.clone(),
        then: spec.then.iter().map(|next| next.job.clone()).collect(),
        from: wanted.from,
        to: wanted.to,
        words: plan.words(&wanted),
        plan,
        notes,
        queued,
    })
}

fn wanted(schedule: &Schedule, asked: &Asked<'_>, now: DateTime<Utc>) -> Result<Wanted, RequestError> {
    let read = |text| time::read(text, schedule.zone, now).map_err(RequestError::Asked);
    // A time that comes twice is meant with both passes.
    let from = read(asked.from)?.first().map(|asked| asked.at).unwrap_or(now);
    let to = read(asked.to)?.last().map(|asked| asked.at).unwrap_or(now);
    let refused = |words: &str| Err(RequestError::Asked(words.to_owned()));
    if from >= to {
        return refused("`from` must lie before `to`");
    }
    if to > now {
        return refused("`to` lies in the future; slots to come fire by themselves");
    }
    if asked.pace.0 > std::time::Duration::from_secs(86_400) {
        return refused("`pace` is more than a day; write 10s or 5m");
    }
    Ok(Wanted { from, to, again: asked.again, overlap: asked.overlap, pace: asked.pace })
}

fn spec(catalog: &Catalog, schedule: &Schedule) -> Result<Spec, RequestError> {
    catalog.spec_for(schedule).ok_or_else(|| RequestError::UnknownJob {
        name: schedule.job.clone(),
        near: near(&schedule.job, catalog.jobs.keys().map(String::as_str)),
    })
}

async fn look(connection: &mut PgConnection, schedule: &Schedule, wanted: &Wanted) -> Result<Plan, RequestError> {
    let known = ledger::known(&mut *connection, &schedule.name).await?;
    let decisions = ledger::decided_in(&mut *connection, &schedule.name, wanted.from, wanted.to).await?;
    let runs = queue::of_slots(&mut *connection, &schedule.job, &schedule.name, wanted.from, wanted.to).await?;
    let usual = queue::usual(&mut *connection, std::slice::from_ref(&schedule.job)).await?;
    let facts = Facts {
        schedule,
        watermark: known.map_or(wanted.from - TimeDelta::nanoseconds(1), |known| known.watermark),
        decisions: &decisions,
        runs: &runs,
        usual: usual.get(&schedule.job).copied(),
    };
    Ok(plan(&facts, wanted))
}

async fn notes(
    connection: &mut PgConnection,
    schedule: &Schedule,
    wanted: &Wanted,
    plan: &Plan,
) -> Result<Vec<String>, RequestError> {
    let mut notes = Vec::new();
    if plan.runs == 0 {
        return Ok(notes);
    }
    if schedule.policy.overlap != crate::catalog::Overlap::AllowAll && !wanted.overlap {
        notes.push(format!(
            "while they wait, {} is live to its schedules: what is due meanwhile meets their `overlap`",
            schedule.job
        ));
    }
    let pauses = ledger::pauses(connection, &[&schedule.name], wanted.to).await?;
    let now = Utc::now();
    for pause in pauses.iter().filter(|pause| pause.is_open(now)) {
        let author = &pause.author;
        notes.push(format!("paused by {author} ({}): a backfill runs all the same", pause.reason));
    }
    Ok(notes)
}

fn runs(schedule: &Schedule, spec: &Spec, wanted: &Wanted, plan: &Plan, now: DateTime<Utc>, by: &str) -> Vec<NewRun> {
    let pace = TimeDelta::from_std(wanted.pace.0).unwrap_or_default();
    let runs = plan.chosen().enumerate().map(|(n, at)| NewRun {
        due_at: Some(now + pace * i32::try_from(n).unwrap_or(i32::MAX)),
        first_due_at: Some(schedule.start(at)),
        schedule: Some(schedule.name.clone()),
        nominal_at: Some(at),
        caught_up: true,
        behind: !wanted.overlap,
        ..NewRun::now(spec.clone(), by)
    });
    runs.collect()
}

/// Somebody else's run of the slot is live by now.
fn refused(error: EnqueueError) -> RequestError {
    match error {
        EnqueueError::Twice(slots) => {
            RequestError::Asked(format!("a slot got a run meanwhile, so nothing was queued; look again ({slots})"))
        }
        other @ EnqueueError::Database(_) => other.into(),
    }
}
