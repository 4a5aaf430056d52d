//! The three who move the same rows.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::process::Child;

use crate::{
    site::{Site, run},
    watch::{Seen, Watch},
};

/// What a party did.
pub struct Moved {
    /// Parent rows.
    pub rows: u64,
    pub took: Duration,
    /// Seconds of processor in the server.
    pub cpu: f64,
    pub seen: Seen,
    /// Bytes of write-ahead log.
    pub wal: u64,
    /// The most memory that the process had, in bytes; 0 where there was none.
    pub memory: u64,
    /// What Sexton said about its run.
    pub report: Value,
}

impl Moved {
    /// Parent rows a second.
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.took.as_secs_f64()
    }
}

/// One statement does it all.
pub async fn by_hand(site: &Site, rows: u64) -> Moved {
    const COPY: &str = "by_hand";
    site.copy(COPY).await;
    let cpu = site.cpu(COPY).await;
    let mut party = site.connect(COPY).await;
    let watch = Watch::start(site, COPY).await;
    let (begun, wal) = (Instant::now(), position(&mut party).await);
    run(&mut party, include_str!("one_statement.sql")).await;
    let took = begun.elapsed();
    let mut moved = Moved {
        rows,
        took,
        cpu: 0.0,
        seen: watch.end().await,
        wal: position(&mut party).await - wal,
        memory: 0,
        report: Value::Null,
    };
    party.close().await.unwrap();
    moved.cpu = site.cpu(COPY).await - cpu;
    finish(site, COPY, rows).await;
    moved
}

/// `sexton once`, from its start to its exit.
pub async fn sexton(site: &Site, rows: u64) -> Moved {
    const COPY: &str = "sextons";
    site.copy(COPY).await;
    let cpu = site.cpu(COPY).await;
    site.job("archive", &format!("older_than = \"365d\"\n{}", std::env::var("SEXTON_BENCH_KEYS").unwrap_or_default()));
    let mut party = site.connect(COPY).await;
    let watch = Watch::start(site, COPY).await;
    let (begun, wal) = (Instant::now(), position(&mut party).await);
    let child = site.command(&["once", "archive", "--json"]).spawn().unwrap();
    let (output, memory) = to_its_end(child).await;
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut moved = Moved {
        rows,
        took,
        cpu: 0.0,
        seen: watch.end().await,
        wal: position(&mut party).await - wal,
        memory,
        report: answer["report"].clone(),
    };
    party.close().await.unwrap();
    moved.cpu = site.cpu(COPY).await - cpu;
    finish(site, COPY, rows).await;
    moved
}

/// How the function that Sexton replaces is called.
#[derive(Clone, Copy, PartialEq)]
pub enum Call {
    /// On a twentieth of the rows and in one batch, so that its OFFSET neither skips any nor costs time.
    Kindly,
    /// As anybody calls it: all old rows, batches of 1,000. It skips half of them, and each batch looks past all that
    /// came before.
    AsShipped,
}

/// The function that Sexton replaces; nothing if it takes longer than ten minutes, after which it is cancelled and all
/// its work rolled back.
pub async fn row_by_row(site: &Site, call: Call) -> Option<Moved> {
    const COPY: &str = "row_by_row";
    site.copy(COPY).await;
    let cpu = site.cpu(COPY).await;
    let mut party = site.connect(COPY).await;
    run(&mut party, "drop function if exists public.archive_old_exceptions").await;
    let functions = include_str!("../../tests/it/collector/sql/upstream_functions.sql");
    let (_, archive) = functions.split_once("create function public.archive_old_exceptions").unwrap();
    let (archive, _) = archive.split_once("\n$$;").unwrap();
    run(&mut party, &format!("create function public.archive_old_exceptions{archive}\n$$")).await;
    run(&mut party, "set statement_timeout = '10min'").await;
    let (days, batch) = if call == Call::Kindly { (1320, 100_000_000) } else { (365, 1_000) };
    let watch = Watch::start(site, COPY).await;
    let (begun, wal) = (Instant::now(), position(&mut party).await);
    let rows: Result<i32, _> =
        sqlx::query_scalar("select archived_exceptions from public.archive_old_exceptions($1, $2, false)")
            .bind(days)
            .bind(batch)
            .fetch_one(&mut party)
            .await;
    let took = begun.elapsed();
    let seen = watch.end().await;
    let Ok(rows) = rows else {
        site.drop(COPY).await;
        return None;
    };
    let rows = u64::try_from(rows).unwrap();
    let mut moved =
        Moved { rows, took, cpu: 0.0, seen, wal: position(&mut party).await - wal, memory: 0, report: Value::Null };
    party.close().await.unwrap();
    moved.cpu = site.cpu(COPY).await - cpu;
    finish(site, COPY, rows).await;
    Some(moved)
}

/// Nobody is faster by moving less.
async fn finish(site: &Site, copy: &str, rows: u64) {
    let mut party = site.connect(copy).await;
    let counts: (i64, i64) = sqlx::query_as(
        "select (select count(*) from public.interface_exceptions_archive), (select count(*) from public.retry_attempts_archive)",
    )
    .fetch_one(&mut party)
    .await
    .unwrap();
    assert_eq!(counts, (rows as i64, 2 * rows as i64), "{copy} did not move all rows");
    let torn: bool = sqlx::query_scalar(
        "select exists (select from public.interface_exceptions join public.interface_exceptions_archive using (id))",
    )
    .fetch_one(&mut party)
    .await
    .unwrap();
    assert!(!torn, "{copy} left rows in both places");
    party.close().await.unwrap();
    site.drop(copy).await;
}

async fn position(connection: &mut PgConnection) -> u64 {
    let bytes: i64 =
        sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0')::bigint").fetch_one(connection).await.unwrap();
    bytes as u64
}

/// Waits for a child and looks at its memory meanwhile.
async fn to_its_end(child: Child) -> (std::process::Output, u64) {
    let status = format!("/proc/{}/status", child.id().unwrap());
    let waiting = child.wait_with_output();
    tokio::pin!(waiting);
    let mut most = 0;
    loop {
        tokio::select! {
            output = &mut waiting => return (output.unwrap(), most),
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                // The kernel keeps the peak itself; only the last look counts.
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
                most = peak.and_then(|kb| kb.parse::<u64>().ok()).map_or(most, |kb| kb << 10);
            }
        }
    }
}
