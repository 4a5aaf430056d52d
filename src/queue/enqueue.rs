//! How a run comes to be.
//!
//! The columns that claiming and rescue need are taken from the [`Spec`] here, so that nothing later has to read the
//! snapshot but the attempt itself.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    claimed::{Claimed, Known},
    snapshot::Split,
};
use crate::{spec::Spec, state::OnLost};

/// A run to be made.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The job as it is now; the run keeps it.
    pub spec: Spec,
    /// When it is due; `None` is now, by the database's clock.
    pub due_at: Option<DateTime<Utc>>,
    /// When its slot was due, where that was before `due_at`; lateness counts from here.
    pub first_due_at: Option<DateTime<Utc>>,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// The slot's nominal instant, which needs a schedule.
    pub nominal_at: Option<DateTime<Utc>>,
    /// Whether the slot was missed and caught up.
    pub caught_up: bool,
    /// The run that it follows.
    pub parent: Option<Uuid>,
    /// The first run of its chain; `None` starts a chain of its own.
    pub chain: Option<Uuid>,
    /// Who asked: `schedule NAME`, a person, or `after JOB`.
    pub requested_by: String,
    /// Whether it waits, also once it is due, until no other run of its job is live.
    pub behind: bool,
}

impl NewRun {
    /// A run that is due now and that `requested_by` asked for.
    pub fn now(spec: Spec, requested_by: impl Into<String>) -> Self {
        Self {
            spec,
            due_at: None,
            first_due_at: None,
            schedule: None,
            nominal_at: None,
            caught_up: false,
            parent: None,
            chain: None,
            requested_by: requested_by.into(),
            behind: false,
        }
    }
}

/// Why a run could not be enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The slot has its run already.
    #[error("the slot {0} has its run already")]
    Twice(String),
    /// The database refused or was not there.
    #[error("the run could not be enqueued: {0}")]
    Database(#[from] sqlx::Error),
}

/// Enqueues one run in the caller's transaction and gives its id. [`nudge`](super::nudge) after the commit.
pub async fn enqueue(connection: &mut PgConnection, run: &NewRun) -> Result<Uuid, EnqueueError> {
    let ids = enqueue_all(connection, std::slice::from_ref(run)).await?;
    Ok(ids[0])
}

/// Enqueues runs in the caller's transaction, in one statement, and gives their ids in the same order.
pub async fn enqueue_all(connection: &mut PgConnection, runs: &[NewRun]) -> Result<Vec<Uuid>, EnqueueError> {
    let ids: Vec<Uuid> = runs.iter().map(|_| Uuid::now_v7()).collect();
    let chains: Vec<Uuid> = runs.iter().zip(&ids).map(|(run, id)| run.chain.unwrap_or(*id)).collect();
    let stored = Stored::of(runs).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(include_str!("../../sql/queue/enqueue.sql"))
        .bind(&ids)
        .bind(each(runs, |run| &run.spec.job))
        .bind(each(runs, |run| &run.spec.kind))
        .bind(each(runs, |run| run.due_at))
        .bind(each(runs, |run| run.spec.priority))
        .bind(&stored.places)
        .bind(each(runs, |run| run.spec.lease.0.as_secs_f64()))
        .bind(each(runs, |run| most_attempts(&run.spec)))
        .bind(each(runs, |run| on_lost(&run.spec)))
        .bind(each(runs, |run| run.schedule.as_ref()))
        .bind(each(runs, |run| run.nominal_at))
        .bind(each(runs, |run| run.caught_up))
        .bind(each(runs, |run| run.parent))
        .bind(chains)
        .bind(each(runs, |run| &run.requested_by))
        .bind(each(runs, |run| run.behind))
        .bind(each(runs, |run| run.first_due_at))
        .bind(&stored.own)
        .bind(each(runs, |run| !run.spec.then.is_empty()))
        .bind(&stored.bodies)
        .execute(connection)
        .await
        .map_err(|error| match error.as_database_error().and_then(|database| database.constraint()) {
            Some("run_slot") => EnqueueError::Twice(slot_of(runs)),
            _ => EnqueueError::Database(error),
        })?;
    Ok(ids)
}

/// The snapshots of runs, each body once.
#[derive(Default)]
struct Stored {
    bodies: Vec<Value>,
    /// By run: the place of its body, from 1.
    places: Vec<i64>,
    own: Vec<Option<Value>>,
}

impl Stored {
    fn of(runs: &[NewRun]) -> Result<Self, serde_json::Error> {
        let mut stored = Self::default();
        let mut known: HashMap<String, i64> = HashMap::new();
        for run in runs {
            let Split { body, own } = Split::of(&run.spec)?;
            let place = *known.entry(body.to_string()).or_insert_with(|| {
                stored.bodies.push(body);
                stored.bodies.len() as i64
            });
            stored.places.push(place);
            stored.own.push(own);
        }
        Ok(stored)
    }
}

/// Enqueues a run that is already leased to `worker`, for `sexton once`: no other worker ever sees it as ready.
pub async fn enqueue_leased(pool: &PgPool, run: &NewRun, worker: Uuid) -> Result<Claimed, EnqueueError> {
    let mut transaction = pool.begin().await?;
    let id = enqueue(&mut transaction, run).await?;
    let row = sqlx::query_as(include_str!("../../sql/queue/enqueue_leased.sql"))
        .bind(id)
        .bind(worker)
        .fetch_one(&mut *transaction)
        .await?;
    let claimed = Known::default().read(&mut transaction, vec![row]).await?.remove(0);
    transaction.commit().await?;
    Ok(claimed)
}

fn each<'a, T>(runs: &'a [NewRun], of: impl Fn(&'a NewRun) -> T) -> Vec<T> {
    runs.iter().map(of).collect()
}

/// Attempts in all, as the column holds it; none at all would be a run that can only be lost.
pub fn most_attempts(spec: &Spec) -> i32 {
    i32::try_from(spec.retry.attempts).unwrap_or(i32::MAX).max(1)
}

/// The word for it, as the column holds it.
pub fn on_lost(spec: &Spec) -> &'static str {
    match spec.on_lost {
        OnLost::Retry => "retry",
        OnLost::Hold => "hold",
    }
}

fn slot_of(runs: &[NewRun]) -> String {
    let slots = runs.iter().filter_map(|run| Some(format!("{} {}", run.schedule.as_ref()?, run.nominal_at?)));
    slots.collect::<Vec<_>>().join(", ")
}
