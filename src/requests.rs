//! What people may ask for, the same from every surface: a run of a job, with parameters that the job declares, and
//! that a run ends or rests.
//!
//! A request reads the *active* revision, as the daemons do: an edited file counts once it is applied.

pub mod backfill;
mod files;
pub mod preview;
pub mod why;
pub mod words;

use std::collections::BTreeMap;

use chrono::Utc;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    catalog::{Catalog, Files, ParamProblem, Schedule},
    fault, kinds, ledger,
    outbox::{self, Fact, What},
    queue::{self, Cancel, Pause},
    spec::Spec,
};

pub use files::{ActiveFiles, KnownFiles, OldFiles, files};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No files were ever applied to this queue.
    #[error(
        "no files are active in this queue yet; start a daemon with `sexton run`, or run `sexton check` to see what keeps it from starting"
    )]
    NoRevision,
    /// The active files cannot be read by this binary.
    #[error("the active files (revision {0}) cannot be read by this version of sexton: {1}")]
    Unreadable(i64, String),
    /// No such job.
    #[error("no job `{name}` is active{}", .near.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownJob {
        /// What was asked for.
        name: String,
        /// The nearest name.
        near: Option<String>,
    },
    /// No such schedule.
    #[error("there is no schedule `{name}`{}", .near.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownSchedule {
        /// What was asked for.
        name: String,
        /// The nearest name.
        near: Option<String>,
    },
    /// What was asked for makes no sense; it says what to write.
    #[error("{0}")]
    Asked(String),
    /// The idempotency key stands for another request.
    #[error(
        "the key `{key}` of `{job}` was used with other parameters, for run {run}; use a new key for a new request"
    )]
    KeyUsed {
        /// The key.
        key: String,
        /// The job.
        job: String,
        /// The run that it stands for.
        run: Uuid,
    },
    /// Parameters that the job does not take.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Params(Vec<ParamProblem>),
    /// The database.
    #[error("the queue's database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<queue::EnqueueError> for RequestError {
    fn from(error: queue::EnqueueError) -> Self {
        match error {
            queue::EnqueueError::Database(error) => Self::Database(error),
            // Only runs that a slot makes can collide; a person's run has no slot.
            twice @ queue::EnqueueError::Twice(_) => Self::Database(sqlx::Error::Protocol(twice.to_string())),
        }
    }
}

/// The catalog of the active revision.
///
/// # Errors
/// [`RequestError::NoRevision`], [`RequestError::Unreadable`] or the database's.
pub async fn active(pool: &PgPool) -> Result<Catalog, RequestError> {
    let mut connection = pool.acquire().await?;
    let revision = ledger::current(&mut connection).await?.ok_or(RequestError::NoRevision)?;
    let default_alert = ledger::default_alert(&mut connection).await?;
    let parsed = Catalog::parse(&Files(revision.files));
    parsed.catalog.map(|catalog| catalog.with_default_alert(default_alert)).ok_or_else(|| {
        let first =
            parsed.problems.iter().find(|problem| problem.is_error()).map(ToString::to_string).unwrap_or_default();
        RequestError::Unreadable(revision.id, first)
    })
}

/// A schedule of these files, by its name.
///
/// # Errors
/// When there is none; it names the nearest.
pub fn known_schedule<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Schedule, RequestError> {
    catalog.schedule(name).ok_or_else(|| RequestError::UnknownSchedule {
        name: name.to_owned(),
        near: words::near(name, catalog.schedules.iter().map(|schedule| schedule.name.as_str())),
    })
}

/// The job as a run of it would carry it.
///
/// # Errors
/// When there is no such job, or it does not take these parameters.
pub fn resolve(catalog: &Catalog, job: &str, params: &BTreeMap<String, Value>) -> Result<Spec, RequestError> {
    if !catalog.jobs.contains_key(job) {
        let near = catalog.jobs.keys().min_by_key(|name| strsim::damerau_levenshtein(name, job));
        let near = near.filter(|name| strsim::damerau_levenshtein(name, job) <= 3).cloned();
        return Err(RequestError::UnknownJob { name: job.to_owned(), near });
    }
    catalog.resolve(job, params).map_err(RequestError::Params)
}

/// A run that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triggered {
    /// The run.
    pub run: Uuid,
    /// Whether an earlier request with the same key had made it.
    pub replayed: bool,
}

/// Queues a run of `job`. One `key` makes one run, however often it is asked for.
///
/// # Errors
/// See [`RequestError`]; nothing is queued then.
pub async fn trigger(
    pool: &PgPool,
    job: &str,
    params: &BTreeMap<String, Value>,
    by: &str,
    key: Option<&str>,
) -> Result<Triggered, RequestError> {
    if let Some(key) = key {
        let length = key.chars().count();
        if !(1..=queue::LONGEST).contains(&length) {
            let most = queue::LONGEST;
            return Err(RequestError::Asked(format!("an idempotency key has 1 to {most} characters, not {length}")));
        }
        // Before the job is looked at: it may have changed since.
        if let Some(kept) = queue::find_key(&mut *pool.acquire().await?, job, key, params).await? {
            return replayed(job, key, kept);
        }
    }
    let spec = resolve(&active(pool).await?, job, params)?;
    let mut tx = pool.begin().await?;
    let run = queue::enqueue(&mut tx, &queue::NewRun::now(spec, by)).await?;
    if let Some(key) = key {
        let kept = queue::take_key(&mut tx, job, key, params, run).await?;
        if kept.run != run {
            tx.rollback().await?;
            return replayed(job, key, kept);
        }
    }
    fault::point("enqueue.made").await.map_err(sqlx::Error::from)?;
    tx.commit().await?;
    fault::point("enqueue.committed").await.map_err(sqlx::Error::from)?;
    queue::nudge(pool).await;
    Ok(Triggered { run, replayed: false })
}

fn replayed(job: &str, key: &str, kept: queue::Kept) -> Result<Triggered, RequestError> {
    if kept.same {
        return Ok(Triggered { run: kept.run, replayed: true });
    }
    Err(RequestError::KeyUsed { key: key.to_owned(), job: job.to_owned(), run: kept.run })
}

/// Ends a run in the name of `by`. One that does not run ends now, and who is to be told of it is told; one that runs
/// is asked to end, and its worker tells.
///
/// # Errors
/// The database's; nothing is cancelled then.
pub async fn cancel(pool: &PgPool, id: Uuid, by: &str, why: &str) -> Result<Cancel, sqlx::Error> {
    let Some(run) = queue::find(pool, id).await? else { return Ok(Cancel::Unknown) };
    let mut tx = pool.begin().await?;
    let cancelled = queue::cancel_in(&mut tx, id, by, why).await?;
    if cancelled == Cancel::Ended {
        let alert = run.spec.get("alert").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let fact = Fact {
            job: run.job,
            run: Some(id),
            at: Utc::now(),
            what: What::Cancelled,
            channels: alert.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            detail: json!({
                "kind": run.kind,
                "requested_by": run.requested_by,
                "schedule": run.schedule,
                "nominal_at": run.nominal_at,
                "outcome": "cancelled",
                "why": why,
                "by": by,
            }),
        };
        outbox::record(&mut tx, &[fact]).await?;
    }
    tx.commit().await?;
    queue::told(pool, &cancelled).await;
    Ok(cancelled)
}

/// What asking for a pause came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paused {
    /// The queue's answer.
    Asked(Pause),
    /// It runs, and its kind cannot go on where it was.
    Cannot {
        /// The kind's name.
        kind: String,
    },
}

/// Pauses a run in the name of `by`. One that does not run is not started until it is resumed; one that runs ends its
/// step and is given back, unless its kind would have to begin anew.
///
/// # Errors
/// The database's; nothing is paused then.
pub async fn pause(pool: &PgPool, id: Uuid, by: &str, why: &str) -> Result<Paused, sqlx::Error> {
    let Some(run) = queue::find(pool, id).await? else { return Ok(Paused::Asked(Pause::Unknown)) };
    let resumes = kinds::find(&run.kind).is_some_and(|kind| kind.resumes);
    if run.is_running() && !resumes {
        return Ok(Paused::Cannot { kind: run.kind });
    }
    queue::pause(pool, id, by, why).await.map(Paused::Asked)
}
