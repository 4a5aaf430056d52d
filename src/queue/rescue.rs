//! What becomes of runs whose worker fell silent.
//!
//! A lease that ran out means that the worker is gone or cut off; its token is raised, so that it can never settle.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::follow::{Over, follow};

/// A run that was taken from a silent worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Rescued {
    /// The run.
    pub run: Uuid,
    /// The first run of its chain.
    pub chain: Uuid,
    /// Its job.
    pub job: String,
    /// The kind's name.
    pub kind: String,
    /// The snapshot, unread.
    pub spec: Value,
    /// The schedule that it comes from.
    pub schedule: Option<String>,
    /// Which attempt was lost.
    pub attempt: i32,
    /// The silent worker.
    pub worker: Option<Uuid>,
    /// What becomes of the run.
    pub fate: Fate,
}

/// What becomes of a rescued run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is ready for another attempt.
    Ready,
    /// It waits for a person, because the job says `on_lost = "hold"`.
    Held,
    /// It was the last attempt: failed.
    Failed,
    /// A cancel had been asked for, so it ends here.
    Cancelled {
        /// Who asked.
        by: String,
    },
}

/// Takes up to 500 lost runs from their workers, in the caller's transaction, and starts what follows on those that are
/// over.
///
/// `steady` is how long the rescuer itself has been in touch with the database without a break: one that was cut off
/// cannot tell a dead worker from one that was cut off with it, so it lets everybody have a whole lease first.
///
/// Every live run is read for it if a worker is silent, or if `all` asks for it.
pub async fn rescue(connection: &mut PgConnection, steady: Duration, all: bool) -> Result<Vec<Rescued>, sqlx::Error> {
    type Row = (Uuid, String, String, Value, Option<String>, i32, Option<Uuid>, String, Option<String>, Uuid, bool);
    let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/queue/rescue.sql"))
        .bind(steady.as_secs_f64())
        .bind(all)
        .fetch_all(&mut *connection)
        .await?;
    let over: Vec<Over> =
        rows.iter().filter(|row| row.10).map(|(run, .., chain, _)| Over { run: *run, chain: *chain }).collect();
    follow(connection, &over).await?;
    let read = |(run, job, kind, spec, schedule, attempt, worker, goes, cancel_by, chain, _): Row| {
        let fate = match goes.as_str() {
            "held" => Fate::Held,
            "failed" => Fate::Failed,
            "cancelled" => Fate::Cancelled { by: cancel_by.unwrap_or_default() },
            _ => Fate::Ready,
        };
        Rescued { run, chain, job, kind, spec, schedule, attempt, worker, fate }
    };
    Ok(rows.into_iter().map(read).collect())
}
