//! A database whose clock is stepped: each daemon measures its own against it and says so.

use crate::support::{Database, client, eventually};

use super::site;

/// Steps the database's clock for connections that are made from here on.
async fn step(database: &Database, by: &str) {
    for statement in [
        "create schema if not exists stepped".to_owned(),
        format!(
            "create or replace function stepped.clock_timestamp() returns timestamptz language sql \
             as $$ select pg_catalog.clock_timestamp() + interval '{by}' $$"
        ),
        "do $$ begin execute format('alter database %I set search_path = stepped, pg_catalog, public', \
         current_database()); end $$"
            .to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(database.pool()).await.expect("a stepped clock");
    }
}

/// What a daemon on this database says when it has measured: its readiness, and its metric.
async fn measured(by: Option<&str>) -> (Vec<String>, String, f64) {
    let (queue, target) = (Database::new().await, Database::empty().await);
    if let Some(by) = by {
        step(&queue, by).await;
    }
    let site = site(&queue.url(), &target.url(), "[http]\nlisten = \"127.0.0.1:0\"");
    let daemon = site.daemon(&["run"]).await;
    let address = daemon.address().await;
    let client = client();
    let get = async |path: &str| client.get(format!("{address}{path}")).send().await.ok()?.text().await.ok();
    let skew = eventually("the skew is measured", async || {
        let text = get("/metrics").await?;
        text.lines().find_map(|line| line.strip_prefix("sexton_clock_skew_seconds ")?.parse::<f64>().ok())
    })
    .await;
    let ready = eventually("it is ready", async || get("/readyz").await.filter(|text| text.starts_with("ready"))).await;
    (daemon.terminate().await.lines, ready, skew)
}

#[tokio::test]
async fn a_clock_that_is_a_minute_off_is_told_in_the_log_the_metric_and_the_readiness() {
    let (lines, ready, skew) = measured(Some("-2 minutes")).await;
    assert!((118.0..125.0).contains(&skew), "{skew}");
    assert!(ready.contains("warning: this machine's clock is 120."), "{ready}");
    let told: Vec<_> = lines.iter().filter(|line| line.contains("ahead of the queue database's")).collect();
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("chronyc"), "{lines:#?}");
}

#[tokio::test]
async fn a_clock_that_is_behind_counts_as_well_and_a_good_one_is_not_told() {
    let (lines, _, skew) = measured(Some("90 seconds")).await;
    assert!((-95.0..-88.0).contains(&skew), "{skew}");
    assert!(lines.iter().any(|line| line.contains("s behind the queue database's")), "{lines:#?}");
    let (lines, ready, skew) = measured(None).await;
    assert!(skew.abs() < 5.0 && ready == "ready\n", "{skew} {ready}");
    assert!(!lines.iter().any(|line| line.contains("queue database's")), "{lines:#?}");
}
