//! Idempotency keys: a request that comes twice makes one run.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

/// The longest key, in characters.
pub const LONGEST: usize = 255;

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Kept {
    /// The run.
    pub run: Uuid,
    /// Whether it was asked for with the same parameters.
    pub same: bool,
}

/// Takes a key for a run in the caller's transaction, or gives the run that has it. Waits for a transaction that is taking
/// it.
///
/// # Errors
/// The database's; so below.
pub async fn take_key(
    connection: &mut PgConnection,
    job: &str,
    key: &str,
    params: &BTreeMap<String, Value>,
    run: Uuid,
) -> Result<Kept, sqlx::Error> {
    let take = sqlx::query_as(include_str!("../../sql/queue/take_key.sql"));
    take.bind(job).bind(key).bind(Json(params)).bind(run).fetch_one(connection).await
}

/// What a key stands for, if it was used.
pub async fn find_key(
    connection: &mut PgConnection,
    job: &str,
    key: &str,
    params: &BTreeMap<String, Value>,
) -> Result<Option<Kept>, sqlx::Error> {
    let find = sqlx::query_as(include_str!("../../sql/queue/find_key.sql"));
    find.bind(job).bind(key).bind(Json(params)).fetch_optional(connection).await
}
