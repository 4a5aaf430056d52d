//! Who works, and whether they still do.
//!
//! A process has one narrow row whose `seen_at` is the heartbeat of every run that it holds: a run is lost once
//! `seen_at` is older than the run's own lease.

use std::time::Duration;

use sqlx::PgExecutor;
use uuid::Uuid;

/// Who a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// A new one for each start of a process: a name that is used again would keep a dead process's leases alive.
    pub id: Uuid,
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Of this binary.
    pub version: String,
    /// Boot, pid namespace, pid and start of the process, where the system tells them; see [`neighbours`].
    pub process: Option<String>,
}

/// Makes the worker known, or says that it is still here.
pub async fn register(database: impl PgExecutor<'_>, worker: &WorkerInfo) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/queue/register.sql"))
        .bind(worker.id)
        .bind(&worker.host)
        .bind(i32::try_from(worker.pid).unwrap_or(i32::MAX))
        .bind(&worker.version)
        .bind(&worker.process)
        .execute(database)
        .await?;
    Ok(())
}

/// Renews every lease of the worker, which will be heard again within `quiet`; until then nobody looks for what it
/// holds. `false`: the row is gone or buried; [`register`] under a new id.
pub async fn beat(database: impl PgExecutor<'_>, worker: Uuid, quiet: Duration) -> Result<bool, sqlx::Error> {
    let beat = sqlx::query(include_str!("../../sql/queue/beat.sql")).bind(worker).bind(quiet.as_secs_f64());
    let done = beat.execute(database).await?;
    Ok(done.rows_affected() == 1)
}

/// A run that the database says a worker holds.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Held {
    /// The run.
    pub run: Uuid,
    /// The attempt.
    pub token: i64,
    /// Its job.
    pub job: String,
    /// The kind's name.
    pub kind: String,
    /// Who asked to cancel it, if anybody did.
    pub cancel_by: Option<String>,
    /// Whether the cancel leaves no time to stop in peace.
    pub cancel_at_once: bool,
    /// Who asked to pause it, while it is paused.
    pub pause_by: Option<String>,
    /// Why they did.
    pub pause_why: Option<String>,
}

/// What of these runs the worker holds, and what of it was asked to be cancelled or paused.
pub async fn held(database: impl PgExecutor<'_>, worker: Uuid, runs: &[Uuid]) -> Result<Vec<Held>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/held.sql")).bind(worker).bind(runs).fetch_all(database).await
}

/// All that the worker holds, also what it does not know of. This reads every live run: no index names the holders,
/// since each claim would have to write to it.
pub async fn held_in_all(database: impl PgExecutor<'_>, worker: Uuid) -> Result<Vec<Held>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/held_in_all.sql")).bind(worker).fetch_all(database).await
}

/// Forgets the worker. If it still holds something, it stays known and its leases run out.
pub async fn depart(database: impl PgExecutor<'_>, worker: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/queue/depart.sql")).bind(worker).execute(database).await?;
    Ok(())
}

/// Another worker.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Neighbour {
    /// It.
    pub id: Uuid,
    /// Its process.
    pub process: String,
}

/// The workers whose process text starts like this: on the same boot of the same machine and in the same pid
/// namespace, so that the caller can tell for sure whether they live.
pub async fn neighbours(database: impl PgExecutor<'_>, prefix: &str) -> Result<Vec<Neighbour>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/neighbours.sql")).bind(prefix).fetch_all(database).await
}

/// Ends every lease of workers that are dead for sure, so that nobody waits for them to run out.
pub async fn bury(database: impl PgExecutor<'_>, workers: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/queue/bury.sql")).bind(workers).execute(database).await?;
    Ok(())
}
