//! Others at work in the same database: small statements at a fixed rate, and how long each takes.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use sqlx::{Connection, PgConnection};

use crate::{number, site::Site};

/// Connections that share the rate.
const CONNECTIONS: u64 = 4;
/// Stretches of each sort, in turns.
const ROUNDS: usize = 3;
/// Keys of the throttled job, unless the environment has others.
const THROTTLE: &str = "batch = { rows = 50, target = \"20ms\" }\n";

/// Milliseconds, sorted.
type Delays = Vec<f64>;

pub struct Measured {
    pub rate: u64,
    pub seconds: u64,
    pub calm: Delays,
    pub busy: Delays,
    pub moved_a_second: f64,
}

/// The delay that this share of the statements does not exceed.
pub fn at(delays: &[f64], share: f64) -> f64 {
    delays.get((delays.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// Alone, beside a throttled archive, alone… in turns on one copy of the database.
pub async fn measure(site: &Site) -> Measured {
    const COPY: &str = "shared";
    let (rate, seconds) = (number("SEXTON_BENCH_RATE", 200), number("SEXTON_BENCH_SECONDS", 20));
    site.copy(COPY).await;
    let mut admin = site.connect(COPY).await;
    let (mut calm, mut busy, mut moved, mut busy_seconds) = (Vec::new(), Vec::new(), 0, 0);
    // So that no stretch is the first to touch a page, nor waits for the disk to take in the copy.
    stretch(site, COPY, rate, 15).await;
    for round in 0..ROUNDS {
        calm.extend(stretch(site, COPY, rate, seconds).await);
        let job = format!("throttled-{round}");
        let keys = std::env::var("SEXTON_BENCH_THROTTLE").unwrap_or_else(|_| THROTTLE.to_owned());
        site.job(&job, &format!("older_than = \"365d\"\n{keys}"));
        let before = archived(&mut admin).await;
        let archive = site.command(&["once", &job]).spawn().unwrap();
        let begun = Instant::now();
        while archived(&mut admin).await == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "the throttled archive moves nothing");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = archived(&mut admin).await;
        let stretch = stretch(site, COPY, rate, seconds).await;
        let after = archived(&mut admin).await;
        let pid = archive.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("the archive still runs");
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        archive.wait_with_output().await.unwrap();
        let left: bool = sqlx::query_scalar(
            "select exists (select from public.interface_exceptions where processed_at < now() - interval '365 days')",
        )
        .fetch_one(&mut admin)
        .await
        .unwrap();
        if !left {
            println!(
                "too few rows: the throttled archive was done before stretch {} ended, which does not count",
                round + 1
            );
            break;
        }
        busy.extend(stretch);
        moved += after - before;
        busy_seconds += seconds;
    }
    admin.close().await.unwrap();
    site.drop(COPY).await;
    calm.sort_by(f64::total_cmp);
    busy.sort_by(f64::total_cmp);
    let moved_a_second = moved as f64 / busy_seconds as f64;
    Measured { rate, seconds, calm, busy, moved_a_second }
}

async fn archived(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select coalesce(sum((counts ->> 'rows')::bigint), 0)::bigint from sexton.step")
        .fetch_one(connection)
        .await
        .unwrap()
}

/// One stretch of load, in threads of its own: the runtime of the rest must not be what is measured.
async fn stretch(site: &Site, database: &str, rate: u64, seconds: u64) -> Delays {
    let begin = Instant::now() + Duration::from_millis(300);
    let clients: Vec<JoinHandle<Delays>> = (0..CONNECTIONS)
        .map(|client| {
            let url = site.url(database);
            std::thread::spawn(move || work(&url, client, begin, rate, seconds))
        })
        .collect();
    tokio::task::spawn_blocking(|| clients.into_iter().flat_map(|client| client.join().unwrap()).collect())
        .await
        .unwrap()
}

/// One connection's share. A statement's delay counts from when it was due, so that waiting for the one before counts.
fn work(url: &str, client: u64, begin: Instant, rate: u64, seconds: u64) -> Delays {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut connection = runtime.block_on(PgConnection::connect(url)).unwrap();
    let young: (i64, i64) = runtime
        .block_on(
            sqlx::query_as(
                "select min(id), max(id) from public.interface_exceptions where processed_at > now() - interval '300 days'",
            )
            .fetch_one(&mut connection),
        )
        .unwrap();
    let mut delays = Vec::new();
    for n in (client..rate * seconds).step_by(CONNECTIONS as usize) {
        let due = begin + Duration::from_secs_f64(n as f64 / rate as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        runtime.block_on(statement(&mut connection, n, young));
        delays.push(due.elapsed().as_secs_f64() * 1000.0);
    }
    runtime.block_on(connection.close()).unwrap();
    delays
}

/// Half of them read, a quarter changes, a quarter adds; on the archived tables and beside them.
async fn statement(connection: &mut PgConnection, n: u64, young: (i64, i64)) {
    // Any number, but the same in each stretch.
    let any = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as i64;
    let (account, exception) = (1 + any % 100_000, young.0 + any % (young.1 - young.0 + 1));
    let (sql, key) = match n % 8 {
        0 | 3 => ("select * from public.interface_exceptions where id = $1", exception),
        1 | 5 => ("select * from public.bench_account where id = $1", account),
        2 => ("update public.bench_account set balance = balance + 1 where id = $1", account),
        4 => ("insert into public.bench_history (account, delta) values ($1::bigint::integer, 1)", account),
        6 => ("update public.interface_exceptions set acknowledgment_notes = 'seen' where id = $1", exception),
        _ => (
            "insert into public.exception_status_changes (exception_id, to_status, changed_by) values ($1, 'CLOSED', 'load')",
            exception,
        ),
    };
    sqlx::query(sql).bind(key).execute(connection).await.unwrap();
}
