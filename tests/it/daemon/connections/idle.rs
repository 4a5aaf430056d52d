//! What a daemon costs the queue's database while there is nothing to do.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::site;
use crate::support::Database;

/// Servers report what a session did up to ten seconds later.
const REPORTED: Duration = Duration::from_secs(11);
/// Longer than the longest pause between two looks of anybody.
const MEASURED: Duration = Duration::from_secs(16);

#[tokio::test]
async fn a_daemon_that_does_nothing_asks_the_database_little() {
    let queue = Database::new().await;
    let site = site(&format!("[database]\nurl = \"{}\"\n[channels.log]\nlog = {{}}\n", queue.url()));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    // What is asked here counts for another database.
    let elsewhere = queue.url().replace(queue.name(), "postgres");
    let mut look = PgConnection::connect(&elsewhere).await.unwrap();
    let done = "select xact_commit + xact_rollback from pg_stat_database where datname = $1";
    let mut ask = async || -> i64 { sqlx::query_scalar(done).bind(queue.name()).fetch_one(&mut look).await.unwrap() };
    // Time itself is what is measured here: what the start did is reported, then a while passes.
    sleep(REPORTED).await;
    let (begun, before) = (Instant::now(), ask().await);
    sleep(MEASURED).await;
    let rate = (ask().await - before) as f64 / begun.elapsed().as_secs_f64();
    assert!(rate > 0.1, "{rate} transactions a second: it does not even say that it lives");
    // It settles below one; for a minute after the start each connection still prepares its statements, a transaction each.
    assert!(rate < 2.0, "{rate} transactions a second");
    assert!(daemon.terminate().await.status.success());
}
