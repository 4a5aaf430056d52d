//! Claims about runs: how they come, go, return and are fenced.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::json;
use sexton::{
    kinds::Progress,
    outcome::Report,
    queue::{
        self, Brief, Cancel, Claimed, Ending, EnqueueError, Far, Fate, Filter, Goes, NewRun, Pause, Resume, Retried,
        Run, Settled, SettledRow, Verdict, WorkerInfo,
    },
    state::{Final, Live, OnLost},
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{
    Database,
    work::{enqueue, spec},
};

/// A worker that only exists in its row.
async fn worker(pool: &PgPool) -> Uuid {
    let id = Uuid::now_v7();
    let me = WorkerInfo { id, host: "here".to_owned(), pid: 1, version: "0".to_owned(), process: None };
    queue::register(pool, &me).await.unwrap();
    id
}

async fn claim_one(pool: &PgPool, worker: Uuid) -> Claimed {
    queue::claim(pool, worker, 1).await.unwrap().pop().expect("a ready run")
}

async fn settle(pool: &PgPool, run: Uuid, token: i64, ending: Ending) -> SettledRow {
    let mut connection = pool.acquire().await.unwrap();
    queue::settle(&mut connection, &[Settled { run, token, ending: &ending }])
        .await
        .unwrap()
        .pop()
        .expect("a row for each")
}

async fn find(pool: &PgPool, run: Uuid) -> Run {
    queue::find(pool, run).await.unwrap().expect("the run")
}

async fn rescue(pool: &PgPool, steady: u64) -> Vec<queue::Rescued> {
    let mut connection = pool.acquire().await.unwrap();
    queue::rescue(&mut connection, Duration::from_secs(steady), true).await.unwrap()
}

async fn silence(pool: &PgPool, worker: Uuid) {
    sqlx::query("update sexton.worker set seen_at = now() - interval '1 hour' where id = $1")
        .bind(worker)
        .execute(pool)
        .await
        .unwrap();
}

fn done() -> Ending {
    Ending::Done { report: Report::new().with("rows", 7) }
}

fn retrying() -> Ending {
    Ending::Retrying { pause: Duration::ZERO, why: "a lock".to_owned(), help: None }
}

fn failed() -> Ending {
    Ending::Failed { why: "no such table".to_owned(), help: Some("create it".to_owned()), report: Report::new() }
}

#[tokio::test]
async fn a_run_waits_until_it_is_due() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let later = NewRun {
        due_at: Some(Utc::now() + TimeDelta::milliseconds(400)),
        ..NewRun::now(spec("later", "noop", json!({})), "a test")
    };
    let run = queue::enqueue(&mut pool.acquire().await.unwrap(), &later).await.unwrap();
    assert_eq!(find(pool, run).await.state, "waiting");
    assert!(queue::claim(pool, me, 9).await.unwrap().is_empty());

    let promoted = queue::promote(pool, true).await.unwrap();
    let next = promoted.next_in.expect("one is waiting");
    assert!(promoted.ready == 0 && next <= Duration::from_millis(400), "{promoted:?}");
    tokio::time::sleep(next + Duration::from_millis(5)).await;
    assert_eq!(
        queue::promote(pool, true).await.unwrap(),
        queue::Promoted { ready: 1, behind: false, open: true, gated: false, next_in: None }
    );
    let claimed = claim_one(pool, me).await;
    assert_eq!(
        (claimed.id, claimed.attempt, claimed.spec.get("job").and_then(|job| job.as_str())),
        (run, 1, Some("later"))
    );
}

#[tokio::test]
async fn a_worker_that_has_seen_many_snapshots_reads_each_with_what_is_its_own() {
    let database = Database::new().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let mut claims = queue::Claims::new(worker(database.pool()).await);
    let job = |nth: i32| {
        let params = [("n".to_owned(), json!(nth))].into();
        NewRun::now(
            sexton::spec::Spec { params, ..spec(&format!("job {}", nth % 150), "noop", json!({ "n": nth })) },
            "a test",
        )
    };
    for turn in 0..2 {
        let jobs: Vec<NewRun> = (turn * 150..(turn + 1) * 150).map(job).collect();
        queue::enqueue_all(&mut connection, &jobs).await.unwrap();
        let claimed = claims.take(&mut connection, 500).await.unwrap();
        assert_eq!(claimed.len(), 150);
        for run in claimed {
            let Brief { spec, table, params } = run.spec.read().expect("it can be read");
            let spec = sexton::spec::Spec { table, params, ..(*spec).clone() };
            let (wanted, n) = (job(spec.table["n"].as_i64().unwrap() as i32).spec, &spec.params["n"]);
            assert_eq!((&spec, n), (&wanted, &spec.table["n"]));
        }
    }
}

#[tokio::test]
async fn priority_is_worth_a_minute_a_point_and_slots_bound_a_claim() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    for (job, minutes_ago, priority) in [("old", 30, 0), ("urgent", 0, 20), ("older", 31, 0), ("most urgent", 0, 60)] {
        let spec = sexton::spec::Spec { priority, ..spec(job, "noop", json!({})) };
        let due_at = Some(Utc::now() - TimeDelta::minutes(minutes_ago));
        let run = NewRun { due_at, ..NewRun::now(spec, "a test") };
        queue::enqueue(&mut pool.acquire().await.unwrap(), &run).await.unwrap();
    }
    let jobs = |claimed: Vec<Claimed>| claimed.into_iter().map(|run| run.job).collect::<Vec<_>>();
    assert_eq!(jobs(queue::claim(pool, me, 3).await.unwrap()), ["most urgent", "older", "old"]);
    assert_eq!(jobs(queue::claim(pool, me, 3).await.unwrap()), ["urgent"]);
}

#[tokio::test]
async fn a_slot_is_enqueued_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let slot = NewRun {
        schedule: Some("nightly".to_owned()),
        nominal_at: Some(Utc::now()),
        ..NewRun::now(spec("backup", "noop", json!({})), "schedule nightly")
    };
    let mut connection = pool.acquire().await.unwrap();
    queue::enqueue(&mut connection, &slot).await.unwrap();
    let twice = queue::enqueue(&mut connection, &slot).await;
    assert!(matches!(twice, Err(EnqueueError::Twice(_))), "{twice:?}");
    let crowds = queue::crowds(&mut connection, &["backup", "restore"], 10).await.unwrap();
    assert_eq!((crowds["backup"].live, crowds["restore"].live), (1, 0));
}

#[tokio::test]
async fn a_done_run_moves_to_the_history_and_its_followers_start_one_after_the_other() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let then = vec![spec("cleanup", "noop", json!({})), spec("validate", "noop", json!({}))];
    let first = enqueue(pool, spec("archive", "noop", json!({})).followed_by(then)).await;
    let claimed = claim_one(pool, me).await;
    let ending = done();
    let row = settle(pool, first, claimed.token, ending.clone()).await;
    assert_eq!((row.verdict, row.goes), (Verdict::Applied, Goes::Over(Final::Done)));
    // A reply that was lost makes the worker settle again.
    assert_eq!(settle(pool, first, claimed.token, ending).await.verdict, Verdict::Repeated);

    let over = find(pool, first).await;
    assert_eq!((over.state.as_str(), &over.report), ("done", &json!({ "rows": 7 })));
    let second = claim_one(pool, me).await;
    assert_eq!((second.job.as_str(), second.parent, second.chain), ("cleanup", Some(first), first));
    assert_eq!(second.requested_by, "after archive");
    assert!(queue::claim(pool, me, 9).await.unwrap().is_empty(), "the third waits for the second");
    settle(pool, second.id, second.token, done()).await;
    let third = claim_one(pool, me).await;
    assert_eq!((third.job.as_str(), third.parent, third.chain), ("validate", Some(second.id), first));
}

#[tokio::test]
async fn a_stale_token_changes_nothing() {
    let database = Database::new().await;
    let pool = database.pool();
    let (zombie, other) = (worker(pool).await, worker(pool).await);
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    let old = claim_one(pool, zombie).await;
    silence(pool, zombie).await;
    assert_eq!(rescue(pool, 9999).await.len(), 1);

    // Nobody has claimed it again yet, and still its old holder is out.
    for ending in [done(), retrying(), failed(), Ending::GivenBack { why: String::new() }] {
        assert_eq!(settle(pool, run, old.token, ending).await.verdict, Verdict::Stale);
    }
    let new = claim_one(pool, other).await;
    assert!(new.token > old.token && new.attempt == 2, "{new:?}");
    let before = find(pool, run).await;
    assert_eq!(settle(pool, run, old.token, done()).await.verdict, Verdict::Stale);
    let progress = Progress { done: 1, total: None, unit: "rows".to_owned(), note: None };
    queue::progress(pool, &[Far { run, token: old.token, progress, rate: None }]).await.unwrap();
    assert_eq!(find(pool, run).await, before);
    assert_eq!(settle(pool, run, new.token, done()).await.verdict, Verdict::Applied);
    assert_eq!(settle(pool, run, old.token, failed()).await.verdict, Verdict::Stale);
}

#[tokio::test]
async fn a_failed_attempt_comes_back_after_its_pause_and_is_remembered() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    let first = claim_one(pool, me).await;
    let pause = Duration::from_millis(300);
    let ending = Ending::Retrying { pause, why: "a lock".to_owned(), help: Some("wait".to_owned()) };
    assert_eq!(settle(pool, run, first.token, ending.clone()).await.goes, Goes::On(Live::Retrying));
    assert_eq!(settle(pool, run, first.token, ending).await.verdict, Verdict::Repeated);
    assert_eq!(queue::promote(pool, true).await.unwrap().ready, 0);
    tokio::time::sleep(pause).await;
    assert_eq!(queue::promote(pool, true).await.unwrap().ready, 1);
    let second = claim_one(pool, me).await;
    assert_eq!((second.id, second.attempt), (run, 2));
    let seen = find(pool, run).await;
    assert_eq!(seen.attempts.as_array().map(Vec::len), Some(1));
    assert_eq!((&seen.attempts[0]["why"], &seen.attempts[0]["attempt"]), (&json!("a lock"), &json!(1)));
}

#[tokio::test]
async fn what_is_given_back_or_snoozed_costs_no_attempt() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    for ending in [Ending::GivenBack { why: "a deploy".to_owned() }, Ending::Snoozed { pause: Duration::ZERO }] {
        let claimed = claim_one(pool, me).await;
        assert_eq!(claimed.attempt, 1);
        assert_eq!(settle(pool, run, claimed.token, ending).await.verdict, Verdict::Applied);
        queue::promote(pool, true).await.unwrap();
    }
    assert_eq!(claim_one(pool, me).await.attempt, 1);
}

#[tokio::test]
async fn a_lost_run_is_retried_held_or_failed_as_its_job_says() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let again = enqueue(pool, spec("again", "noop", json!({}))).await;
    let hold = enqueue(pool, sexton::spec::Spec { on_lost: OnLost::Hold, ..spec("hold", "noop", json!({})) }).await;
    let mut last = spec("last", "noop", json!({}));
    last.retry.attempts = 1;
    let last = enqueue(pool, last).await;
    let asked = enqueue(pool, spec("asked", "noop", json!({}))).await;
    assert_eq!(queue::claim(pool, me, 9).await.unwrap().len(), 4);
    assert_eq!(queue::cancel(pool, asked, "eva", "no need").await.unwrap(), Cancel::Asked);

    assert!(rescue(pool, 9999).await.is_empty(), "its worker was seen just now");
    silence(pool, me).await;
    assert!(rescue(pool, 0).await.is_empty(), "a rescuer that was cut off itself lets everybody have a whole lease");
    let mut fates: Vec<_> = rescue(pool, 46).await.into_iter().map(|one| (one.job, one.fate)).collect();
    fates.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("again", Fate::Ready),
        ("asked", Fate::Cancelled { by: "eva".to_owned() }),
        ("hold", Fate::Held),
        ("last", Fate::Failed),
    ];
    assert_eq!(fates, expected.map(|(job, fate)| (job.to_owned(), fate)));
    assert!(rescue(pool, 9999).await.is_empty(), "once");

    let seen = find(pool, again).await;
    assert_eq!((seen.state.as_str(), seen.spent, seen.losses), ("ready", 1, 1));
    assert_eq!(find(pool, hold).await.state, "held");
    let seen = find(pool, last).await;
    assert_eq!((seen.state.as_str(), seen.losses), ("failed", 1));
    assert!(seen.why.unwrap().contains("worker was lost"));
    assert_eq!(find(pool, asked).await.state, "cancelled");
}

#[tokio::test]
async fn a_buried_worker_is_rescued_from_at_once_and_a_departed_one_leaves_no_row() {
    let database = Database::new().await;
    let pool = database.pool();
    let (dead, gone) = (worker(pool).await, worker(pool).await);
    enqueue(pool, spec("backup", "noop", json!({}))).await;
    claim_one(pool, dead).await;
    queue::depart(pool, gone).await.unwrap();
    queue::depart(pool, dead).await.unwrap();
    queue::bury(pool, &[dead]).await.unwrap();
    assert!(!queue::beat(pool, dead, Duration::ZERO).await.unwrap(), "the dead do not beat");
    assert!(!queue::beat(pool, gone, Duration::ZERO).await.unwrap());
    assert_eq!(rescue(pool, 0).await.len(), 1);
}

#[tokio::test]
async fn a_cancel_ends_what_does_not_run_and_is_never_lost_in_a_retry() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let runs = enqueue(pool, spec("runs", "noop", json!({}))).await;
    let claimed = claim_one(pool, me).await;
    let waits = enqueue(pool, spec("waits", "noop", json!({}))).await;

    assert_eq!(queue::cancel(pool, waits, "eva", "a mistake").await.unwrap(), Cancel::Ended);
    let seen = find(pool, waits).await;
    assert_eq!(
        (seen.state.as_str(), seen.cancel_by.as_deref(), seen.why.as_deref()),
        ("cancelled", Some("eva"), Some("a mistake"))
    );
    assert_eq!(queue::cancel(pool, waits, "eva", "").await.unwrap(), Cancel::Over("cancelled".to_owned()));
    assert_eq!(queue::cancel(pool, Uuid::now_v7(), "eva", "").await.unwrap(), Cancel::Unknown);

    assert_eq!(queue::cancel(pool, runs, "eva", "too slow").await.unwrap(), Cancel::Asked);
    let held = queue::held_in_all(pool, me).await.unwrap();
    assert_eq!((held.len(), held[0].cancel_by.as_deref()), (1, Some("eva")));
    let row = settle(pool, runs, claimed.token, retrying()).await;
    assert_eq!((row.goes, row.cancelled_by.as_deref()), (Goes::Over(Final::Cancelled), Some("eva")));
    assert_eq!(find(pool, runs).await.why.as_deref(), Some("too slow"));
}

#[tokio::test]
async fn a_dead_run_is_tried_again_by_a_person_with_all_it_went_through() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    let claimed = claim_one(pool, me).await;
    assert_eq!(queue::retry(pool, run, "eva").await.unwrap(), Retried::Not("running".to_owned()));
    settle(pool, run, claimed.token, failed()).await;
    assert_eq!(queue::retry(pool, run, "eva").await.unwrap(), Retried::Ready);
    let again = claim_one(pool, me).await;
    assert!(again.id == run && again.attempt == 1 && again.token > claimed.token, "{again:?}");
    let seen = find(pool, run).await;
    assert_eq!((&seen.attempts[0]["why"], &seen.attempts[0]["retried_by"]), (&json!("no such table"), &json!("eva")));
    settle(pool, run, again.token, done()).await;
    assert_eq!(queue::retry(pool, run, "eva").await.unwrap(), Retried::Not("done".to_owned()));
    assert_eq!(queue::retry(pool, Uuid::now_v7(), "eva").await.unwrap(), Retried::Unknown);
}

#[tokio::test]
async fn runs_are_listed_newest_first_page_by_page() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let mut ids = Vec::new();
    for job in ["a", "b", "a", "b", "a"] {
        ids.push(enqueue(pool, spec(job, "noop", json!({}))).await);
    }
    let claimed = claim_one(pool, me).await;
    settle(pool, claimed.id, claimed.token, done()).await;
    let list = async |filter: Filter| -> Vec<Uuid> {
        queue::list(pool, &filter).await.unwrap().into_iter().map(|run| run.id).collect()
    };
    ids.reverse();
    assert_eq!(list(Filter::default()).await, ids);
    let page = list(Filter { limit: 2, ..Filter::default() }).await;
    assert_eq!(page, ids[..2]);
    assert_eq!(list(Filter { before: Some(page[1]), ..Filter::default() }).await, ids[2..]);
    assert_eq!(list(Filter { job: Some("b".to_owned()), ..Filter::default() }).await, [ids[1], ids[3]]);
    assert_eq!(list(Filter { state: Some("done".to_owned()), ..Filter::default() }).await, [claimed.id]);
    let depth = queue::depth(pool).await.unwrap();
    assert_eq!(depth.iter().map(|one| (one.state.as_str(), one.runs)).collect::<Vec<_>>(), [("ready", 4)]);
}

#[tokio::test]
async fn progress_is_seen_while_it_runs() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    let token = claim_one(pool, me).await.token;
    for done in [1, 2] {
        let progress = Progress { done, total: Some(9), unit: "rows".to_owned(), note: Some("t".to_owned()) };
        queue::progress(pool, &[Far { run, token, progress, rate: Some(2.0) }]).await.unwrap();
    }
    let seen = find(pool, run).await;
    assert_eq!(
        (seen.progress_done, seen.progress_total, seen.progress_unit.as_deref()),
        (Some(2), Some(9), Some("rows"))
    );
    assert_eq!((seen.progress_rate, seen.progress_seconds_left), (Some(2.0), Some(4.0)), "7 rows at 2 a second");
}

#[tokio::test]
async fn a_paused_run_is_claimed_by_nobody_until_it_is_resumed() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("archive", "noop", json!({}))).await;
    assert_eq!(queue::pause(pool, run, "eva", "month end").await.unwrap(), Pause::Kept);
    assert_eq!(queue::pause(pool, run, "adam", "").await.unwrap(), Pause::Already);
    let seen = find(pool, run).await;
    assert_eq!((seen.pause_by.as_deref(), seen.pause_why.as_deref()), (Some("eva"), Some("month end")));
    assert_eq!(queue::claim(pool, me, 9).await.unwrap().len(), 0);
    assert_eq!(queue::depth(pool).await.unwrap()[0].oldest, -1.0, "it is not late, it rests");

    assert_eq!(queue::resume(pool, run, "adam").await.unwrap(), Resume::Resumed);
    assert_eq!(queue::resume(pool, run, "adam").await.unwrap(), Resume::Unpaused);
    let token = claim_one(pool, me).await.token;
    let seen = find(pool, run).await;
    assert_eq!(seen.pause_requested_at, None);
    let (by, why) = (&seen.attempts[0]["paused_by"], &seen.attempts[0]["resumed_by"]);
    assert_eq!((by, why), (&json!("eva"), &json!("adam")), "the record keeps who did what");

    // Running: its worker is told, and what it gives back rests, still showing how far it came.
    let progress = Progress { done: 5, total: Some(9), unit: "rows".to_owned(), note: None };
    queue::progress(pool, &[Far { run, token, progress, rate: Some(2.0) }]).await.unwrap();
    assert_eq!(queue::pause(pool, run, "eva", "again").await.unwrap(), Pause::Asked);
    assert_eq!(queue::held_in_all(pool, me).await.unwrap()[0].pause_by.as_deref(), Some("eva"));
    settle(pool, run, token, Ending::GivenBack { why: "paused".to_owned() }).await;
    let seen = find(pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, seen.progress_done, seen.progress_rate), ("ready", 0, Some(5), None));
    assert_eq!(queue::claim(pool, me, 9).await.unwrap().len(), 0);

    assert_eq!(queue::cancel(pool, run, "eva", "never mind").await.unwrap(), Cancel::Ended);
    assert_eq!(queue::pause(pool, run, "eva", "").await.unwrap(), Pause::Over("cancelled".to_owned()));
    assert_eq!(queue::resume(pool, run, "eva").await.unwrap(), Resume::Over("cancelled".to_owned()));
    let left: i64 = sqlx::query_scalar("select count(*) from sexton.progress").fetch_one(pool).await.unwrap();
    assert_eq!(left, 0, "nothing of it stays behind");
    assert_eq!(queue::pause(pool, Uuid::nil(), "eva", "").await.unwrap(), Pause::Unknown);
    assert_eq!(queue::resume(pool, Uuid::nil(), "eva").await.unwrap(), Resume::Unknown);
}

#[tokio::test]
async fn a_paused_run_whose_worker_is_lost_still_rests() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("archive", "noop", json!({}))).await;
    claim_one(pool, me).await;
    queue::pause(pool, run, "eva", "").await.unwrap();
    silence(pool, me).await;
    assert_eq!(rescue(pool, 3600).await.len(), 1);
    let other = worker(pool).await;
    assert_eq!(queue::claim(pool, other, 9).await.unwrap().len(), 0);
    queue::resume(pool, run, "eva").await.unwrap();
    assert_eq!(claim_one(pool, other).await.id, run);
}

/// What a transaction has done to the live runs so far.
async fn done_to_runs(connection: &mut sqlx::PgConnection, column: &str) -> i64 {
    let ask = format!("select {column} from pg_stat_xact_user_tables where schemaname = 'sexton' and relname = 'run'");
    sqlx::query_scalar(sqlx::AssertSqlSafe(ask)).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_claim_writes_to_no_index() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    for _ in 0..20 {
        enqueue(pool, spec("backup", "noop", json!({}))).await;
    }
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(queue::claim(&mut *transaction, me, 20).await.unwrap().len(), 20);
    assert_eq!(done_to_runs(&mut transaction, "n_tup_hot_upd").await, 20);
}

#[tokio::test]
async fn nobody_reads_all_that_is_live_while_all_workers_are_heard() {
    let database = Database::new().await;
    let pool = database.pool();
    let me = worker(pool).await;
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    claim_one(pool, me).await;
    for _ in 0..50 {
        enqueue(pool, spec("other", "noop", json!({}))).await;
    }
    assert!(queue::beat(pool, me, Duration::from_secs(3_600)).await.unwrap());
    let mut transaction = pool.begin().await.unwrap();
    assert!(queue::rescue(&mut transaction, Duration::from_secs(3_600), false).await.unwrap().is_empty());
    let read = done_to_runs(&mut transaction, "seq_tup_read + idx_tup_fetch").await;
    // A hash join fetches one row before it knows that it needs none.
    assert!(read < 5, "{read} rows were read");
    transaction.rollback().await.unwrap();

    // One that is silent and holds nothing is looked at once; what it claims in its silence is found in the end.
    let idle = worker(pool).await;
    silence(pool, idle).await;
    let mut connection = pool.acquire().await.unwrap();
    assert!(queue::rescue(&mut connection, Duration::from_secs(3_600), false).await.unwrap().is_empty());
    sqlx::query("update sexton.run set worker = $1 where id = $2").bind(idle).bind(run).execute(pool).await.unwrap();
    assert!(queue::rescue(&mut connection, Duration::from_secs(3_600), false).await.unwrap().is_empty());
    assert_eq!(rescue(pool, 3_600).await[0].run, run);
}

#[tokio::test]
async fn a_worker_goes_on_where_it_was_and_misses_nothing_that_came_before() {
    let database = Database::new().await;
    let pool = database.pool();
    let mut connection = pool.acquire().await.unwrap();
    let mut claims = queue::Claims::new(worker(pool).await);
    let mut urgent = spec("urgent", "noop", json!({}));
    urgent.priority = 100;
    for job in ["first", "second", "third"] {
        enqueue(pool, spec(job, "noop", json!({}))).await;
    }
    assert_eq!(names(claims.take(&mut connection, 1).await.unwrap()), ["first"]);
    enqueue(pool, urgent.clone()).await;
    claims.begin_anew();
    until_owed(&claims).await;
    assert_eq!(names(claims.take(&mut connection, 1).await.unwrap()), ["urgent"]);
    assert_eq!(names(claims.take(&mut connection, 1).await.unwrap()), ["second"]);
    // Nobody said so, but fewer than asked for means that it looks for the others, at once or a little later.
    enqueue(pool, urgent).await;
    let mut rest = names(claims.take(&mut connection, 9).await.unwrap());
    until_owed(&claims).await;
    rest.extend(names(claims.take(&mut connection, 9).await.unwrap()));
    assert_eq!(rest, ["third", "urgent"]);
    assert!(claims.take(&mut connection, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn looking_from_the_beginning_takes_a_small_share_of_the_time_however_much_is_to_be_passed() {
    let database = Database::new().await;
    let pool = database.pool();
    let mut connection = pool.acquire().await.unwrap();
    let mut claims = queue::Claims::new(worker(pool).await);
    for job in ["first", "second", "third"] {
        enqueue(pool, spec(job, "noop", json!({}))).await;
    }
    // As if it had passed a hundred thousand that nobody may sweep away.
    let slow =
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.06); return new; end $$;
        create trigger slow before update on sexton.run for each row when (new.job = 'first') execute function slow()";
    sqlx::raw_sql(slow).execute(pool).await.unwrap();
    assert_eq!(names(claims.take(&mut connection, 1).await.unwrap()), ["first"]);
    // Slow once may be anything.
    claims.begin_anew();
    assert!(claims.owes_at().expect("a look") <= Instant::now());
    assert!(!claims.is_slow() && claims.look_beside().is_none());
    sqlx::query("update sexton.run set state = 'ready', worker = null where job = 'first'")
        .execute(pool)
        .await
        .unwrap();
    let looked = Instant::now();
    assert_eq!(names(claims.take(&mut connection, 1).await.unwrap()), ["first"]);
    let mut urgent = spec("urgent", "noop", json!({}));
    urgent.priority = 100;
    enqueue(pool, urgent.clone()).await;
    claims.begin_anew();
    assert_eq!(names(claims.take(&mut connection, 1).await.unwrap()), ["second"]);
    let owes = claims.owes_at().expect("a look from the beginning");
    assert!(owes > looked + Duration::from_millis(1_000), "{:?}", owes - looked);
    assert!(claims.look_beside().is_none(), "it is not due");
    until_owed(&claims).await;

    // From now on it goes on beside the claims, which wait for nothing. One that fails is owed again.
    assert!(claims.look_beside().is_some());
    claims.looked(None);
    until_owed(&claims).await;
    let place = claims.look_beside().expect("a look beside");
    assert_eq!(names(claims.take(&mut connection, 9).await.unwrap()), ["third"]);
    enqueue(pool, spec("fourth", "noop", json!({}))).await;
    claims.begin_anew();
    assert_eq!(names(claims.take(&mut connection, 9).await.unwrap()), ["fourth"]);
    assert!(claims.look_beside().is_none() && claims.owes_at().is_none(), "one is on its way");
    // What it finds and somebody else takes meanwhile is theirs.
    urgent.priority = 50;
    let taken = enqueue(pool, urgent).await;
    let found = queue::look_before(&mut connection, place).await.unwrap();
    assert_eq!(found.len(), 2);
    sqlx::query("update sexton.run set state = 'held' where id = $1").bind(taken).execute(pool).await.unwrap();
    claims.looked(Some(found));
    enqueue(pool, spec("fifth", "noop", json!({}))).await;
    assert_eq!(names(claims.take(&mut connection, 9).await.unwrap()), ["urgent", "fifth"]);
    // A busy machine may have held that one up; after one that is quick the claims look by themselves again.
    if claims.is_slow() {
        claims.begin_anew();
        until_owed(&claims).await;
        claims.look_beside().expect("a look beside");
        claims.looked(Some(Vec::new()));
    }
    assert!(!claims.is_slow(), "the last one was quick");
}

/// Until a look from the beginning is due, if one is.
async fn until_owed(claims: &queue::Claims) {
    if let Some(at) = claims.owes_at() {
        tokio::time::sleep_until(at.into()).await;
    }
}

fn names(claimed: Vec<Claimed>) -> Vec<String> {
    claimed.into_iter().map(|run| run.job).collect()
}
