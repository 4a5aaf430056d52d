//! kill -9 of the daemon in the middle of its work, and of Postgres: nothing is lost, doubled or half-visible.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::support::{Database, Site, eventually, own_cluster};

use super::{DATASET, collector, every_second_is_decided_once, pool, run_when, site, stall::stalling_backup};

fn vault_files(site: &Site) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(&site.path("vault"), &mut found);
    found
}

#[tokio::test]
async fn a_backup_whose_daemon_is_killed_is_taken_up_again_and_is_whole() {
    let (queue, target) = (Database::new().await, collector(2_000).await);
    let site = stalling_backup(&queue, &target).await;
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let triggered = site.sexton(&["trigger", "backup"]).await;
    assert!(triggered.status.success(), "{triggered:?}");
    let pid: i32 =
        eventually("the dump stalls", || async { fs::read_to_string(site.path("pid")).ok()?.trim().parse().ok() })
            .await;
    run_when(queue.pool(), "backup", "is running", |run| run.state == "running").await;
    daemon.kill_9().await;
    eventually("the child died with its daemon", || async {
        (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    })
    .await;
    assert!(
        !vault_files(&site).iter().any(|name| name.ends_with(".manifest.json")),
        "a backup is visible: {:?}",
        vault_files(&site)
    );

    fs::remove_file(site.path("hold")).unwrap();
    let daemon = site.daemon(&["run"]).await;
    let run = run_when(queue.pool(), "backup", "is done", |run| run.state == "done").await;
    daemon.terminate().await;
    assert_eq!(run.losses, 1, "{run:?}");
    let files = vault_files(&site);
    let manifests: Vec<_> = files.iter().filter(|name| name.ends_with(".manifest.json")).collect();
    assert_eq!((manifests.len(), files.len()), (1, 2), "{files:?}");
    let manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(manifests[0]).unwrap()).unwrap();
    let object = files.iter().find(|name| !name.ends_with(".json")).expect("an object");
    let digest: String = Sha256::digest(fs::read(object).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest.pointer("/parts/0/sha256").and_then(|v| v.as_str()), Some(digest.as_str()));
}

/// Rows of each table, in main and archive together, and how many ids are in both.
async fn whole(target: &PgPool) -> BTreeMap<&'static str, (i64, i64)> {
    let mut counts = BTreeMap::new();
    for table in ["interface_exceptions", "retry_attempts", "order_items", "exception_status_changes"] {
        let there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(format!("public.{table}_archive"))
            .fetch_one(target)
            .await
            .unwrap();
        let archive = if there {
            format!("select id from public.{table}_archive")
        } else {
            "select 1::bigint where false".into()
        };
        let statement = format!(
            "with both_places as (select id from public.{table} union all {archive}) \
             select count(*), count(*) - count(distinct id) from both_places"
        );
        counts.insert(table, sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_one(target).await.unwrap());
    }
    counts
}

#[tokio::test]
async fn an_archive_whose_daemon_is_killed_goes_on_at_its_checkpoint() {
    let (queue, target) = (Database::new().await, collector(6_000).await);
    let site = site(&queue.url(), &target.url(), "");
    site.write("jobs/datasets/interface_exceptions.toml", DATASET);
    site.job(
        "archive",
        "timeout = \"5m\"\n[archive]\ntarget = \"collector\"\ndataset = \"interface_exceptions\"\nolder_than = \"365d\"\n\
         dry_run = false\nbatch = { rows = 5, target = \"10ms\" }\n",
    );
    // Slow enough to be killed in the middle.
    sqlx::raw_sql(
        "create function public.slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.002); return old; end';
         create trigger slow before delete on public.interface_exceptions for each row execute function public.slow();",
    )
    .execute(target.pool())
    .await
    .unwrap();
    let before = whole(target.pool()).await;
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "archive"]).await.status.success());
    eventually("rows have moved", || async {
        let moved: i64 = sqlx::query_scalar("select count(*) from public.interface_exceptions_archive")
            .fetch_one(target.pool())
            .await
            .ok()?;
        (moved >= 50).then_some(())
    })
    .await;
    daemon.kill_9().await;
    let (moved, steps): (i64, i64) = sqlx::query_as(
        "select (select count(*) from public.interface_exceptions_archive), (select count(*) from sexton.step)",
    )
    .fetch_one(target.pool())
    .await
    .unwrap();
    assert!(moved >= 50 && steps == 1, "{moved} moved, {steps} step rows");
    assert_eq!(whole(target.pool()).await, before, "conserved at the moment of the kill");

    let daemon = site.daemon(&["run"]).await;
    let run = run_when(queue.pool(), "archive", "is done", |run| run.state == "done").await;
    daemon.terminate().await;
    assert_eq!(run.losses, 1, "{run:?}");
    assert_eq!(whole(target.pool()).await, before);
    let archived: i64 = sqlx::query_scalar("select count(*) from public.interface_exceptions_archive")
        .fetch_one(target.pool())
        .await
        .unwrap();
    assert!(archived > moved, "the second daemon had work left: {archived} after {moved}");
    assert_eq!(run.report["rows_archived"], archived, "each row is counted once over both attempts");
}

#[tokio::test]
async fn postgres_that_is_killed_comes_back_to_a_daemon_that_goes_on() {
    let mut cluster = own_cluster(true).await;
    let (url, queue) = cluster.database("queue").await;
    // The work is elsewhere, and always some of it is in flight.
    let target = Database::empty().await;
    let site = site(&url, &target.url(), "");
    site.job("count", "[sql]\ntarget = \"collector\"\nread_only = true\nsql = \"select pg_sleep(1.3)::text\"\n");
    site.schedule(
        "often",
        "[[at]]\nname = \"often\"\njob = \"count\"\ncron = \"* * * * * *\"\noverlap = \"allow_all\"\n",
    );
    let daemon = site.daemon(&["run"]).await;
    eventually("a run is done", || async {
        let done: i64 = sqlx::query_scalar("select count(*) from sexton.history").fetch_one(&queue).await.ok()?;
        (done > 0).then_some(())
    })
    .await;
    cluster.kill_9();
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.restart().await;
    let queue = pool(&url);
    let back: i64 = eventually("the database answers", || async {
        sqlx::query_scalar("select count(*) from sexton.history").fetch_one(&queue).await.ok()
    })
    .await;
    eventually("runs are done again", || async {
        let done: i64 = sqlx::query_scalar("select count(*) from sexton.history").fetch_one(&queue).await.ok()?;
        (done >= back + 3).then_some(())
    })
    .await;
    let ended = daemon.terminate().await;
    assert!(ended.status.success(), "{:?}", ended.lines);
    every_second_is_decided_once(&queue, "often").await;
    // What was in flight when Postgres died was done once and settled once it was back.
    let odd: Vec<(String, i32)> =
        sqlx::query_as("select state::text, spent from sexton.history where state <> 'done' or spent <> 1")
            .fetch_all(&queue)
            .await
            .unwrap();
    assert!(odd.is_empty(), "{odd:?}");
    let live: i64 =
        sqlx::query_scalar("select count(*) from sexton.run where state <> 'ready'").fetch_one(&queue).await.unwrap();
    assert_eq!(live, 0);
}
