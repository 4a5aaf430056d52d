//! A primary is lost, its standby is promoted, and later the old primary comes back by itself.

use std::time::Duration;

use sqlx::PgPool;

use super::{count, site};
use crate::{
    daemon::{every_second_is_decided_once, pool, run_when},
    support::{eventually, server::Server},
};

async fn fired(pool: &PgPool) -> i64 {
    let query = sqlx::query_scalar("select count(*) from sexton.slot where schedule = 'ticks'").fetch_one(pool);
    query.await.unwrap_or(0)
}

#[tokio::test]
async fn the_daemon_follows_the_primary_and_loses_and_doubles_nothing() {
    let mut old = Server::start(&["synchronous_standby_names=*", "synchronous_commit=local"]).await;
    old.sql("postgres", "create database q").await;
    let new = old.standby().await;
    // From here on nothing is committed that the standby has not got.
    old.sql("postgres", "alter system set synchronous_commit = 'on'; select pg_reload_conf()").await;

    // The standby is named first, and must not be taken for the primary.
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", new.port, old.port);
    let url = format!("postgres://sexton:one@{hosts}/q?sslmode=disable");
    let site = site(&format!("[database]\nurl = \"{url}\"\n[targets.same]\nurl = \"{url}\"\n"));
    site.schedule("ticks", "[[at]]\nname = \"ticks\"\njob = \"nap\"\ncron = \"* * * * * *\"\n");
    site.job("asks", "timeout = \"1m\"\n[sql]\ntarget = \"same\"\nsql = \"select count(*) as n from sexton.slot where not pg_is_in_recovery()\"\n");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let before = pool(&old.url("q"));
    eventually("slots fire", || async { (fired(&before).await >= 2).then_some(()) }).await;
    assert!(site.sexton(&["trigger", "asks"]).await.status.success());
    run_when(&before, "asks", "is done on the primary", |run| run.state == "done").await;

    old.crash().await;
    daemon.wait_for_line("cannot be used, waiting for it").await;
    new.sql("postgres", "alter system set synchronous_standby_names = ''; select pg_promote()").await;
    daemon.wait_for_line(&format!("takes writes at 127.0.0.1:{} now", new.port)).await;
    let after = pool(&new.url("q"));
    let then = fired(&after).await;
    eventually("slots go on", || async { (fired(&after).await >= then + 3).then_some(()) }).await;

    // The old primary comes back by itself and takes writes, too: nobody may believe it.
    old.launch().await;
    old.sql("postgres", "alter system set synchronous_standby_names = ''; select pg_reload_conf()").await;
    let stale = fired(&before).await;
    assert!(site.sexton(&["trigger", "asks"]).await.status.success());
    let asked = "select count(*) from sexton.runs where job = 'asks' and state::text = 'done'";
    eventually("the second is done where the first is", || async {
        let done: i64 = sqlx::query_scalar(asked).fetch_one(&after).await.ok()?;
        (done == 2).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(fired(&before).await, stale, "nothing is written to the old primary");

    assert!(count(&daemon, "cannot be used, waiting for it") <= 2, "once for the queue, once for the target");
    eventually("five seconds are decided", || async { (fired(&after).await >= 5).then_some(()) }).await;
    let ended = daemon.terminate().await;
    assert!(ended.status.success(), "{:?}", ended.lines);
    assert!(!ended.lines.iter().any(|line| line.contains("one@") || line.contains(":one")), "{:?}", ended.lines);
    assert!(every_second_is_decided_once(&after, "ticks").await >= 5);
    let (runs, ends): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where state::text = 'done') from sexton.runs where job = 'nap'",
    )
    .fetch_one(&after)
    .await
    .unwrap();
    assert!(
        runs - ends <= 1,
        "{runs} runs, {ends} done: what was committed is done, but for one that may have just come"
    );
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_never_used() {
    let primary = Server::start(&[]).await;
    primary.sql("postgres", "create database q").await;
    let standby = primary.standby().await;
    primary.sql("postgres", "alter database q set default_transaction_read_only = on").await;
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", standby.port, primary.port);
    let site = site(&format!("[database]\nurl = \"postgres://sexton:one@{hosts}/q?sslmode=disable\"\n"));
    let said = site.sexton(&["db", "migrate"]).await;
    assert!(!said.status.success());
    for is in [format!("127.0.0.1:{} is a standby", standby.port), format!("127.0.0.1:{} is read-only", primary.port)] {
        assert!(said.stderr.contains(&is), "{is}: {}", said.stderr);
    }
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("no host takes writes").await;
    primary.sql("postgres", "alter database q reset default_transaction_read_only").await;
    daemon.wait_for_line("is at work").await;
    assert_eq!(count(&daemon, "no host takes writes"), 1, "said once: {:?}", daemon.lines());
    assert!(daemon.terminate().await.status.success());
}
