//! What of the queue is forgotten, and what of its history stays.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    history::{parts, upkeep},
    log::Upkept,
};
use crate::{
    db::forget::{BATCH, Forget, Pace, turn},
    state::Final,
};

/// How long an idempotency key is kept: whoever asks again later makes a new run.
pub const KEYS_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Idempotency keys.
pub const KEYS: Forget = Forget { statement: include_str!("../../sql/queue/forget_keys.sql") };

/// When workers that are silent and hold nothing are gone for good.
pub const WORKERS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Workers.
pub const WORKERS: Forget = Forget { statement: include_str!("../../sql/queue/forget_workers.sql") };

/// Snapshots that no run has, once nothing was enqueued with them for as long as runs are kept.
pub const SPECS: Forget = Forget { statement: include_str!("../../sql/queue/forget_specs.sql") };

/// How long a lane is kept that nothing is enqueued in.
pub const LANES_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// Lanes that neither a run nor a snapshot has.
pub const LANES: Forget = Forget { statement: include_str!("../../sql/queue/forget_lanes.sql") };

/// How long a rate is kept that is whole.
pub const RATES_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Rates that say nothing any more.
pub const RATES: Forget = Forget { statement: include_str!("../../sql/queue/forget_rates.sql") };

/// How long it is kept how far a run was that is over.
pub const PROGRESS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How far runs were that are over, where an attempt that had lost its run wrote it down at the last moment.
pub const PROGRESS: Forget = Forget { statement: include_str!("../../sql/queue/forget_progress.sql") };

/// What of the history stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How long runs stay that were done or skipped.
    pub done: Duration,
    /// How long runs stay that failed or were cancelled, and can be retried.
    pub failed: Duration,
    /// How many runs of each job stay however old they are; at least one.
    pub last: u32,
}

/// How far a walk through the history is.
type Place = (Option<DateTime<Utc>>, Option<Uuid>);

/// Looks after the partitions of the history (those that come are made, old ones dropped), and removes old runs that lie
/// in none, batch after batch; how many. Each job keeps its last runs and its last success, and a chain whatever a run of
/// it that lives or can be retried goes on from.
///
/// # Errors
/// The database's.
pub async fn history(pool: &PgPool, keep: Keep, upkept: &mut Upkept) -> Result<u64, sqlx::Error> {
    upkeep(pool, keep, upkept).await?;
    let mut removed = 0;
    for part in parts(keep) {
        removed += walk(pool, &part.states, part.keep, keep.last).await?;
    }
    Ok(removed)
}

/// One walk, from the oldest run on, so that what stays is looked at once.
async fn walk(pool: &PgPool, states: &[Final], age: Duration, last: u32) -> Result<u64, sqlx::Error> {
    let states: Vec<String> = states.iter().map(|state| state.word().to_owned()).collect();
    let mut place: Place = (None, None);
    let mut removed = 0;
    loop {
        let pace = Pace::start();
        let Some(mut transaction) = turn(pool).await? else { return Ok(removed) };
        let (looked, gone, at, id): (i64, i64, Option<DateTime<Utc>>, Option<Uuid>) =
            sqlx::query_as(include_str!("../../sql/queue/forget_history.sql"))
                .bind(&states)
                .bind(age)
                .bind(place.0)
                .bind(place.1)
                .bind(BATCH)
                .bind(i64::from(last.max(1)))
                .fetch_one(&mut *transaction)
                .await?;
        transaction.commit().await?;
        removed += gone.cast_unsigned();
        if looked < BATCH {
            return Ok(removed);
        }
        place = (at, id);
        pace.rest().await;
    }
}
