//! The bench itself: a tool that lies makes every claim worthless.

use sqlx::{Connection, PgConnection};

use crate::support::{Database, Proxy, Wire, eventually};

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
