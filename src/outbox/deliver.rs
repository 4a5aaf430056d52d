//! Messages on their way: a row each until the receiver has it.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::Message;

/// How long a claimed message is kept from other senders; a send takes less.
const LEASE: Duration = Duration::from_secs(60);

/// A message to be sent now.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Delivery {
    /// The delivery; also the message's id.
    pub id: Uuid,
    /// The event that it tells of.
    pub event: Uuid,
    /// Where to.
    pub channel: String,
    /// What.
    pub message: Json<Message>,
    /// Which try this is, from 1.
    pub tries: i32,
}

/// Takes up to `most` messages of a channel that are due; each counts as a try.
///
/// A message waits for the older ones of its incident: nobody is to read "works again" before "failed".
///
/// # Errors
/// The database's.
pub async fn claim_deliveries(pool: &PgPool, channel: &str, most: i64) -> Result<Vec<Delivery>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/outbox/claim_deliveries.sql"))
        .bind(channel)
        .bind(most)
        .bind(LEASE.as_secs_f64())
        .fetch_all(pool)
        .await
}

/// The receiver has it.
///
/// # Errors
/// The database's; the message is then sent again under the same id.
pub async fn delivered(database: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/outbox/delivered.sql")).bind(id).execute(database).await?;
    Ok(())
}

/// Tries it again after `pause`.
///
/// # Errors
/// The database's; the message is then tried again when its lease is over.
pub async fn defer(database: impl PgExecutor<'_>, id: Uuid, pause: Duration, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/outbox/defer.sql"))
        .bind(id)
        .bind(pause.as_secs_f64())
        .bind(why)
        .execute(database)
        .await?;
    Ok(())
}

/// Gives it up: the receiver will never take it.
///
/// # Errors
/// The database's.
pub async fn bury(database: impl PgExecutor<'_>, id: Uuid, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/outbox/bury.sql")).bind(id).bind(why).execute(database).await?;
    Ok(())
}

/// Gives up what has waited longer than `patience` for channels that are none of `ours` and that nobody has tried in
/// that time: no daemon has them. Gives those messages.
///
/// # Errors
/// The database's.
pub async fn bury_orphans(
    database: impl PgExecutor<'_>,
    ours: &[String],
    patience: Duration,
    why: &str,
) -> Result<Vec<Delivery>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/outbox/bury_orphans.sql"))
        .bind(ours)
        .bind(patience.as_secs_f64())
        .bind(why)
        .fetch_all(database)
        .await
}

/// What is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, sqlx::FromRow)]
pub struct Pending {
    /// Events that nobody has decided.
    pub undecided: i64,
    /// Messages not yet delivered nor given up.
    pub pending: i64,
    /// Seconds until the next of them is due; negative when it is overdue.
    pub due_in: Option<f64>,
}

/// What is still to be done by these channels.
///
/// # Errors
/// The database's.
pub async fn pending(pool: &PgPool, channels: &[String]) -> Result<Pending, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/outbox/pending.sql")).bind(channels).fetch_one(pool).await
}

/// What waits for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Waits {
    /// Whether events wait for a decision.
    pub undecided: bool,
    /// How soon a message may be sent, by channel; 0 where one is due. A channel that has none is missing.
    pub due_in: BTreeMap<String, Duration>,
}

/// What waits for these channels.
///
/// # Errors
/// The database's.
pub async fn waiting(pool: &PgPool, channels: &[&str]) -> Result<Waits, sqlx::Error> {
    let (undecided, due_in): (bool, Json<BTreeMap<String, f64>>) =
        sqlx::query_as(include_str!("../../sql/outbox/waiting.sql")).bind(channels).fetch_one(pool).await?;
    let due_in = due_in.0.into_iter().map(|(channel, seconds)| {
        // Nobody sleeps for longer than a day without another look.
        (channel, Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)))
    });
    Ok(Waits { undecided, due_in: due_in.collect() })
}

/// A delivery as people look at it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Sent {
    /// The delivery; also the message's id.
    pub id: Uuid,
    /// The event that it tells of.
    pub event: Uuid,
    /// Where to.
    pub channel: String,
    /// What.
    pub message: Value,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Tries so far.
    pub tries: i32,
    /// When it is tried next.
    pub next_at: DateTime<Utc>,
    /// What the last try met.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub settled_at: Option<DateTime<Utc>>,
}

/// The newest deliveries.
///
/// # Errors
/// The database's.
pub async fn deliveries(pool: &PgPool, limit: i64) -> Result<Vec<Sent>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/outbox/deliveries.sql")).bind(limit).fetch_all(pool).await
}
