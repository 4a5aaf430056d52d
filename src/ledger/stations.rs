//! Which files each daemon has on disk: the active ones, others, or broken ones.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::call::call;

/// How a daemon's files stand to the active revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum FilesState {
    /// They are it.
    Current,
    /// They are good and others.
    Drifted,
    /// They cannot be used.
    Broken,
}

/// What a daemon says of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// The daemon's process.
    pub daemon: Uuid,
    /// Where its files are.
    pub folder: String,
    /// What tells them from others.
    pub digest: String,
    /// How they stand.
    pub state: FilesState,
    /// What is wrong, unless they are current.
    pub why: Option<String>,
}

/// What a daemon said of its files, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct KnownStation {
    /// The daemon's process.
    pub daemon: Uuid,
    /// Its machine.
    pub host: String,
    /// Its process id there.
    pub pid: i32,
    /// Where its files are.
    pub folder: String,
    /// What tells them from others.
    pub digest: String,
    /// How they stand.
    pub state: FilesState,
    /// What is wrong, unless they are current.
    pub why: Option<String>,
    /// Since when they stand so.
    pub at: DateTime<Utc>,
    /// When the daemon last said that it lives.
    pub seen_at: DateTime<Utc>,
}

/// What is active, and how many others have files that differ or are broken.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Pulse {
    /// The active revision.
    pub revision: i64,
    /// What tells its content from another.
    pub digest: String,
    /// Who applied it.
    pub applied_by: String,
    /// Live daemons whose files are not current, without the one that asks.
    pub others: i64,
    /// Whether anything is written down of the one that asks.
    pub known: bool,
}

/// Writes down what a daemon says, and gives the number of other live daemons whose files are not current.
///
/// # Errors
/// The database's; so below.
pub async fn save_station(connection: &mut PgConnection, station: &Station) -> Result<i64, sqlx::Error> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Whether trouble is over everywhere is for the others to see.
    call(&mut *connection).await?;
    sqlx::query_scalar(include_str!("../../sql/ledger/save_station.sql"))
        .bind(station.daemon)
        .bind(host.trim())
        .bind(std::process::id().cast_signed())
        .bind(&station.folder)
        .bind(&station.digest)
        .bind(station.state)
        .bind(&station.why)
        .fetch_one(connection)
        .await
}

/// Says that a daemon lives, and asks what is active; `None` before the first revision.
pub async fn pulse(pool: &PgPool, daemon: Uuid) -> Result<Option<Pulse>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/pulse.sql")).bind(daemon).fetch_optional(pool).await
}

/// Forgets a daemon that leaves.
pub async fn forget_station(pool: &PgPool, daemon: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/forget_station.sql")).bind(daemon).execute(pool).await?;
    Ok(())
}

/// What the daemons that live say of their files.
pub async fn stations(pool: &PgPool) -> Result<Vec<KnownStation>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/stations.sql")).fetch_all(pool).await
}
