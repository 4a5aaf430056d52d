//! What slots have made of their job: the runs of some slots, and how long a run usually takes.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

/// The run of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct SlotRun {
    /// The run.
    pub id: Uuid,
    /// The slot.
    pub nominal_at: DateTime<Utc>,
    /// Its state.
    pub state: String,
    /// Who asked for it.
    pub requested_by: String,
}

impl SlotRun {
    /// Whether it is still to end.
    pub fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "waiting" | "ready" | "running" | "retrying" | "held")
    }
}

/// The runs that the slots in `from <= slot < to` have or had, also by a backfill; the oldest first.
///
/// # Errors
/// The database's; so below.
pub async fn of_slots(
    database: impl PgExecutor<'_>,
    job: &str,
    schedule: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<SlotRun>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/of_slots.sql"))
        .bind(job)
        .bind(schedule)
        .bind(from)
        .bind(to)
        .fetch_all(database)
        .await
}

/// How long a run of each job usually takes; a job of which none was done yet is left out.
pub async fn usual(database: impl PgExecutor<'_>, jobs: &[String]) -> Result<HashMap<String, Duration>, sqlx::Error> {
    let rows: Vec<(String, Option<f64>)> =
        sqlx::query_as(include_str!("../../sql/queue/usual.sql")).bind(jobs).fetch_all(database).await?;
    let known = rows.into_iter().filter_map(|(job, seconds)| Some((job, Duration::try_from_secs_f64(seconds?).ok()?)));
    Ok(known.collect())
}
