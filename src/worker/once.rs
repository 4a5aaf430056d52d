//! One run, now, in this process: what `sexton once` does.
//!
//! The run is enqueued already leased to this process, so no daemon ever sees it as ready; the same guard, lease and
//! settling hold for it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use super::{Ended, Shared, Worker, attempt::Stopped, backend, lease, log, progress, settle, wire::Wire};
use crate::{
    kinds::Progress,
    queue::{EnqueueError, NewRun, SettledRow, depart, enqueue_leased},
};

/// How a run in the foreground ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Once {
    /// The run.
    pub run: Uuid,
    /// How its attempt ended.
    pub ended: Ended,
    /// What the queue made of it; [`Stale`](crate::queue::Verdict::Stale) says that the lease was lost and that this
    /// ending does not count.
    pub settled: Option<SettledRow>,
}

/// Why a run in the foreground could not be done or written down.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The queue's database did not answer.
    #[error("the queue's database does not answer; check [database] in sexton.toml and that it is running")]
    Database,
    /// The run could not be made.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// How it ended could not be written down.
    #[error(
        "the run {0} ended, but its ending could not be written down; a daemon takes it over when its lease is over"
    )]
    Unsettled(Uuid),
}

/// Runs `run` now and waits for its end. It is tried once, whatever its job says; `stop` cancels it in the name of who
/// asked for it. `progress` tells how far it is.
pub async fn once(
    worker: Worker,
    mut run: NewRun,
    progress: watch::Sender<Option<Progress>>,
    stop: CancellationToken,
) -> Result<Once, OnceError> {
    run.spec.retry.attempts = 1;
    let by = run.requested_by.clone();
    let (shared, contact) = Shared::new(worker);
    let over = CancellationToken::new();
    let _end_helpers = over.clone().drop_guard();
    tokio::spawn(lease::keep(shared.clone(), contact, over.clone()));
    tokio::spawn(progress::keep(shared.clone(), over.clone()));
    let _log = AbortOnDropHandle::new(tokio::spawn(log::keep(shared.pool.clone(), shared.log.clone())));
    let mut known = shared.contact.clone();
    timeout(Duration::from_secs(15), known.wait_for(Option::is_some))
        .await
        .map_err(|_| OnceError::Database)?
        .map_err(|_| OnceError::Database)?;

    let attempt = {
        let _claiming = shared.claiming.lock().await;
        let claimed = enqueue_leased(&shared.pool, &run, shared.me.id).await?;
        shared.active.enter(claimed, progress)
    };
    shared.poke.notify_one();
    let work = tokio::spawn(backend::end(Arc::clone(&shared), Arc::clone(&attempt)));
    tokio::pin!(work);
    let joined = tokio::select! {
        joined = &mut work => joined,
        () = stop.cancelled() => {
            attempt.stop.because(Stopped::Cancelled { by, at_once: false });
            work.await
        }
    };
    let id = attempt.claimed.id;
    let ack = joined.map_err(|_| OnceError::Unsettled(id))?;
    let ended = ack.ended.clone();
    let mut wire = Wire::new(shared.pool.clone()).beside(shared.contact.clone());
    let rows = timeout(super::FLUSH, settle::write(&shared, &mut wire, vec![ack]))
        .await
        .map_err(|_| OnceError::Unsettled(id))?;
    if let Err(error) = depart(&shared.pool, shared.me.id).await {
        tracing::debug!(%error, "could not say goodbye to the queue");
    }
    Ok(Once { run: id, ended, settled: rows.into_iter().next() })
}
