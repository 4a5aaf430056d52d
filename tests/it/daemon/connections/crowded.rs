//! Few connections, and a server that has none left.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sqlx::{Connection, PgConnection};

use super::{count, site};
use crate::{
    daemon::{http::Api, pool, run_when},
    support::{Database, eventually, server::Server},
};

/// Takes every connection that the server still has for such a user.
async fn fill(url: &str) -> Vec<PgConnection> {
    let mut held = Vec::new();
    while let Ok(connection) = PgConnection::connect(url).await {
        held.push(connection);
    }
    held
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_waited_for_and_told_once() {
    let server = Server::start(&["max_connections=20"]).await;
    server.sql("postgres", "create role worker login password 'one'").await;
    server.sql("postgres", "create database q owner worker").await;
    let url = format!("postgres://worker:one@127.0.0.1:{}/q?sslmode=disable", server.port);
    let others = fill(&url).await;
    assert!(others.len() >= 10);
    let site = site(&format!("[database]\nurl = \"{url}\"\nmax_connections = 4\n"));
    let daemon = site.daemon(&["run"]).await;
    let said = daemon.wait_for_line("does not answer; waiting for it").await;
    assert!(said.contains("connection slots") || said.contains("too many clients"), "{said}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(others);
    daemon.wait_for_line("is at work").await;
    assert_eq!(count(&daemon, "does not answer; waiting for it"), 1, "{:?}", daemon.lines());

    // The same while it works: it loses its connections, and others are faster.
    let queue = pool(&server.url("q"));
    assert!(site.sexton(&["trigger", "nap"]).await.status.success());
    run_when(&queue, "nap", "is done", |run| run.state == "done").await;
    server.sql("postgres", "alter role worker connection limit 0").await;
    server.sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'worker'").await;
    daemon.wait_for_line("cannot be used, waiting for it").await;
    server.sql("postgres", "alter role worker connection limit -1").await;
    daemon.wait_for_line("can be used again").await;
    assert!(site.sexton(&["trigger", "nap"]).await.status.success());
    eventually("the second is done", || async {
        let done: i64 = sqlx::query_scalar("select count(*) from sexton.runs where state::text = 'done'")
            .fetch_one(&queue)
            .await
            .ok()?;
        (done == 2).then_some(())
    })
    .await;
    assert_eq!(count(&daemon, "cannot be used, waiting for it"), 1, "{:?}", daemon.lines());
    assert!(daemon.terminate().await.status.success());
}

#[tokio::test]
async fn two_connections_are_enough_for_fifty_runs_and_for_people() {
    let queue = Database::new().await;
    let site = site(&format!("[database]\nurl = \"{}\"\nmax_connections = 2\n[worker]\nslots = 50\n", queue.url()));
    site.job("nap", "timeout = \"1m\"\n[exec]\nargv = [\"sleep\", \"0.3\"]\n");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let api = Api::of(&daemon).await;
    for _ in 0..50 {
        assert!(api.ask(reqwest::Method::POST, "/api/v1/jobs/nap/runs", None).await.status().is_success());
    }
    let done = "select count(*) from sexton.runs where state::text = 'done'";
    eventually("all are done", || async {
        assert_eq!(api.get("/readyz").await.status(), StatusCode::OK);
        (sqlx::query_scalar::<_, i64>(done).fetch_one(queue.pool()).await.ok()? == 50).then_some(())
    })
    .await;
    assert_eq!(count(&daemon, "heartbeat did not reach"), 0, "{:?}", daemon.lines());
    let attempts: i64 =
        sqlx::query_scalar("select max(spent)::bigint from sexton.runs").fetch_one(queue.pool()).await.unwrap();
    assert_eq!(attempts, 1);
    let open = "select count(*) from pg_stat_activity where datname = $1 and application_name = 'sexton' and pid <> pg_backend_pid()";
    let open: i64 = sqlx::query_scalar(open).bind(queue.name()).fetch_one(queue.pool()).await.unwrap();
    assert!(open <= 20, "{open} connections");
    assert!(daemon.terminate().await.status.success());
}

#[tokio::test]
async fn an_api_without_a_connection_says_so_and_work_goes_on() {
    let queue = Database::new().await;
    let site = site(&format!("[database]\nurl = \"{}\"\n", queue.url()));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let api = Api::of(&daemon).await;
    assert_eq!(api.get("/api/v1/files").await.status(), StatusCode::OK);
    // Only people look there, once the daemon has started.
    let mut locked = queue.pool().begin().await.unwrap();
    sqlx::query("lock table sexton.history in access exclusive mode").execute(&mut *locked).await.unwrap();
    let begun = Instant::now();
    let answers = futures::future::join_all((0..12).map(|_| api.get("/api/v1/runs"))).await;
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    let mut busy = 0;
    for answer in answers {
        assert_eq!(answer.headers()["retry-after"], "5");
        let problem = api.problem(answer, StatusCode::SERVICE_UNAVAILABLE).await;
        busy += usize::from(problem["type"] == "urn:sexton:problem:database-busy");
    }
    assert!(busy >= 4, "{busy} were told that no connection came");
    locked.rollback().await.unwrap();
    assert_eq!(count(&daemon, "heartbeat did not reach"), 0, "{:?}", daemon.lines());
    assert_eq!(api.get("/api/v1/runs").await.status(), StatusCode::OK);
    assert!(daemon.terminate().await.status.success());
}
