//! Claims about slots that come while the job still runs: what waits starts in its turn and never beside another.

use std::time::Instant;

use sexton::queue::{Claimed, Ending, Run, Settled, WorkerInfo};

use super::*;
use crate::support::work::{begun, in_state, over, quick, work};

/// Two slots of the last two minutes are due.
async fn two_slots(pool: &PgPool, overlap: &str) -> Planner {
    let more = format!("overlap = \"{overlap}\"\ngrace = \"1h\"");
    Disk::new(&schedule("each", "* * * * *", &more)).take(pool).await;
    sqlx::query("update sexton.schedule set watermark = date_trunc('minute', now()) - interval '2 minutes'")
        .execute(pool)
        .await
        .unwrap();
    planner(pool)
}

/// The newest slot is due once more: all that was decided was so many hours earlier.
async fn one_more_slot(pool: &PgPool, hours: u32) {
    for table in ["slot", "run"] {
        let by = format!("interval '{hours} hours'");
        let until = if table == "slot" { format!(", until = until - {by}") } else { String::new() };
        let earlier = format!("update sexton.{table} set nominal_at = nominal_at - {by}{until}");
        sqlx::query(sqlx::AssertSqlSafe(earlier)).execute(pool).await.unwrap();
    }
    sqlx::query("update sexton.schedule set watermark = watermark - interval '1 minute'").execute(pool).await.unwrap();
}

/// A person's run of the job that a worker has.
async fn running(pool: &PgPool) -> (Uuid, Claimed) {
    let worker = WorkerInfo { id: Uuid::now_v7(), host: "h".into(), pid: 1, version: "v".into(), process: None };
    queue::register(pool, &worker).await.unwrap();
    let theirs = NewRun::now(spec("tidy", "exec", json!({"argv": ["true"]})), "a person");
    queue::enqueue(&mut pool.acquire().await.unwrap(), &theirs).await.unwrap();
    let claimed = queue::claim(pool, worker.id, 1).await.unwrap().remove(0);
    (worker.id, claimed)
}

async fn done(pool: &PgPool, run: &Claimed) {
    let ending = Ending::Done { report: Default::default() };
    let settled = Settled { run: run.id, token: run.token, ending: &ending };
    queue::settle(&mut pool.acquire().await.unwrap(), &[settled]).await.unwrap();
}

async fn advance(pool: &PgPool) -> u64 {
    queue::advance(&mut pool.acquire().await.unwrap()).await.unwrap()
}

/// The worker of this test knows no kind of theirs: one attempt is enough to see when it began.
async fn one_attempt_each(pool: &PgPool) {
    sqlx::query("update sexton.run set most_attempts = 1 where schedule is not null").execute(pool).await.unwrap();
}

/// The runs of the schedule, oldest slot first.
async fn of_schedule(pool: &PgPool) -> Vec<Run> {
    let mut runs: Vec<_> = runs(pool).await.into_iter().filter(|run| run.schedule.is_some()).collect();
    runs.sort_by_key(|run| run.nominal_at);
    runs
}

#[tokio::test]
async fn buffer_one_keeps_the_first_until_the_job_is_free() {
    let database = Database::new().await;
    let pool = database.pool();
    let (worker, theirs) = running(pool).await;
    two_slots(pool, "buffer_one").await.tick().await.unwrap();
    assert_eq!(words(pool, "each").await, [("deferred", 1), ("skipped_overlap", 1)]);
    let waiting = of_schedule(pool).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(slots(pool, "each").await[0].run, Some(waiting[0].id), "the slot's row names its run");
    // Neither promotion nor the turn of the others starts it.
    queue::promote(pool, true).await.unwrap();
    assert_eq!(advance(pool).await, 0);
    assert_eq!(queue::claim(pool, worker, 9).await.unwrap().len(), 0);
    done(pool, &theirs).await;
    assert_eq!(advance(pool).await, 1);
    assert_eq!(queue::claim(pool, worker, 9).await.unwrap()[0].id, waiting[0].id);
}

#[tokio::test]
async fn buffer_latest_keeps_the_newest_and_says_what_became_of_the_others() {
    let database = Database::new().await;
    let pool = database.pool();
    let (worker, theirs) = running(pool).await;
    let mut planner = two_slots(pool, "buffer_latest").await;
    planner.tick().await.unwrap();
    assert_eq!(words(pool, "each").await, [("coalesced", 1), ("deferred", 1)]);
    one_more_slot(pool, 1).await;
    planner = self::planner(pool);
    planner.tick().await.unwrap();
    assert_eq!(words(pool, "each").await, [("coalesced", 1), ("deferred", 1), ("deferred", 1)]);
    let [older, newer] = of_schedule(pool).await.try_into().expect("two runs");
    assert_eq!((older.state.as_str(), older.why.as_deref()), ("skipped", Some("a newer slot took its place")));
    assert_eq!(newer.state, "waiting");
    done(pool, &theirs).await;
    assert_eq!(advance(pool).await, 1);
    assert_eq!(queue::claim(pool, worker, 9).await.unwrap()[0].id, newer.id);
}

#[tokio::test]
async fn buffered_runs_go_one_by_one_in_order_however_many_promote_them() {
    let database = Database::new().await;
    let pool = database.pool();
    let (worker, theirs) = running(pool).await;
    let mut planner = two_slots(pool, "buffer_all").await;
    for round in 0..4 {
        planner.tick().await.unwrap();
        one_more_slot(pool, 3_u32.pow(round)).await;
        planner = self::planner(pool);
    }
    let waiting: Vec<Uuid> = of_schedule(pool).await.iter().map(|run| run.id).collect();
    assert_eq!(waiting.len(), 5);
    done(pool, &theirs).await;
    let mut order = Vec::new();
    while order.len() < waiting.len() {
        let advanced: u64 = futures::future::join_all((0..6).map(|_| advance(pool))).await.iter().sum();
        assert_eq!(advanced, 1, "one of the many who asked at once");
        let claimed = queue::claim(pool, worker, 9).await.unwrap();
        assert_eq!((claimed.len(), advance(pool).await), (1, 0));
        order.push(claimed[0].id);
        done(pool, &claimed[0]).await;
    }
    assert_eq!(order, waiting);
}

#[tokio::test]
async fn workers_start_what_waits_once_the_job_is_free() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let theirs = crate::support::work::enqueue(pool, spec("tidy", "slow", json!({ "millis": 700 }))).await;
    in_state(pool, theirs, "running").await;
    two_slots(pool, "buffer_all").await.tick().await.unwrap();
    assert_eq!(words(pool, "each").await, [("deferred", 1), ("deferred", 1)]);
    one_attempt_each(pool).await;
    let mut before = over(pool, theirs).await;
    for run in of_schedule(pool).await {
        let run = over(pool, run.id).await;
        assert!(run.started_at >= before.finished_at, "{run:?} {before:?}");
        before = run;
    }
    working.drain().await;
}

#[tokio::test]
async fn cancel_other_asks_what_runs_to_stop_and_starts_when_it_has() {
    let database = Database::new().await;
    let pool = database.pool();
    let (worker, theirs) = running(pool).await;
    // One more of the job, which nobody has begun.
    let idle = NewRun::now(spec("tidy", "exec", json!({"argv": ["true"]})), "a person");
    let idle = queue::enqueue(&mut pool.acquire().await.unwrap(), &idle).await.unwrap();
    two_slots(pool, "cancel_other").await.tick().await.unwrap();
    assert_eq!(words(pool, "each").await, [("coalesced", 1), ("deferred", 1)]);
    let held = queue::held_in_all(pool, worker).await.unwrap();
    assert_eq!((held[0].cancel_by.as_deref(), held[0].cancel_at_once), (Some("schedule each"), false));
    let ended = queue::find(pool, idle).await.unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.cancel_by.as_deref()), ("cancelled", Some("schedule each")));
    // No worker had it, so the planner tells of it: who, and why.
    let told: (String, String, String) =
        sqlx::query_as("select kind::text, detail ->> 'by', detail ->> 'why' from sexton.event where run = $1")
            .bind(idle)
            .fetch_one(pool)
            .await
            .unwrap();
    let expected = ("cancelled", "schedule each", "a newer slot takes its place");
    assert_eq!((told.0.as_str(), told.1.as_str(), told.2.as_str()), expected);
    assert_eq!(advance(pool).await, 0);
    let ending = Ending::Cancelled { by: "schedule each".into(), why: "asked".into() };
    let settled = Settled { run: theirs.id, token: theirs.token, ending: &ending };
    queue::settle(&mut pool.acquire().await.unwrap(), &[settled]).await.unwrap();
    assert_eq!(advance(pool).await, 1);
}

#[tokio::test]
async fn terminate_other_leaves_no_time_to_stop_in_peace() {
    let database = Database::new().await;
    let pool = database.pool();
    // What does not stop by itself would be waited for longer than a test may take.
    let working = work(pool, sexton::worker::Options { stop_grace: crate::support::BOUND * 2, ..quick() });
    let theirs = crate::support::work::enqueue(pool, spec("tidy", "stubborn", json!({}))).await;
    begun(theirs).await;
    let began = Instant::now();
    two_slots(pool, "terminate_other").await.tick().await.unwrap();
    one_attempt_each(pool).await;
    queue::tell_cancel(pool).await;
    let ended = over(pool, theirs).await;
    assert_eq!((ended.state.as_str(), ended.cancel_by.as_deref()), ("cancelled", Some("schedule each")));
    assert!(began.elapsed() < crate::support::BOUND);
    let [run] = of_schedule(pool).await.try_into().expect("one run");
    assert!(over(pool, run.id).await.started_at >= ended.finished_at);
    working.drain().await;
}

#[tokio::test]
async fn schedules_of_one_job_see_one_another_in_one_look() {
    let database = Database::new().await;
    let pool = database.pool();
    let many: String = (0..5).map(|n| schedule(&format!("s{n}"), "* * * * *", "grace = \"1h\"")).collect();
    Disk::new(&many).take(pool).await;
    sqlx::query("update sexton.schedule set watermark = date_trunc('minute', now()) - interval '1 minute'")
        .execute(pool)
        .await
        .unwrap();
    let tick = planner(pool).tick().await.unwrap();
    let fired = tick.decisions.iter().filter(|(_, decision)| decision.decided == Decided::Fired).count();
    assert_eq!((tick.decisions.len(), fired, runs(pool).await.len()), (5, 1, 1));
}
