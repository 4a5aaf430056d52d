//! Takes runs from workers that fell silent.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Shared, facts, failing, identity,
    wire::{LIMIT, Wire, WireError},
};
use crate::{
    fault,
    metrics::RESCUED,
    outbox,
    queue::{self, Fate, Rescued},
};

/// How often all that runs is looked at, although no worker seems silent.
const ALL: Duration = Duration::from_secs(60);
/// How long after its beginning a worker does so for the first time: it has work to begin first.
const FIRST: Duration = Duration::from_secs(10);

/// Looks for lost runs until `over`.
pub(super) async fn keep(shared: Arc<Shared>, over: CancellationToken) {
    let mut wire = Wire::new(shared.pool.clone()).beside(shared.contact.clone()).patience(LIMIT);
    let mut all_at = Instant::now() + FIRST;
    let mut alone = false;
    loop {
        let all = all_at <= Instant::now();
        let looked = look(&shared, &mut wire, all).await;
        if all {
            all_at = Instant::now() + ALL;
        }
        match looked {
            Ok(looked) => {
                alone = looked.alone;
                if !looked.rescued.is_empty() {
                    looked.rescued.iter().for_each(tell);
                    shared.wake.notify_one();
                    queue::nudge(&shared.pool).await;
                }
            }
            // The heartbeat and the dispatcher say so already.
            Err(error) => tracing::debug!(%error, "cannot look for lost runs"),
        }
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(shared.options.beat / 3 * if alone { 2 } else { 1 }) => {}
        }
    }
}

/// What a look found.
struct Looked {
    rescued: Vec<Rescued>,
    /// Nobody else is on this machine whose end we would see at once: others are rescued when their leases are over, and
    /// that is not to the second.
    alone: bool,
}

async fn look(shared: &Shared, wire: &mut Wire, all: bool) -> Result<Looked, WireError> {
    let in_touch = shared.in_touch();
    let steady = shared.contact.borrow().filter(|_| in_touch).map_or(Duration::ZERO, |contact| contact.since.elapsed());
    wire.with(async |connection| {
        let mut transaction = connection.begin().await?;
        let alone = bury_the_dead(shared, &mut transaction).await?;
        let rescued = queue::rescue(&mut transaction, steady, all).await?;
        let mut news = facts::of_rescued(&rescued);
        news.extend(failing::pause(&mut transaction, &failing::of_rescued(&rescued)).await?);
        if !news.is_empty() {
            outbox::record(&mut transaction, &news).await?;
        }
        if !rescued.is_empty() {
            fault::point("rescue.written").await?;
        }
        transaction.commit().await?;
        if !rescued.is_empty() {
            fault::point("rescue.committed").await?;
        }
        Ok(Looked { rescued, alone })
    })
    .await
}

/// Ends the leases of workers that we can see are dead: processes on this machine that are no more. True if there is no
/// other one.
async fn bury_the_dead(shared: &Shared, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let Some(prefix) = shared.me.process.as_deref().and_then(identity::neighbourhood) else { return Ok(true) };
    let mut neighbours = queue::neighbours(&mut *connection, prefix).await?;
    neighbours.retain(|worker| worker.id != shared.me.id);
    let dead: Vec<_> =
        neighbours.iter().filter(|worker| identity::is_dead(&worker.process)).map(|worker| worker.id).collect();
    if dead.is_empty() {
        return Ok(neighbours.is_empty());
    }
    tracing::info!(workers = dead.len(), "a daemon on this machine ended without a goodbye; taking over its runs");
    queue::bury(connection, &dead).await?;
    Ok(false)
}

fn tell(rescued: &Rescued) {
    let (fate, what) = match &rescued.fate {
        Fate::Ready => ("ready", "is ready for another attempt"),
        Fate::Held => ("held", "is held for a person to retry or cancel"),
        Fate::Failed => ("failed", "has failed: that was its last attempt"),
        Fate::Cancelled { .. } => ("cancelled", "is cancelled, as was asked"),
    };
    metrics::counter!(RESCUED, "fate" => fate).increment(1);
    tracing::warn!(run.id = %rescued.run, job = %rescued.job, attempt = rescued.attempt, "{} lost its worker and {what}", rescued.job);
}
