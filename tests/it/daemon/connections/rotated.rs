//! Passwords change while the daemon runs.

use super::site;
use crate::{
    daemon::{http::Api, pool, run_when},
    support::server::Server,
};
use reqwest::StatusCode;

#[tokio::test]
async fn a_rotated_password_is_taken_from_its_file_without_a_restart() {
    let server = Server::start(&[]).await;
    for user in ["worker", "reader"] {
        server.sql("postgres", &format!("create role {user} login password 'first-s3cret'")).await;
    }
    server.sql("postgres", "create database q owner worker").await;
    server.sql("postgres", "create database t owner reader").await;
    let at =
        |user: &str, database: &str| format!("postgres://{user}@127.0.0.1:{}/{database}?sslmode=disable", server.port);
    let mut site = site(&format!(
        "[database]\nurl = \"{}\"\n[targets.t]\nurl = \"{}\"\npassword_file = \"reader\"\n",
        at("worker", "q"),
        at("reader", "t")
    ));
    site.job("asks", "retry = { attempts = 20, first = \"100ms\", most = \"500ms\" }\ntimeout = \"1m\"\n[sql]\ntarget = \"t\"\nsql = \"select 1 as n\"\n");
    // The queue's lies where systemd puts it, the target's beside the settings.
    site.env("CREDENTIALS_DIRECTORY", &site.folder().display().to_string());
    site.write("database.password", "first-s3cret\n");
    site.write("reader", "first-s3cret\n");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let queue = pool(&server.url("q"));
    assert!(site.sexton(&["trigger", "asks"]).await.status.success());
    run_when(&queue, "asks", "is done", |run| run.state == "done").await;

    // The server is first: for a while nobody gets in.
    for user in ["worker", "reader"] {
        server.sql("postgres", &format!("alter role {user} password 'second-s3cret'")).await;
    }
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename in ('worker', 'reader')";
    server.sql("postgres", cut).await;
    daemon.wait_for_line("cannot be used, waiting for it").await;
    site.write("database.password", "second-s3cret\n");
    daemon.wait_for_line("can be used again").await;
    assert!(site.sexton(&["trigger", "asks"]).await.status.success());
    let api = Api::of(&daemon).await;
    assert_eq!(api.get("/api/v1/runs").await.status(), StatusCode::OK);
    // The target's comes later still; the run waits for it.
    run_when(&queue, "asks", "was refused once", |run| {
        run.attempts.as_array().is_some_and(|all| !all.is_empty()) && run.state != "done"
    })
    .await;
    site.write("reader", "second-s3cret\n");
    run_when(&queue, "asks", "is done again", |run| run.state == "done").await;
    let ended = daemon.terminate().await;
    let said = ended.lines.join("\n");
    assert!(ended.status.success() && !said.contains("s3cret"), "{said}");
    for database in ["q", "t"] {
        let line = format!("/{database}?sslmode=disable changed in its file");
        assert_eq!(said.matches(&line).count(), 1, "said once of {database}: {said}");
    }
}
