//! kill -9 of the real daemon between link and link, and in the middle of one.

use sexton::queue::{self, Filter};

use crate::{
    daemon::{run_when, site},
    support::{Database, eventually},
};

const NAP: &str = "timeout = \"1m\"\non_lost = \"retry\"\nretry = { attempts = 9, first = \"1s\", most = \"1s\" }\n";

#[tokio::test]
async fn a_chain_survives_kill_9_between_its_links_and_within_them() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    let nap = |then: &str| format!("{then}{NAP}[exec]\nargv = [\"sleep\", \"2\"]\n");
    let then =
        r#"then = ["second", { job = "third", after = ["first"] }, { job = "fourth", after = ["second", "third"] }]"#;
    site.job("first", &nap(&format!("{then}\n")));
    for job in ["second", "third", "fourth"] {
        site.job(job, &nap(""));
    }
    let mut daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "first"]).await.status.success());
    for line in ["first starts", "first done", "third starts", "second done", "fourth starts"] {
        daemon.wait_for_line(line).await;
        daemon.kill_9().await;
        daemon = site.daemon(&["run"]).await;
    }
    let last = run_when(queue.pool(), "fourth", "is done", |run| run.state == "done").await;
    daemon.terminate().await;
    let filter = Filter { chain: Some(last.chain), ..Filter::default() };
    let mut jobs: Vec<_> =
        queue::list(queue.pool(), &filter).await.unwrap().into_iter().map(|run| (run.job, run.state)).collect();
    jobs.sort();
    let all = ["first", "fourth", "second", "third"].map(|job| (job.to_owned(), "done".to_owned()));
    assert_eq!(jobs, all, "each job has one run, however often it was begun");
}

/// A job's own `then` holds for whoever asks for it, and not for a run in the foreground.
#[tokio::test]
async fn what_a_job_names_follows_a_trigger_and_not_once() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    let job = "timeout = \"1m\"\n[exec]\nargv = [\"true\"]\n";
    site.job("first", &format!("then = [\"second\"]\n{job}"));
    site.job("second", job);
    let once = site.sexton(&["once", "first"]).await;
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert_eq!(site.sexton(&["trigger", "first", "--wait"]).await.status.code(), Some(0));
    run_when(queue.pool(), "second", "is done", |run| run.state == "done").await;
    daemon.terminate().await;
    let runs: Vec<(String, i64)> = sqlx::query_as("select job, count(*) from sexton.runs group by job order by job")
        .fetch_all(queue.pool())
        .await
        .unwrap();
    assert_eq!(runs, [("first".to_owned(), 2), ("second".to_owned(), 1)]);
}

/// `pause_on_failure` from the file to the people who are told.
#[tokio::test]
async fn a_schedule_that_keeps_failing_is_paused_and_people_are_told() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("fails", "retry = { attempts = 1 }\ntimeout = \"1m\"\n[exec]\nargv = [\"false\"]\n");
    site.schedule("often", "[[at]]\nname = \"often\"\njob = \"fails\"\ncron = \"* * * * * *\"\npause_on_failure = 2\n");
    let daemon = site.daemon(&["run"]).await;
    let verdict: String = eventually("people are told", async || {
        sqlx::query_scalar("select verdict from sexton.event where kind = 'paused' and verdict is not null")
            .fetch_optional(queue.pool())
            .await
            .ok()?
    })
    .await;
    assert!(verdict.contains("paused for failing"), "{verdict}");
    let list = site.sexton(&["pause", "--list"]).await.stdout;
    assert!(
        list.contains("often is paused until somebody resumes it, by sexton") && list.contains("in a row"),
        "{list}"
    );
    let failed = "select count(*) from sexton.history where state = 'failed'";
    let before: i64 = sqlx::query_scalar(failed).fetch_one(queue.pool()).await.unwrap();
    assert!((2..=3).contains(&before), "{before} runs have failed");
    eventually("a slot lies in the pause", async || {
        let long = "select exists (select from sexton.schedule_pause where made_at < now() - interval '1500 ms')";
        sqlx::query_scalar::<_, bool>(long).fetch_one(queue.pool()).await.ok()?.then_some(())
    })
    .await;
    assert!(site.sexton(&["resume", "often"]).await.status.success());
    eventually("it fires again", async || {
        let now: i64 = sqlx::query_scalar(failed).fetch_one(queue.pool()).await.ok()?;
        (now > before).then_some(())
    })
    .await;
    let skipped: i64 = sqlx::query_scalar("select count(*) from sexton.slot where decision = 'skipped_paused'")
        .fetch_one(queue.pool())
        .await
        .unwrap();
    assert!(skipped > 0, "the slots of the pause have their decision");
    daemon.terminate().await;
}
