//! What the record says of one instant: its decision, the files as they were, and who plans.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgExecutor, PgPool};
use uuid::Uuid;

use super::{KnownSchedule, RecentSlot, Revision};

/// Who decides slots, and how long ago anybody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Planning {
    /// The database's time.
    pub now: DateTime<Utc>,
    /// When any slot was decided last.
    pub decided_at: Option<DateTime<Utc>>,
    /// By which daemon.
    pub decided_by: Option<Uuid>,
    /// Whose queue this is.
    pub instance: Option<String>,
}

/// A daemon that said which files it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Daemon {
    /// The process: a new one for each start.
    pub daemon: Uuid,
    /// Its machine.
    pub host: String,
    /// Its process id there.
    pub pid: i32,
    /// When it was heard last.
    pub seen_at: DateTime<Utc>,
}

/// A schedule that the ledger knows, also a removed one.
///
/// # Errors
/// The database's; so below.
pub async fn known(database: impl PgExecutor<'_>, schedule: &str) -> Result<Option<KnownSchedule>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/known.sql")).bind(schedule).fetch_optional(database).await
}

/// The decision that covers an instant, alone or as part of a range.
pub async fn covering(pool: &PgPool, schedule: &str, at: DateTime<Utc>) -> Result<Option<RecentSlot>, sqlx::Error> {
    let found: Option<RecentSlot> = sqlx::query_as(include_str!("../../sql/ledger/covering.sql"))
        .bind(schedule)
        .bind(at)
        .fetch_optional(pool)
        .await?;
    Ok(found.filter(|slot| slot.until >= at))
}

/// The decisions that reach into `[from, to)`, the earliest first; the first may end before it.
pub async fn decided_in(
    database: impl PgExecutor<'_>,
    schedule: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<RecentSlot>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/decided_in.sql"))
        .bind(schedule)
        .bind(from)
        .bind(to)
        .fetch_all(database)
        .await
}

/// The first slot after an instant that has a run.
pub async fn fired_after(pool: &PgPool, schedule: &str, at: DateTime<Utc>) -> Result<Option<RecentSlot>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/fired_after.sql")).bind(schedule).bind(at).fetch_optional(pool).await
}

/// A revision by its number, whole.
pub async fn revision(pool: &PgPool, id: i64) -> Result<Option<Revision>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/revision.sql")).bind(id).fetch_optional(pool).await
}

/// The revision that was followed at an instant, whole.
pub async fn revision_at(pool: &PgPool, at: DateTime<Utc>) -> Result<Option<Revision>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/revision_at.sql")).bind(at).fetch_optional(pool).await
}

/// The first revision after number `after` in whose schedule files a name stands; it may stand there for something else.
pub async fn first_naming(pool: &PgPool, name: &str, after: i64) -> Result<Option<Revision>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/first_naming.sql")).bind(name).bind(after).fetch_optional(pool).await
}

/// Who plans.
pub async fn planning(database: impl PgExecutor<'_>) -> Result<Planning, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/planning.sql")).fetch_one(database).await
}

/// The daemons that were heard last.
pub async fn daemons(pool: &PgPool) -> Result<Vec<Daemon>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/daemons.sql")).fetch_all(pool).await
}

/// Waits for the turn to backfill a schedule, which lasts until the caller's transaction ends.
pub async fn backfill_turn(database: impl PgExecutor<'_>, schedule: &str) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/backfill_turn.sql")).bind(schedule).execute(database).await?;
    Ok(())
}
