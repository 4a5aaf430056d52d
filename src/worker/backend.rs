//! How claimed runs pass through apalis.
//!
//! Our `Backend` is only the mouth of a channel: claiming, leases and acknowledgement live beside it, because apalis
//! drives a backend's own only between tasks and not while draining. The layer hands every ending to `settle`; no
//! error ever reaches the apalis worker, so it never dies of a task.

use std::{
    convert::Infallible,
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
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use super::{Ended, Shared, WorkerError, attempt::Attempt, guard, settle::Ack};

/// Does what comes out of `inbox` until it is closed and everything in it has ended.
pub(super) async fn run(
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Arc<Attempt>>,
    acks: mpsc::UnboundedSender<Ack>,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let inbox = Arc::new(Mutex::new(inbox));
    let name = format!("sexton-{}", shared.me.id);
    let monitor = Monitor::new().should_restart(move |_, _| !stop.is_cancelled()).register(move |_| {
        WorkerBuilder::new(name.as_str())
            .backend(Inbox { inbox: inbox.clone(), acks: acks.clone() })
            .data(shared.clone())
            .catch_panic()
            .parallelize(tokio::spawn)
            .build(work)
    });
    monitor.run().await.map_err(|error| WorkerError::Machinery(error.to_string()))
}

/// The handler that apalis calls for each task.
async fn work(attempt: Arc<Attempt>, shared: Data<Arc<Shared>>) -> Result<Ended, BoxDynError> {
    Ok(guard::guard(&shared, &attempt).await)
}

struct Inbox {
    inbox: Arc<Mutex<mpsc::Receiver<Arc<Attempt>>>>,
    acks: mpsc::UnboundedSender<Ack>,
}

impl Backend for Inbox {
    type Task = Task<Arc<Attempt>>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.poll_recv(context).map(|next| next.map(|attempt| Ok(TaskBuilder::new(attempt).build())))
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
    type Args = Arc<Attempt>;
    type Id = uuid::Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = AckLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AckLayer {
        AckLayer(self.acks.clone())
    }
}

/// Hands every ending to `settle`.
#[derive(Clone)]
struct AckLayer(mpsc::UnboundedSender<Ack>);

impl<S> Layer<S> for AckLayer {
    type Service = AckService<S>;

    fn layer(&self, inner: S) -> AckService<S> {
        AckService { inner, acks: self.0.clone() }
    }
}

#[derive(Clone)]
struct AckService<S> {
    inner: S,
    acks: mpsc::UnboundedSender<Ack>,
}

impl<S> Service<Task<Arc<Attempt>>> for AckService<S>
where
    S: Service<Task<Arc<Attempt>>, Response = Ended>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Arc<Attempt>>) -> Self::Future {
        let attempt = task.args.clone();
        let acks = self.acks.clone();
        let ending = self.inner.call(task);
        async move {
            let ended = match ending.await.map_err(Into::<BoxDynError>::into) {
                Ok(ended) => ended,
                Err(error) => guard::broke(&attempt, &*error),
            };
            // The settler ends only after every sender is gone.
            let _ = acks.send(Ack { attempt, ended });
            Ok(())
        }
        .boxed()
    }
}
