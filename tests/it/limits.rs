//! Claims about limits and needs: they hold with several workers, whatever breaks, and hold up nobody else.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rustix::process::Signal;
use serde_json::json;
use sexton::{
    lanes::{Gate, Rate},
    queue::{self, NewRun, Retried},
    span::Span,
    spec::Spec,
    worker::Options,
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    daemon::{COUNT, site},
    support::{
        BOUND, Database, eventually,
        work::{enqueue, in_state, over, process, quick, spec, work},
    },
};

fn most(name: &str, most: u32) -> Gate {
    Gate { most: Some(most), ..Gate::new(name) }
}

fn side(side: &str) -> Gate {
    Gate { side: Some(side.to_owned()), ..Gate::new("data:x") }
}

/// A run that takes so long behind these gates.
fn slow(job: &str, millis: u64, limits: &[Gate]) -> Spec {
    Spec { limits: limits.to_vec(), ..spec(job, "slow", json!({ "millis": millis })) }
}

async fn enqueue_all(pool: &PgPool, specs: impl Iterator<Item = Spec>) -> Vec<Uuid> {
    let runs: Vec<NewRun> = specs.map(|spec| NewRun::now(spec, "a test")).collect();
    let mut ids = Vec::new();
    for part in runs.chunks(500) {
        ids.extend(queue::enqueue_all(&mut pool.acquire().await.unwrap(), part).await.unwrap());
    }
    queue::nudge(pool).await;
    ids
}

async fn all_done(pool: &PgPool, runs: i64) {
    eventually("all are done", async || {
        let done: i64 = sqlx::query_scalar("select count(*) from sexton.history where state = 'done'")
            .fetch_one(pool)
            .await
            .ok()?;
        (done >= runs).then_some(())
    })
    .await;
}

/// Every attempt that there was: from when to when, with its gates.
async fn attempts(pool: &PgPool) -> Vec<(DateTime<Utc>, DateTime<Utc>, Vec<Gate>)> {
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>, sqlx::types::Json<Spec>)> = sqlx::query_as(
        "select started_at, finished_at, spec from sexton.runs where started_at is not null and finished_at is not null \
         union all \
         select (attempt ->> 'started_at')::timestamptz, (attempt ->> 'ended_at')::timestamptz, spec \
         from sexton.runs, jsonb_array_elements(attempts) as attempt where attempt ? 'started_at'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().map(|(from, until, spec)| (from, until, spec.0.limits)).collect()
}

/// Counts for every attempt who held its gates when it began; gives the most that were seen of each gate.
async fn check(pool: &PgPool) -> BTreeMap<String, usize> {
    let attempts = attempts(pool).await;
    let mut seen = BTreeMap::new();
    for (begun, _, gates) in &attempts {
        for gate in gates {
            let holds = |(from, until, gates): &&(DateTime<Utc>, DateTime<Utc>, Vec<Gate>)| {
                from <= begun && begun < until && gates.iter().any(|other| other.name == gate.name)
            };
            let held: Vec<_> = attempts.iter().filter(holds).collect();
            assert!(gate.most.is_none_or(|most| held.len() <= most as usize), "{gate:?} is held by {}", held.len());
            let sides = held.iter().flat_map(|(.., gates)| gates).filter(|other| other.name == gate.name);
            assert!(sides.clone().all(|other| other.side == gate.side), "the sides of {gate:?} overlap");
            let most: &mut usize = seen.entry(gate.name.clone()).or_default();
            *most = held.len().max(*most);
        }
    }
    seen
}

#[tokio::test]
async fn limits_hold_with_three_workers_of_which_one_is_killed() {
    let database = Database::new().await;
    let pool = database.pool();
    let mixed = |n: usize| {
        let target = most("target:x", 5);
        let gates = match n % 5 {
            0 => vec![most("job:a", 2), target],
            1 => vec![most("exclusive:night", 1)],
            // Sides alternate every 25 runs, so that those of one side come together, too.
            2 | 3 => vec![side(if (n / 25).is_multiple_of(2) { "dump" } else { "move" }), target],
            _ => vec![most("kind:slow", 3), most("key:a:7", 1)],
        };
        slow("mixed", 20 + (n as u64 * 7) % 40, &gates)
    };
    let mut workers = vec![process(&database.url()), process(&database.url()), process(&database.url())];
    enqueue_all(pool, (0..100).map(mixed)).await;
    all_done(pool, 30).await;
    workers.remove(0).signal(Signal::KILL);
    all_done(pool, 100).await;
    let seen = check(pool).await;
    assert_eq!((seen["job:a"], seen["exclusive:night"], seen["key:a:7"]), (2, 1, 1), "{seen:?}");
    assert!(seen["data:x"] > 1, "runs of one side overlap: {seen:?}");
}

#[tokio::test]
async fn the_next_at_a_gate_starts_as_soon_as_the_one_before_it_ends() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, Options { poll: Duration::from_secs(60), ..quick() });
    in_state(pool, enqueue(pool, slow("first", 300, &[most("exclusive:g", 1)])).await, "running").await;
    let begun = Instant::now();
    enqueue_all(pool, (0..10).map(|_| slow("next", 1, &[most("exclusive:g", 1)]))).await;
    all_done(pool, 11).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "polling alone would take minutes: {:?}", begun.elapsed());
    check(pool).await;
    working.drain().await;
}

#[tokio::test]
async fn a_rate_is_kept_by_two_workers() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = [work(pool, quick()), work(pool, quick())];
    let rate = Rate { most: 3, per: Span(Duration::from_millis(900)) };
    let limited =
        Spec { limits: vec![Gate { rate: Some(rate), ..Gate::new("job:r") }], ..spec("r", "noop", json!({})) };
    enqueue_all(pool, (0..8).map(|_| limited.clone())).await;
    all_done(pool, 8).await;
    let mut starts: Vec<_> = attempts(pool).await.into_iter().map(|(from, ..)| from).collect();
    starts.sort();
    for (n, start) in starts.iter().enumerate().skip(3) {
        // One more each 300 ms; the plan's clock is read a little before the start.
        let least = chrono::TimeDelta::milliseconds(300 * (n as i64 - 2) - 100);
        assert!(*start - starts[0] >= least, "start {n} came {} after the first", *start - starts[0]);
    }
    for worker in working {
        worker.drain().await;
    }
}

#[tokio::test]
async fn a_run_goes_to_a_worker_that_has_what_it_needs_and_else_says_what_is_missing() {
    let database = Database::new().await;
    let pool = database.pool();
    let labelled = |label: &str| work(pool, Options { labels: vec![label.to_owned()], ..quick() });
    let (eu, us) = (labelled("region=eu"), labelled("region=us"));
    eventually("both are known", async || {
        let known: i64 =
            sqlx::query_scalar("select count(*) from sexton.worker where has <> '{}'").fetch_one(pool).await.ok()?;
        (known == 2).then_some(())
    })
    .await;
    let needs = |label: &str| Spec { needs: vec![label.to_owned()], ..spec("far", "noop", json!({})) };
    let runs = enqueue_all(pool, (0..20).map(|n| needs(if n % 2 == 0 { "region=eu" } else { "region=us" }))).await;
    all_done(pool, 20).await;
    let by: Vec<(Uuid, String)> = sqlx::query_as(
        "select history.id, worker.has[1] from sexton.history join sexton.worker on worker.id = history.worker",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for (n, run) in runs.iter().enumerate() {
        let (_, label) = by.iter().find(|(id, _)| id == run).expect("its worker");
        assert_eq!(label, if n % 2 == 0 { "region=eu" } else { "region=us" });
    }
    let mars = enqueue(pool, needs("region=mars")).await;
    let wait = queue::why_waits(pool, mars).await.unwrap().expect("a reason");
    assert_eq!(wait.to_string(), "waits: no daemon that is running has region=mars");
    let stranded = queue::stranded(pool).await.unwrap();
    assert_eq!((stranded.len(), stranded[0].runs, stranded[0].lacking.join(" ")), (1, 1, "region=mars".to_owned()));
    let third = labelled("region=mars");
    assert_eq!(over(pool, mars).await.state, "done");
    assert!(queue::stranded(pool).await.unwrap().is_empty());
    for worker in [eu, us, third] {
        worker.drain().await;
    }
}

#[tokio::test]
async fn ten_thousand_runs_at_a_closed_gate_hold_up_nobody_else() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let others = || {
        let open = (0..200).map(|_| spec("open", "noop", json!({})));
        open.chain((0..50).map(|_| Spec { limits: vec![most("job:b", 3)], ..spec("b", "noop", json!({})) }))
    };
    let begun = Instant::now();
    enqueue_all(pool, others()).await;
    all_done(pool, 250).await;
    let alone = begun.elapsed();
    let holder = enqueue(pool, slow("a", 600_000, &[most("job:a", 1)])).await;
    in_state(pool, holder, "running").await;
    let stuck = enqueue_all(pool, (0..10_000).map(|_| slow("a", 1, &[most("job:a", 1)]))).await;
    let begun = Instant::now();
    enqueue_all(pool, others()).await;
    all_done(pool, 500).await;
    let beside = begun.elapsed();
    assert!(beside < alone * 4 + Duration::from_secs(3), "{beside:?} beside the backlog, {alone:?} alone");
    let wait = queue::why_waits(pool, stuck[9_999]).await.unwrap().expect("a reason");
    assert_eq!(wait.to_string(), "waits: a run of job a is running, and one may at a time");
    tokio::time::timeout(BOUND, working.drain()).await.expect("it drains");
}

#[tokio::test]
async fn backing_off_holds_no_gate_and_a_retried_run_has_its_gates_again() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let gate = [most("job:g", 1)];
    let long = sexton::retry::Retry { attempts: 2, first: Span::seconds(600), most: Span::seconds(600) };
    let fails = Spec { retry: long, limits: gate.to_vec(), ..spec("g", "flaky", json!({ "fails": 1 })) };
    let backing = enqueue(pool, fails).await;
    in_state(pool, backing, "retrying").await;
    let other = enqueue(pool, slow("g", 1, &gate)).await;
    assert_eq!(over(pool, other).await.state, "done");
    let never = Spec { limits: gate.to_vec(), ..spec("g", "says", json!({ "never": "no" })) };
    let dead = enqueue(pool, never).await;
    assert_eq!(over(pool, dead).await.state, "failed");
    working.drain().await;
    assert_eq!(queue::retry(pool, dead, "a person").await.unwrap(), Retried::Ready);
    let lanes: Vec<i32> = sqlx::query_scalar("select distinct lane from sexton.run where id = any ($1)")
        .bind([dead, backing].as_slice())
        .fetch_all(pool)
        .await
        .unwrap();
    assert!(lanes.len() == 1 && lanes[0] > 0, "{lanes:?}");
}

#[tokio::test]
async fn two_daemons_with_different_labels_share_the_work_by_what_jobs_need() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let labels = |label: &str| format!("[worker]\nlabels = [\"{label}\"]\n");
    let sites = ["region=eu", "region=us"].map(|label| site(&queue.url(), &target.url(), &labels(label)));
    for place in ["eu", "us", "mars"] {
        let job = format!("needs = [\"region={place}\"]\nalert = []\n{COUNT}");
        sites.iter().for_each(|site| site.job(place, &job));
    }
    let mut daemons = Vec::new();
    for site in &sites {
        daemons.push(site.daemon(&["run"]).await);
        daemons.last().expect("it").wait_for_line("is at work").await;
    }
    for place in ["eu", "us", "us", "eu"] {
        // Asked for on either machine.
        let asked = sites[0].sexton(&["trigger", place, "--wait"]).await;
        assert!(asked.status.success(), "{asked:?}");
    }
    let by: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select job, has from sexton.history join sexton.worker on worker.id = history.worker order by finished_at",
    )
    .fetch_all(queue.pool())
    .await
    .unwrap();
    assert_eq!(by.len(), 4);
    for (job, has) in by {
        assert!(has.contains(&format!("region={job}")), "{job} ran on a daemon with {has:?}");
    }
    let asked = sites[1].sexton(&["trigger", "mars", "--json"]).await;
    let run: serde_json::Value = serde_json::from_str(&asked.stdout).expect("a run");
    let shown = sites[1].sexton(&["runs", "show", run["id"].as_str().expect("its id")]).await;
    assert!(shown.stdout.contains("waits: no daemon that is running has region=mars"), "{shown:?}");
    for daemon in &daemons {
        daemon.wait_for_line("runs wait for region=mars, which no daemon that is running has").await;
    }
    for daemon in daemons {
        assert!(daemon.terminate().await.status.success());
    }
}
