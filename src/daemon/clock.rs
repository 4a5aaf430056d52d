//! Measures this machine's clock against the database's, at the start and every ten minutes, and says so when they differ.

use std::time::{Duration, Instant};

use chrono::Utc;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    ledger,
    metrics::CLOCK_SKEW,
    skew::{Shown, Skew},
};

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(600);
/// How soon again where it could not be.
const AGAIN: Duration = Duration::from_secs(30);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of so many answers the quickest counts: it says most exactly when it was given.
const ANSWERS: usize = 3;

/// Measures until `over`.
pub(super) async fn keep_measuring(pool: PgPool, shown: Shown, over: CancellationToken) {
    while !over.is_cancelled() {
        let measured = tokio::select! {
            () = over.cancelled() => return,
            measured = measure(&pool) => measured,
        };
        if let Some(skew) = measured {
            metrics::gauge!(CLOCK_SKEW).set(skew.ahead.as_seconds_f64());
            tell(skew, shown.set(skew));
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = sleep(if measured.is_some() { EVERY } else { AGAIN }) => {}
        }
    }
}

/// The most exact of a few measurements; nothing while the database does not answer, which others say already.
async fn measure(pool: &PgPool) -> Option<Skew> {
    let mut connection = pool.acquire().await.ok()?;
    let mut best: Option<Skew> = None;
    for _ in 0..ANSWERS {
        let (asked_at, begun) = (Utc::now(), Instant::now());
        let database = timeout(PATIENCE, ledger::clock(&mut connection)).await.ok()?.ok()?;
        let skew = Skew::between(asked_at, begun.elapsed(), database);
        best = Some(best.map_or(skew, |best| best.or(skew)));
    }
    best
}

fn tell(skew: Skew, before: Option<Skew>) {
    let was_told = before.is_some_and(|before| before.is_too_far());
    if skew.is_too_far() {
        let help = "set the clock that is wrong (on each machine: timedatectl, or chronyc tracking)";
        tracing::warn!(
            help,
            ahead_seconds = skew.ahead.as_seconds_f64(),
            "{skew}: no slot is lost or doubled, as the database's clock decides, but the times in this daemon's log and \
             in the names of its backups are wrong, or every slot comes at the wrong time"
        );
    } else if was_told {
        tracing::info!("{skew}: they agree again");
    }
}
