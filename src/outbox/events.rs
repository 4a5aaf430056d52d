//! Events that wait for a decision, and what people are told of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// A settled fact that may be news.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Event {
    /// The event.
    pub id: Uuid,
    /// `failed`, `recovered`, `breached`, …: `sexton.event_kind`.
    pub kind: String,
    /// The job, or [`FILES`](super::FILES).
    pub subject: String,
    /// The run.
    pub run: Option<Uuid>,
    /// The first event of the same trouble; this one's own id where it starts one.
    pub incident: Uuid,
    /// The how-manieth of its kind in a row; for a recovery, how many failures it ends.
    pub repeat: i64,
    /// Who is to be told; empty means the log only.
    pub channels: Vec<String>,
    /// Everything that a message may want to say.
    pub detail: Value,
    /// When it became true.
    pub at: DateTime<Utc>,
    /// When people were last told of the incident.
    pub told_at: Option<DateTime<Utc>>,
}

/// What people are told, before a channel gives it its form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Stable over all tries: receivers de-duplicate by it.
    pub id: Uuid,
    /// The first event of the same trouble: mails thread by it.
    pub incident: Uuid,
    /// `problem`, `recovery` or `note`.
    pub severity: String,
    /// One line.
    pub title: String,
    /// What happened, a fact a line.
    pub lines: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// The command that shows more.
    pub next: Option<String>,
    /// The event's kind.
    pub event: String,
    /// The job, or the files.
    pub subject: String,
    /// The run.
    pub run: Option<Uuid>,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// Takes up to `limit` events that nobody has decided, oldest first, until the transaction ends; none while somebody
/// else is deciding.
///
/// One at a time, because what is decided about an event hangs on what was told of the events before it.
///
/// # Errors
/// The database's.
pub async fn undecided(connection: &mut PgConnection, limit: i64) -> Result<Vec<Event>, sqlx::Error> {
    // A statement of its own: the next one then sees all that the last holder committed.
    let ours: bool =
        sqlx::query_scalar(include_str!("../../sql/outbox/take_turn.sql")).fetch_one(&mut *connection).await?;
    if !ours {
        return Ok(Vec::new());
    }
    sqlx::query_as(include_str!("../../sql/outbox/undecided.sql")).bind(limit).fetch_all(connection).await
}

/// Says what was decided about an event.
///
/// # Errors
/// The database's.
pub async fn decided(connection: &mut PgConnection, event: Uuid, verdict: &str) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/outbox/decided.sql")).bind(event).bind(verdict).execute(connection).await?;
    Ok(())
}

/// Queues a message for a channel; it goes out at once, or not before a time.
///
/// # Errors
/// The database's.
pub async fn tell(
    connection: &mut PgConnection,
    event: Uuid,
    channel: &str,
    message: &Message,
    not_before: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/outbox/tell.sql"))
        .bind(message.id)
        .bind(event)
        .bind(channel)
        .bind(Json(message))
        .bind(not_before)
        .execute(connection)
        .await?;
    Ok(())
}

/// An event as people look at it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct LookedEvent {
    /// The event.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// The job, or the files.
    pub subject: String,
    /// The run.
    pub run: Option<Uuid>,
    /// The first event of the same trouble.
    pub incident: Uuid,
    /// The how-manieth of its kind in a row.
    pub repeat: i64,
    /// Who is to be told.
    pub channels: Vec<String>,
    /// Everything that a message may want to say.
    pub detail: Value,
    /// When it became true.
    pub at: DateTime<Utc>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// What was decided, and why.
    pub verdict: Option<String>,
}

/// The newest events.
///
/// # Errors
/// The database's.
pub async fn events(pool: &PgPool, limit: i64) -> Result<Vec<LookedEvent>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/outbox/events.sql")).bind(limit).fetch_all(pool).await
}
