//! The live runs of a job, looked at before another one is made.
//!
//! A run may wait *behind* the others of its job: it is ready once it is due and no other is live.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    Cancel,
    follow::{Over, follow},
    people::cancel_row,
};

/// The live runs of a job: waiting, ready, running, backing off or held, whoever asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// How many wait for no other; 1 where it only matters that there are some.
    pub live: u64,
    /// How many wait behind others.
    pub behind: u64,
}

/// Locks jobs until the caller's transaction ends, so that [`crowds`] and enqueueing are one step.
///
/// # Errors
/// The database's; so below.
pub async fn lock_jobs(connection: &mut PgConnection, jobs: &[&str]) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/queue/lock_jobs.sql")).bind(jobs).execute(connection).await?;
    Ok(())
}

/// The live runs of each job; those behind others are counted up to `most`.
pub async fn crowds(
    connection: &mut PgConnection,
    jobs: &[&str],
    most: u64,
) -> Result<HashMap<String, Crowd>, sqlx::Error> {
    let rows: Vec<(String, bool, i64)> = sqlx::query_as(include_str!("../../sql/queue/crowd.sql"))
        .bind(jobs)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let crowd = |(job, live, behind): (String, bool, i64)| {
        (job, Crowd { live: u64::from(live), behind: behind.unsigned_abs() })
    };
    Ok(rows.into_iter().map(crowd).collect())
}

/// Until when the newest waiting run of each of these schedules waits, where one does.
pub async fn deferred(
    connection: &mut PgConnection,
    schedules: &[&str],
) -> Result<HashMap<String, DateTime<Utc>>, sqlx::Error> {
    let rows: Vec<(String, DateTime<Utc>)> =
        sqlx::query_as(include_str!("../../sql/queue/deferred.sql")).bind(schedules).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

/// Makes ready what waited behind others that are over now; gives how many.
pub async fn advance(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let jobs: Vec<String> =
        sqlx::query_scalar(include_str!("../../sql/queue/try_lock_jobs.sql")).fetch_all(&mut *transaction).await?;
    if jobs.is_empty() {
        transaction.rollback().await?;
        return Ok(0);
    }
    // A statement of its own: it sees all that was committed before the locks were ours.
    let advanced =
        sqlx::query(include_str!("../../sql/queue/advance.sql")).bind(jobs).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(advanced.rows_affected())
}

/// Moves what a schedule has waiting behind others to the history; a newer slot takes its place.
pub async fn replace(connection: &mut PgConnection, schedule: &str, why: &str) -> Result<(), sqlx::Error> {
    let gone: Vec<(Uuid, Uuid)> = sqlx::query_as(include_str!("../../sql/queue/replace.sql"))
        .bind(schedule)
        .bind(why)
        .fetch_all(&mut *connection)
        .await?;
    let over: Vec<Over> = gone.into_iter().map(|(run, chain)| Over { run, chain }).collect();
    follow(connection, &over).await?;
    Ok(())
}

/// What became of the runs that a newer one takes the place of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Whether workers must be [told](super::tell_cancel) to end some.
    pub asked: bool,
    /// Those that did not run and are cancelled now.
    pub ended: Vec<Uuid>,
}

/// Cancels every live run of a job, in the caller's transaction: what runs is asked to end, or, `at_once`, is
/// stopped without time to end in peace.
pub async fn cancel_others(
    connection: &mut PgConnection,
    job: &str,
    by: &str,
    why: &str,
    at_once: bool,
) -> Result<Others, sqlx::Error> {
    let live: Vec<Uuid> =
        sqlx::query_scalar(include_str!("../../sql/queue/live.sql")).bind(job).fetch_all(&mut *connection).await?;
    let (mut others, mut over) = (Others::default(), Vec::new());
    for run in &live {
        let (cancelled, ended) = cancel_row(connection, *run, by, why).await?;
        others.asked |= cancelled == Cancel::Asked;
        others.ended.extend((cancelled == Cancel::Ended).then_some(*run));
        over.extend(ended);
    }
    // Rows of runs are locked before chains.
    follow(connection, &over).await?;
    if at_once && others.asked {
        sqlx::query(include_str!("../../sql/queue/hurry.sql")).bind(&live).execute(connection).await?;
    }
    Ok(others)
}
