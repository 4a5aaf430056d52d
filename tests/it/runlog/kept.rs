//! What is kept, how much of it, and through which trouble.

use std::time::{Duration, Instant};

use sexton::queue::log;

use super::{lines, logged, running, script, site, trigger};
use crate::{
    daemon::run_when,
    support::{Database, eventually},
};

#[tokio::test]
async fn what_a_run_logs_is_there_when_it_is_over_and_a_silent_run_writes_nothing() {
    let queue = Database::new().await;
    let site = site(&queue.url());
    site.job("talks", &script("", "echo one; echo two >&2; echo; printf 'three\\000four'"));
    site.job("silent", &script("", "true"));
    let daemon = running(&site).await;
    let silent = trigger(&site, "silent").await;
    let talks = trigger(&site, "talks").await;
    for job in ["silent", "talks"] {
        run_when(queue.pool(), job, "is done", |run| run.state == "done").await;
    }
    // No wait: the lines are there as soon as the ending is.
    let mut said: Vec<_> =
        lines(&queue, talks).await.into_iter().map(|line| (line.target, line.message, line.attempt)).collect();
    said.sort();
    let line = |target: &str, message: &str| (target.to_owned(), message.to_owned(), 1);
    assert_eq!(said, [line("stderr", "two"), line("stdout", "one"), line("stdout", "three\u{fffd}four")]);
    assert_eq!(lines(&queue, silent).await, []);

    let shown = site.sexton(&["runs", "log", &talks.to_string()]).await;
    assert!(shown.stdout.contains("#1 INFO  stdout: one\n") && shown.stdout.contains("stderr: two"), "{shown:?}");
    let json = site.sexton(&["runs", "logs", &talks.to_string(), "--json", "--attempt", "1"]).await;
    let first: log::Line = serde_json::from_str(json.stdout.lines().next().expect("a line")).expect("a line of JSON");
    assert_eq!((first.attempt, first.level.as_str()), (1, "info"));
    let none = site.sexton(&["runs", "log", &talks.to_string(), "--attempt", "2"]).await;
    assert_eq!((none.status.code(), none.stdout.as_str()), (Some(0), ""));
    let unknown = site.sexton(&["runs", "log", &uuid::Uuid::now_v7().to_string()]).await;
    assert!(unknown.status.code() == Some(1) && unknown.stderr.contains("there is no run"), "{unknown:?}");
    // What a program prints is its run's, not the daemon's log's.
    let ended = daemon.terminate().await;
    assert!(!ended.lines.iter().any(|line| line.contains("three")), "{:?}", ended.lines);
}

#[tokio::test]
async fn after_kill_9_what_was_written_is_there_and_the_next_attempt_goes_on() {
    let queue = Database::new().await;
    let site = site(&queue.url());
    site.job(
        "long",
        &script(
            "on_lost = \"retry\"\nretry = { attempts = 3, first = \"10ms\" }",
            "echo attempt $SEXTON_ATTEMPT; if [ $SEXTON_ATTEMPT = 1 ]; then exec sleep 100; fi",
        ),
    );
    let daemon = running(&site).await;
    let run = trigger(&site, "long").await;
    let first = logged(&queue, run, "attempt 1").await;
    daemon.kill_9().await;
    let daemon = running(&site).await;
    run_when(queue.pool(), "long", "is done", |run| run.state == "done").await;
    let said = lines(&queue, run).await;
    let told: Vec<_> = said.iter().map(|line| (line.attempt, line.message.as_str())).collect();
    assert_eq!(told, [(1, "attempt 1"), (2, "attempt 2")]);
    assert!(said[1].token > first.token, "the attempts can be told apart: {said:?}");
    daemon.terminate().await;
}

#[tokio::test]
async fn a_flood_is_cut_to_its_head_and_tail_and_slows_nobody() {
    let queue = Database::new().await;
    let site = site(&queue.url());
    site.job(
        "flood",
        &script("retry = { attempts = 5 }", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo line $i; done"),
    );
    site.job("quick", &script("", "true"));
    let daemon = running(&site).await;
    let begun = Instant::now();
    let run = trigger(&site, "flood").await;
    trigger(&site, "quick").await;
    run_when(queue.pool(), "quick", "is done beside it", |run| run.state == "done").await;
    run_when(queue.pool(), "flood", "is done", |run| run.state == "done").await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let said = lines(&queue, run).await;
    // A fifth of the run's 5,000 lines for each of five attempts, and the two that say what is missing.
    assert_eq!(said.len(), 1_002);
    assert_eq!((said[0].message.as_str(), said[799].message.as_str()), ("line 1", "line 800"));
    assert!(said[800].message.starts_with("this is a lot"), "{:?}", said[800]);
    assert_eq!(said[801].message, "99000 lines are left out here");
    assert_eq!((said[802].message.as_str(), said[1001].message.as_str()), ("line 99801", "line 100000"));
    let size: i64 = sqlx::query_scalar(
        "select sum(pg_total_relation_size(inhrelid))::bigint from pg_inherits where inhparent = 'sexton.run_log'::regclass",
    )
    .fetch_one(queue.pool())
    .await
    .unwrap();
    assert!(size < 2 * 1024 * 1024, "{size} bytes");
    daemon.terminate().await;
}

#[tokio::test]
async fn an_ending_never_waits_for_the_log() {
    let queue = Database::new().await;
    let site = site(&queue.url());
    site.job("talks", &script("", "echo something"));
    let daemon = running(&site).await;
    // Nobody can write into the log, as while it is altered.
    let mut blocker = queue.pool().begin().await.unwrap();
    sqlx::query("lock table sexton.run_log in access exclusive mode").execute(&mut *blocker).await.unwrap();
    let run = trigger(&site, "talks").await;
    let begun = Instant::now();
    run_when(queue.pool(), "talks", "is done", |run| run.state == "done").await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    blocker.rollback().await.unwrap();
    // Once the log can be written, what waited is there.
    assert_eq!(logged(&queue, run, "something").await.line, 1);
    assert_eq!(lines(&queue, run).await.len(), 1, "written once");
    daemon.terminate().await;
}

#[tokio::test]
async fn days_have_partitions_and_old_ones_go() {
    let queue = Database::new().await;
    let mut connection = queue.pool().acquire().await.unwrap();
    let month = Duration::from_secs(30 * 24 * 3600);
    let upkept = log::upkeep(&mut connection, month).await.unwrap();
    assert_eq!((upkept.made.len(), upkept.left.len()), (2, 0), "{upkept:?}");
    assert_eq!(
        log::upkeep(&mut connection, month).await.unwrap(),
        log::Upkept::default(),
        "there is nothing to do twice"
    );
    for statement in [
        "create table sexton.run_log_20200101 partition of sexton.run_log for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')",
        "insert into sexton.run_log (run, token, line, attempt, at, level, target, message)
         select gen_random_uuid(), 1, 1, 1, at, 'info', 't', 'm'
         from unnest(array[now(), '2020-01-01 12:00+00', '2020-06-01 12:00+00', now() - interval '20 days']) as at",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await.unwrap();
    }
    let upkept = log::upkeep(&mut connection, month).await.unwrap();
    assert_eq!((upkept.dropped, upkept.removed), (vec!["run_log_20200101".to_owned()], 1));
    let left: i64 =
        sqlx::query_scalar("select count(*) from sexton.run_log").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(left, 2);

    // Whoever writes does not wait for it, nor it for them.
    sqlx::query("create table sexton.run_log_20200101 partition of sexton.run_log for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')")
        .execute(&mut *connection)
        .await
        .unwrap();
    let mut writer = queue.pool().begin().await.unwrap();
    sqlx::query("insert into sexton.run_log values (gen_random_uuid(), 1, 1, 1, now(), 'info', 't', 'm', null)")
        .execute(&mut *writer)
        .await
        .unwrap();
    let begun = Instant::now();
    let upkept = log::upkeep(&mut connection, month).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5) && upkept.left.len() == 1 && upkept.dropped.is_empty(),
        "{upkept:?}"
    );
    writer.commit().await.unwrap();
    let gone = eventually("the next one does it", || async {
        log::upkeep(&mut *queue.pool().acquire().await.ok()?, month)
            .await
            .ok()
            .filter(|upkept| !upkept.dropped.is_empty())
    });
    assert_eq!(gone.await.dropped.len(), 1);
}
