//! The private cluster: who starts it, who shares it, and how it ends.

use sexton::{
    child::Spawner,
    embedded::{Cluster, Options},
};

use crate::support::{open_folder, own_cluster};

fn quick() -> Options {
    Options { durable: false, ..Options::default() }
}

#[tokio::test]
async fn a_second_start_adopts_the_running_server() {
    let (folder, spawner) = (open_folder("sexton-own-"), Spawner::start().unwrap());
    let first = Cluster::start(folder.path(), &quick(), &spawner).await.expect("a cluster");
    let second = Cluster::start(folder.path(), &quick(), &spawner).await.expect("the same cluster");
    assert!(second.is_adopted() && !first.is_adopted());
    assert_eq!(first.pid(), second.pid());
    second.stop().await.expect("nothing to do for a guest");
    assert!(first.create_database("still there").await.expect("the owner's server runs on"));
    first.stop().await.expect("a clean stop");
}

#[tokio::test]
async fn two_starts_at_once_make_one_server() {
    let (folder, spawner) = (open_folder("sexton-own-"), Spawner::start().unwrap());
    let options = quick();
    let start = || Cluster::start(folder.path(), &options, &spawner);
    let (one, other) = tokio::join!(start(), start());
    let (one, other) = (one.expect("one"), other.expect("the other"));
    assert_eq!(one.pid(), other.pid());
    assert!(one.is_adopted() != other.is_adopted());
}

#[tokio::test]
async fn what_was_committed_survives_kill_9_of_the_server() {
    let mut own = own_cluster(true).await;
    let (_, pool) = own.database("q").await;
    sqlx::query("create table t as select 1 as n").execute(&pool).await.unwrap();
    own.kill_9();
    own.restart().await;
    let (_, pool) = own.database("q").await;
    let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 1);
    assert!(own.log().contains("was not properly shut down"), "{}", own.log());
}
