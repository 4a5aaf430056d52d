//! Claims runs, does them under guard, and settles them.
//!
//! ```text
//! dispatch ──▶ apalis (Monitor, Worker, layers) ──▶ guard ──▶ kind
//!    ▲ wake                                           │ Ending
//!  listen, poll   lease  rescue  strays  progress     ▼
//!                    (beside, never in the way)    settle ──▶ run row + event row, one transaction
//! ```
//!
//! apalis carries the tasks; this module owns what must survive: what is claimed never exceeds the free slots, the
//! lease is renewed beside the work and through the drain, and an ending is kept until Postgres has it.

mod attempt;
mod backend;
mod dispatch;
mod facts;
mod failing;
mod guard;
mod identity;
mod lease;
mod listen;
mod log;
mod once;
mod progress;
mod rescue;
mod settle;
mod strays;
mod wire;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    sync::{Mutex, Notify, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    kinds::{Entry, Env, find},
    queue::{WorkerInfo, depart},
};
use attempt::{Active, Stopped};
use lease::Contact;
use strays::Doubt;

pub use guard::Ended;
pub use log::layer as log_layer;
pub use once::{Once, OnceError, once};

/// What a worker is made of.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The queue's database, for claiming and settling.
    pub pool: PgPool,
    /// The queue's database, for the heartbeat alone, so that no amount of work can keep it waiting. Connections are
    /// taken out of it, so one or two are plenty.
    pub beat_pool: PgPool,
    /// What every run may use.
    pub env: Arc<Env>,
    /// Finds a kind by name: [`find`] but in tests and benchmarks.
    pub kinds: fn(&str) -> Option<&'static Entry>,
    /// How it works.
    pub options: Options,
}

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Runs at a time, at least 1.
    pub slots: usize,
    /// How long running work may go on once the worker was told to stop; then it is interrupted and given back.
    pub grace: Duration,
    /// How long an attempt that was told to stop has until it is dropped and its children are killed.
    pub stop_grace: Duration,
    /// How often the worker says that it is alive; more often when a lease is short.
    pub beat: Duration,
    /// How often it looks for work without being woken; every second while notifications do not reach it.
    pub poll: Duration,
    /// Labels that runs may need, beside the targets and vaults of its environment.
    pub labels: Vec<String>,
    /// Whether to listen for notifications: they need a direct or session-pooled connection.
    pub listen: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: 8,
            grace: Duration::from_secs(30),
            stop_grace: Duration::from_secs(10),
            beat: Duration::from_secs(15),
            poll: Duration::from_secs(5),
            labels: Vec::new(),
            listen: true,
        }
    }
}

impl Worker {
    /// A worker with all kinds and the default options.
    pub fn new(pool: PgPool, beat_pool: PgPool, env: Arc<Env>) -> Self {
        Self { pool, beat_pool, env, kinds: find, options: Options::default() }
    }
}

/// Why a worker ended early.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The task machinery gave up; leases run out and other workers take over.
    #[error("the worker broke down: {0}; its runs are taken over when their leases are over")]
    Machinery(String),
    /// Endings could not be written before the time at exit was over.
    #[error(
        "the database did not take the last endings within {0:?}; these runs are taken over when their leases are over"
    )]
    Unflushed(Duration),
}

/// How long the last endings may take to reach the database when the worker ends.
const FLUSH: Duration = Duration::from_secs(60);

/// What the parts of one worker share.
#[derive(Debug)]
struct Shared {
    me: WorkerInfo,
    pool: PgPool,
    beat_pool: PgPool,
    env: Arc<Env>,
    kinds: fn(&str) -> Option<&'static Entry>,
    options: Options,
    /// What runs may need of this worker.
    has: Vec<String>,
    active: Active,
    /// Where what runs log waits to be written down.
    log: Arc<log::Desk>,
    contact: watch::Receiver<Option<Contact>>,
    /// Held while a claim is on its way, so that what the database says we hold can be told from what we lost sight of.
    claiming: Mutex<()>,
    /// Raised when we may hold runs that we do not know of.
    doubt: Doubt,
    /// Whether runs wait behind others of their job, so that an ending may let one go on.
    behind: AtomicBool,
    /// There may be something to claim.
    wake: Notify,
    /// Somebody asked for a cancel or a pause, or a short lease was taken: beat now.
    poke: Notify,
    /// How often somebody has asked. A run whose claim is on its way is in no heartbeat's question yet, so another is needed once
    /// it is known.
    asks: AtomicU64,
}

impl Shared {
    fn new(worker: Worker) -> (Arc<Self>, watch::Sender<Option<Contact>>) {
        let (said, contact) = watch::channel(None);
        let shared = Self {
            me: identity::me(),
            pool: worker.pool,
            beat_pool: worker.beat_pool,
            kinds: worker.kinds,
            has: identity::has(&worker.env, &worker.options.labels),
            env: worker.env,
            options: worker.options,
            active: Active::default(),
            log: Arc::default(),
            contact,
            claiming: Mutex::new(()),
            doubt: Doubt::default(),
            behind: AtomicBool::new(false),
            wake: Notify::new(),
            poke: Notify::new(),
            asks: AtomicU64::new(0),
        };
        (Arc::new(shared), said)
    }
}

/// Works until `stop`, then drains: claims nothing more, lets what runs go on for `grace`, gives back the rest, writes
/// down every ending. The lease is renewed until the end.
pub async fn run(worker: Worker, stop: CancellationToken) -> Result<(), WorkerError> {
    let slots = worker.options.slots.max(1);
    let (shared, contact) = Shared::new(worker);
    let (acks, acked) = mpsc::unbounded_channel();
    let (inbox, outbox) = mpsc::channel(slots);

    let over = CancellationToken::new();
    let _end_helpers = over.clone().drop_guard();
    let mut helpers = JoinSet::new();
    helpers.spawn(lease::keep(shared.clone(), contact, over.clone()));
    helpers.spawn(strays::keep(shared.clone(), acks.downgrade(), over.clone()));
    helpers.spawn(rescue::keep(shared.clone(), over.clone()));
    helpers.spawn(progress::keep(shared.clone(), over.clone()));
    helpers.spawn(log::keep(shared.pool.clone(), shared.log.clone()));
    let listening = listen::Listening::default();
    if shared.options.listen {
        helpers.spawn(listen::keep(shared.clone(), listening.clone(), over.clone()));
    }
    let settler = tokio::spawn(settle::keep(shared.clone(), acked));
    let free = Arc::new(Semaphore::new(slots));
    let dispatcher = tokio::spawn(dispatch::keep(shared.clone(), free, inbox, listening, stop.clone()));
    helpers.spawn(drain(shared.clone(), dispatcher, stop.clone()));

    let worked = backend::run(shared.clone(), outbox, acks, stop).await;
    let flushed = timeout(FLUSH, settler).await;
    // Whatever they are at, nothing of it is missed: all that they write is settled or only a hint.
    helpers.shutdown().await;
    if let Err(error) = timeout(Duration::from_secs(5), depart(&shared.pool, shared.me.id)).await {
        tracing::debug!(%error, "could not say goodbye to the queue");
    }
    worked?;
    flushed.map(|_| ()).map_err(|_| WorkerError::Unflushed(FLUSH))
}

/// Once told to stop: waits for the work, interrupts what takes longer than the grace.
async fn drain(shared: Arc<Shared>, dispatcher: tokio::task::JoinHandle<()>, stop: CancellationToken) {
    stop.cancelled().await;
    if dispatcher.await.is_err() {
        tracing::error!("the dispatcher panicked; this is a bug");
    }
    let running = shared.active.len();
    if running > 0 {
        let grace = shared.options.grace;
        tracing::info!(running, ?grace, "stopping: {running} runs may go on for {grace:?}, then they are given back");
    }
    tokio::select! {
        () = shared.active.idle() => {}
        () = sleep(shared.options.grace) => shared.active.stop_all(&Stopped::Shutdown),
    }
}
