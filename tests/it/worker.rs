//! Claims about workers: what they do with runs, and what they never do, whatever breaks.

use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use rustix::process::Signal;
use serde_json::json;
use sexton::{
    db::{self, Login},
    kinds::Progress,
    queue::{self, Cancel, Ending, Goes, NewRun, Pause, Resume, WorkerInfo},
    secret::Secret,
    span::Span,
    spec::Spec,
    state::{Final, OnLost},
    worker::{self, Options, Worker},
};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    BOUND, Database, Proxy, Wire, eventually, own_cluster,
    work::{Working, begun, effects, enqueue, in_state, over, process, quick, spec, work, worker},
};

fn pool_of(url: String) -> PgPool {
    db::queue_pool(&Login::new(&Secret::new(url), None).unwrap(), 6)
}

async fn workers(pool: &PgPool) -> Vec<Uuid> {
    sqlx::query_scalar("select id from sexton.worker").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn a_run_is_done_and_its_numbers_are_kept() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let run = enqueue(pool, spec("backup", "noop", json!({}))).await;
    let seen = over(pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, &seen.report["things"]), ("done", 1, &json!(1)));
    assert!(seen.report["duration"].as_f64().is_some_and(|seconds| seconds < 5.0));
    working.drain().await;
    assert!(workers(pool).await.is_empty(), "it says goodbye");
}

#[tokio::test]
async fn a_failing_run_is_tried_again_until_its_attempts_are_spent() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let cured = enqueue(pool, spec("cured", "flaky", json!({ "fails": 2 }))).await;
    let dead = enqueue(pool, spec("dead", "flaky", json!({ "fails": 9 }))).await;
    let hopeless = enqueue(pool, spec("hopeless", "says", json!({ "never": "no such table" }))).await;
    let seen = over(pool, cured).await;
    assert_eq!((seen.state.as_str(), seen.spent, seen.attempts.as_array().map(Vec::len)), ("done", 3, Some(2)));
    let seen = over(pool, dead).await;
    assert_eq!((seen.state.as_str(), seen.spent, seen.why.as_deref()), ("failed", 3, Some("not yet")));
    assert_eq!(seen.help.as_deref(), Some("wait"));
    let seen = over(pool, hopeless).await;
    assert_eq!((seen.state.as_str(), seen.spent), ("failed", 1));
    working.drain().await;
}

#[tokio::test]
async fn a_panic_fails_its_run_and_nothing_else() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let panics = enqueue(pool, spec("panics", "panics", json!({}))).await;
    let seen = over(pool, panics).await;
    assert_eq!((seen.state.as_str(), seen.spent), ("failed", 3));
    assert!(seen.why.as_ref().unwrap().contains("oh no, attempt 3"), "{seen:?}");
    let fine = enqueue(pool, spec("fine", "noop", json!({}))).await;
    assert_eq!(over(pool, fine).await.state, "done");
    working.drain().await;
}

#[tokio::test]
async fn what_nobody_can_read_fails_after_its_attempts_and_harms_no_other() {
    let database = Database::new().await;
    let pool = database.pool();
    let poison = enqueue(pool, spec("poison", "noop", json!({}))).await;
    sqlx::query("update sexton.run set own = '{\"retry\": \"often\"}' where id = $1")
        .bind(poison)
        .execute(pool)
        .await
        .unwrap();
    // Fifteen seconds is the pause between attempts of what has no readable `retry`.
    sqlx::query("update sexton.run set most_attempts = 1").execute(pool).await.unwrap();
    let unknown = enqueue(pool, spec("unknown", "knitting", json!({}))).await;
    sqlx::query("update sexton.run set most_attempts = 1").execute(pool).await.unwrap();
    let odd = enqueue(pool, spec("odd", "slow", json!({ "millis": "many" }))).await;
    let fine = enqueue(pool, spec("fine", "noop", json!({}))).await;
    let working = work(pool, quick());
    assert_eq!(over(pool, fine).await.state, "done");
    for (run, word) in [(poison, "snapshot"), (unknown, "knitting"), (odd, "[slow]")] {
        let seen = over(pool, run).await;
        assert!(seen.state == "failed" && seen.why.as_ref().unwrap().contains(word), "{seen:?}");
    }
    working.drain().await;
}

#[tokio::test]
async fn a_timeout_ends_the_whole_process_group() {
    let database = Database::new().await;
    let pool = database.pool();
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let mut long = spec("long", "spawns", json!({ "pid_file": pid_file }));
    long.timeout = Some(Span(Duration::from_millis(800)));
    long.retry.attempts = 1;
    let working = work(pool, quick());
    let run = enqueue(pool, long).await;
    let pid = eventually("the grandchild", async || std::fs::read_to_string(&pid_file).ok()).await;
    assert!(Path::new("/proc").join(pid.trim()).exists());
    let seen = over(pool, run).await;
    assert!(seen.state == "failed" && seen.why.as_ref().unwrap().contains("timeout of 800ms"), "{seen:?}");
    eventually("the grandchild is gone", async || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
    working.drain().await;
}

#[tokio::test]
async fn a_cancel_reaches_a_running_kind_at_once() {
    let database = Database::new().await;
    let pool = database.pool();
    // The heart is too slow to be the one that tells.
    let working = work(pool, Options { beat: Duration::from_secs(600), ..quick() });
    let long = |spec: Spec| Spec { lease: Span::seconds(3600), ..spec };
    let willing = enqueue(pool, long(spec("willing", "slow", json!({ "millis": 600_000 })))).await;
    let stubborn = enqueue(pool, long(spec("stubborn", "stubborn", json!({})))).await;
    begun(willing).await;
    begun(stubborn).await;
    for run in [willing, stubborn] {
        assert_eq!(queue::cancel(pool, run, "eva", "enough").await.unwrap(), Cancel::Asked);
    }
    for run in [willing, stubborn] {
        let seen = over(pool, run).await;
        assert_eq!((seen.state.as_str(), seen.cancel_by.as_deref()), ("cancelled", Some("eva")));
        assert_eq!(seen.why.as_deref(), Some("enough"));
    }
    working.drain().await;
}

#[tokio::test]
async fn a_cancel_that_comes_while_the_claim_s_reply_is_on_its_way_is_heard() {
    let database = Database::new().await;
    let pool = database.pool();
    let proxy = Proxy::unix(database.socket_dir()).await;
    // What it hears and its heart are direct; the heart is too slow to be the one that tells.
    let options = Options { beat: Duration::from_secs(600), ..quick() };
    let working =
        Working::of(Worker { beat_pool: pool.clone(), ..worker(&pool_of(proxy.url(database.name())), options) });
    let long = || Spec { lease: Span::seconds(3600), ..spec("long", "slow", json!({ "millis": 600_000 })) };
    let run = loop {
        over(pool, enqueue(pool, spec("first", "noop", json!({}))).await).await;
        proxy.set(Wire::Hold);
        let run = enqueue(pool, long()).await;
        if timeout(Duration::from_secs(5), in_state(pool, run, "running")).await.is_ok() {
            break run;
        }
        // It was the reply to a look for more work that was held back.
        queue::cancel(pool, run, "eva", "").await.unwrap();
        proxy.set(Wire::Pass);
    };
    assert_eq!(queue::cancel(pool, run, "eva", "enough").await.unwrap(), Cancel::Asked);
    let beaten = "select exists (select from sexton.worker, sexton.run where seen_at > cancel_requested_at)";
    eventually("its heart was told", async || {
        sqlx::query_scalar::<_, bool>(beaten).fetch_one(pool).await.unwrap().then_some(())
    })
    .await;
    proxy.set(Wire::Pass);
    assert_eq!(over(pool, run).await.state, "cancelled");
    working.drain().await;
}

#[tokio::test]
async fn a_pause_frees_the_slot_between_two_steps_and_a_resume_goes_on_there() {
    let database = Database::new().await;
    let pool = database.pool();
    // The heart is too slow to be the one that tells.
    let working = work(pool, Options { beat: Duration::from_secs(15), slots: 1, ..quick() });
    let mut long = spec("long", "steps", json!({ "steps": 100 }));
    // Shorter than the work and the pause together: what is paused does not count.
    long.timeout = Some(Span(Duration::from_secs(20)));
    let run = enqueue(pool, long).await;
    eventually("some steps", async || (effects(run) > 3).then_some(())).await;
    assert_eq!(queue::pause(pool, run, "eva", "month end").await.unwrap(), Pause::Asked);
    let seen = in_state(pool, run, "ready").await;
    let taken = effects(run);
    assert!(taken < 100, "it stopped between");
    assert_eq!((seen.spent, seen.attempts[0]["outcome"].as_str()), (0, Some("given_back")));
    assert_eq!(seen.attempts[0]["why"], "paused by eva: month end");

    // The only slot is free for others.
    let other = enqueue(pool, spec("other", "noop", json!({}))).await;
    assert_eq!(over(pool, other).await.state, "done");
    assert_eq!(effects(run), taken, "nothing moved meanwhile");

    assert_eq!(queue::resume(pool, run, "eva").await.unwrap(), Resume::Resumed);
    let seen = over(pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, effects(run)), ("done", 1, 100), "no step twice: {seen:?}");
    working.drain().await;
}

#[tokio::test]
async fn what_cannot_go_on_where_it_was_is_let_finish() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let run = enqueue(pool, spec("slow", "slow", json!({ "millis": 1_500 }))).await;
    begun(run).await;
    assert_eq!(queue::pause(pool, run, "eva", "").await.unwrap(), Pause::Asked);
    let seen = over(pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, effects(run)), ("done", 1, 1));
    working.drain().await;
}

#[tokio::test]
async fn a_drain_lets_short_work_end_and_gives_back_the_rest_unspent() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, Options { grace: Duration::from_secs(3), ..quick() });
    let short = enqueue(pool, spec("short", "slow", json!({ "millis": 300 }))).await;
    let long = enqueue(pool, spec("long", "slow", json!({ "millis": 60_000 }))).await;
    let stubborn = enqueue(pool, spec("stubborn", "stubborn", json!({}))).await;
    for run in [short, long, stubborn] {
        begun(run).await;
    }
    working.drain().await;
    assert_eq!(over(pool, short).await.state, "done");
    for run in [long, stubborn] {
        let seen = in_state(pool, run, "ready").await;
        assert_eq!((seen.spent, seen.losses), (0, 0));
        assert_eq!(seen.attempts[0]["outcome"], "given_back");
    }
    assert!(workers(pool).await.is_empty());
}

#[tokio::test]
async fn two_workers_never_do_a_run_twice() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = [work(pool, quick()), work(pool, quick())];
    let runs: Vec<NewRun> = (0..300).map(|_| NewRun::now(spec("many", "noop", json!({})), "a test")).collect();
    let ids = queue::enqueue_all(&mut pool.acquire().await.unwrap(), &runs).await.unwrap();
    queue::nudge(pool).await;
    eventually("all are done", async || queue::depth(pool).await.unwrap().is_empty().then_some(())).await;
    assert!(ids.iter().all(|run| effects(*run) == 1));
    let spent: i64 = sqlx::query_scalar("select count(*) from sexton.history where state = 'done' and spent = 1")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(spent, 300);
    for working in working {
        working.drain().await;
    }
}

#[tokio::test]
async fn many_endings_do_not_wait_behind_one_that_is_stuck() {
    let database = Database::new().await;
    let pool = database.pool();
    let gate = "create function gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return new; end $$;
        create trigger gate before insert on sexton.history for each row when (new.job = 'stuck') execute function gate()";
    sqlx::raw_sql(gate).execute(pool).await.unwrap();
    let mut closed = pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *closed).await.unwrap();
    let working = work(pool, Options { slots: 2000, ..quick() });
    let stuck = enqueue(pool, spec("stuck", "noop", json!({}))).await;
    let waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())";
    let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap();
    eventually("its ending waits", async || (count(waits).await == 1).then_some(())).await;
    let runs: Vec<NewRun> = (0..1000).map(|_| NewRun::now(spec("many", "noop", json!({})), "a test")).collect();
    queue::enqueue_all(&mut pool.acquire().await.unwrap(), &runs).await.unwrap();
    queue::nudge(pool).await;
    let over = "select count(*) from sexton.history";
    eventually("others are written down", async || (count(over).await >= 500).then_some(())).await;
    assert_eq!(queue::find(pool, stuck).await.unwrap().map(|run| run.state).as_deref(), Some("running"));
    closed.rollback().await.unwrap();
    eventually("all are", async || (count(over).await == 1001).then_some(())).await;
    working.drain().await;
}

#[tokio::test]
async fn an_ending_is_kept_until_postgres_is_back() {
    let mut cluster = own_cluster(true).await;
    let (_, pool) = cluster.database("queue").await;
    let working = work(&pool, quick());
    let run = enqueue(&pool, spec("backup", "slow", json!({ "millis": 1500 }))).await;
    begun(run).await;
    cluster.stop().await;
    // The work ends while there is nobody to tell.
    eventually("the work is done", async || (effects(run) == 1).then_some(())).await;
    cluster.restart().await;
    let seen = over(&pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, effects(run)), ("done", 1, 1));
    let next = enqueue(&pool, spec("backup", "noop", json!({}))).await;
    assert_eq!(over(&pool, next).await.state, "done");
    working.drain().await;
}

#[tokio::test]
async fn connections_that_break_all_the_time_lose_and_double_nothing() {
    let database = Database::new().await;
    let pool = database.pool();
    let others = pool_of(database.url());
    let working = [work(&others, quick()), work(&others, quick())];
    let runs: Vec<NewRun> =
        (0..200).map(|_| NewRun::now(spec("many", "slow", json!({ "millis": 30 })), "a test")).collect();
    let mut connection = pool.acquire().await.unwrap();
    let ids = queue::enqueue_all(&mut connection, &runs).await.unwrap();
    let mut broken = 0;
    let begun = Instant::now();
    while sqlx::query_scalar("select exists (select from sexton.run)").fetch_one(&mut *connection).await.unwrap() {
        assert!(begun.elapsed() < BOUND, "not all are done");
        tokio::time::sleep(Duration::from_millis(60)).await;
        // Enough is enough: what was broken must also come to an end.
        if broken > 40 {
            continue;
        }
        broken += sqlx::query_scalar::<_, i64>(
            "select count(*) filter (where pg_terminate_backend(pid))
             from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    }
    assert!(broken > 20, "only {broken} connections were broken");
    assert!(ids.iter().all(|run| effects(*run) == 1));
    let done: i64 =
        sqlx::query_scalar("select count(*) from sexton.history where state = 'done' and spent = 1 and losses = 0")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    assert_eq!(done, 200);
    for working in working {
        working.drain().await;
    }
}

#[tokio::test]
async fn an_ending_and_its_event_are_written_together_or_not_at_all() {
    let database = Database::new().await;
    let pool = database.pool();
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'not today'; end $$;
         create trigger refuse before insert on sexton.event for each row execute function refuse()",
    )
    .execute(pool)
    .await
    .unwrap();
    let working = work(pool, quick());
    let fails = enqueue(pool, spec("backup", "says", json!({ "never": "no such table" }))).await;
    in_state(pool, fails, "running").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(queue::find(pool, fails).await.unwrap().unwrap().state, "running");
    sqlx::raw_sql("drop trigger refuse on sexton.event").execute(pool).await.unwrap();
    assert_eq!(over(pool, fails).await.state, "failed");
    let (kind, channels, why): (String, serde_json::Value, String) =
        sqlx::query_as("select kind::text, to_jsonb(channels), detail->>'why' from sexton.event where run = $1")
            .bind(fails)
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!((kind.as_str(), channels, why.as_str()), ("failed", json!(["ops"]), "no such table"));

    let recovers = enqueue(pool, spec("backup", "noop", json!({}))).await;
    over(pool, recovers).await;
    let kinds: Vec<String> =
        sqlx::query_scalar("select kind::text from sexton.event order by id").fetch_all(pool).await.unwrap();
    assert_eq!(kinds, ["failed", "recovered"]);
    working.drain().await;
}

#[tokio::test]
async fn a_cut_off_worker_stops_before_its_lease_ends_and_another_takes_over() {
    let database = Database::new().await;
    let pool = database.pool();
    let proxy = Proxy::unix(database.socket_dir()).await;
    let cut_off = pool_of(proxy.url(database.name()));
    let lease = Duration::from_secs(3);
    let mut job = spec("backup", "slow", json!({ "millis": 6000 }));
    job.lease = Span(lease);
    let first = work(&cut_off, quick());
    let run = enqueue(pool, job).await;
    begun(run).await;
    let before = in_state(pool, run, "running").await;
    proxy.set(Wire::Blackhole);
    let begun = Instant::now();
    let second = work(pool, quick());
    let rescued = eventually("another worker takes over", async || {
        queue::find(pool, run).await.unwrap().filter(|run| run.token > before.token && run.state == "running")
    })
    .await;
    assert!(
        begun.elapsed() >= lease - Duration::from_millis(400),
        "not before the lease was over: {:?}",
        begun.elapsed()
    );
    assert_eq!((rescued.spent, rescued.losses), (2, 1));
    proxy.set(Wire::Pass);
    let seen = over(pool, run).await;
    assert_eq!((seen.state.as_str(), effects(run)), ("done", 1), "the first never did its work to the end");
    assert_ne!(seen.worker, before.worker);
    // The first is back at work.
    second.drain().await;
    let next = enqueue(pool, spec("next", "noop", json!({}))).await;
    assert_eq!(over(pool, next).await.worker, before.worker);
    first.drain().await;
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_settles_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let proxy = Proxy::unix(database.socket_dir()).await;
    // The heart is slow so that the first commit to come by is the ending's.
    let working = work(&pool_of(proxy.url(database.name())), Options { beat: Duration::from_secs(15), ..quick() });
    let mut job = spec("backup", "slow", json!({ "millis": 700 }));
    job.then = vec![spec("after", "noop", json!({}))];
    let run = enqueue(pool, job).await;
    begun(run).await;
    proxy.set(Wire::LoseReplyTo("COMMIT"));
    proxy.struck().await;
    assert_eq!(over(pool, run).await.state, "done");
    eventually("what follows is done", async || {
        let all = queue::list(pool, &queue::Filter::default()).await.unwrap();
        assert!(all.len() <= 2, "{all:?}");
        (all.len() == 2 && all.iter().all(|run| run.state == "done")).then_some(())
    })
    .await;
    working.drain().await;
}

#[tokio::test]
async fn a_claim_whose_reply_was_lost_is_given_back() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, Options { slots: 1, ..quick() });
    let busy = enqueue(pool, spec("busy", "slow", json!({ "millis": 60_000 }))).await;
    let holder = in_state(pool, busy, "running").await.worker.unwrap();
    let run = enqueue(pool, spec("unseen", "noop", json!({}))).await;
    assert_eq!(queue::claim(pool, holder, 1).await.unwrap()[0].id, run);
    let seen = in_state(pool, run, "ready").await;
    assert_eq!((seen.spent, seen.attempts[0]["outcome"].as_str()), (0, Some("given_back")));
    working.drain().await;
}

/// The database of one who is held up whenever he comes past a run of the job `tar`.
async fn sticky(database: &Database, how: &str) -> PgPool {
    sqlx::raw_sql(AssertSqlSafe(
        "create function sexton.stick() returns boolean language plpgsql as $$ begin HOW; return true; end $$;
         create role NAME;
         grant usage on schema sexton to NAME;
         grant all on all tables in schema sexton to NAME;
         grant all on all sequences in schema sexton to NAME;
         grant execute on all functions in schema sexton to NAME;
         alter table sexton.run enable row level security;
         create policy sticky on sexton.run to NAME using (case when job = 'tar' then sexton.stick() else true end)"
            .replace("NAME", database.name())
            .replace("HOW", how),
    ))
    .execute(database.pool())
    .await
    .unwrap();
    // However few runs there are, those in an index's range are all that is passed.
    pool_of(format!("{}&options=-c%20role%3D{}%20-c%20enable_seqscan%3Doff", database.url(), database.name()))
}

#[tokio::test]
async fn a_slow_look_from_the_beginning_holds_up_no_claim() {
    let database = Database::new().await;
    let pool = database.pool();
    sqlx::raw_sql("create table sexton.gate (shut boolean); create table sexton.passed (query text)")
        .execute(pool)
        .await
        .unwrap();
    // Only what is asked for claims: how PostgreSQL finds the rows for anything else in so small a table is its own choice.
    let wait = "if current_query() ~ '^-- (Promote|Claim|Ready before)' then
                    insert into sexton.passed values (current_query());
                    perform pg_sleep(0.06); while exists (select from sexton.gate) loop perform pg_sleep(0.01); end loop;
                end if";
    let slow = sticky(&database, wait).await;
    let other =
        WorkerInfo { id: Uuid::now_v7(), host: "there".to_owned(), pid: 1, version: "0".to_owned(), process: None };
    queue::register(pool, &other).await.unwrap();
    assert!(queue::beat(pool, other.id, Duration::from_secs(3_600)).await.unwrap());
    enqueue(pool, spec("tar", "noop", json!({}))).await;
    assert_eq!(queue::claim(pool, other.id, 1).await.unwrap().len(), 1);
    sqlx::raw_sql("analyze sexton.run").execute(pool).await.unwrap();
    let working = work(&slow, Options { slots: 2, ..quick() });
    // Once it has seen twice that looking from the beginning is slow, it looks beside.
    eventually("it looks beside", async || {
        over(pool, enqueue(pool, spec("first", "noop", json!({}))).await).await;
        let query = "select from sexton.passed where query like '-- Ready before%' limit 1";
        sqlx::query(query).fetch_optional(pool).await.unwrap()
    })
    .await;
    sqlx::raw_sql("insert into sexton.gate values (true)").execute(pool).await.unwrap();
    let shut: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await.unwrap();
    // Each look has a connection of its own.
    let stuck = async || -> Option<i32> {
        let query = "select pid from pg_stat_activity where datname = current_database() and state = 'active'
                     and query like '-- Ready before%' and query_start > $1";
        sqlx::query_scalar(query).bind(shut).fetch_optional(pool).await.unwrap()
    };
    let look = eventually("the look sticks", async || {
        over(pool, enqueue(pool, spec("next", "noop", json!({}))).await).await;
        stuck().await
    })
    .await;
    let mut urgent = spec("urgent", "noop", json!({}));
    urgent.priority = 100;
    let urgent = enqueue(pool, urgent).await;
    for _ in 0..5 {
        over(pool, enqueue(pool, spec("next", "noop", json!({}))).await).await;
    }
    assert_eq!(stuck().await, Some(look), "it still sticks");
    sqlx::raw_sql("delete from sexton.gate").execute(pool).await.unwrap();
    over(pool, urgent).await;
    working.drain().await;
}

#[tokio::test]
async fn a_slow_look_at_all_that_is_live_holds_up_no_heartbeat() {
    let database = Database::new().await;
    let pool = database.pool();
    let slow = sticky(&database, "perform pg_sleep(2)").await;
    let working = work(&slow, Options { slots: 1, beat: Duration::from_millis(60), ..quick() });
    let busy = enqueue(pool, spec("busy", "slow", json!({ "millis": 60_000 }))).await;
    let holder = in_state(pool, busy, "running").await.worker.unwrap();
    // It holds one that it does not know of, so that only a look at all that is live comes past it.
    let run = enqueue(pool, spec("tar", "noop", json!({}))).await;
    assert_eq!(queue::claim(pool, holder, 1).await.unwrap()[0].id, run);
    let stuck = async || -> Option<DateTime<Utc>> {
        let query = "select query_start from pg_stat_activity
                     where datname = current_database() and wait_event = 'PgSleep' and query like '-- Held in all%'";
        sqlx::query_scalar(query).fetch_optional(pool).await.unwrap()
    };
    let seen = async || -> DateTime<Utc> {
        sqlx::query_scalar("select max(seen_at) from sexton.worker").fetch_one(pool).await.unwrap()
    };
    let since = eventually("the look sticks", stuck).await;
    for beat in 1..=3 {
        let before = seen().await;
        eventually("it beats", async || (seen().await > before).then_some(())).await;
        assert_eq!(stuck().await, Some(since), "it still sticks at beat {beat}");
    }
    assert_eq!(in_state(pool, run, "ready").await.attempts[0]["outcome"], "given_back");
    working.drain().await;
}

#[tokio::test]
async fn kill_9_loses_no_run_and_another_process_takes_over_at_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let doomed = process(&database.url());
    let mut job = spec("backup", "slow", json!({ "millis": 1000 }));
    job.lease = Span::seconds(300);
    let runs = [enqueue(pool, job.clone()).await, enqueue(pool, job).await];
    let mut before = Vec::new();
    for run in runs {
        before.push(in_state(pool, run, "running").await.worker);
    }
    doomed.signal(Signal::KILL);
    let working = work(pool, quick());
    for (run, before) in runs.into_iter().zip(before) {
        let seen = over(pool, run).await;
        assert_eq!((seen.state.as_str(), seen.spent, seen.losses, effects(run)), ("done", 2, 1, 1));
        assert_ne!(seen.worker, before);
    }
    working.drain().await;
}

#[tokio::test]
async fn a_process_that_was_frozen_beyond_its_lease_changes_nothing_when_it_wakes() {
    let database = Database::new().await;
    let pool = database.pool();
    let zombie = process(&database.url());
    let mut job = spec("backup", "slow", json!({ "millis": 1000 }));
    job.lease = Span::seconds(2);
    let run = enqueue(pool, job).await;
    let frozen = in_state(pool, run, "running").await;
    zombie.signal(Signal::STOP);
    let working = work(pool, quick());
    let seen = over(pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, effects(run)), ("done", 2, 1));
    assert_ne!(seen.worker, frozen.worker);
    working.drain().await;
    zombie.signal(Signal::CONT);
    // It works again, and what it held then is as others left it.
    let next = enqueue(pool, spec("next", "noop", json!({}))).await;
    assert_eq!(over(pool, next).await.worker, frozen.worker);
    assert_eq!(queue::find(pool, run).await.unwrap(), Some(seen));
}

#[tokio::test]
async fn what_was_taken_away_is_stopped_and_its_ending_counts_as_stale() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let seen = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let run = enqueue(pool, spec("backup", "slow", json!({ "millis": 2000 }))).await;
    begun(run).await;
    // As if somebody had taken it while this worker could not hear.
    sqlx::query("update sexton.run set token = token + 1").execute(pool).await.unwrap();
    let seen_run = over(pool, run).await;
    assert_eq!((seen_run.state.as_str(), effects(run)), ("done", 1), "the first attempt was stopped");
    working.drain().await;
    let text = seen.render();
    assert!(text.contains("sexton_stale_completions_total 1"), "{text}");
    assert!(text.contains("outcome=\"done\"} 1"), "{text}");
}

#[tokio::test]
async fn the_runs_of_a_process_that_died_here_are_taken_over_at_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let first = work(pool, quick());
    let process: String = eventually("a worker", async || {
        sqlx::query_scalar("select process from sexton.worker").fetch_optional(pool).await.unwrap()
    })
    .await;
    first.drain().await;
    // As a process that was killed has left its row: this pid was somebody else's, earlier.
    let dead = Uuid::now_v7();
    let process = Some(format!("{process}0"));
    queue::register(pool, &WorkerInfo { id: dead, host: "here".to_owned(), pid: 1, version: "0".to_owned(), process })
        .await
        .unwrap();
    let mut job = spec("backup", "noop", json!({}));
    job.lease = Span::seconds(300);
    let run = enqueue(pool, job).await;
    queue::claim(pool, dead, 1).await.unwrap();
    let working = work(pool, quick());
    let seen = over(pool, run).await;
    assert_eq!((seen.state.as_str(), seen.spent, seen.losses), ("done", 2, 1));
    working.drain().await;
}

#[tokio::test]
async fn what_the_database_cannot_store_fails_its_run_and_nothing_else() {
    let database = Database::new().await;
    let pool = database.pool();
    // A text with a zero byte in it is fine in Rust and JSON, and refused by PostgreSQL.
    let odd = enqueue(pool, spec("odd", "says", json!("a_zero_byte"))).await;
    let fine = enqueue(pool, spec("fine", "noop", json!({}))).await;
    let working = work(pool, quick());
    assert_eq!(over(pool, fine).await.state, "done");
    let seen = over(pool, odd).await;
    assert!(seen.state == "failed" && seen.why.as_ref().unwrap().contains("cannot be stored"), "{seen:?}");
    working.drain().await;
}

#[tokio::test]
async fn a_skip_is_final_and_a_snooze_costs_no_attempt() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let skips = enqueue(pool, spec("skips", "says", json!({ "skipped": "nothing to do" }))).await;
    let naps = enqueue(pool, spec("naps", "says", json!({ "snoozed_once_millis": 100 }))).await;
    let seen = over(pool, skips).await;
    assert_eq!((seen.state.as_str(), seen.why.as_deref()), ("skipped", Some("nothing to do")));
    let seen = over(pool, naps).await;
    assert_eq!((seen.state.as_str(), seen.spent), ("done", 1));
    working.drain().await;
}

#[tokio::test]
async fn a_breached_threshold_fails_the_run_only_where_the_job_says_so() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let mut job = spec("lenient", "noop", json!({}));
    job.expect.insert("things".to_owned(), ">= 5".parse().unwrap());
    let lenient = enqueue(pool, job.clone()).await;
    let strict = enqueue(pool, Spec { fail_on_breach: true, ..job }).await;
    assert_eq!(over(pool, lenient).await.state, "done");
    let seen = over(pool, strict).await;
    assert_eq!((seen.state.as_str(), seen.spent, &seen.report["things"]), ("failed", 1, &json!(1)));
    assert!(seen.why.as_ref().unwrap().contains("things is 1, expected >= 5"), "{seen:?}");
    working.drain().await;
}

#[tokio::test]
async fn progress_is_written_while_the_kind_works() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let run = enqueue(pool, spec("slow", "slow", json!({ "millis": 60_000 }))).await;
    let seen = eventually("progress", async || {
        queue::find(pool, run).await.unwrap().filter(|run| run.progress_done == Some(1))
    })
    .await;
    assert_eq!((seen.progress_total, seen.progress_note.as_deref()), (Some(2), Some("napping")));
    working.drain().await;
}

#[tokio::test]
async fn once_does_a_run_in_the_foreground_that_no_daemon_sees() {
    let database = Database::new().await;
    let pool = database.pool();
    let daemon = work(pool, quick());
    let once = async |spec: Spec, stop: CancellationToken| {
        let progress = watch::Sender::<Option<Progress>>::new(None);
        worker::once(worker(pool, quick()), NewRun::now(spec, "eva"), progress, stop).await.expect("an end")
    };
    let done = once(spec("now", "noop", json!({})), CancellationToken::new()).await;
    assert!(matches!(done.ended.ending, Ending::Done { .. }), "{done:?}");
    assert_eq!(done.settled.as_ref().map(|row| row.goes), Some(Goes::Over(Final::Done)));
    let seen = over(pool, done.run).await;
    assert_eq!((seen.requested_by.as_str(), seen.spent, effects(done.run)), ("eva", 1, 1));

    // Tried once, whatever the job says.
    let failed = once(spec("now", "flaky", json!({ "fails": 1 })), CancellationToken::new()).await;
    assert_eq!(over(pool, failed.run).await.state, "failed");

    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stopping.cancel();
    });
    let cancelled = once(spec("now", "slow", json!({ "millis": 60_000 })), stop).await;
    let seen = over(pool, cancelled.run).await;
    assert_eq!((seen.state.as_str(), seen.cancel_by.as_deref()), ("cancelled", Some("eva")));
    daemon.drain().await;
    assert!(workers(pool).await.is_empty());
}

#[tokio::test]
async fn a_worker_whose_lease_is_lost_holds_what_must_be_held() {
    let database = Database::new().await;
    let pool = database.pool();
    let proxy = Proxy::unix(database.socket_dir()).await;
    let mut job = spec("restore", "slow", json!({ "millis": 60_000 }));
    job.lease = Span::seconds(2);
    job.on_lost = OnLost::Hold;
    let working = work(&pool_of(proxy.url(database.name())), quick());
    let run = enqueue(pool, job).await;
    begun(run).await;
    proxy.set(Wire::Blackhole);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    proxy.set(Wire::Pass);
    // Nobody else was there to take it; the worker itself says that it lost it.
    let seen = in_state(pool, run, "held").await;
    assert_eq!((seen.losses, effects(run)), (1, 0));
    working.drain().await;
}
