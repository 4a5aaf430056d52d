//! Without notifications everything works, a second later.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgListener};

use super::site;
use crate::{daemon::run_when, support::Database};

#[tokio::test]
async fn with_notify_off_nothing_is_sent_or_heard_and_everything_works() {
    let queue = Database::new().await;
    let site = site(&format!("[database]\nurl = \"{}\"\nnotify = false\n[channels.log]\nlog = {{}}\n", queue.url()));
    site.job("fails", "alert = [\"log\"]\nretry = { attempts = 1 }\ntimeout = \"5s\"\n[exec]\nargv = [\"false\"]\n");
    site.job("long", "timeout = \"1m\"\n[exec]\nargv = [\"sleep\", \"50\"]\n");
    let mut ears = PgListener::connect_with(queue.pool()).await.unwrap();
    let channels = [sexton::queue::CHANNEL, sexton::outbox::CHANNEL];
    ears.listen_all(channels).await.unwrap();
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    for job in ["fails", "nap", "long"] {
        assert!(site.sexton(&["trigger", job]).await.status.success());
    }
    run_when(queue.pool(), "nap", "is done", |run| run.state == "done").await;
    daemon.wait_for_line("alert: fails failed").await;
    let long = run_when(queue.pool(), "long", "is running", |run| run.state == "running").await;
    assert!(site.sexton(&["runs", "cancel", &long.id.to_string()]).await.status.success());
    run_when(queue.pool(), "long", "is cancelled", |run| run.state == "cancelled").await;
    let hearing = "select count(*) from pg_stat_activity where datname = $1 and query ilike 'listen%' and pid <> $2";
    let me: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut ears).await.unwrap();
    let hearing: i64 = sqlx::query_scalar(hearing).bind(queue.name()).bind(me).fetch_one(queue.pool()).await.unwrap();
    assert_eq!(hearing, 0, "it listens");
    assert!(daemon.terminate().await.status.success());
    let heard = tokio::time::timeout(Duration::from_millis(200), ears.recv()).await;
    assert!(heard.is_err(), "it told {heard:?}");
}

#[tokio::test]
async fn a_daemon_that_does_nothing_holds_few_connections() {
    let queue = Database::new().await;
    let site = site(&format!("[database]\nurl = \"{}\"\n", queue.url()));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "nap"]).await.status.success());
    run_when(queue.pool(), "nap", "is done", |run| run.state == "done").await;
    // This test's own pool calls itself by the same name.
    queue.pool().close().await;
    let mut look = PgConnection::connect(&queue.url()).await.unwrap();
    let open = "select count(*) from pg_stat_activity where datname = $1 and application_name = 'sexton' and pid <> pg_backend_pid()";
    // What the run needed is closed once it was idle for a while.
    let mut held = i64::MAX;
    for _ in 0..500 {
        held = sqlx::query_scalar(open).bind(queue.name()).fetch_one(&mut look).await.unwrap();
        if held < 15 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(held < 15, "{held} connections");
    assert!(daemon.terminate().await.status.success());
}
