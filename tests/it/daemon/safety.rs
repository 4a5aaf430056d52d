//! One switch stops everything, and a copy of production's database starts nothing elsewhere.

use serde_json::Value;

use crate::support::{Database, eventually};

use super::{COUNT, collector, run_when, site};

const EACH: &str = "[[at]]\nname = \"each\"\njob = \"count\"\ncron = \"* * * * * *\"\n";

#[tokio::test]
async fn one_command_pauses_everything_and_one_resumes_it() {
    let (queue, target) = (Database::new().await, collector(1).await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("count", COUNT);
    site.schedule("s", EACH);
    let daemon = site.daemon(&["run"]).await;
    run_when(queue.pool(), "count", "is done", |run| run.state == "done").await;
    let said = site.sexton(&["pause", "--all"]).await;
    assert_eq!(said.status.code(), Some(2), "a pause without a reason: {said:?}");
    let said = site.sexton(&["pause", "--all", "--reason", "a deploy", "--json"]).await;
    assert!(said.status.success(), "{said:?}");
    let pause: Value = serde_json::from_str(&said.stdout).unwrap();
    let listed = site.sexton(&["pause", "--list"]).await;
    assert!(listed.stdout.contains("every schedule is paused") && listed.stdout.contains("a deploy"), "{listed:?}");
    let unknown = site.sexton(&["pause", "eech", "--reason", "x"]).await;
    assert!(!unknown.status.success() && unknown.stderr.contains("did you mean `each`?"), "{unknown:?}");
    let made_at = pause["made_at"].as_str().unwrap();
    let after = "select count(*) from sexton.runs where nominal_at >= $1::timestamptz";
    let resumed = site.sexton(&["resume", "--all"]).await;
    assert!(resumed.status.success(), "{resumed:?}");
    let again = site.sexton(&["resume", "--all"]).await;
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    eventually("it fires again", || async {
        let fired: i64 = sqlx::query_scalar(after).bind(made_at).fetch_one(queue.pool()).await.ok()?;
        (fired > 0).then_some(())
    })
    .await;
    daemon.terminate().await;
}

#[tokio::test]
async fn a_copy_of_another_instance_s_queue_starts_nothing_and_says_why() {
    let (queue, target) = (Database::new().await, collector(1).await);
    let prod = site(&queue.url(), &target.url(), "");
    let text = std::fs::read_to_string(prod.path("sexton.toml")).unwrap();
    prod.write("sexton.toml", &format!("instance = \"prod\"\n{text}"));
    prod.job("count", COUNT);
    prod.schedule("s", EACH);
    let daemon = prod.daemon(&["run"]).await;
    run_when(queue.pool(), "count", "is done", |run| run.state == "done").await;
    daemon.terminate().await;
    let runs = || async {
        sqlx::query_scalar::<_, i64>("select count(*) from sexton.runs").fetch_one(queue.pool()).await.unwrap()
    };
    let before = runs().await;
    // The same database, as a clone would be, under the settings of staging and under settings that say nothing.
    for instance in ["instance = \"staging\"\n", ""] {
        prod.write("sexton.toml", &format!("{instance}{text}"));
        let daemon = prod.daemon(&["run"]).await;
        daemon.wait_for_line("the instance `prod`'s").await;
        let once = prod.sexton(&["once", "count"]).await;
        assert!(!once.status.success() && once.stderr.contains("prod"), "{once:?}");
        daemon.terminate().await;
    }
    assert_eq!(runs().await, before, "something ran");
    let shown = prod.sexton(&["instance"]).await;
    assert!(shown.stdout.contains("the queue's database is prod"), "{shown:?}");
    // A person says that it is meant, and the waiting daemon goes on.
    prod.write("sexton.toml", &format!("instance = \"staging\"\n{text}"));
    let daemon = prod.daemon(&["run"]).await;
    daemon.wait_for_line("the instance `prod`'s").await;
    let set = prod.sexton(&["instance", "--set", "staging", "--confirm"]).await;
    assert!(set.status.success(), "{set:?}");
    eventually("it runs", || async { (runs().await > before).then_some(()) }).await;
    daemon.terminate().await;
}
