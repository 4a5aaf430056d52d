//! The kinds for everybody else's jobs, `sql`, `http` and `exec`: what they give, what they refuse, and how they stop.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::{any, get, post},
};
use serde_json::{Value, json};
use sexton::{
    kinds::{Broken, Ctx, Exec, Http, Kind, Sql},
    outcome::{Again, Failure, Outcome, Report},
    vault::Vaults,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::{Database, ctx, eventually};

async fn run<K: Kind>(table: Value, ctx: Ctx) -> Result<Outcome, Broken> {
    let kind: K = serde_json::from_value(table).expect("a table of this kind");
    let findings = kind.check();
    assert!(findings.is_empty(), "{findings:?}");
    kind.run(ctx).await
}

async fn done<K: Kind>(table: Value, ctx: Ctx) -> Report {
    match run::<K>(table, ctx).await {
        Ok(Outcome::Done(report)) => report,
        other => panic!("not done: {other:?}"),
    }
}

async fn failed<K: Kind>(table: Value, ctx: Ctx) -> Failure {
    match run::<K>(table, ctx).await {
        Err(Broken::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

fn bare() -> Ctx {
    ctx([], Vaults::default())
}

fn with(params: Value, mut ctx: Ctx) -> Ctx {
    ctx.params = serde_json::from_value::<BTreeMap<String, Value>>(params).expect("parameters");
    ctx
}

// sql

fn on(database: &Database) -> Ctx {
    ctx([database.target("t")], Vaults::default())
}

#[tokio::test]
async fn a_parameter_is_a_value_of_whatever_type_its_place_has() {
    let database = Database::empty().await;
    let sql = "create type mood as enum ('fine', 'sad');
               create table t (note text, day date, pause interval, n int, mood mood, list text[], doc jsonb)";
    done::<Sql>(json!({"target": "t", "sql": sql}), on(&database)).await;
    let evil = "x'); drop table t; --";
    let params = json!({
        "note": evil, "day": "2026-03-01", "pause": "36 hours", "n": 7, "mood": "sad", "list": ["a,b", "c\"d"],
        "doc": "text", "days": 2
    });
    let sql = "insert into t values (:note, :day, :pause, :n, :mood, :list, :doc);
               update t set day = day + :days::int, n = n + :n where note = :note and 'a:note' <> ':n' -- :nobody";
    let report = done::<Sql>(json!({"target": "t", "sql": sql}), with(params, on(&database))).await;
    assert_eq!(report.number("rows_affected"), Some(2.0), "{report:?}");
    let row: String =
        sqlx::query_scalar("select row_to_json(t)::text from t").fetch_one(database.pool()).await.unwrap();
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(
        row,
        json!({
            "note": evil, "day": "2026-03-03", "pause": "36:00:00", "n": 14, "mood": "sad", "list": ["a,b", "c\"d"],
            "doc": "text"
        })
    );
}

#[tokio::test]
async fn the_numbers_of_a_single_row_are_reported() {
    let database = Database::empty().await;
    let sql = "create table t as select n::bigint, n / 4.0 as share from generate_series(1, 10) n;
               select count(*) as rows_in_t, sum(n) as total, avg(share) as mean, max(n)::float8 as most,
                      null::int as nothing, 'text' as words from t;
               select n as not_reported from t";
    let report = done::<Sql>(json!({"target": "t", "sql": sql}), on(&database)).await;
    for (name, number) in [
        ("rows_in_t", 10.0),
        ("total", 55.0),
        ("mean", 1.375),
        ("most", 10.0),
        ("statements", 3.0),
        ("rows_returned", 11.0),
        ("rows_affected", 10.0),
    ] {
        assert_eq!(report.number(name), Some(number), "{name} in {report:?}");
    }
    for name in ["nothing", "words", "not_reported"] {
        assert_eq!(report.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn statements_commit_together_or_not_at_all() {
    let database = Database::empty().await;
    let sql = "create table t (n int); insert into nowhere values (1)";
    let failure = failed::<Sql>(json!({"target": "t", "sql": sql}), on(&database)).await;
    assert!(failure.why.contains("target `t`, statement 2 of 2"), "{}", failure.why);
    assert!(failure.why.contains("\"nowhere\" does not exist") && failure.help.is_some(), "{failure:?}");
    assert_eq!(failure.again, Again::Never);
    let there: bool =
        sqlx::query_scalar("select to_regclass('t') is not null").fetch_one(database.pool()).await.unwrap();
    assert!(!there, "the first statement was kept");
}

#[tokio::test]
async fn vacuum_runs_outside_a_transaction_and_read_only_changes_nothing() {
    let database = Database::empty().await;
    done::<Sql>(json!({"target": "t", "sql": "create table t (n int)"}), on(&database)).await;
    let vacuum = json!({"target": "t", "sql": "vacuum t; analyze t", "transaction": false});
    done::<Sql>(vacuum, on(&database)).await;
    let inside: Sql = serde_json::from_value(json!({"target": "t", "sql": "vacuum t"})).unwrap();
    assert!(inside.check().iter().any(|finding| finding.help.as_deref() == Some("add `transaction = false`")));
    let change = json!({"target": "t", "sql": "insert into t values (1)", "read_only": true});
    let failure = failed::<Sql>(change, on(&database)).await;
    assert!(failure.why.contains("read-only transaction"), "{}", failure.why);
}

#[tokio::test]
async fn what_is_no_parameter_is_named() {
    let database = Database::empty().await;
    let table = json!({"target": "t", "sql": "select :known, :unknown"});
    let failure = failed::<Sql>(table, with(json!({"known": 1}), on(&database))).await;
    assert!(failure.why.contains("`:unknown`"), "{}", failure.why);
}

#[tokio::test]
async fn a_stopped_statement_ends_on_the_server_too() {
    let database = Database::empty().await;
    let ctx = on(&database);
    let stop = ctx.stop.clone();
    let table = json!({"target": "t", "sql": "create table t (n int); select pg_sleep(300)"});
    let running = tokio::spawn(run::<Sql>(table, ctx));
    let sleeping = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
                    and query like 'select pg_sleep%'";
    let asleep = async |wanted: i64| {
        let seen: i64 = sqlx::query_scalar(sleeping).fetch_one(database.pool()).await.unwrap();
        (seen == wanted).then_some(())
    };
    eventually("the statement runs", || asleep(1)).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(15), running).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(Broken::Stopped)), "{ended:?}");
    eventually("the statement has ended", || asleep(0)).await;
    let there: bool =
        sqlx::query_scalar("select to_regclass('t') is not null").fetch_one(database.pool()).await.unwrap();
    assert!(!there, "half of a stopped transaction was kept");
}

// http

/// A server of the test's own; it ends when dropped.
struct Server {
    port: u16,
    hits: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers on a few paths; `/away` leads to `elsewhere`.
    async fn start(elsewhere: &str) -> Self {
        let hits = Arc::new(AtomicU32::new(0));
        let (count, away) = (Arc::clone(&hits), format!("{elsewhere}/ok"));
        let echo = async |headers: HeaderMap, body: String| {
            let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("none");
            let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("none");
            (StatusCode::ACCEPTED, format!("{token}|{kind}|{body}"))
        };
        let app = Router::new()
            .route("/ok", any(async || "fine"))
            .route("/echo", post(echo))
            .route("/busy", get(async || (StatusCode::SERVICE_UNAVAILABLE, "come back later")))
            .route("/same", get(async || Redirect::temporary("/ok")))
            .route("/away", get(async move || Redirect::temporary(&away)))
            .route("/slow", get(async || std::future::pending::<()>().await))
            .layer(axum::middleware::from_fn(move |request, next: axum::middleware::Next| {
                count.fetch_add(1, Ordering::SeqCst);
                next.run(request)
            }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self { port, hits, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn an_answer_is_reported_with_status_size_and_time() {
    let server = Server::start("http://127.0.0.1:1").await;
    let report = done::<Http>(json!({"url": server.url("/ok")}), bare()).await;
    assert_eq!((report.number("status"), report.number("bytes")), (Some(200.0), Some(4.0)), "{report:?}");
    assert!(report.number("duration_seconds").is_some());
}

#[tokio::test]
async fn a_secret_header_comes_from_a_file_and_parameters_go_into_the_body() {
    let server = Server::start("http://127.0.0.1:1").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "s3cret\n").unwrap();
    let table = json!({
        "url": server.url("/echo"), "method": "post", "expect_status": 418,
        "headers": {"Authorization": {"file": file, "prefix": "Bearer "}},
        "body": {"days": ":days", "list": [":who"], "slot": ":nominal_at", "late": ":late_by", "last": ":previous_success_at"}
    });
    let mut ctx = bare();
    ctx.run.nominal_at = "2026-11-24T02:00:00Z".parse().ok();
    ctx.run.late_by = Duration::from_millis(90_500);
    let params = json!({"days": 30, "who": "a \"b\""});
    // The server says what it was sent, and a status that is not expected shows the answer.
    let failure = failed::<Http>(table, with(params, ctx)).await;
    let sent = "Bearer s3cret|application/json|{\"days\":30,\"last\":null,\"late\":90,\"list\":[\"a \\\"b\\\"\"],\"slot\":\"2026-11-24T02:00:00Z\"}";
    assert!(failure.why.contains(sent), "{}", failure.why);
    assert_eq!(failure.report.number("status"), Some(202.0));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = Server::start("http://127.0.0.1:1").await;
    let server = Server::start(&other.url("")).await;
    let report = done::<Http>(json!({"url": server.url("/same")}), bare()).await;
    assert_eq!(report.number("status"), Some(200.0));
    let failure = failed::<Http>(json!({"url": server.url("/away")}), bare()).await;
    assert!(failure.why.contains("307"), "{}", failure.why);
    assert!(failure.help.is_some_and(|help| help.contains(&other.url("/ok"))));
    assert_eq!(other.hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let server = Server::start("http://127.0.0.1:1").await;
    let busy = failed::<Http>(json!({"url": server.url("/busy")}), bare()).await;
    assert!(busy.why.contains("503") && busy.why.contains("come back later"), "{}", busy.why);
    assert_eq!(busy.again, Again::Later);
    let gone = failed::<Http>(json!({"url": server.url("/nowhere?token=s3cret")}), bare()).await;
    assert_eq!(gone.again, Again::Never);
    assert!(gone.why.contains("404") && !gone.why.contains("s3cret"), "{}", gone.why);
    let slow = failed::<Http>(json!({"url": server.url("/slow?token=s3cret"), "timeout": "200ms"}), bare()).await;
    assert!(slow.why.contains("200ms") && !slow.why.contains("s3cret"), "{}", slow.why);
    assert_eq!(slow.again, Again::Later);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = failed::<Http>(json!({"url": format!("http://127.0.0.1:{port}/?token=s3cret")}), bare()).await;
    assert!(nobody.help.is_some() && !nobody.why.contains("s3cret"), "{nobody:?}");
    assert_eq!(nobody.again, Again::Later);
}

// exec

fn shell(script: &str) -> Value {
    json!({"argv": ["/bin/sh", "-c", script]})
}

#[tokio::test]
async fn a_program_is_told_of_its_run_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let mut table = shell("env > seen; pwd >> seen; echo 'sexton: rows_loaded=12'; printf 'sexton: share=0.25'");
    table["env"] = json!({"MODE": "fast"});
    table["dir"] = json!(folder.path());
    let ctx = with(json!({"older-than": "30 days; rm -rf /", "dry_run": true}), bare());
    let id = ctx.run.id;
    let report = done::<Exec>(table, ctx).await;
    assert_eq!((report.number("rows_loaded"), report.number("share")), (Some(12.0), Some(0.25)), "{report:?}");
    assert_eq!(report.number("exit_code"), Some(0.0));
    let seen = fs::read_to_string(seen).unwrap();
    for line in [
        "MODE=fast".to_owned(),
        format!("SEXTON_RUN={id}"),
        "SEXTON_ATTEMPT=1".to_owned(),
        "SEXTON_PARAM_OLDER_THAN=30 days; rm -rf /".to_owned(),
        "SEXTON_PARAM_DRY_RUN=true".to_owned(),
    ] {
        assert!(seen.lines().any(|has| has == line), "{line} is not in:\n{seen}");
    }
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "the test's own environment has it");
    assert!(!seen.contains("CARGO_MANIFEST_DIR"), "the daemon's environment leaks:\n{seen}");
}

#[tokio::test]
async fn a_bad_end_shows_the_programs_last_words() {
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo 'no such file' >&2; exit 3";
    let failure = failed::<Exec>(shell(script), bare()).await;
    assert!(failure.why.contains("exit status: 3") && failure.why.contains("no such file"), "{}", failure.why);
    assert!(failure.why.len() < 5000 && !failure.why.contains("line 10\n"), "{}", failure.why.len());
    assert_eq!(failure.report.number("exit_code"), Some(3.0));
    let mut table = shell("exit 3");
    table["success"] = json!([0, 3]);
    done::<Exec>(table, bare()).await;
    let failure = failed::<Exec>(json!({"argv": ["no-such-program-here"]}), bare()).await;
    assert!(failure.why.contains("no-such-program-here") && failure.help.is_some(), "{failure:?}");
    assert_eq!(failure.again, Again::Never);
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_its_run() {
    let begun = Instant::now();
    let report = done::<Exec>(shell("sleep 300 & echo 'sexton: n=1'"), bare()).await;
    assert_eq!(report.number("n"), Some(1.0));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stop_ends_the_program_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let mut table = shell("sleep 300 & echo $$ $! > pids.new && mv pids.new pids; wait");
    table["dir"] = json!(folder.path());
    let ctx = bare();
    let stop = ctx.stop.clone();
    let running = tokio::spawn(run::<Exec>(table, ctx));
    let started = eventually("it has started", async || fs::read_to_string(&pids).ok()).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(15), running).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(Broken::Stopped)), "{ended:?}");
    for pid in started.split_whitespace() {
        // A zombie has ended, too; who reaps it is not for the test.
        let state = async || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
            matches!(state, None | Some('Z')).then_some(())
        };
        eventually("the process has ended", state).await;
    }
}
