//! `pause_on_failure`: so many failures in a row pause the schedule, in the transaction of the last of them.

use std::time::Duration;

use serde_json::Value;
use sexton::{
    ledger,
    outbox::{self, LookedEvent},
    queue::{self, Claimed, NewRun},
    spec::{Fails, On, Spec},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{fails, link, noop, started};
use crate::support::{
    Database, eventually,
    work::{over, quick, work},
};

fn watched(spec: Spec) -> Spec {
    Spec { pause_on_failure: Some(Fails { schedule: "nightly".to_owned(), after: 3 }), ..spec }
}

/// A run that a slot of the schedule made.
async fn fire(pool: &PgPool, spec: Spec) -> Uuid {
    let run = NewRun {
        schedule: Some("nightly".to_owned()),
        nominal_at: Some(chrono::Utc::now()),
        ..NewRun::now(spec, "schedule nightly")
    };
    let id = queue::enqueue(&mut pool.acquire().await.unwrap(), &run).await.unwrap();
    queue::nudge(pool).await;
    id
}

async fn fired(pool: &PgPool, spec: Spec) {
    let run = fire(pool, spec).await;
    over(pool, run).await;
}

async fn pauses(pool: &PgPool) -> usize {
    ledger::open_pauses(pool).await.unwrap().len()
}

async fn told(pool: &PgPool) -> Vec<LookedEvent> {
    outbox::events(pool, 100).await.unwrap().into_iter().filter(|event| event.kind == "paused").collect()
}

#[tokio::test]
async fn so_many_failures_in_a_row_pause_it_and_a_success_or_a_resume_begins_anew() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let (bad, good) = (|| watched(fails("backup")), || watched(noop("backup")));
    for spec in [bad(), bad(), good(), bad()] {
        fired(pool, spec).await;
    }
    // What a person asks for is no run of the schedule.
    fired_by_hand(pool).await;
    fired(pool, bad()).await;
    assert_eq!(pauses(pool).await, 0);
    fired(pool, bad()).await;
    let open = ledger::open_pauses(pool).await.unwrap();
    assert_eq!((open.len(), open[0].schedule.as_deref(), open[0].author.as_str()), (1, Some("nightly"), "sexton"));
    assert!(open[0].reason.starts_with("it failed 3 times in a row; the last to fail was backup (run "), "{open:?}");
    let events = told(pool).await;
    assert_eq!((events.len(), &events[0].channels), (1, &vec!["ops".to_owned()]));
    let text = |name: &str| events[0].detail.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(text("help").contains("sexton resume nightly") && text("why").contains("3 times"), "{events:?}");

    // What was under way when it was paused makes no second pause.
    fired(pool, bad()).await;
    assert_eq!((pauses(pool).await, told(pool).await.len()), (1, 1));
    ledger::resume(pool, Some("nightly"), "eva").await.unwrap();
    for _ in 0..2 {
        fired(pool, bad()).await;
        assert_eq!(pauses(pool).await, 0, "it counts from the resume on");
    }
    fired(pool, bad()).await;
    assert_eq!(pauses(pool).await, 1);
    working.drain().await;
}

async fn fired_by_hand(pool: &PgPool) {
    let run = crate::support::work::enqueue(pool, fails("backup")).await;
    over(pool, run).await;
}

#[tokio::test]
async fn a_chain_counts_once_whichever_of_its_links_fails() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let chain = || {
        let links = vec![
            link(watched(fails("second")), &["first"], On::Success),
            link(watched(fails("third")), &["second"], On::Failure),
        ];
        watched(noop("first")).followed_by(links)
    };
    for failures in 1..=3 {
        let run = fire(pool, chain()).await;
        eventually("the chain is over", async || (started(pool, run).await.len() == 2).then_some(())).await;
        eventually("all are over", async || queue::depth(pool).await.ok()?.is_empty().then_some(())).await;
        assert_eq!(pauses(pool).await, usize::from(failures == 3), "after {failures} chains, two failures each");
    }
    working.drain().await;
}

#[tokio::test]
async fn a_run_whose_worker_was_lost_too_often_counts_too() {
    let database = Database::new().await;
    let pool = database.pool();
    let dead = super::worker(pool).await;
    for _ in 0..3 {
        let mut lost = watched(noop("backup"));
        lost.retry.attempts = 1;
        fire(pool, lost).await;
    }
    let claimed: Vec<Claimed> = super::claim(pool, dead).await;
    assert_eq!(claimed.len(), 3);
    sqlx::query("update sexton.worker set seen_at = '-infinity' where id = $1").bind(dead).execute(pool).await.unwrap();
    let working = work(pool, quick());
    for run in claimed {
        assert_eq!(over(pool, run.id).await.state, "failed");
    }
    assert_eq!((pauses(pool).await, told(pool).await.len()), (1, 1), "three at once pause it once");
    working.drain().await;
}

/// The third and the fourth failure in two transactions at the same instant: one waits for the other and then sees it.
#[tokio::test]
async fn two_that_fail_at_once_pause_it_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    fired(pool, watched(fails("backup"))).await;
    working.drain().await;
    let me = super::worker(pool).await;
    for _ in 0..2 {
        fire(pool, watched(fails("backup"))).await;
    }
    let mut claimed = super::claim(pool, me).await;
    let (one, other) = (claimed.remove(0), claimed.remove(0));
    let mut first = pool.begin().await.unwrap();
    super::settle(&mut first, &one, super::failed()).await;
    assert_eq!(ledger::pause_failing(&mut first, "nightly", 3, one.chain, "backup").await.unwrap(), None);
    let second = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut second = pool.begin().await.unwrap();
            super::settle(&mut second, &other, super::failed()).await;
            let paused = ledger::pause_failing(&mut second, "nightly", 3, other.chain, "backup").await.unwrap();
            second.commit().await.unwrap();
            paused
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.commit().await.unwrap();
    assert!(second.await.unwrap().is_some(), "neither saw the other's failure");
}
