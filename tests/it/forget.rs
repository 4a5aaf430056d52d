//! What the queue's database forgets, and what it keeps whatever its age.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use serde_json::json;
use sexton::{
    daemon::forget::{BOUNDS, pass},
    db::forget::turn,
    outbox::{self, Fact, What},
    outcome::Report,
    queue::{
        self, Cancel, Ending, Filter, NewRun, Retried, Settled, Verdict, WorkerInfo,
        forget::{Keep, history},
        log::Upkept,
    },
    settings::Retention,
};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::support::{Database, work::spec};

const DAY: Duration = Duration::from_secs(86_400);

fn keep(last: u32) -> Keep {
    Keep { done: 90 * DAY, failed: 365 * DAY, last }
}

/// A queue whose runs end at once, on any day.
struct Past {
    database: Database,
    worker: Uuid,
}

impl Past {
    async fn new() -> Self {
        let database = Database::new().await;
        let worker = Uuid::now_v7();
        let me = WorkerInfo { id: worker, host: "here".to_owned(), pid: 1, version: "0".to_owned(), process: None };
        queue::register(database.pool(), &me).await.unwrap();
        Self { database, worker }
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A run that ended so many days ago, with the news of it; of the chain of `after`, if there is one.
    async fn ended(&self, job: &str, state: &str, days: i32, after: Option<Uuid>) -> Uuid {
        let run = self.enqueue(job, after).await;
        let claimed = queue::claim(self.pool(), self.worker, 100).await.unwrap();
        let token = claimed.iter().find(|claimed| claimed.id == run).expect("it is ready").token;
        let why = || "because".to_owned();
        let (ending, what) = match state {
            "done" => (Ending::Done { report: Report::new() }, What::Done { breaches: vec![] }),
            "skipped" => (Ending::Skipped { why: why() }, What::Skipped),
            _ => (Ending::Failed { why: why(), help: None, report: Report::new() }, What::Failed),
        };
        let mut transaction = self.pool().begin().await.unwrap();
        queue::settle(&mut transaction, &[Settled { run, token, ending: &ending }]).await.unwrap();
        let at = chrono::Utc::now() - chrono::TimeDelta::days(days.into());
        let fact = Fact { job: job.to_owned(), run: Some(run), at, what, channels: vec![], detail: json!({}) };
        outbox::record(&mut transaction, &[fact]).await.unwrap();
        sqlx::query("update sexton.history set finished_at = $2, state = $3::sexton.final_state where id = $1")
            .bind(run)
            .bind(at)
            .bind(state)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        run
    }

    async fn enqueue(&self, job: &str, after: Option<Uuid>) -> Uuid {
        let run = NewRun { parent: after, chain: after, ..NewRun::now(spec(job, "noop", json!({})), "a test") };
        queue::enqueue(&mut self.pool().acquire().await.unwrap(), &run).await.unwrap()
    }

    /// Those of these runs that are not forgotten, by name.
    async fn left<'a>(&self, runs: &[(&'a str, Uuid)]) -> Vec<&'a str> {
        let mut left = Vec::new();
        for (name, run) in runs {
            if queue::find(self.pool(), *run).await.unwrap().is_some() {
                left.push(*name);
            }
        }
        left
    }

    async fn forget(&self, last: u32) -> u64 {
        let mut upkept = Upkept::default();
        let removed = history(self.pool(), keep(last), &mut upkept).await.unwrap();
        assert!(upkept.left.is_empty(), "{upkept:?}");
        removed
    }

    async fn execute(&self, statement: &str) -> u64 {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(self.pool()).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}")).rows_affected()
    }

    async fn count(&self, from: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from sexton.{from}")))
            .fetch_one(self.pool())
            .await
            .unwrap_or_else(|error| panic!("{from}: {error}"))
    }
}

#[tokio::test]
async fn every_table_has_a_bound_in_the_code_and_on_the_page() {
    let database = Database::new().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = 'sexton'::regnamespace and relkind in ('r', 'p') and not relispartition",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let bounds: BTreeMap<_, _> = BOUNDS.into_iter().collect();
    assert_eq!(
        tables.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        bounds.keys().copied().collect(),
        "give a new table its line in BOUNDS (src/daemon/forget.rs)"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/retention.md")).expect("the page");
    // What `sexton db install` makes in targets, too.
    let mut all: BTreeSet<String> = tables.into_iter().collect();
    for file in fs::read_dir(root.join("sql/install")).expect("the folder") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("a text");
        let made = text.lines().filter_map(|line| line.strip_prefix("create table sexton."));
        all.extend(made.map(|rest| rest.split_whitespace().next().expect("a name").to_owned()));
    }
    let silent: Vec<_> = all.iter().filter(|table| !page.contains(&format!("\n| `{table}` | "))).collect();
    assert!(silent.is_empty() && all.len() > BOUNDS.len(), "docs/retention.md has no line for {silent:?}");
}

#[tokio::test]
async fn runs_are_kept_by_what_became_of_them() {
    let past = Past::new().await;
    let mut runs = Vec::new();
    for (name, state, days) in [
        ("done 91", "done", 91),
        ("skipped 91", "skipped", 91),
        ("failed 366", "failed", 366),
        ("cancelled 366", "cancelled", 366),
        ("done 89", "done", 89),
        ("skipped 89", "skipped", 89),
        ("failed 364", "failed", 364),
        ("cancelled 364", "cancelled", 364),
        ("done now", "done", 0),
    ] {
        runs.push((name, past.ended("nightly", state, days, None).await));
    }
    assert_eq!(past.forget(1).await, 4);
    assert_eq!(past.left(&runs).await, ["done 89", "skipped 89", "failed 364", "cancelled 364", "done now"]);
    assert_eq!(past.forget(1).await, 0);
}

#[tokio::test]
async fn the_last_runs_and_the_last_success_of_a_job_stay_however_old_they_are() {
    let past = Past::new().await;
    let rare = past.ended("rare", "done", 2_000, None).await;
    let older = past.ended("ill", "done", 1_000, None).await;
    let success = past.ended("ill", "done", 900, None).await;
    let mut failed = Vec::new();
    for days in (500..505).rev() {
        failed.push(past.ended("ill", "failed", days, None).await);
    }
    assert_eq!(past.forget(3).await, 3);
    let runs = [
        ("rare", rare),
        ("older", older),
        ("success", success),
        ("504", failed[0]),
        ("503", failed[1]),
        ("502", failed[2]),
        ("501", failed[3]),
        ("500", failed[4]),
    ];
    assert_eq!(past.left(&runs).await, ["rare", "success", "502", "501", "500"]);
    let health = outbox::health(past.pool(), "ill").await.unwrap().expect("a row");
    assert_eq!(health.last_success_run, Some(success), "what it names is there");

    // A job that nobody has or has heard of for long keeps nothing.
    let keep = Retention::default();
    assert!(pass(past.pool(), &keep).await.rows.contains(&("health", 2)));
    assert_eq!(past.forget(3).await, 5);
    assert_eq!(past.count("history").await, 0);
}

#[tokio::test]
async fn a_chain_stays_whole_while_a_run_of_it_lives_or_can_be_retried() {
    let past = Past::new().await;
    // Newer runs, so that the last one of each job is none of these.
    let root = past.ended("first", "done", 100, None).await;
    let other = past.ended("second", "done", 100, Some(root)).await;
    let live = past.enqueue("third", Some(root)).await;
    for job in ["first", "second", "third"] {
        past.ended(job, "done", 0, None).await;
    }
    let runs = [("root", root), ("other", other), ("live", live)];
    assert_eq!(past.forget(1).await, 0);
    assert_eq!(past.left(&runs).await, ["root", "other", "live"]);

    // It fails: a person can retry it as long as it is kept, and what it goes on from is there.
    past.execute("update sexton.worker set seen_at = '-infinity'").await;
    past.execute("update sexton.run set spent = 3").await;
    let mut connection = past.pool().acquire().await.unwrap();
    queue::rescue(&mut connection, Duration::from_secs(3_600), true).await.unwrap();
    assert_eq!(past.count("history where state = 'failed'").await, 1);
    past.execute("update sexton.history set finished_at = now() - interval '364 days' where state = 'failed'").await;
    assert_eq!(past.forget(1).await, 0);
    assert!(matches!(queue::retry(past.pool(), live, "somebody").await.unwrap(), Retried::Ready));
    assert_eq!(past.forget(1).await, 0);
    assert_eq!(past.left(&runs).await, ["root", "other", "live"]);
}

#[tokio::test]
async fn of_a_chain_the_last_to_fail_goes_first() {
    let past = Past::new().await;
    let root = past.ended("first", "failed", 500, None).await;
    let done = past.ended("second", "done", 499, Some(root)).await;
    let failed = past.ended("third", "failed", 498, Some(root)).await;
    for job in ["first", "second", "third"] {
        past.ended(job, "done", 0, None).await;
    }
    let runs = [("root", root), ("done", done), ("failed", failed)];
    assert_eq!(past.forget(1).await, 1);
    assert_eq!(past.left(&runs).await, ["root", "done"]);
    past.forget(1).await;
    past.forget(1).await;
    assert!(past.left(&runs).await.is_empty());
}

#[tokio::test]
async fn many_rows_go_in_batches_and_one_daemon_at_a_time() {
    let past = Past::new().await;
    let one = past.ended("often", "done", 91, None).await;
    past.execute(&format!(
        "insert into sexton.history
         select (jsonb_populate_record(old, jsonb_build_object(
             'id', gen_random_uuid(), 'chain', gen_random_uuid(), 'finished_at', now() - interval '92 days' - nth * interval '1 second'))).*
         from sexton.history as old, generate_series(1, 12000) as nth
         where old.id = '{one}'"
    ))
    .await;
    let other = turn(past.pool()).await.unwrap().expect("the turn is free");
    assert_eq!(past.forget(20).await, 0, "another daemon does it");
    other.rollback().await.unwrap();
    assert_eq!(past.forget(20).await, 11_981);
    assert_eq!(past.count("history").await, 20);
    assert_eq!(past.left(&[("one", one)]).await, ["one"]);
}

/// For each table what makes rows in it, and what finds those that stay.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "worker",
        "insert into sexton.worker (id, host, pid, version, seen_at)
         select gen_random_uuid(), host, 1, '0', now() - interval '25 hours' from unnest(array['old', 'busy']) as host
         union all select gen_random_uuid(), 'new', 1, '0', now() - interval '23 hours'",
        "host = 'old'",
    ),
    (
        "spec",
        "insert into sexton.spec (id, body, seen_at)
         select sexton.spec_id(body), body, seen from (values ('\"old\"'::jsonb, now() - interval '366 days'), ('\"new\"', now() - interval '364 days')) as s (body, seen)
         union all select id, body, now() - interval '366 days' from sexton.spec where id in (select spec from sexton.run)
         on conflict (id) do update set seen_at = excluded.seen_at",
        "body = '\"old\"'",
    ),
    (
        "lane",
        "insert into sexton.lane (digest, needs, gates, seen_at) values
         ('old', '[]', '[]', now() - interval '31 days'), ('new', '[]', '[]', now() - interval '29 days')",
        "digest = 'old'",
    ),
    (
        "gate_rate",
        "insert into sexton.gate_rate values ('old', now() - interval '25 hours'), ('new', now())",
        "name = 'old'",
    ),
    (
        "progress",
        "insert into sexton.progress (run, token, done, unit, note, at)
         select gen_random_uuid(), 1, 1, 'rows', 'old', now() - interval '25 hours'
         union all select id, 1, 1, 'rows', 'live', now() - interval '25 hours' from sexton.run",
        "note = 'old'",
    ),
    (
        "idempotency_key",
        "insert into sexton.idempotency_key (job, key, run, digest, made_at) values
         ('a', 'old', gen_random_uuid(), '', now() - interval '8 days'), ('a', 'new', gen_random_uuid(), '', now())",
        "key = 'old'",
    ),
    (
        "revision",
        "insert into sexton.revision (digest, files, applied_by, applied_at)
         select nth::text, '{}', 'a test', now() - interval '367 days' from generate_series(1, 30) as nth",
        // The eighth decided a slot, and the newest twenty stay.
        "digest::integer <= 10 and digest <> '8' and digest <> '9'",
    ),
    (
        "schedule",
        "insert into sexton.schedule (name, job, watermark, revision, enabled, removed_at)
         select name, 'a', now(), (select id from sexton.revision where digest = '9'), true, removed
         from (values ('kept', null), ('gone', now() - interval '364 days'), ('old', now() - interval '366 days')) as s (name, removed)",
        "name = 'old'",
    ),
    (
        "slot",
        "insert into sexton.slot (schedule, nominal_at, until, slots, decision, reason, lateness, revision, decided_by, decided_at)
         select schedule, at, at, 1, 'skipped_window'::sexton.decision, 'a test', interval '0', (select id from sexton.revision where digest = '8'), gen_random_uuid(), at
         from unnest(array['kept', 'old']) as schedule, unnest(array[366, 367, 368]) as days, lateral (select now() - days * interval '1 day' as at) as a
         union all
         select 'young', at, at, 1, 'skipped_window', 'a test', interval '0', 0, gen_random_uuid(), at from (select now() - interval '364 days' as at) as a",
        "schedule = 'old' or schedule = 'kept' and nominal_at < now() - interval '366 days 12 hours'",
    ),
    (
        "schedule_pause",
        "insert into sexton.schedule_pause (reason, author, made_at, until, ended_at)
         select reason, 'a', now() - interval '500 days', until, ended
         from (values ('old', null, now() - interval '366 days'), ('new', null, now() - interval '364 days'),
                      ('over', now() - interval '366 days', null), ('open', null, null)) as p (reason, until, ended)",
        "reason in ('old', 'over')",
    ),
    (
        "daemon_files",
        "insert into sexton.daemon_files (daemon, host, pid, folder, digest, state, seen_at)
         select gen_random_uuid(), host, 1, '', '', 'current', seen
         from (values ('old', now() - interval '25 hours'), ('new', now())) as d (host, seen)",
        "host = 'old'",
    ),
    (
        "backup",
        "insert into sexton.backup (vault, stem, name, taken_at, bytes, dump_bytes, state, recipients, manifest, deleted_at)
         select 'v', stem, 'n', now() - interval '900 days', 1, 1, 'proven', 1, '{}', deleted
         from (values ('old', now() - interval '401 days'), ('gone', now() - interval '399 days'), ('here', null)) as b (stem, deleted)",
        "stem = 'old'",
    ),
    (
        "health",
        "insert into sexton.health (subject, last_end_at, failing_since, incident)
         select subject, ended, failing, incident
         from (values ('old', now() - interval '366 days', now() - interval '900 days', null::uuid), ('new', now() - interval '364 days', null, null),
                      ('live', now() - interval '366 days', null, null),
                      ('ill', now(), now() - interval '900 days', '00000000-0000-7000-8000-000000000001'::uuid)) as h (subject, ended, failing, incident)",
        "subject = 'old'",
    ),
    (
        "event",
        "insert into sexton.event (id, kind, subject, incident, channels, detail, at, decided_at, verdict)
         select id::uuid, 'failed', subject, id::uuid, '{}', '{}', at, decided, subject
         from (values ('00000000-0000-7000-8000-000000000001', 'first of trouble that lasts', now() - interval '900 days', now()),
                      ('00000000-0000-7000-8000-000000000002', 'old', now() - interval '366 days', now()),
                      ('00000000-0000-7000-8000-000000000003', 'undecided', now() - interval '366 days', null),
                      ('00000000-0000-7000-8000-000000000004', 'untold', now() - interval '366 days', now()),
                      ('00000000-0000-7000-8000-000000000005', 'new', now() - interval '364 days', now())) as e (id, subject, at, decided)",
        "subject = 'old'",
    ),
    (
        "delivery",
        "insert into sexton.delivery (id, event, channel, message, state, settled_at)
         select gen_random_uuid(), id, 'ops', '{}', state::sexton.delivery_state, case when state <> 'pending' then now() end
         from sexton.event, lateral (select case subject when 'untold' then 'pending' when 'old' then 'dead' else 'delivered' end as state) as s
         where subject <> 'undecided'",
        "state = 'dead'",
    ),
];

#[tokio::test]
async fn each_table_lets_go_of_what_is_old_and_keeps_what_is_needed() {
    let past = Past::new().await;
    let waits = past.enqueue("live", None).await;
    for (table, make, _) in OTHERS {
        assert!(past.execute(make).await > 1, "{table}");
        if *table == "worker" {
            let hold = "update sexton.run set state = 'running', worker = (select id from sexton.worker where host = 'busy'), token = 1";
            assert_eq!(past.execute(hold).await, 1);
        }
    }
    let mut before = BTreeMap::new();
    for (table, _, goes) in OTHERS {
        let (all, go) = (past.count(table).await, past.count(&format!("{table} where {goes}")).await);
        assert!(go > 0 && go < all, "{table}: {go} of {all}");
        before.insert(*table, (all, go));
    }
    let forgotten = pass(past.pool(), &Retention::default()).await;
    assert!(forgotten.left.is_empty(), "{forgotten:?}");
    for (table, _, goes) in OTHERS {
        let (all, go) = before[table];
        assert_eq!(past.count(&format!("{table} where {goes}")).await, 0, "{table} keeps what is old: {forgotten:?}");
        assert_eq!(past.count(table).await, all - go, "{table} loses what is needed: {forgotten:?}");
    }
    assert!(queue::find(past.pool(), waits).await.unwrap().is_some());
    // Whatever is bounded by age has its case here.
    let aged = BOUNDS.iter().filter(|(_, bound)| matches!(bound, sexton::daemon::forget::Bound::Age(..)));
    let untried: Vec<_> = aged.filter(|(table, _)| !before.contains_key(table)).map(|(table, _)| table).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

/// Past days that a test needs a partition for: as if it had been made when they came.
async fn open(past: &Past, part: &str, from: i32, to: i32) -> String {
    sqlx::query_scalar(
        "select sexton.open_history($1, date_trunc('day', now()) - $2 * interval '1 day', date_trunc('day', now()) - $3 * interval '1 day')",
    )
    .bind(part)
    .bind(from)
    .bind(to)
    .fetch_one(past.pool())
    .await
    .unwrap()
}

async fn upkept(past: &Past, last: u32) -> Upkept {
    let mut upkept = Upkept::default();
    history(past.pool(), keep(last), &mut upkept).await.unwrap();
    upkept
}

/// In which partition a run lies.
async fn place(past: &Past, run: Uuid) -> String {
    sqlx::query_scalar(
        "select relname::text from sexton.history join pg_class on pg_class.oid = history.tableoid where id = $1",
    )
    .bind(run)
    .fetch_one(past.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn runs_lie_by_what_became_of_them_and_by_days_that_are_made_ahead() {
    let past = Past::new().await;
    // A schema of some days ago: nothing is made for today.
    let there = "select format('drop table sexton.%I', relname) from pg_class where relname ~ '^history_(done|failed)_[0-9]{8}$'";
    for drop in sqlx::query_scalar::<_, String>(there).fetch_all(past.pool()).await.unwrap() {
        past.execute(&drop).await;
    }
    let early = past.ended("job", "done", 0, None).await;
    let dead = past.ended("job", "failed", 0, None).await;
    assert_eq!(place(&past, early).await, "history_done_default", "an ending never fails for want of a partition");
    assert_eq!(place(&past, dead).await, "history_failed_default");

    let made = upkept(&past, 20).await;
    assert_eq!(made.made, [format!("history_failed_{}", today()), format!("history_done_{}", today())], "{made:?}");
    assert_eq!(upkept(&past, 20).await, Upkept::default(), "there is nothing to do twice");
    // What came before its partition is in it.
    assert_eq!(place(&past, early).await, format!("history_done_{}", today()));
    assert_eq!(place(&past, dead).await, format!("history_failed_{}", today()));
    let skipped = past.ended("job", "skipped", 0, None).await;
    assert_eq!(place(&past, skipped).await, place(&past, early).await);
    let cancelled = past.ended("job", "cancelled", 0, None).await;
    assert_eq!(place(&past, cancelled).await, place(&past, dead).await);
    // And is found there.
    let list = queue::list(past.pool(), &Filter { job: Some("job".to_owned()), ..Filter::default() }).await.unwrap();
    assert_eq!(list.iter().map(|run| run.id).collect::<Vec<_>>(), [cancelled, skipped, dead, early]);
    let next = past.ended("next", "done", 0, Some(early)).await;
    for (filter, runs) in [
        (Filter { state: Some("cancelled".to_owned()), ..Filter::default() }, vec![cancelled]),
        (Filter { state: Some("failed".to_owned()), job: Some("job".to_owned()), ..Filter::default() }, vec![dead]),
        (Filter { state: Some("ready".to_owned()), ..Filter::default() }, vec![]),
        (Filter { chain: Some(early), ..Filter::default() }, vec![next, early]),
        (Filter { chain: Some(early), before: Some(next), ..Filter::default() }, vec![early]),
        (Filter { limit: 2, ..Filter::default() }, vec![next, cancelled]),
    ] {
        let list = queue::list(past.pool(), &filter).await.unwrap();
        assert_eq!(list.iter().map(|run| run.id).collect::<Vec<_>>(), runs, "{filter:?}");
    }
    assert!(matches!(queue::retry(past.pool(), dead, "somebody").await.unwrap(), Retried::Ready));
}

fn today() -> String {
    chrono::Utc::now().format("%Y%m%d").to_string()
}

#[tokio::test]
async fn a_day_is_dropped_whole_and_what_must_stay_is_kept_aside() {
    let past = Past::new().await;
    let done = open(&past, "history_done", 100, 97).await;
    let failed = open(&past, "history_failed", 400, 388).await;
    let young = open(&past, "history_done", 91, 88).await;
    let mut often = Vec::new();
    for _ in 0..5 {
        often.push(("often", past.ended("often", "done", 98, None).await));
    }
    let rare = past.ended("rare", "done", 98, None).await;
    let success = past.ended("ill", "done", 98, None).await;
    // One chain that lives, one that can be retried, and one that is over.
    let root = past.ended("first", "done", 98, None).await;
    let other = past.ended("second", "done", 98, Some(root)).await;
    let live = past.enqueue("third", Some(root)).await;
    let first = past.ended("first", "done", 98, None).await;
    let dead = past.ended("second", "failed", 97, Some(first)).await;
    let over = past.ended("first", "done", 98, None).await;
    let ended = past.ended("second", "done", 98, Some(over)).await;
    let old = past.ended("often", "failed", 390, None).await;
    let edge = past.ended("often", "done", 89, None).await;
    for job in ["often", "ill", "ill", "first", "first", "second", "second", "third"] {
        past.ended(job, if job == "ill" { "failed" } else { "done" }, 0, None).await;
    }
    let runs = [
        ("rare", rare),
        ("success", success),
        ("root", root),
        ("other", other),
        ("live", live),
        ("first", first),
        ("dead", dead),
        ("over", over),
        ("ended", ended),
        ("old", old),
        ("edge", edge),
    ];
    assert_eq!(place(&past, rare).await, done);
    assert_eq!(place(&past, old).await, failed);
    let dropped = upkept(&past, 2).await;
    assert_eq!((dropped.dropped, dropped.left), (vec![failed, done], vec![]));
    assert_eq!(
        past.left(&runs).await,
        ["rare", "success", "root", "other", "live", "first", "dead", "edge"],
        "what is not needed is gone"
    );
    assert!(past.left(&often).await.is_empty());
    assert_eq!(place(&past, rare).await, "history_done_default");
    assert_eq!(place(&past, edge).await, young);

    // What was kept aside goes once nothing needs it any more.
    past.execute(&format!("delete from sexton.run where id = '{live}'")).await;
    past.execute(&format!("delete from sexton.history where id = '{dead}'")).await;
    past.ended("rare", "done", 0, None).await;
    past.ended("rare", "done", 0, None).await;
    assert_eq!(past.forget(2).await, 4);
    assert_eq!(past.left(&runs).await, ["success", "edge"]);
}

#[tokio::test]
async fn dropping_a_day_waits_for_nobody_and_nobody_for_it() {
    let past = Past::new().await;
    let done = open(&past, "history_done", 100, 97).await;
    past.ended("job", "done", 98, None).await;
    past.ended("job", "done", 0, None).await;
    // Somebody reads all of it for long.
    let mut reader = past.pool().begin().await.unwrap();
    sqlx::query("select count(*) from sexton.history").execute(&mut *reader).await.unwrap();
    let begun = std::time::Instant::now();
    let busy = upkept(&past, 1).await;
    assert!(busy.dropped.is_empty() && busy.left.len() == 1 && busy.left[0].contains(&done), "{busy:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    past.ended("job", "done", 0, None).await;
    reader.rollback().await.unwrap();
    assert_eq!(upkept(&past, 1).await.dropped, [done]);
}

#[tokio::test]
async fn a_run_whose_id_is_from_a_wrong_clock_is_found() {
    let past = Past::new().await;
    let run = past.ended("job", "failed", 0, None).await;
    // Made by a daemon whose clock is a month ahead.
    let ahead: Uuid =
        sqlx::query_scalar("select sexton.uuid_v7(now() + interval '30 days')").fetch_one(past.pool()).await.unwrap();
    for table in [
        "history set chain = $2, id = $2 where id = $1",
        "health set last_success_run = $2 where last_success_run = $1",
    ] {
        let update = AssertSqlSafe(format!("update sexton.{table}"));
        sqlx::query(update).bind(run).bind(ahead).execute(past.pool()).await.unwrap();
    }
    assert!(queue::find(past.pool(), ahead).await.unwrap().is_some());
    let token = queue::find(past.pool(), ahead).await.unwrap().unwrap().token.unwrap();
    let again = Settled { run: ahead, token, ending: &Ending::Done { report: Report::new() } };
    let settled = queue::settle(&mut past.pool().acquire().await.unwrap(), &[again]).await.unwrap();
    assert_eq!(settled[0].verdict, Verdict::Repeated);
    assert!(
        matches!(queue::cancel(past.pool(), ahead, "me", "w").await.unwrap(), Cancel::Over(state) if state == "failed")
    );
    assert!(matches!(queue::retry(past.pool(), ahead, "somebody").await.unwrap(), Retried::Ready));
}

/// The schema as it was before the history had partitions.
async fn before(database: &Database) {
    let mut migrator = sqlx::migrate!("sql/migrations");
    migrator.create_schema("sexton");
    migrator.dangerous_set_table_name("sexton.migration");
    migrator.migrations.to_mut().retain(|migration| migration.version < 14);
    migrator.run(database.pool()).await.expect("the older schema");
}

#[tokio::test]
async fn a_history_of_before_is_taken_over_however_long_that_takes() {
    let database = Database::empty().await;
    before(&database).await;
    let rows = "insert into sexton.history (id, job, kind, state, due_at, priority, spec, lease, most_attempts, on_lost, caught_up, chain,
            requested_by, created_at, spent, losses, finished_at, attempts)
        select id, 'job', 'noop', state, at, 0, gen_random_uuid(), '1m', 1, 'retry', false, id, 'a test', at, 1, 0, at, '[]'
        from (select sexton.uuid_v7(at) as id, state, at
              from (select now() - nth * interval '1 hour' as at, state
                    from generate_series(1, 5000) as nth, unnest(enum_range(null::sexton.final_state)) as state) as ends) as runs";
    sqlx::query(rows).execute(database.pool()).await.unwrap();
    // Shorter than copying takes.
    let hasty = sqlx::postgres::PgPoolOptions::new()
        .after_connect(|connection, _| {
            Box::pin(
                async move { sqlx::Executor::execute(connection, "set statement_timeout = '20ms'").await.map(|_| ()) },
            )
        })
        .connect_with(database.pool().connect_options().as_ref().clone())
        .await
        .unwrap();
    sexton::db::migrate(&hasty).await.unwrap();
    let places: Vec<(bool, i64)> = sqlx::query_as(
        "select relname ~ 'default$', count(*) from sexton.history join pg_class on pg_class.oid = history.tableoid group by 1 order by 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(places.iter().map(|(_, rows)| rows).sum::<i64>(), 20_000);
    // What is kept by default lies in partitions of its days: about 93 days of what was done, and all that failed.
    let loose = places.iter().find(|(loose, _)| *loose).map_or(0, |(_, rows)| *rows);
    assert!((4_900..5_600).contains(&loose), "{places:?}");
    assert_eq!(queue::list(database.pool(), &Filter::default()).await.unwrap().len(), 50);
}
