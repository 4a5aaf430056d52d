//! The shipped weekly chain, armed, on the collector's own schema: what it replaces lost a fifth of the rows.

use std::{fs, path::Path};

use crate::{
    daemon::{run_when, site},
    support,
};

use super::*;

/// A file that ships.
fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a shipped file")
}

/// A folder with the shipped data set, jobs and weekly schedule, armed.
pub(super) fn armed(queue: &Database, collector: &Collector) -> support::Site {
    let site = site(&queue.url(), &collector.database.url(), "");
    for job in ["archive-exceptions", "cleanup-resolved", "cleanup-old", "validate-full", "analyze"] {
        site.job(job, &shipped(&format!("jobs/{job}.toml")));
    }
    site.write("jobs/datasets/interface_exceptions.toml", &shipped("jobs/datasets/interface_exceptions.toml"));
    let weekly = shipped("schedules/weekly.toml");
    assert!(weekly.contains("dry_run = true"), "the shipped chain only looks");
    site.schedule("weekly", &weekly.replace("dry_run = true", "dry_run = false"));
    site
}

async fn the_chain_loses_nothing(version: Version) {
    let (queue, collector) = (Database::new().await, Collector::new(version, 5_000).await);
    let before = collector.everything().await;
    let goes = "from public.interface_exceptions where severity <> 'CRITICAL' and status in ('RESOLVED', 'CLOSED')
        and (processed_at < now() - interval '365 days' or resolved_at < now() - interval '90 days')";
    let goes = collector.count(&format!("select count(*) {goes}")).await;
    let site = armed(&queue, &collector);
    let installed = site.sexton(&["db", "install", "--target", "collector"]).await;
    assert!(installed.status.success(), "{installed:?}");

    // A daemon that was away for a week catches up with the last Sunday's slot.
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    daemon.terminate().await;
    let away = "update sexton.schedule set watermark = now() - interval '7 days 1 hour' where name = 'weekly-data'";
    assert_eq!(sqlx::query(away).execute(queue.pool()).await.unwrap().rows_affected(), 1);
    let daemon = site.daemon(&["run"]).await;
    let last = run_when(queue.pool(), "analyze", "is over", |run| run.is_over()).await;
    daemon.terminate().await;

    let states: Vec<(String, String)> =
        sqlx::query_as("select job, state::text from sexton.history where chain = $1 order by created_at, id")
            .bind(last.chain)
            .fetch_all(queue.pool())
            .await
            .unwrap();
    let jobs = ["archive-exceptions", "cleanup-resolved", "cleanup-old", "validate-full", "analyze"];
    assert_eq!(states, jobs.map(|job| (job.to_owned(), "done".to_owned())));
    assert_same(&collector.everything().await, &before);
    collector.assert_whole().await;
    assert_eq!(collector.count("select count(*) from public.interface_exceptions_archive").await, goes);
    let logged = "select (select sum(records_archived) from public.data_archive_log where status = 'COMPLETED' and not dry_run)
                       + (select sum(records_deleted) from public.data_cleanup_log where status = 'COMPLETED' and not dry_run)";
    assert_eq!(collector.count(logged).await, goes, "every row that left is in a log");
}

#[tokio::test]
async fn the_weekly_chain_loses_nothing_on_v14() {
    the_chain_loses_nothing(Version::V14).await;
}

#[tokio::test]
async fn the_weekly_chain_loses_nothing_on_v24() {
    the_chain_loses_nothing(Version::V24).await;
}
