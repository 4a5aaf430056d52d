//! What planners and people see of schedules and slots.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::Decided;

/// How things stand, at one instant of the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The database's time.
    pub now: DateTime<Utc>,
    /// The newest revision; `None` before the first.
    pub revision: Option<i64>,
    /// Every schedule that is on, by name.
    pub watermarks: Vec<Watermark>,
}

/// How far a schedule is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The schedule.
    pub schedule: String,
    /// Every slot at or before this instant has its decision.
    pub at: DateTime<Utc>,
    /// The revision whose words decide its slots.
    pub revision: i64,
}

/// A schedule as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct KnownSchedule {
    /// Its name.
    pub name: String,
    /// Its job.
    pub job: String,
    /// Every slot at or before this instant has its decision.
    pub watermark: DateTime<Utc>,
    /// The revision that it was last part of.
    pub revision: i64,
    /// Whether it is on.
    pub enabled: bool,
    /// When the files no longer had it.
    pub removed_at: Option<DateTime<Utc>>,
}

/// A decision, as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow)]
pub struct RecentSlot {
    /// The schedule.
    pub schedule: String,
    /// The slot; of a range, the first.
    pub nominal_at: DateTime<Utc>,
    /// The last slot of the range.
    pub until: DateTime<Utc>,
    /// How many slots it covers.
    pub slots: i64,
    /// The word.
    #[sqlx(try_from = "String")]
    pub decision: Decided,
    /// Why.
    pub reason: String,
    /// How late the decision was, in seconds.
    pub lateness: f64,
    /// The revision whose words decided it.
    pub revision: i64,
    /// The planner that did.
    pub decided_by: Uuid,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// The run that it made.
    pub run: Option<Uuid>,
}

/// Looks once, for planning.
///
/// # Errors
/// The database's; so below.
pub async fn look(connection: &mut PgConnection) -> Result<Look, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/ledger/look.sql")).fetch_all(connection).await?;
    let mut look = Look {
        now: rows.first().map_or(DateTime::UNIX_EPOCH, |row| row.now),
        revision: rows.first().and_then(|row| row.revision),
        watermarks: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        if let (Some(schedule), Some(at), Some(revision)) = (row.name, row.watermark, row.held) {
            look.watermarks.push(Watermark { schedule, at, revision });
        }
    }
    Ok(look)
}

/// What a planner asks for most.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Glance {
    /// The database's time.
    pub now: DateTime<Utc>,
    /// The newest revision; `None` before the first.
    pub revision: Option<i64>,
    /// Another text whenever a pause begins or ends.
    pub pauses: String,
}

/// Looks whether anything has changed.
pub async fn glance(connection: &mut PgConnection) -> Result<Glance, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/glance.sql")).fetch_one(connection).await
}

/// The database's clock at this very moment.
pub async fn clock(connection: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../sql/ledger/clock.sql")).fetch_one(connection).await
}

/// The newest decisions, of one schedule or of all.
pub async fn slots(pool: &PgPool, schedule: Option<&str>, limit: i64) -> Result<Vec<RecentSlot>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/slots.sql")).bind(schedule).bind(limit).fetch_all(pool).await
}

/// Every schedule that the ledger knows, also removed ones.
pub async fn schedules(pool: &PgPool) -> Result<Vec<KnownSchedule>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/ledger/schedules.sql")).fetch_all(pool).await
}

#[derive(FromRow)]
struct Row {
    now: DateTime<Utc>,
    revision: Option<i64>,
    name: Option<String>,
    watermark: Option<DateTime<Utc>>,
    held: Option<i64>,
}
