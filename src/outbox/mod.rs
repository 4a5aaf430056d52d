//! The one door to events, health and deliveries.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::expect::Breach;

/// A settled fact.
#[derive(Debug, Clone)]
pub struct Fact {
    /// See the outbox.
    pub job: String,
    /// See the outbox.
    pub run: Option<Uuid>,
    /// See the outbox.
    pub at: DateTime<Utc>,
    /// See the outbox.
    pub what: What,
    /// See the outbox.
    pub channels: Vec<String>,
    /// See the outbox.
    pub detail: serde_json::Value,
}

/// A settled fact.
#[derive(Debug, Clone)]
pub enum What {
    /// See the outbox.
    Done {
        /// See the outbox.
        breaches: Vec<Breach>,
    },
    /// See the outbox.
    Skipped,
    /// See the outbox.
    Failed,
    /// See the outbox.
    Cancelled,
    /// See the outbox.
    Held,
    /// See the outbox.
    Lost,
}

/// A settled fact.
pub async fn record(_: &mut PgConnection, _: &[Fact]) -> Result<(), sqlx::Error> {
    Ok(())
}
