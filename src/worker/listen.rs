//! Hears when there may be something to do. Only a hint: whoever hears nothing looks by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::{
    db,
    queue::{CANCEL, CHANNEL},
};

/// Whether notifications reach us.
#[derive(Debug, Clone, Default)]
pub(super) struct Listening(Arc<AtomicBool>);

impl Listening {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens until `over`, on a connection of its own.
pub(super) async fn keep(shared: Arc<Shared>, listening: Listening, over: CancellationToken) {
    loop {
        let heard = tokio::select! {
            () = over.cancelled() => return,
            heard = listen(&shared, &listening) => heard,
        };
        listening.0.store(false, Ordering::Relaxed);
        if let Err(error) = heard {
            tracing::debug!(%error, "notifications do not arrive; looking every second instead");
        }
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(Duration::from_secs(2)) => {}
        }
    }
}

async fn listen(shared: &Shared, listening: &Listening) -> Result<(), sqlx::Error> {
    // The heartbeat's login leads to the server itself, also where the others lead through a pooler.
    let options = shared.beat_pool.connect_options();
    let mut moves = db::moves();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options.as_ref().clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    listening.0.store(true, Ordering::Relaxed);
    // Listen before looking: what was told in between would be lost.
    shared.wake.notify_one();
    loop {
        let heard = tokio::select! {
            heard = listener.try_recv() => heard?,
            // A server that was left may go on saying nothing.
            _ = moves.changed() => return Ok(()),
        };
        let Some(notification) = heard else { break };
        if notification.payload() == CANCEL {
            shared.asks.fetch_add(1, Ordering::Relaxed);
            shared.poke.notify_one();
        } else {
            shared.wake.notify_one();
        }
    }
    Ok(())
}
