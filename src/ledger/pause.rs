//! Pauses of schedules: one, or all of them with one switch.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::call::call;

/// A time in which a schedule fires nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Pause {
    /// Its number.
    pub id: i64,
    /// The schedule; all of them without a name.
    pub schedule: Option<String>,
    /// Why.
    pub reason: String,
    /// Who paused it.
    pub author: String,
    /// The first instant of it.
    pub made_at: DateTime<Utc>,
    /// The first instant after it; open, as long as nobody ends it.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Pause {
    /// Whether it is open at an instant.
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.made_at <= at && self.ends_at.is_none_or(|end| end > at)
    }

    /// Whether it is a pause of this schedule: its own, or one of all.
    pub fn is_of(&self, schedule: &str) -> bool {
        self.schedule.as_deref().is_none_or(|own| own == schedule)
    }
}

/// The pauses of schedules, their own and those of all, that end after `since` or not at all.
///
/// # Errors
/// The database's; so below.
pub async fn pauses(
    connection: &mut PgConnection,
    schedules: &[&str],
    since: DateTime<Utc>,
) -> Result<Vec<Pause>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/pauses.sql")).bind(schedules).bind(since).fetch_all(connection).await
}

/// Every pause that is open.
pub async fn open_pauses(pool: &PgPool) -> Result<Vec<Pause>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/open_pauses.sql")).fetch_all(pool).await
}

/// Pauses a schedule, or all. Once this returns, no daemon fires a slot of it: what was being decided has ended before.
pub async fn pause(
    pool: &PgPool,
    schedule: Option<&str>,
    reason: &str,
    author: &str,
    until: Option<DateTime<Utc>>,
) -> Result<Pause, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(include_str!("../../sql/ledger/lock_schedules.sql")).bind(schedule).execute(&mut *transaction).await?;
    let pause = sqlx::query_as(include_str!("../../sql/ledger/pause.sql"))
        .bind(schedule)
        .bind(reason)
        .bind(author)
        .bind(until)
        .fetch_one(&mut *transaction)
        .await?;
    call(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(pause)
}

/// Pauses a schedule in Sexton's name, in the caller's transaction, if it has failed at least `after` times in a row and
/// is not paused already. A run of `chain` has just failed in that transaction; `failed` says which.
///
/// It takes no lock on the schedule, which deciders hold while they lock jobs: a slot that is being decided at this
/// instant still fires.
pub async fn pause_failing(
    connection: &mut PgConnection,
    schedule: &str,
    after: u32,
    chain: Uuid,
    failed: &str,
) -> Result<Option<Pause>, sqlx::Error> {
    // Two runs that fail at the same instant are counted one after the other, and so the second sees both.
    sqlx::query(include_str!("../../sql/ledger/lock_failing.sql")).bind(schedule).execute(&mut *connection).await?;
    let paused = sqlx::query_as(include_str!("../../sql/ledger/pause_failing.sql"))
        .bind(schedule)
        .bind(i64::from(after))
        .bind(chain)
        .bind(failed)
        .fetch_optional(&mut *connection)
        .await?;
    if paused.is_some() {
        call(connection).await?;
    }
    Ok(paused)
}

/// Ends the open pauses of a schedule, or those of all (which leaves those of single schedules).
pub async fn resume(pool: &PgPool, schedule: Option<&str>, by: &str) -> Result<Vec<Pause>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let ended = sqlx::query_as(include_str!("../../sql/ledger/resume.sql"))
        .bind(schedule)
        .bind(by)
        .fetch_all(&mut *transaction)
        .await?;
    call(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(ended)
}
