//! Keeps the room of runs' logs: a partition for each day, none for what is too old; and forgets old idempotency keys.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::queue::{self, log};

/// How long lines are kept.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(3600);

/// Looks after it at once, before the first lines come, and then every hour.
pub(super) async fn keep(pool: PgPool, over: CancellationToken) {
    while !over.is_cancelled() {
        let upkeep = async { log::upkeep(&mut *pool.acquire().await?, KEEP).await };
        match upkeep.await {
            Ok(upkept) => {
                for dropped in &upkept.dropped {
                    tracing::info!(partition = dropped, "what runs logged on an old day is forgotten: {dropped}");
                }
                if !upkept.left.is_empty() {
                    // Another daemon does it at the same moment, or somebody reads; lines go to the default partition.
                    tracing::debug!(left = ?upkept.left, "partitions of the log of runs are left for the next time");
                }
            }
            Err(error) => tracing::debug!(%error, "the log of runs could not be looked after; it is tried in an hour"),
        }
        let pruning = async { queue::prune_keys(&mut *pool.acquire().await?, queue::KEPT).await };
        if let Err(error) = pruning.await {
            tracing::debug!(%error, "old idempotency keys could not be forgotten; it is tried in an hour");
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}
