//! The queue through a real PgBouncer in transaction mode.
//!
//! Any `pgbouncer` that is installed, and the newer one that `.ci/run` builds, are tried: those from 1.21 on serve,
//! older ones are refused at start. A machine without one skips this, and says so.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use sexton::child::{Child, Parting, Spawner};
use tokio::process::Command;

use super::site;
use crate::{
    daemon::{http::Api, pool, run_when},
    support::{
        eventually, open_folder,
        server::{Server, as_server, give},
    },
};

/// Every PgBouncer of this machine with its version, as major and minor.
fn found() -> Vec<(PathBuf, (u32, u32))> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/pgbouncer");
    let named = std::env::var_os("SEXTON_TEST_PGBOUNCER").map(PathBuf::from);
    let places = named.into_iter().chain([built, "/usr/sbin/pgbouncer".into(), "/usr/bin/pgbouncer".into()]);
    places
        .filter_map(|place| {
            let told = std::process::Command::new(&place).arg("--version").output().ok()?;
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            let mut numbers = told.lines().next()?.rsplit(' ').next()?.split('.').map(|number| number.parse().ok());
            Some((place, (numbers.next()??, numbers.next()??)))
        })
        .collect()
}

/// Past the capture of the test runner: nobody may believe that these were run.
fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: the test with {what} did not run: none is installed");
}

struct Bouncer {
    port: u16,
    _child: Child,
    _folder: tempfile::TempDir,
}

async fn bouncer(program: &Path, server: &Server, more: &str) -> Bouncer {
    let folder = open_folder("sexton-bouncer-");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let users = folder.path().join("users");
    std::fs::write(&users, "\"worker\" \"one\"\n").unwrap();
    let ini = folder.path().join("bouncer.ini");
    let text = format!(
        "[databases]\nq = host=127.0.0.1 port={} dbname=q user=worker password=one\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
         default_pool_size = 4\n{more}\n",
        server.port,
        users.display()
    );
    std::fs::write(&ini, text).unwrap();
    give(&users);
    give(&ini);
    // A copy: the folders on the way to the built one may be closed to the server's user.
    let copy = folder.path().join("pgbouncer");
    std::fs::copy(program, &copy).unwrap();
    let mut command = Command::new(copy);
    command.arg(&ini).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    as_server(&mut command);
    let child = Spawner::start().unwrap().spawn_with(command, Parting::Kill).await.unwrap();
    eventually("the pooler answers", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
    Bouncer { port, _child: child, _folder: folder }
}

async fn server() -> Server {
    let server = Server::start(&[]).await;
    server.sql("postgres", "create role worker login password 'one'").await;
    server.sql("postgres", "create database q owner worker").await;
    server
}

fn settings(server: &Server, bouncer: &Bouncer) -> String {
    let at = |port: u16, password: &str| format!("postgres://worker{password}@127.0.0.1:{port}/q?sslmode=disable");
    format!(
        "[database]\nurl = \"{}\"\ndirect_url = \"{}\"\ndirect_password = \"one\"\n",
        at(bouncer.port, ""),
        at(server.port, "")
    )
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_serves_with_a_direct_url_beside_it() {
    let Some((program, _)) = found().into_iter().find(|(_, version)| *version >= (1, 21)) else {
        return skipped("a PgBouncer from 1.21 on");
    };
    let server = server().await;
    let bouncer = bouncer(&program, &server, "max_prepared_statements = 200").await;
    let site = site(&settings(&server, &bouncer));
    site.schedule("ticks", "[[at]]\nname = \"ticks\"\njob = \"nap\"\ncron = \"* * * * * *\"\n");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    // What holds for a session cannot be set through it: the daemon says what to set instead.
    let said = daemon.wait_for_line("has no short timeouts").await;
    assert!(said.contains("statement_timeout = '30s'"), "{said}");
    let api = Api::of(&daemon).await;
    for _ in 0..40 {
        assert!(api.ask(reqwest::Method::POST, "/api/v1/jobs/nap/runs", None).await.status().is_success());
    }
    let queue = pool(&server.url("q"));
    eventually("all are done", || async {
        let done = "select count(*) from sexton.runs where state::text = 'done'";
        (sqlx::query_scalar::<_, i64>(done).fetch_one(&queue).await.ok()? >= 42).then_some(())
    })
    .await;
    let listening = "select count(*) from pg_stat_activity where query ilike 'listen%' and usename = 'worker'";
    let listening: i64 = sqlx::query_scalar(listening).fetch_one(&queue).await.unwrap();
    assert_eq!(listening, 2, "workers and alerts hear past the pooler");
    // Nothing was set on the sessions that others get, too.
    let set: Vec<String> = server_timeouts(bouncer.port).await;
    assert!(set.iter().all(|timeout| timeout == "0"), "{set:?}");
    let ended = daemon.terminate().await;
    assert!(ended.status.success(), "{:?}", ended.lines);
    assert!(!ended.lines.iter().any(|line| line.contains("ERROR")), "{:?}", ended.lines);

    // Once the role has them, there is nothing to say.
    server.sql("postgres", "alter role worker in database q set statement_timeout = '30s'; alter role worker in database q set idle_in_transaction_session_timeout = '60s'").await;
    server.sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'worker'").await;
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert_eq!(super::count(&daemon, "has no short timeouts"), 0, "{:?}", daemon.lines());
    assert!(daemon.terminate().await.status.success());
    run_when(&queue, "nap", "is there", |_| true).await;
}

/// What the sessions of the pool have, asked through it.
async fn server_timeouts(port: u16) -> Vec<String> {
    use sqlx::Connection;
    let options: sqlx::postgres::PgConnectOptions =
        format!("postgres://worker@127.0.0.1:{port}/q?sslmode=disable").parse().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut one = sqlx::PgConnection::connect_with(&options.clone().extra_float_digits(None)).await.unwrap();
        sqlx::raw_sql("begin").execute(&mut one).await.unwrap();
        held.push(one);
    }
    let mut found = Vec::new();
    for one in &mut held {
        found.push(sqlx::query_scalar("select current_setting('statement_timeout')").fetch_one(one).await.unwrap());
    }
    found
}

#[tokio::test]
async fn a_pooler_that_loses_prepared_statements_is_refused_at_start() {
    let poolers = found();
    if poolers.is_empty() {
        return skipped("a PgBouncer");
    }
    for (program, version) in poolers {
        let server = server().await;
        let more = if version >= (1, 21) { "max_prepared_statements = 0" } else { "" };
        let bouncer = bouncer(&program, &server, more).await;
        let site = site(&settings(&server, &bouncer));
        let ended = site.daemon(&["run"]).await.exit().await;
        let said = ended.lines.join("\n");
        assert!(!ended.status.success() && said.contains("PgBouncer 1.21 or newer"), "{version:?}: {said}");
    }
}

#[tokio::test]
async fn a_pooler_without_a_direct_url_is_told_what_is_missing() {
    let Some((program, _)) = found().into_iter().next() else { return skipped("a PgBouncer") };
    let server = server().await;
    let bouncer = bouncer(&program, &server, "").await;
    let site = site(&format!("[database]\nurl = \"postgres://worker@127.0.0.1:{}/q?sslmode=disable\"\n", bouncer.port));
    let ended = site.daemon(&["run"]).await.exit().await;
    let said = ended.lines.join("\n");
    assert!(!ended.status.success() && said.contains("set direct_url"), "{said}");
}
