//! Sexton's entry in the queues' benchmark, which measures Postgres job queues side by side: docs/benchmarks.md.
//!
//! ```text
//! DATABASE_URL=… peer setup        makes the schema
//! DATABASE_URL=… peer enqueue N    puts in N runs that do nothing
//! DATABASE_URL=… peer produce N    sends one run each 20 ms, whose parameter is the time
//! DATABASE_URL=… peer nap          puts in one run that sleeps for a minute
//! DATABASE_URL=… peer worker N     works until SIGTERM
//! ```
//!
//! The worker is the daemon's, with its layers, guard, leases, history, events, metrics and logs, as with
//!
//! ```toml
//! [log]
//! level = "warn"           # the other entries do not log successes either
//!
//! [worker]
//! slots = 3000             # claimed and settled up to 1000 at a time
//! ```
//!
//! and everything else at its default. Each run has a snapshot of its job and a parameter of its own, and is kept in
//! the history. Standard output is the harness's: times in microseconds of CLOCK_MONOTONIC.
#![allow(clippy::print_stdout, missing_docs)]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sexton::{
    child::Spawner,
    db::{self, Login, Targets},
    kinds::{self, Broken, Ctx, Entry, Env, Kind, ParamsAre, Uses},
    metrics,
    outcome::{Outcome, Report},
    queue::{self, NewRun},
    retry::Retry,
    secret::Secret,
    spec::{FORMAT, Spec},
    state::OnLost,
    vault::Vaults,
    worker::{self, Options, Worker},
};
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// `[worker] slots`.
const SLOTS: usize = 3000;
/// `[database] max_connections`, by default.
const CONNECTIONS: u32 = 16;
/// Runs that one transaction enqueues.
const BATCH: usize = 5000;

pub(crate) type Done<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Done<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let number = words.next().map_or(Ok(0), |word| word.parse())?;
    let stop = CancellationToken::new();
    let mut term = signal(SignalKind::terminate())?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            term.recv().await;
            stop.cancel();
        }
    });
    let login = Login::new(&Secret::new(std::env::var("DATABASE_URL")?), None)?;
    answer(&command, number, &login, stop).await
}

pub(crate) async fn answer(command: &str, number: u64, login: &Login, stop: CancellationToken) -> Done<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pool = db::queue_pool(login, CONNECTIONS);
    match command {
        "setup" => db::migrate(&pool).await?,
        "enqueue" => {
            let begun = now();
            enqueue(&pool, number).await?;
            println!("@ENQUEUED {}", now() - begun);
        }
        "produce" => produce(&pool, number).await?,
        "nap" => send(&pool, "nap", json!(60)).await?,
        "worker" => {
            println!("@START {}", now());
            RUNS.store(number, Ordering::Relaxed);
            work(login, pool, stop).await?;
        }
        other => return Err(format!("setup, enqueue N, produce N, nap or worker N, not `{other}`").into()),
    }
    Ok(())
}

/// In batches, as whoever has many to enqueue does.
async fn enqueue(pool: &PgPool, runs: u64) -> Done<()> {
    let mut connection = pool.acquire().await?;
    let all: Vec<u64> = (0..runs).collect();
    for some in all.chunks(BATCH) {
        let some: Vec<NewRun> = some.iter().map(|nth| run("nth", json!(nth))).collect();
        queue::enqueue_all(&mut connection, &some).await?;
    }
    queue::nudge(pool).await;
    Ok(())
}

async fn produce(pool: &PgPool, runs: u64) -> Done<()> {
    let begun = now();
    for nth in 0..runs {
        let wait = (begun + nth * 20_000).saturating_sub(now());
        tokio::time::sleep(Duration::from_micros(wait)).await;
        send(pool, "sent", json!(now())).await?;
    }
    Ok(())
}

async fn send(pool: &PgPool, param: &str, value: Value) -> Done<()> {
    queue::enqueue(&mut *pool.acquire().await?, &run(param, value)).await?;
    queue::nudge(pool).await;
    Ok(())
}

/// What the daemon does with `[worker]`, without schedules, alerts and the API.
async fn work(login: &Login, pool: PgPool, stop: CancellationToken) -> Done<()> {
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = lines.with_filter(EnvFilter::new("sqlx=warn,sqlx_core::pool=off,warn"));
    registry().with(lines).with(worker::log_layer()).try_init().ok();
    let _recorder = metrics::install();
    let env = Env {
        targets: Targets::default(),
        vaults: Vaults::default(),
        spawner: Spawner::start()?,
        http: reqwest::Client::new(),
        pg_bin: None,
        catalogue: None,
    };
    let options = Options { slots: SLOTS, ..Options::default() };
    let beat_pool = db::queue_pool(login, 2);
    let worker = Worker { kinds: find, options, ..Worker::new(pool, beat_pool, Arc::new(env)) };
    worker::run(worker, stop).await?;
    Ok(())
}

/// A run of the job `noop` with one parameter.
fn run(param: &str, value: Value) -> NewRun {
    let spec = Spec {
        format: FORMAT,
        job: "noop".to_owned(),
        kind: Noop::NAME.to_owned(),
        table: json!({}),
        dataset: None,
        params: BTreeMap::from([(param.to_owned(), value)]),
        timeout: None,
        retry: Retry::default(),
        on_lost: Noop::ON_LOST,
        lease: Noop::LEASE,
        priority: 0,
        alert: vec!["ops".to_owned()],
        expect: BTreeMap::new(),
        fail_on_breach: false,
        follows: None,
        then: Vec::new(),
        needs: Vec::new(),
        limits: Vec::new(),
        pause_on_failure: None,
    };
    NewRun::now(spec, "the benchmark")
}

/// `[noop]` in a job file: says when it ran.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Noop {}

/// How many runs to count.
static RUNS: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU64 = AtomicU64::new(0);

impl Kind for Noop {
    const NAME: &'static str = "noop";
    const ABOUT: &'static str = "does nothing";
    const ON_LOST: OnLost = OnLost::Retry;
    const PARAMS: ParamsAre = ParamsAre::Values;

    fn uses(&self) -> Uses {
        Uses::default()
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let param = |name: &str| ctx.params.get(name).and_then(Value::as_u64);
        if let Some(sent) = param("sent") {
            println!("@L {}", now() - sent);
        } else if let Some(seconds) = param("nap") {
            println!("@NAP {}", now());
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                () = ctx.stop.cancelled() => return Err(Broken::Stopped),
            }
        } else {
            let nth = BEGUN.fetch_add(1, Ordering::Relaxed) + 1;
            if nth == 1 {
                println!("@FIRST {}", now());
            }
            if nth == RUNS.load(Ordering::Relaxed) {
                println!("@HANDLED {}", now());
            }
        }
        Ok(Outcome::Done(Report::new()))
    }
}

fn find(name: &str) -> Option<&'static Entry> {
    static NOOP: Entry = kinds::entry::<Noop>();
    (name == Noop::NAME).then_some(&NOOP)
}

/// Microseconds of a clock that all processes of this machine share.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000
}
