//! How a set of files becomes the one that everybody follows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool, types::Json};

use super::{Look, call::call, look};

/// One whole set of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Revision {
    /// Its number; a later one is larger.
    pub id: i64,
    /// What tells its content from another.
    pub digest: String,
    /// Texts by path; empty where only the list was asked for.
    #[sqlx(json)]
    pub files: BTreeMap<String, String>,
    /// When it became the current one.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: String,
}

/// What the ledger keeps of a schedule of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its job.
    pub job: String,
    /// Whether it is on.
    pub enabled: bool,
}

/// The revision that all daemons follow; `None` before the first.
///
/// # Errors
/// The database's; so below.
pub async fn current(connection: &mut PgConnection) -> Result<Option<Revision>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/current.sql")).fetch_optional(connection).await
}

/// The newest revisions, without their files.
pub async fn revisions(pool: &PgPool, limit: i64) -> Result<Vec<Revision>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/revisions.sql")).bind(limit).fetch_all(pool).await
}

/// Whether this content ever was a revision.
pub async fn seen(connection: &mut PgConnection, digest: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../sql/ledger/seen.sql")).bind(digest).fetch_one(connection).await
}

/// Waits for its turn: until the caller's transaction ends, nobody else makes a revision.
pub async fn lock_files(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/lock_files.sql")).execute(connection).await?;
    Ok(())
}

/// Keeps every planner from deciding until the caller's transaction ends, so that the caller can decide what is due
/// under the old revision before it applies a new one.
pub async fn freeze(connection: &mut PgConnection) -> Result<Look, sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/freeze.sql")).execute(&mut *connection).await?;
    look(connection).await
}

/// Makes a set of files the current revision and gives its number. [`lock_files`], [`freeze`] and decide first.
///
/// Slots up to the transaction's time are over for every schedule: a new one and one that comes back count from
/// there, one whose cron was edited never decides an instant under both texts, and one that is gone just stops.
pub async fn apply(
    connection: &mut PgConnection,
    digest: &str,
    files: &BTreeMap<String, String>,
    entries: &[Entry],
    by: &str,
) -> Result<i64, sqlx::Error> {
    let id: i64 = sqlx::query_scalar(include_str!("../../sql/ledger/add_revision.sql"))
        .bind(digest)
        .bind(Json(files))
        .bind(by)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query(include_str!("../../sql/ledger/save_schedules.sql"))
        .bind(id)
        .bind(entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.job.clone()).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.enabled).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("../../sql/ledger/remove_schedules.sql")).bind(id).execute(&mut *connection).await?;
    call(connection).await?;
    Ok(id)
}
