//! What very many schedules cost: to start with, to keep, to decide when they are all due in one minute, and while
//! nothing is due.
//!
//! ```text
//! cargo bench --bench schedules                     100,000 schedules, 3 rounds; 1,000 idle ones for 60 s
//! SEXTON_BENCH_SCHEDULES=5000 SEXTON_BENCH_ROUNDS=1 SEXTON_BENCH_IDLE=10 cargo bench --bench schedules
//! SEXTON_BENCH_ONLY=many cargo bench --bench schedules        or `idle`
//! ```
//!
//! Deciding is measured beside one bare statement that writes the very same rows (slots, runs, watermarks) into tables
//! of the same shape, in turns, on the same PostgreSQL (the embedded one, durable settings): the ratio means something
//! on any machine, the seconds only on yours.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sexton::{
    child::Spawner,
    db::{self, Login},
    embedded::{self, Cluster},
    planner::{Options, Planner},
    secret::Secret,
};
use sqlx::{AssertSqlSafe, PgPool};

/// Jobs that the schedules share.
const JOBS: usize = 1000;
/// Schedules in one file, which may have a MiB.
const A_FILE: usize = 5000;
/// Longer than any start takes.
const PATIENCE: Duration = Duration::from_secs(300);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    let only = std::env::var("SEXTON_BENCH_ONLY").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        rustls::crypto::ring::default_provider().install_default().unwrap();
        let bench = Bench::start().await;
        if only != "idle" {
            many(&bench, number("SEXTON_BENCH_SCHEDULES", 100_000), number("SEXTON_BENCH_ROUNDS", 3)).await;
        }
        if only != "many" {
            idle(&bench, 1000, Duration::from_secs(number("SEXTON_BENCH_IDLE", 60))).await;
        }
        bench.cluster.stop().await.unwrap();
    });
}

/// A cluster, and a folder for the files.
struct Bench {
    cluster: Cluster,
    folder: tempfile::TempDir,
    _spawner: Spawner,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sexton-bench-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let spawner = Spawner::start().unwrap();
        let state = folder.path().join("cluster");
        let cluster = Cluster::start(&state, &embedded::Options::default(), &spawner).await.unwrap();
        println!("PostgreSQL {}, {} cores", cluster.binaries().major, std::thread::available_parallelism().unwrap());
        Self { cluster, folder, _spawner: spawner }
    }

    /// A fresh database, and a folder whose schedules are all due by this expression.
    async fn site(&self, name: &str, schedules: u64, cron: &str) -> (PgPool, std::path::PathBuf) {
        self.cluster.create_database(name).await.unwrap();
        let url = self.cluster.url(name);
        let pool = db::queue_pool(&Login::new(&Secret::new(url.clone()), None).unwrap(), 4);
        let site = self.folder.path().join(name);
        fs::create_dir_all(site.join("jobs")).unwrap();
        fs::create_dir_all(site.join("schedules")).unwrap();
        let settings = format!("[database]\nurl = \"{url}\"\n[targets.work]\nurl = \"{url}\"\n");
        fs::write(site.join("sexton.toml"), settings).unwrap();
        for job in 0..JOBS {
            let text = "about = \"One of very many\"\nalert = []\n[sql]\ntarget = \"work\"\nsql = \"select 1\"\n";
            fs::write(site.join(format!("jobs/job-{job}.toml")), text).unwrap();
        }
        for first in (0..schedules).step_by(A_FILE) {
            let mut text = String::new();
            for schedule in first..schedules.min(first + A_FILE as u64) {
                let _ = writeln!(
                    text,
                    "[[at]]\nname = \"schedule-{schedule}\"\njob = \"job-{}\"\ncron = \"{cron}\"\n\
                     zone = \"Europe/Berlin\"\noverlap = \"allow_all\"",
                    schedule as usize % JOBS
                );
            }
            fs::write(site.join(format!("schedules/from-{first}.toml")), text).unwrap();
        }
        (pool, site)
    }
}

/// A daemon that ends with its owner.
struct Daemon(Child);

impl Daemon {
    fn start(site: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        let log = fs::File::create(site.join("log")).unwrap();
        command.arg("run").current_dir(site).env("NO_COLOR", "1").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// Waits until it has said this.
    async fn says(&mut self, site: &Path, text: &str) {
        let begun = Instant::now();
        loop {
            let log = fs::read_to_string(site.join("log")).unwrap();
            if log.contains(text) {
                return;
            }
            assert!(self.0.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE, "no {text:?} in:\n{log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A figure of the kernel's, in KiB: `VmRSS` is resident now, `VmHWM` the most that ever was.
    fn memory(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Seconds of the processor that it has used.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        // Linux counts a hundred of them a second, everywhere that matters.
        ticks / 100.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starting with very many, keeping them, deciding them.
async fn many(bench: &Bench, schedules: u64, rounds: u64) {
    let (pool, site) = bench.site("many", schedules, "* * * * *").await;
    println!("\n{schedules} schedules, all due every minute, in files of {A_FILE}, for {JOBS} jobs");
    for what in ["first start: files read, parsed and made a revision", "second start: the same files"] {
        early_in_a_minute().await;
        let begun = Instant::now();
        let mut daemon = Daemon::start(&site);
        daemon.says(&site, "is at work").await;
        let at_work = begun.elapsed().as_secs_f64();
        daemon.says(&site, "following revision").await;
        let planning = begun.elapsed().as_secs_f64();
        // The first tick is over once it sleeps; reading and keeping is what it needs memory for.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (resident, most) = (daemon.memory("VmRSS") / 1024, daemon.memory("VmHWM") / 1024);
        println!(
            "  {what}: at work after {at_work:.2} s, planning after {planning:.2} s; resident {resident} MiB, most {most} MiB"
        );
    }
    sqlx::raw_sql("create schema bare").execute(&pool).await.unwrap();

    let mut planner = Planner::new(pool.clone(), Options::new());
    early_in_a_minute().await;
    planner.tick().await.unwrap();
    let begun = Instant::now();
    planner.tick().await.unwrap();
    println!("  a look when nothing is due: {:.3} s", begun.elapsed().as_secs_f64());

    println!("  {:<48} {:>8} {:>10} {:>8}", "", "s", "slots/s", "ratio");
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let decided = decide(&pool, &mut planner, schedules).await;
        let written = write_bare(&pool, schedules).await;
        ratios.push(decided / written);
        ours.push(decided);
        bare.push(written);
    }
    for (what, seconds, ratio) in [
        ("one bare statement, the same rows", median(&mut bare), 1.0),
        ("sexton", median(&mut ours), median(&mut ratios)),
    ] {
        println!("  {what:<48} {seconds:>8.2} {:>10.0} {ratio:>8.2}", schedules as f64 / seconds);
    }
    pool.close().await;
}

/// So that no slot but the one that is meant becomes due meanwhile.
async fn early_in_a_minute() {
    let second = chrono::Utc::now().timestamp() % 60;
    if !(1..20).contains(&second) {
        tokio::time::sleep(Duration::from_secs((61 - second).unsigned_abs() % 60 + 1)).await;
    }
}

/// A minute begins, and one slot of each schedule is due.
async fn decide(pool: &PgPool, planner: &mut Planner, schedules: u64) -> f64 {
    // What became due meanwhile is not measured.
    early_in_a_minute().await;
    while !planner.tick().await.unwrap().decisions.is_empty() {}
    sqlx::raw_sql("truncate sexton.run, sexton.history, sexton.slot, sexton.progress").execute(pool).await.unwrap();
    settle_down(pool, "sexton").await;
    let now = chrono::Utc::now();
    let next = (now.timestamp() / 60 + 1) * 60 * 1000 + 100;
    tokio::time::sleep(Duration::from_millis((next - now.timestamp_millis()).unsigned_abs())).await;
    let begun = Instant::now();
    let mut decided = 0;
    // However many ticks it takes.
    while decided < schedules {
        let tick = planner.tick().await.unwrap();
        assert!(!tick.decisions.is_empty(), "{decided} decided, and then nothing");
        decided += tick.decisions.len() as u64;
    }
    let took = begun.elapsed().as_secs_f64();
    let (slots, runs, moved): (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from sexton.slot where decision = 'fired'), (select count(*) from sexton.run), \
         (select count(*) from sexton.schedule where watermark = date_trunc('minute', watermark))",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!([slots, runs, moved].map(|count| count as u64), [schedules; 3], "not decided once each");
    took
}

/// The rows that were just decided, written again by one statement that has nothing to think about.
async fn write_bare(pool: &PgPool, schedules: u64) -> f64 {
    for table in ["run", "slot", "schedule"] {
        let copy = format!(
            "drop table if exists bare.{table}, bare.{table}_given; \
             create table bare.{table} (like sexton.{table} including all); \
             create table bare.{table}_given as table sexton.{table}"
        );
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(pool).await.unwrap();
    }
    sqlx::raw_sql(
        "insert into bare.schedule select * from bare.schedule_given; \
         update bare.schedule set watermark = watermark - interval '1 second'",
    )
    .execute(pool)
    .await
    .unwrap();
    settle_down(pool, "bare").await;
    let begun = Instant::now();
    let done = sqlx::query(
        "with moved as (update bare.schedule set watermark = watermark + interval '1 second' returning 1), \
         made as (insert into bare.run select * from bare.run_given returning 1) \
         insert into bare.slot select * from bare.slot_given",
    )
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(done.rows_affected(), schedules);
    begun.elapsed().as_secs_f64()
}

/// So that one party's garbage is not the other's burden.
async fn settle_down(pool: &PgPool, schema: &str) {
    for table in ["run", "slot", "schedule"] {
        let statement = AssertSqlSafe(format!("vacuum analyze {schema}.{table}"));
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    sqlx::query("checkpoint").execute(pool).await.unwrap();
}

/// What a daemon costs while nothing is due.
async fn idle(bench: &Bench, schedules: u64, length: Duration) {
    let (pool, site) = bench.site("idle", schedules, "H 3 1 1 *").await;
    let mut daemon = Daemon::start(&site);
    daemon.says(&site, "following revision").await;
    // What is only done at the start is not idle.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let counting = db::queue_pool(&Login::new(&Secret::new(bench.cluster.url("postgres")), None).unwrap(), 1);
    let transactions = || async {
        sqlx::query_scalar::<_, i64>("select xact_commit + xact_rollback from pg_stat_database where datname = 'idle'")
            .fetch_one(&counting)
            .await
            .unwrap()
    };
    let (before, used, begun) = (transactions().await, daemon.processor(), Instant::now());
    tokio::time::sleep(length).await;
    let (after, used) = (transactions().await, daemon.processor() - used);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "\n{schedules} schedules, nothing due, one daemon for {seconds:.0} s: {:.2} transactions a second, \
         {:.2} s of the processor a minute, resident {} MiB",
        (after - before) as f64 / seconds,
        used * 60.0 / seconds,
        daemon.memory("VmRSS") / 1024
    );
    pool.close().await;
    counting.close().await;
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
