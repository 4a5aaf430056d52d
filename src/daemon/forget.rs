//! The one door through which the queue's database forgets: what bounds each of its tables, and the hourly pass that
//! sees to it. `docs/retention.md` says the same for people; a test holds both against the tables that there are.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    backups::catalogue,
    db::forget::{Forget, forget},
    ledger::forget as ledger,
    outbox::forget as outbox,
    queue::{
        forget::{self as queue, Keep},
        log::{self, Upkept},
    },
    settings::Retention,
};

/// How often a daemon looks after it.
const EVERY: Duration = Duration::from_secs(3600);

/// What bounds a table.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// Its rows go, once they are this old.
    Age(Forget, fn(&Retention) -> Duration),
    /// Its rows go by what became of the run; some stay, see [`queue::history`](crate::queue::forget::history).
    History,
    /// Its days are dropped whole.
    Days,
    /// Its rows go with those of this table.
    With(&'static str),
    /// It does not grow by itself: why.
    Nature(&'static str),
}

use Bound::{Age, Days, History, Nature, With};

/// Every table of the schema, in the order in which they are looked after: what others refer to comes after them.
pub const BOUNDS: [(&str, Bound); 21] = [
    ("run_log", Days),
    ("history", History),
    ("run", Nature("what is not over")),
    ("progress", Age(queue::PROGRESS, |_| queue::PROGRESS_AFTER)),
    ("worker", Age(queue::WORKERS, |_| queue::WORKERS_AFTER)),
    ("spec", Age(queue::SPECS, |keep| keep.failed.0.max(keep.done.0))),
    ("lane", Age(queue::LANES, |_| queue::LANES_AFTER)),
    ("gate_rate", Age(queue::RATES, |_| queue::RATES_AFTER)),
    ("idempotency_key", Age(queue::KEYS, |_| queue::KEYS_AFTER)),
    ("event", Age(outbox::EVENTS, |keep| keep.events.0)),
    ("delivery", With("event")),
    ("health", Age(outbox::HEALTH, |keep| keep.events.0.max(keep.failed.0))),
    ("schedule", Age(ledger::SCHEDULES, |keep| keep.slots.0)),
    ("slot", Age(ledger::SLOTS, |keep| keep.slots.0)),
    ("schedule_pause", Age(ledger::PAUSES, |keep| keep.slots.0)),
    ("revision", Age(ledger::REVISIONS, |keep| keep.revisions.0)),
    ("daemon_files", Age(ledger::STATIONS, |_| ledger::STATIONS_AFTER)),
    ("backup", Age(catalogue::DELETED, |_| catalogue::DELETED_AFTER)),
    ("job", Nature("the jobs of the current revision")),
    ("installation", Nature("one row")),
    ("migration", Nature("one row for each version of the schema")),
];

/// What a pass did.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// Rows that went, by table; only tables that lost some.
    pub rows: Vec<(&'static str, u64)>,
    /// Days that were dropped, by the name of their partition.
    pub days: Vec<String>,
    /// What was left for the next pass, and why.
    pub left: Vec<String>,
}

impl Forgotten {
    fn take(&mut self, upkept: Upkept) {
        self.days.extend(upkept.dropped);
        // Another daemon does it at the same moment, or somebody reads; rows go to the default partition.
        self.left.extend(upkept.left);
    }
}

/// Forgets what is old, in batches; nobody who works waits for it. What fails in one table holds up no other.
pub async fn pass(pool: &PgPool, retention: &Retention) -> Forgotten {
    let mut forgotten = Forgotten::default();
    for (table, bound) in BOUNDS {
        let removed = match bound {
            Age(what, age) => forget(pool, what, age(retention)).await,
            History => {
                let keep = Keep { done: retention.done.0, failed: retention.failed.0, last: retention.last };
                let mut upkept = Upkept::default();
                let removed = queue::history(pool, keep, &mut upkept).await;
                forgotten.take(upkept);
                removed
            }
            Days => days(pool, retention.log.0, &mut forgotten).await,
            With(_) | Nature(_) => Ok(0),
        };
        match removed {
            Ok(0) => {}
            Ok(rows) => forgotten.rows.push((table, rows)),
            Err(error) => forgotten.left.push(format!("{table}: {error}")),
        }
    }
    forgotten
}

/// Makes the days of the log that come, and drops those that are over.
async fn days(pool: &PgPool, keep: Duration, forgotten: &mut Forgotten) -> Result<u64, sqlx::Error> {
    let upkept = log::upkeep(&mut *pool.acquire().await?, keep).await?;
    let removed = upkept.removed;
    forgotten.take(upkept);
    Ok(removed)
}

/// Looks after it at once, before the first runs log, and then every hour.
pub(super) async fn keep(pool: PgPool, retention: Retention, over: CancellationToken) {
    loop {
        let forgotten = tokio::select! {
            () = over.cancelled() => return,
            forgotten = pass(&pool, &retention) => forgotten,
        };
        for (table, rows) in &forgotten.rows {
            tracing::info!(table, rows, "{rows} old rows of {table} are forgotten");
        }
        for day in &forgotten.days {
            tracing::info!(partition = day, "an old day is forgotten: {day}");
        }
        // Somebody was at it; whatever else it is may be so in an hour, too.
        let (busy, broken): (Vec<_>, Vec<_>) = forgotten.left.iter().partition(|left| left.contains("lock timeout"));
        if !busy.is_empty() {
            tracing::debug!(left = ?busy, "what is old could not all be forgotten; it is tried in an hour");
        }
        for left in broken {
            tracing::warn!("what is old could not all be forgotten, and is tried again in an hour: {left}");
        }
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(EVERY) => {}
        }
    }
}
