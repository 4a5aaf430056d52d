//! The bench itself: a tool that lies makes every claim worthless.

use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use crate::support::{Daemon, Database, Proxy, Site, Wire, eventually};

#[tokio::test]
async fn every_test_has_a_database_of_its_own_with_the_schema() {
    let (one, other) = tokio::join!(Database::new(), Database::new());
    assert_ne!(one.name(), other.name());
    sqlx::query("create table mine()").execute(one.pool()).await.unwrap();
    let seen: bool =
        sqlx::query_scalar("select to_regclass('mine') is not null").fetch_one(other.pool()).await.unwrap();
    assert!(!seen);
    sqlx::query("select from sexton.run").execute(other.pool()).await.expect("the schema");
}

#[tokio::test]
async fn an_empty_database_is_dropped_with_its_test() {
    let witness = Database::new().await;
    let empty = Database::empty().await;
    sqlx::query("select from sexton.run").execute(empty.pool()).await.expect_err("no schema");
    let name = empty.name().to_owned();
    drop(empty);
    let known: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(witness.pool())
        .await
        .unwrap();
    assert!(!known);
}

#[tokio::test]
async fn the_wire_can_lose_just_the_reply_to_a_commit() {
    let database = Database::new().await;
    let proxy = Proxy::unix(database.socket_dir()).await;
    let mut connection = PgConnection::connect(&proxy.url(database.name())).await.expect("through the proxy");
    sqlx::query("create table t (n int)").execute(&mut connection).await.unwrap();

    proxy.set(Wire::LoseReplyTo("COMMIT"));
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("insert into t values (1)").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.expect_err("the client never learns");
    proxy.struck().await;

    let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(database.pool()).await.unwrap();
    assert_eq!(rows, 1, "but it is committed");
    PgConnection::connect(&proxy.url(database.name())).await.expect("the wire is whole again");
}

#[tokio::test]
async fn the_wire_can_be_cut_and_mended() {
    let database = Database::new().await;
    let proxy = Proxy::unix(database.socket_dir()).await;
    let mut connection = PgConnection::connect(&proxy.url(database.name())).await.expect("through the proxy");
    proxy.cut_once().await;
    connection.ping().await.expect_err("a cut wire");
    proxy.set(Wire::Cut);
    PgConnection::connect(&proxy.url(database.name())).await.expect_err("still cut");
    proxy.set(Wire::Pass);
    eventually("a connection", || async { PgConnection::connect(&proxy.url(database.name())).await.ok() }).await;
}

#[tokio::test]
async fn a_black_hole_keeps_the_client_waiting() {
    let database = Database::new().await;
    let proxy = Proxy::unix(database.socket_dir()).await;
    let mut connection = PgConnection::connect(&proxy.url(database.name())).await.expect("through the proxy");
    proxy.set(Wire::Blackhole);
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(200), connection.ping()).await;
    assert!(waiting.is_err(), "no answer and no error");
}

async fn watched(script: &str) -> Daemon {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Site::new("").watch(command).await
}

#[tokio::test]
async fn a_watched_program_is_heard_on_both_pipes() {
    let program = watched("echo one; echo two >&2; echo one more; exit 6").await;
    assert_eq!(program.wait_for_line("two").await, "two");
    assert_eq!(program.wait_for_nth_line("one", 2).await, "one more");
    let ended = program.exit().await;
    assert_eq!((ended.status.code(), ended.lines.len()), (Some(6), 3));
}

#[tokio::test]
async fn a_watched_program_can_be_ended_politely_or_not() {
    const SCRIPT: &str = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done";
    let polite = watched(SCRIPT).await;
    polite.wait_for_line("up").await;
    let ended = polite.terminate().await;
    assert_eq!((ended.status.code(), ended.lines.last().map(String::as_str)), (Some(3), Some("bye")));

    let killed = watched(SCRIPT).await;
    killed.wait_for_line("up").await;
    assert_eq!(killed.kill_9().await.status.code(), None);
}

#[tokio::test]
#[should_panic(expected = "no line 1 with \"never\"; it said:\nsomething else")]
async fn a_missing_line_fails_the_test_with_what_was_said() {
    watched("echo something else").await.wait_for_line("never").await;
}
