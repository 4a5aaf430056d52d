//! Several daemons on one queue, and one that was away.

use std::time::Duration;

use crate::support::{Database, eventually};

use super::{COUNT, decisions, every_second_is_decided_once, seconds, site};

fn every_second(overlap: &str, catch_up: &str) -> String {
    format!(
        "[[at]]\nname = \"often\"\njob = \"count\"\ncron = \"* * * * * *\"\noverlap = \"{overlap}\"\ncatch_up = \"{catch_up}\"\n"
    )
}

async fn all_over(queue: &Database) {
    eventually("all runs are over", || async {
        let live: i64 = sqlx::query_scalar("select count(*) from sexton.run").fetch_one(queue.pool()).await.ok()?;
        (live == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_daemons_give_each_second_one_decision_and_one_run() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let one = site(&queue.url(), &target.url(), "");
    one.job("count", COUNT);
    one.schedule("often", &every_second("allow_all", "latest"));
    let first = one.daemon(&["run"]).await;
    first.wait_for_line("is at work").await;
    let second = one.daemon(&["run"]).await;
    second.wait_for_line("is at work").await;
    tokio::time::sleep(seconds()).await;
    let (first, second) = tokio::join!(first.terminate(), second.terminate());
    assert!(first.status.success() && second.status.success(), "{:?}{:?}", first.lines, second.lines);
    let fired = every_second_is_decided_once(queue.pool(), "often").await;
    assert!(fired as u64 >= seconds().as_secs() - 1, "{fired} fired");
    let failed: i64 = sqlx::query_scalar("select count(*) from sexton.history where state <> 'done' or spent <> 1")
        .fetch_one(queue.pool())
        .await
        .unwrap();
    assert_eq!(failed, 0);
}

#[tokio::test]
async fn time_that_was_missed_is_caught_up_once_or_skipped_as_the_file_says() {
    for (catch_up, word) in [("latest", "coalesced"), ("skip", "missed_expired")] {
        let (queue, target) = (Database::new().await, Database::empty().await);
        let site = site(&queue.url(), &target.url(), "");
        site.job("count", COUNT);
        // The newest missed second may still be on time; that is not catching up. So only seconds long past are due.
        site.schedule("often", &every_second("allow_all", catch_up));
        let daemon = site.daemon(&["run"]).await;
        daemon.wait_for_line("is at work").await;
        daemon.terminate().await;
        sqlx::query("update sexton.schedule set watermark = now() - interval '1 hour'")
            .execute(queue.pool())
            .await
            .unwrap();
        // No slot is on time: the schedule's own seconds are over for a minute and more.
        sqlx::query("delete from sexton.slot").execute(queue.pool()).await.unwrap();
        let daemon = site.daemon(&["run"]).await;
        eventually("the missed hour is decided", || async {
            let decided: Option<i64> =
                sqlx::query_scalar("select sum(slots)::bigint from sexton.slot").fetch_one(queue.pool()).await.ok()?;
            decided.filter(|slots| *slots >= 3_600)
        })
        .await;
        daemon.terminate().await;
        let rows = decisions(queue.pool(), "often").await;
        assert!(rows.len() < 120, "a missed hour is a range, not a row a second: {} rows", rows.len());
        let (from, until, ..) = &rows[0];
        assert!(until - from > 3_000, "{catch_up}: {rows:?}");
        assert_eq!(rows[0].3, word, "{catch_up}: {rows:?}");
    }
}

#[tokio::test]
async fn of_missed_slots_the_latest_is_caught_up_once_where_the_file_says_so() {
    for (catch_up, caught) in [("latest", 1), ("skip", 0)] {
        let (queue, target) = (Database::new().await, Database::empty().await);
        let site = site(&queue.url(), &target.url(), "");
        site.job("count", COUNT);
        // Once an hour, half an hour from now: no slot is ever just on time.
        let minute = (chrono::Utc::now() + chrono::TimeDelta::minutes(30)).format("%-M");
        site.schedule(
            "hourly",
            &format!(
                "[[at]]\nname = \"hourly\"\njob = \"count\"\ncron = \"{minute} * * * *\"\ncatch_up = \"{catch_up}\"\n"
            ),
        );
        let daemon = site.daemon(&["run"]).await;
        daemon.wait_for_line("is at work").await;
        daemon.terminate().await;
        sqlx::query("update sexton.schedule set watermark = now() - interval '3 hours'")
            .execute(queue.pool())
            .await
            .unwrap();
        for _ in 0..2 {
            let daemon = site.daemon(&["run"]).await;
            eventually("the missed slots are decided", || async {
                let slots: Option<i64> = sqlx::query_scalar("select sum(slots)::bigint from sexton.slot")
                    .fetch_one(queue.pool())
                    .await
                    .ok()?;
                slots.filter(|slots| *slots == 3)
            })
            .await;
            all_over(&queue).await;
            daemon.terminate().await;
        }
        let runs: Vec<(bool, String)> =
            sqlx::query_as("select caught_up, state from sexton.runs").fetch_all(queue.pool()).await.unwrap();
        assert_eq!(runs, vec![(true, "done".to_owned()); caught], "{catch_up}");
    }
}

#[tokio::test]
async fn overlap_skip_leaves_the_slot_alone_while_a_run_is_live() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "[worker]\ngrace = \"1s\"");
    site.job("count", "timeout = \"30s\"\n[exec]\nargv = [\"sleep\", \"2.5\"]\n");
    site.schedule("often", &every_second("skip", "latest"));
    let daemon = site.daemon(&["run"]).await;
    eventually("two runs and what was skipped between them", || async {
        let words: Vec<String> = sqlx::query_scalar("select decision::text from sexton.slot order by nominal_at")
            .fetch_all(queue.pool())
            .await
            .ok()?;
        let fired = words.iter().filter(|word| *word == "fired").count();
        (fired >= 2 && words.iter().any(|word| word == "skipped_overlap")).then_some(())
    })
    .await;
    let most: i64 = sqlx::query_scalar(
        "select count(*) from sexton.runs a join sexton.runs b on a.id < b.id and a.started_at < coalesce(b.finished_at, now()) \
         and b.started_at < coalesce(a.finished_at, now())",
    )
    .fetch_one(queue.pool())
    .await
    .unwrap();
    assert_eq!(most, 0, "two runs of the job overlapped");
    tokio::time::timeout(Duration::from_secs(15), daemon.terminate()).await.expect("it stops");
}
