//! A target says what it lacks and gets it with one command.

use sqlx::{Executor, SqlSafeStr};

use super::*;

#[tokio::test]
async fn a_target_without_the_step_table_says_what_to_run() {
    let site = Site::new(100).await;
    site.run("drop schema sexton cascade").await;
    let before = site.everything().await;
    let dry = done(archive(site.ctx(), "older_than = '365d'").await);
    assert!(dry.get("lacks").is_some(), "a dry run says so, too: {dry:?}");
    let failure = failed(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    assert_eq!(failure.help.as_deref(), Some("run `sexton db install --target collector`"));
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn installing_twice_is_the_same_as_once_and_a_dry_run_only_tells() {
    let database = Database::empty().await;
    let told = dataset::install(database.pool(), true, &Default::default()).await.expect("a dry run");
    let there: bool =
        sqlx::query_scalar("select to_regclass('sexton.step') is not null").fetch_one(database.pool()).await.unwrap();
    assert!(!there);
    assert!(told.sql.contains("create schema sexton") && told.sql.contains("create table sexton.step"));

    let first = dataset::install(database.pool(), false, &Default::default()).await.expect("an installation");
    assert_eq!((first.from, first.to), (0, dataset::VERSION));
    assert_eq!(first.sql, told.sql);
    let second = dataset::install(database.pool(), false, &Default::default()).await.expect("nothing to do");
    assert_eq!((second.from, second.sql.as_str()), (dataset::VERSION, ""));
}

#[tokio::test]
async fn the_queue_s_own_database_can_be_a_target() {
    let database = Database::new().await;
    dataset::install(database.pool(), false, &Default::default()).await.expect("beside the queue");
}

#[tokio::test]
async fn the_sample_is_loaded_once_and_breaks_no_rule_but_the_known_one() {
    let site = Site::new(3_000).await;
    assert!(!sample::load(site.pool(), 10).await.expect("a look"), "what is there stays");
    let all = "select count(distinct (status, severity)) from interface_exceptions";
    assert_eq!(site.count(all).await, 7 * 4, "every status in every severity");
    assert_eq!(site.count("select count(distinct (category, interface_type)) from interface_exceptions").await, 5 * 4);
    let ages = "select count(distinct width_bucket(extract(epoch from now() - processed_at), 0, 901 * 86400, 30)) from interface_exceptions";
    assert_eq!(site.count(ages).await, 30, "every month of 900 days");
    assert_eq!(site.count("select count(distinct retry_count) from interface_exceptions").await, 4);
}

#[tokio::test]
async fn every_target_query_is_one_statement_that_postgres_prepares() {
    let site = Site::new(1).await;
    // As a proof does in its copy.
    site.run("create schema sexton_amcheck; create extension amcheck schema sexton_amcheck").await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/target");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a query");
        assert!(text.starts_with("-- "), "{path:?}");
        site.pool()
            .prepare(AssertSqlSafe(text).into_sql_str())
            .await
            .unwrap_or_else(|error| panic!("{path:?}: {error}"));
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}
