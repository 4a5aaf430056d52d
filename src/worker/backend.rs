//! How claimed runs pass through apalis.
//!
//! Our `Backend` is only the mouth of a channel: claiming, leases and acknowledgement live beside it, because apalis
//! drives a backend's own only between tasks and not while draining. A task is a [`Hand`] of runs, and hands every
//! ending to `settle`; no error ever reaches the apalis worker, so it never dies of a task.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use apalis::{
    layers::WorkerBuilderExt,
    prelude::{BoxDynError, Data, Monitor, Task, TaskBuilder, WorkerBuilder, WorkerContext},
};
use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    worker::ext::parallelize::ParallelizeExt,
};
use futures::{FutureExt, poll};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower::layer::util::Identity;

use super::{Shared, WorkerError, attempt::Attempt, guard, settle::Ack};

/// Runs that were claimed together and are begun by one task: of short ones, a task for each would be most of the work.
pub(super) type Hand = Arc<[Arc<Attempt>]>;

/// Where endings go.
pub(super) type Acks = mpsc::UnboundedSender<Vec<Ack>>;

/// Does what comes out of `inbox` until it is closed and everything in it has ended.
pub(super) async fn run(
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Hand>,
    acks: Acks,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let inbox = Arc::new(Mutex::new(inbox));
    let name = format!("sexton-{}", shared.me.id);
    let monitor = Monitor::new().should_restart(move |_, _| !stop.is_cancelled()).register(move |_| {
        WorkerBuilder::new(name.as_str())
            .backend(Inbox(inbox.clone()))
            .data(shared.clone())
            .data(acks.clone())
            .catch_panic()
            .parallelize(tokio::spawn)
            .build(work)
    });
    monitor.run().await.map_err(|error| WorkerError::Machinery(error.to_string()))
}

/// The handler that apalis calls for each task: begins every run of a hand. Whatever does not end at once goes on in a
/// task of its own.
async fn work(hand: Hand, shared: Data<Arc<Shared>>, acks: Data<Acks>) -> Result<(), BoxDynError> {
    let mut going = JoinSet::new();
    let mut ended = Vec::new();
    for attempt in hand.iter() {
        let mut ending = Box::pin(end(Arc::clone(&shared), Arc::clone(attempt)));
        match poll!(&mut ending) {
            Poll::Ready(ack) => ended.push(ack),
            Poll::Pending => {
                going.spawn(ending);
            }
        }
    }
    // The settler ends only after every sender is gone.
    let _ = acks.send(ended);
    while let Some(ended) = going.join_next().await {
        let _ = acks.send(vec![ended?]);
    }
    Ok(())
}

/// Does one attempt; that its guard breaks is its own ending and nobody else's.
pub(super) async fn end(shared: Arc<Shared>, attempt: Arc<Attempt>) -> Ack {
    let guarded = AssertUnwindSafe(guard::guard(&shared, &attempt)).catch_unwind().await;
    let ended = guarded.unwrap_or_else(|panic| guard::broke(&attempt, &*panic));
    Ack { attempt, ended }
}

struct Inbox(Arc<Mutex<mpsc::Receiver<Hand>>>);

impl Backend for Inbox {
    type Task = Task<Hand>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.poll_recv(context).map(|next| next.map(|hand| Ok(TaskBuilder::new(hand).build())))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        // The inbox is closed and everything has ended. A worker whose backend has ended waits to be told so.
        if let Err(error) = worker.stop() {
            tracing::debug!(%error, "the apalis worker had stopped already");
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Inbox {
    type Args = Hand;
    type Id = uuid::Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
