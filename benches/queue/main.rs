//! How fast runs go through the real queue, beside a bare loop that only claims and completes rows.
//!
//! ```text
//! cargo bench --bench queue                       20,000 runs a round
//! SEXTON_BENCH_RUNS=2000 cargo bench --bench queue
//! SEXTON_BENCH_BACKLOG=1000000 SEXTON_BENCH_HISTORY=10000000 SEXTON_BENCH_PIN=600 cargo bench --bench queue
//!                                                 does it stay fast: runs that wait, rows, seconds of a pinned xmin
//! ```
//!
//! Both work on the same PostgreSQL (the embedded one, durable settings), in turns, in the same process: the ratio
//! means something on any machine, the absolute numbers only on yours.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod under;

use std::{
    collections::HashMap,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;
use sexton::{
    child::Spawner,
    db::{self, Login, Targets},
    embedded::{self, Cluster},
    kinds::{self, Broken, Ctx, Entry, Env, Kind, Uses},
    outcome::{Outcome, Report},
    queue::{self, NewRun},
    retry::Retry,
    secret::Secret,
    span::Span,
    spec::{FORMAT, Spec},
    state::OnLost,
    vault::Vaults,
    worker::{self, Options, Worker},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use under::Under;
use uuid::Uuid;

/// Rows that the bare loop claims and completes at a time.
const BARE_BATCH: i64 = 100;
const ROUNDS: usize = 3;
/// Runs whose delay between enqueueing and starting is measured.
const SAMPLES: usize = 300;

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u32>().ok());
    let runs = number("SEXTON_BENCH_RUNS").unwrap_or(20_000) as usize;
    let under = Under {
        backlog: number("SEXTON_BENCH_BACKLOG").unwrap_or(0) as usize,
        history: number("SEXTON_BENCH_HISTORY").unwrap_or(0).into(),
        pin: Duration::from_secs(number("SEXTON_BENCH_PIN").unwrap_or(0).into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(bench(runs, under));
}

async fn bench(runs: usize, what: Under) {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let folder = tempfile::Builder::new().prefix("sexton-bench-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let spawner = Spawner::start().unwrap();
    let cluster = Cluster::start(folder.path(), &embedded::Options::default(), &spawner).await.unwrap();
    cluster.create_database("bench").await.unwrap();
    let login = Login::new(&Secret::new(cluster.url("bench")), None).unwrap();
    let pool = db::queue_pool(&login, 8);
    db::migrate(&pool).await.unwrap();
    sqlx::raw_sql("create table bare (id uuid primary key, state text not null, due_at timestamptz not null, spec jsonb not null, worker uuid, done_at timestamptz); create index on bare (due_at) where state = 'ready'")
        .execute(&pool)
        .await
        .unwrap();
    let env = Arc::new(Env {
        targets: Targets::default(),
        vaults: Vaults::default(),
        spawner: spawner.clone(),
        http: reqwest::Client::new(),
        pg_bin: None,
        catalogue: None,
    });

    if what != Under::default() {
        under::under(&pool, &login, &env, &what).await;
        pool.close().await;
        cluster.stop().await.unwrap();
        return;
    }
    println!(
        "{runs} no-op runs a round, the median of {ROUNDS} rounds in turns, PostgreSQL {}",
        cluster.binaries().major
    );
    println!("{:<44} {:>10} {:>8}", "", "runs/s", "ratio");
    let slots = [8, 100, 500];
    let mut bare_rates = Vec::new();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); slots.len()];
    for _ in 0..ROUNDS {
        bare_rates.push(bare(&pool, runs).await);
        for (slots, rates) in slots.iter().zip(&mut rates) {
            rates.push(sexton(&pool, &env, runs, *slots).await);
        }
    }
    let base = median(&mut bare_rates);
    println!("{:<44} {base:>10.0} {:>8.2}", format!("bare loop, claim {BARE_BATCH}, complete {BARE_BATCH}"), 1.0);
    for (slots, rates) in slots.iter().zip(&mut rates) {
        let rate = median(rates);
        println!("{:<44} {rate:>10.0} {:>8.2}", format!("sexton, {slots} slots"), rate / base);
    }

    let mut delays = delays(&pool, &env).await;
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "\nenqueue to start, idle worker, {SAMPLES} runs: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    pool.close().await;
    cluster.stop().await.unwrap();
}

/// Claims and completes rows and does nothing else that a queue does: no lease, fence, history, event or wake-up.
async fn bare(pool: &PgPool, runs: usize) -> f64 {
    sqlx::raw_sql("truncate bare").execute(pool).await.unwrap();
    sqlx::query("insert into bare (id, state, due_at, spec) select gen_random_uuid(), 'ready', clock_timestamp(), $2 from generate_series(1, $1)")
        .bind(i64::try_from(runs).unwrap())
        .bind(serde_json::to_value(spec()).unwrap())
        .execute(pool)
        .await
        .unwrap();
    settle_down(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let begun = Instant::now();
    let mut done = 0;
    loop {
        let rows: Vec<(Uuid, serde_json::Value)> = sqlx::query_as(
            "update bare set state = 'running', worker = $1 where id in (select id from bare where state = 'ready' order by due_at limit $2 for update skip locked) returning id, spec",
        )
        .bind(Uuid::nil())
        .bind(BARE_BATCH)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        if rows.is_empty() {
            break;
        }
        let ids: Vec<Uuid> = rows.into_iter().map(|(id, _)| id).collect();
        done += ids.len();
        sqlx::query("update bare set state = 'done', done_at = clock_timestamp() where id = any($1)")
            .bind(ids)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    assert_eq!(done, runs);
    runs as f64 / begun.elapsed().as_secs_f64()
}

/// The whole way: promoted, claimed, guarded, settled into the history with its facts.
async fn sexton(pool: &PgPool, env: &Arc<Env>, runs: usize, slots: usize) -> f64 {
    sqlx::raw_sql("truncate sexton.run, sexton.history, sexton.health, sexton.progress").execute(pool).await.unwrap();
    let batch: Vec<NewRun> = (0..1000.min(runs)).map(|_| NewRun::now(spec(), "the benchmark")).collect();
    let mut left = runs;
    while left > 0 {
        let some = left.min(batch.len());
        queue::enqueue_all(&mut pool.acquire().await.unwrap(), &batch[..some]).await.unwrap();
        left -= some;
    }
    settle_down(pool).await;
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let before = DONE.load(Ordering::Relaxed);
    let working = tokio::spawn(worker::run(worker(pool, env, slots), stop.clone()));
    // Looking at the table all the time would slow it down: look when nothing is left to do but to settle.
    while DONE.load(Ordering::Relaxed) - before < runs {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    settled(pool).await;
    let took = begun.elapsed();
    stop.cancel();
    working.await.unwrap().unwrap();
    let done: i64 = sqlx::query_scalar("select count(*) from sexton.history where state = 'done' and spent = 1")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(done).unwrap(), runs);
    runs as f64 / took.as_secs_f64()
}

/// How long after its commit a run begins on an idle worker.
async fn delays(pool: &PgPool, env: &Arc<Env>) -> Vec<Duration> {
    sqlx::raw_sql("truncate sexton.run, sexton.history").execute(pool).await.unwrap();
    let stop = CancellationToken::new();
    *BEGUN.lock().unwrap() = Some(HashMap::new());
    let working = tokio::spawn(worker::run(worker(pool, env, 8), stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut enqueued = Vec::new();
    for _ in 0..SAMPLES {
        let id =
            queue::enqueue(&mut pool.acquire().await.unwrap(), &NewRun::now(spec(), "the benchmark")).await.unwrap();
        enqueued.push((id, Instant::now()));
        queue::nudge(pool).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    settled(pool).await;
    stop.cancel();
    working.await.unwrap().unwrap();
    let begun = BEGUN.lock().unwrap().take().unwrap_or_default();
    enqueued.iter().map(|(id, at)| begun[id].saturating_duration_since(*at)).collect()
}

/// Waits until no run is live.
async fn settled(pool: &PgPool) {
    while sqlx::query_scalar("select exists (select from sexton.run)").fetch_one(pool).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// So that one round's garbage is not another's burden.
async fn settle_down(pool: &PgPool) {
    for statement in ["vacuum analyze bare", "vacuum analyze sexton.run", "vacuum analyze sexton.history", "checkpoint"]
    {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
}

fn worker(pool: &PgPool, env: &Arc<Env>, slots: usize) -> Worker {
    let options = Options { slots, ..Options::default() };
    Worker { kinds: find, options, ..Worker::new(pool.clone(), pool.clone(), env.clone()) }
}

fn spec() -> Spec {
    Spec {
        format: FORMAT,
        job: "nothing".to_owned(),
        kind: "noop".to_owned(),
        table: json!({}),
        dataset: None,
        params: Default::default(),
        timeout: Some(Span::seconds(60)),
        retry: Retry::default(),
        on_lost: OnLost::Retry,
        lease: Span::seconds(45),
        priority: 0,
        alert: vec!["ops".to_owned()],
        expect: Default::default(),
        fail_on_breach: false,
        follows: None,
        then: Vec::new(),
        needs: Vec::new(),
        limits: Vec::new(),
        pause_on_failure: None,
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// When each run began, where that is asked.
static BEGUN: Mutex<Option<HashMap<Uuid, Instant>>> = Mutex::new(None);
/// How many runs have begun, and so are as good as done.
static DONE: AtomicUsize = AtomicUsize::new(0);

#[derive(Deserialize, schemars::JsonSchema)]
struct Noop {}

impl Kind for Noop {
    const NAME: &'static str = "noop";
    const ABOUT: &'static str = "does nothing";
    const ON_LOST: OnLost = OnLost::Retry;

    fn uses(&self) -> Uses {
        Uses::default()
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        if let Some(begun) = BEGUN.lock().unwrap().as_mut() {
            begun.insert(ctx.run.id, Instant::now());
        }
        DONE.fetch_add(1, Ordering::Relaxed);
        Ok(Outcome::Done(Report::new()))
    }
}

fn find(name: &str) -> Option<&'static Entry> {
    static NOOP: Entry = kinds::entry::<Noop>();
    (name == NOOP.name).then_some(&NOOP)
}
