//! Every way by which a run ends lets follow what should, and nothing twice.

use std::time::Duration;

use serde_json::json;
use sexton::{
    queue::{self, Ending},
    spec::{On, Spec},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{claim, done, end, failed, fails, link, members, noop, settle, started, worker};
use crate::support::{
    Database, eventually,
    work::{enqueue, over, quick, spec, work},
};

/// A job with a link for each way in which it can have ended.
fn three(first: Spec) -> Spec {
    first.followed_by(vec![
        link(noop("on-success"), &["first"], On::Success),
        link(noop("on-failure"), &["first"], On::Failure),
        link(noop("on-always"), &["first"], On::Always),
    ])
}

async fn silence(pool: &PgPool) {
    sqlx::query("update sexton.worker set seen_at = '-infinity'").execute(pool).await.unwrap();
}

#[tokio::test]
async fn each_way_to_end_starts_what_comes_after_it() {
    let cancelled = Ending::Cancelled { by: "eva".to_owned(), why: "enough".to_owned() };
    let skipped = Ending::Skipped { why: "nothing to do".to_owned() };
    let lost = Ending::Lost { why: "cut off".to_owned() };
    let retrying = Ending::Retrying { pause: Duration::ZERO, why: "a lock".to_owned(), help: None };
    let (success, failure, always) =
        (&["on-always", "on-success"][..], &["on-always", "on-failure"][..], &["on-always"][..]);
    for (what, ending, asked, expected) in [
        ("done", done(), false, success),
        ("failed", failed(), false, failure),
        ("skipped", skipped, false, always),
        ("cancelled by its kind", cancelled, false, always),
        ("cancelled between two attempts", retrying.clone(), true, always),
        ("cancelled, and done all the same", done(), true, success),
        ("lost at its last attempt", lost, false, failure),
        ("not over", retrying, false, &[]),
    ] {
        let database = Database::new().await;
        let pool = database.pool();
        let me = worker(pool).await;
        let mut first = noop("first");
        first.retry.attempts = 1;
        let run = enqueue(pool, three(first)).await;
        let claimed = claim(pool, me).await.remove(0);
        if asked {
            assert_eq!(queue::cancel(pool, run, "eva", "enough").await.unwrap(), queue::Cancel::Asked);
        }
        let followed = end(pool, &claimed, ending.clone()).await;
        assert_eq!(started(pool, run).await, expected, "{what}");
        assert_eq!(followed.len(), expected.len(), "{what}");
        // The reply may have been lost.
        assert_eq!(end(pool, &claimed, ending).await, Vec::<Uuid>::new(), "{what}");
        assert_eq!(started(pool, run).await, expected, "{what}, settled again");
    }
}

#[tokio::test]
async fn a_cancel_of_what_does_not_run_and_a_rescue_let_follow_too() {
    let database = Database::new().await;
    let pool = database.pool();
    let waits = enqueue(pool, three(noop("first"))).await;
    assert_eq!(queue::cancel(pool, waits, "eva", "enough").await.unwrap(), queue::Cancel::Ended);
    assert_eq!(started(pool, waits).await, ["on-always"]);
    claim(pool, worker(pool).await).await;

    for (attempts, cancel, expected) in
        [(1, false, &["on-always", "on-failure"][..]), (9, true, &["on-always"]), (9, false, &[])]
    {
        let mut first = noop("first");
        first.retry.attempts = attempts;
        let run = enqueue(pool, three(first)).await;
        assert_eq!(claim(pool, worker(pool).await).await.len(), 1);
        if cancel {
            queue::cancel(pool, run, "eva", "enough").await.unwrap();
        }
        silence(pool).await;
        let mut transaction = pool.begin().await.unwrap();
        queue::rescue(&mut transaction, Duration::ZERO, true).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(started(pool, run).await, expected, "{attempts} attempts, cancel: {cancel}");
        sqlx::query("delete from sexton.run").execute(pool).await.unwrap();
    }
}

/// A run leaves the queue by these statements, and each of them is followed up. Another one must be, too.
#[test]
fn no_other_statement_ends_a_run() {
    let mut found = Vec::new();
    for folder in ["queue", "ledger", "outbox", "backups"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(folder);
        for file in std::fs::read_dir(folder).unwrap().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            if text
                .split_whitespace()
                .collect::<Vec<_>>()
                .windows(3)
                .any(|words| words == ["delete", "from", "sexton.run"])
            {
                found.push(file.file_name().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, ["cancel.sql", "replace.sql", "rescue.sql", "settle_on.sql", "settle_over.sql"]);
}

#[tokio::test]
async fn a_waiting_run_whose_place_a_newer_slot_takes_is_skipped_like_any_other() {
    let database = Database::new().await;
    let pool = database.pool();
    let waits = queue::NewRun {
        schedule: Some("often".to_owned()),
        nominal_at: Some(chrono::Utc::now()),
        behind: true,
        ..queue::NewRun::now(three(noop("first")), "schedule often")
    };
    let mut transaction = pool.begin().await.unwrap();
    let run = queue::enqueue(&mut transaction, &waits).await.unwrap();
    queue::replace(&mut transaction, "often", "a newer slot took its place").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(started(pool, run).await, ["on-always"]);
}

#[tokio::test]
async fn a_run_that_is_tried_again_and_done_starts_what_had_not_started() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let chain = noop("first").followed_by(vec![
        link(noop("second"), &["first"], On::Success),
        link(noop("third"), &["second"], On::Success),
        link(noop("undo"), &["first"], On::Failure),
        link(noop("report"), &["third", "undo"], On::Always),
    ]);
    let run = enqueue(pool, chain).await;
    for times in 1..=2 {
        let claimed = claim(pool, me).await.into_iter().find(|claimed| claimed.id == run).expect("the first");
        end(pool, &claimed, failed()).await;
        assert_eq!(started(pool, run).await, ["undo"], "failed {times} times");
        assert_eq!(queue::retry(pool, run, "eva").await.unwrap(), queue::Retried::Ready);
    }
    let ready = claim(pool, me).await;
    end(pool, ready.iter().find(|claimed| claimed.id == run).expect("the first"), done()).await;
    assert_eq!(started(pool, run).await, ["second", "undo"]);
    let undo = members(pool, run).await.into_iter().find(|run| run.job == "undo").expect("it");
    let undo = queue::Claimed { id: undo.id, token: undo.token.expect("it was claimed"), ..ready[0].clone() };
    end(pool, &undo, done()).await;
    assert_eq!(started(pool, run).await, ["second", "undo"], "the third is still to come");
    let second = claim(pool, me).await.remove(0);
    end(pool, &second, done()).await;
    let third = claim(pool, me).await.remove(0);
    assert_eq!((third.job.as_str(), third.parent), ("third", Some(second.id)));
    end(pool, &third, done()).await;
    assert_eq!(started(pool, run).await, ["report", "second", "third", "undo"]);
    let report = claim(pool, me).await.remove(0);
    assert_eq!((report.parent, report.chain, report.requested_by.as_str()), (Some(third.id), run, "after third, undo"));
}

#[tokio::test]
async fn a_chain_of_an_older_binary_goes_on_as_the_line_that_it_is() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    // There, a job could come twice.
    let run = enqueue(pool, Spec { then: vec![noop("b"), noop("c"), noop("b")], ..noop("a") }).await;
    let mut ran = Vec::new();
    while let Some(claimed) = claim(pool, me).await.pop() {
        ran.push(claimed.job.clone());
        assert!(end(pool, &claimed, done()).await.len() <= 1);
        assert!(end(pool, &claimed, done()).await.is_empty());
    }
    assert_eq!(ran, ["a", "b", "c", "b"]);
    let run = queue::find(pool, run).await.unwrap().expect("the run");
    assert_eq!(queue::linked(pool, &run).await.unwrap().len(), 3, "a job a line");
    let stops = enqueue(pool, Spec { then: vec![noop("b")], ..noop("a") }).await;
    end(pool, &claim(pool, me).await[0], failed()).await;
    assert_eq!(started(pool, stops).await, Vec::<String>::new());
}

/// Two branches end at the same instant in two daemons: the second waits for the first to commit, and then starts what
/// comes after both. Without the lock neither would.
#[tokio::test]
async fn two_branches_that_end_at_once_start_what_comes_after_both_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let fan = |n: usize| {
        noop("first").followed_by(vec![
            link(noop("left"), &["first"], On::Success),
            link(noop("right"), &["first"], On::Success),
            link(spec("both", "noop", json!({ "chain": n })), &["left", "right"], On::Success),
        ])
    };
    let mut chains = Vec::new();
    for n in 0..40 {
        chains.push(enqueue(pool, fan(n)).await);
    }
    for claimed in claim(pool, me).await {
        end(pool, &claimed, done()).await;
    }
    let branches = claim(pool, me).await;
    assert_eq!(branches.len(), 80);
    for (n, chain) in chains.iter().enumerate() {
        let mut mine: Vec<_> = branches.iter().filter(|run| run.chain == *chain).cloned().collect();
        let (one, other) = (mine.remove(0), mine.remove(0));
        if n % 2 == 0 {
            // Staged: both have ended before either commits.
            let mut first = pool.begin().await.unwrap();
            assert!(settle(&mut first, &one, done()).await.is_empty());
            let second = tokio::spawn({
                let pool = pool.clone();
                async move { end(&pool, &other, done()).await }
            });
            eventually("the second waits for the chain", async || {
                sqlx::query_scalar::<_, bool>(
                    "select exists (select from pg_locks where locktype = 'advisory' and not granted
                     and database = (select oid from pg_database where datname = current_database()))",
                )
                .fetch_one(pool)
                .await
                .ok()?
                .then_some(())
            })
            .await;
            first.commit().await.unwrap();
            assert_eq!(second.await.unwrap().len(), 1);
        } else {
            let (left, right) = tokio::join!(end(pool, &one, done()), end(pool, &other, done()));
            assert_eq!(left.len() + right.len(), 1, "chain {n}");
        }
        assert_eq!(started(pool, *chain).await, ["both", "left", "right"], "chain {n}");
    }
}

/// Batches that hold branches of the same chains in opposite orders, in two daemons.
#[tokio::test]
async fn batches_with_branches_of_the_same_chains_do_not_wait_in_a_circle() {
    let database = Database::new().await;
    let pool = database.pool();
    let both = [work(pool, quick()), work(pool, quick())];
    let diamond = || {
        noop("first").followed_by(vec![
            link(noop("left"), &["first"], On::Success),
            link(fails("right"), &["first"], On::Success),
            link(noop("mended"), &["left", "right"], On::Failure),
            link(noop("never"), &["left", "right"], On::Success),
            link(noop("last"), &["mended", "never"], On::Always),
        ])
    };
    let runs: Vec<queue::NewRun> = (0..120).map(|_| queue::NewRun::now(diamond(), "a test")).collect();
    let chains = queue::enqueue_all(&mut pool.acquire().await.unwrap(), &runs).await.unwrap();
    queue::nudge(pool).await;
    eventually("all are over", async || queue::depth(pool).await.unwrap().is_empty().then_some(())).await;
    for chain in chains {
        assert_eq!(started(pool, chain).await, ["last", "left", "mended", "right"]);
    }
    let deadlocks: i64 =
        sqlx::query_scalar("select deadlocks from pg_stat_database where datname = current_database()")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
    for working in both {
        working.drain().await;
    }
}

#[tokio::test]
async fn a_lone_run_asks_nothing_about_chains() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, noop("alone")).await;
    let claimed = claim(pool, me).await.remove(0);
    let mut transaction = pool.begin().await.unwrap();
    settle(&mut transaction, &claimed, done()).await;
    let locks: i64 =
        sqlx::query_scalar("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((locks, over(pool, run).await.state.as_str()), (0, "done"));
}
