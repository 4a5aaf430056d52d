//! Whether the queue stays fast: with many runs waiting, with a long history, and while somebody pins an old snapshot.
//!
//! Each is measured beside an empty queue, in turns, under the same load: a feeder that keeps so many runs waiting, and a
//! worker that does them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sexton::{
    db::Login,
    kinds::Env,
    queue::{self, NewRun},
    worker::{self, WorkerError},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DONE, settle_down, spec};

const SLOTS: usize = 3000;
/// Runs that wait where none are said to.
const FEW: usize = 10_000;
/// Runs that the feeder enqueues in one transaction.
const BATCH: usize = 2_000;
/// How long the load runs before it is looked at, and how long it is looked at.
const WARM: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_secs(20);
/// Rows of the history that one statement makes.
const CHUNK: i64 = 500_000;

/// How much of what.
#[derive(Default, PartialEq)]
pub struct Under {
    /// Runs that wait.
    pub backlog: usize,
    /// Rows in the history.
    pub history: i64,
    /// How long a snapshot is pinned.
    pub pin: Duration,
}

pub async fn under(pool: &PgPool, login: &Login, env: &Arc<Env>, what: &Under) {
    println!("{:<52} {:>10} {:>8}", "", "runs/s", "ratio");
    let mut base = empty(pool, env).await;
    let row = |name: String, rate: f64, base: f64| println!("{name:<52} {rate:>10.0} {:>8.2}", rate / base);
    row("empty".to_owned(), base, base);
    if what.backlog > 0 {
        clear(pool).await;
        let load = Load::start(pool, env, what.backlog).await;
        let rate = load.rate(WARM, LOOK).await;
        load.end().await;
        let after = empty(pool, env).await;
        row("empty".to_owned(), after, after);
        row(format!("{} runs wait", what.backlog), rate, f64::midpoint(base, after));
        base = after;
    }
    if what.history > 0 {
        clear(pool).await;
        fill(pool, login, env, what.history).await;
        let load = Load::start(pool, env, FEW).await;
        let rate = load.rate(WARM, LOOK).await;
        load.end().await;
        let after = empty(pool, env).await;
        row("empty".to_owned(), after, after);
        row(format!("{} rows of history", what.history), rate, f64::midpoint(base, after));
    }
    if !what.pin.is_zero() {
        clear(pool).await;
        let load = Load::start(pool, env, FEW).await;
        let base = load.rate(WARM, LOOK).await;
        row("before the pin".to_owned(), base, base);
        let mut pin = login.connect().await.unwrap();
        let mut pin = pin.begin_with("begin isolation level repeatable read").await.unwrap();
        sqlx::query("select count(*) from sexton.worker").execute(&mut *pin).await.unwrap();
        let (begun, before) = (Instant::now(), DONE.load(Ordering::Relaxed));
        while begun.elapsed() < what.pin {
            let rate = load.rate(Duration::ZERO, LOOK.min(what.pin)).await;
            row(format!("pinned for {} s", begun.elapsed().as_secs()), rate, base);
        }
        let done = (DONE.load(Ordering::Relaxed) - before) as f64;
        row("in all of that time".to_owned(), done / begun.elapsed().as_secs_f64(), base);
        pin.rollback().await.unwrap();
        load.end().await;
    }
}

async fn empty(pool: &PgPool, env: &Arc<Env>) -> f64 {
    clear(pool).await;
    let load = Load::start(pool, env, FEW).await;
    let rate = load.rate(WARM, LOOK).await;
    load.end().await;
    rate
}

async fn clear(pool: &PgPool) {
    sqlx::raw_sql("truncate sexton.run, sexton.history, sexton.health, sexton.progress").execute(pool).await.unwrap();
    settle_down(pool).await;
}

/// A feeder and a worker.
struct Load {
    stop: CancellationToken,
    feeding: JoinHandle<()>,
    working: JoinHandle<Result<(), WorkerError>>,
}

impl Load {
    /// Begins once so many runs wait.
    async fn start(pool: &PgPool, env: &Arc<Env>, depth: usize) -> Self {
        let begun = DONE.load(Ordering::Relaxed);
        let batch: Vec<NewRun> = (0..BATCH).map(|_| NewRun::now(spec(), "the benchmark")).collect();
        let feed = async move |pool: &PgPool| {
            queue::enqueue_all(&mut pool.acquire().await.unwrap(), &batch).await.unwrap();
            // As whoever enqueues does: a worker that has found less than it can do waits to be told.
            queue::nudge(pool).await;
        };
        let mut fed = 0;
        while fed < depth {
            feed(pool).await;
            fed += BATCH;
        }
        settle_down(pool).await;
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker::run(super::worker(pool, env, SLOTS), stop.clone()));
        let feeding = tokio::spawn({
            let (pool, stop) = (pool.clone(), stop.clone());
            async move {
                while !stop.is_cancelled() {
                    if fed < depth + DONE.load(Ordering::Relaxed) - begun {
                        feed(&pool).await;
                        fed += BATCH;
                    } else {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            }
        });
        Self { stop, feeding, working }
    }

    /// Runs a second, after a while.
    async fn rate(&self, warm: Duration, look: Duration) -> f64 {
        tokio::time::sleep(warm).await;
        let (begun, before) = (Instant::now(), DONE.load(Ordering::Relaxed));
        tokio::time::sleep(look).await;
        (DONE.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64()
    }

    async fn end(self) {
        self.stop.cancel();
        self.feeding.await.unwrap();
        self.working.await.unwrap().unwrap();
    }
}

/// So many rows of a month, all like one that is real.
async fn fill(pool: &PgPool, login: &Login, env: &Arc<Env>, rows: i64) {
    let load = Load::start(pool, env, 1).await;
    let one = "select count(*) from sexton.history";
    while sqlx::query_scalar::<_, i64>(one).fetch_one(pool).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    load.end().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = 'sexton.history'::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let at = format!("(now() - n * interval '30 days' / {rows})");
    let value = |column: &String| match column.as_str() {
        "id" | "chain" => format!("sexton.uuid_v7({at})"),
        "due_at" | "first_due_at" | "created_at" | "started_at" | "finished_at" => at.clone(),
        _ => format!("one.{column}"),
    };
    let (values, columns) = (columns.iter().map(value).collect::<Vec<_>>().join(", "), columns.join(", "));
    let insert = format!(
        "insert into sexton.history ({columns}) select {values} from (select * from sexton.history order by finished_at desc limit 1) as one, generate_series($1::bigint, $2::bigint) as n"
    );
    // Its own connection: the queue's ends what takes long.
    let mut connection: PgConnection = login.connect().await.unwrap();
    for first in (1..=rows).step_by(CHUNK as usize) {
        sqlx::query(AssertSqlSafe(insert.as_str()))
            .bind(first)
            .bind(rows.min(first + CHUNK - 1))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    for statement in ["vacuum analyze sexton.history", "checkpoint"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
}
