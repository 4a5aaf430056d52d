//! A campaign against the promise that every slot that was due has exactly one decision, and every one that fired exactly
//! one run.
//!
//! ```text
//! SEXTON_TEST_SECONDS=600 cargo test --test it chaos -- --nocapture      ten daemons, 1,000 schedules, ten minutes
//! SEXTON_CHAOS_SEED=7 cargo test --test it chaos -- --nocapture          the campaign of that seed again
//! ```
//! A seed draws schedules and a plan of what goes wrong ([`plan`]); [`fleet`] does it to real daemons, their wires and
//! their server, whose clock is set by libfaketime and begins shortly before clocks are changed somewhere; then all is left
//! in peace, and [`verdict`] holds the tables against the cron library and against a walk over the clock on the wall.
//! The same seed plans the same; how it falls out is up to the machine.

mod fleet;
mod plan;
mod schedules;
mod verdict;
mod walk;

use std::{
    io::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, TimeDelta, Utc};
use sexton::slots::Cron;
use sqlx::PgPool;

use fleet::Fleet;
use plan::{Plan, Size};
use schedules::Planned;
use verdict::Evidence;

/// What always runs with the other tests.
const QUICK: Size = Size { daemons: 4, schedules: 300, seconds: 16 };
/// How long everything that is due may take to be decided once all is quiet.
const CATCHING_UP: Duration = Duration::from_secs(120);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Past the test harness, which would keep it for itself.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_every_slot_has_one_decision_and_what_fired_has_one_run() {
    let size = match number("SEXTON_TEST_SECONDS") {
        Some(seconds) => Size { daemons: 10, schedules: 1000, seconds },
        None => QUICK,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as u64;
    // What runs with every change draws the same each time; a long campaign looks for what is new.
    let usual = if size == QUICK { 917_797 } else { now % 1_000_000 };
    let seed = number("SEXTON_CHAOS_SEED").unwrap_or(usual);
    let plan = Plan::new(seed, size);
    println!("{plan}");
    let planned = schedules::schedules(&plan);
    let mut fleet = Fleet::start(&plan, &planned).await;
    let has_clock = fleet.has_clock();
    if !has_clock {
        say("LEFT OUT: no libfaketime here, so the chaos campaign steps no clock of a server (install libfaketime)");
    }
    fleet.suffer(&plan).await;
    fleet.peace().await;
    let quiet: DateTime<Utc> = fleet
        .until("the server answers", CATCHING_UP, async |pool| {
            sqlx::query_scalar("select now()").fetch_optional(pool).await
        })
        .await;
    fleet
        .until(&format!("all that is due is decided (seed {seed})"), CATCHING_UP, async |pool| {
            due(pool, &planned).await
        })
        .await;
    fleet
        .until(&format!("runs are over (seed {seed})"), CATCHING_UP, async |pool| {
            let left: i64 = sqlx::query_scalar("select count(*) from sexton.run where created_at < $1 and due_at < $1")
                .bind(quiet)
                .fetch_one(pool)
                .await?;
            Ok((left == 0).then_some(()))
        })
        .await;
    let evidence =
        fleet.until("the tables can be read", CATCHING_UP, async |pool| Evidence::read(pool).await.map(Some)).await;
    let (tally, panics) = fleet.stop().await;

    let problems = evidence.problems(&planned);
    let again = format!("SEXTON_CHAOS_SEED={seed}");
    let shown: Vec<_> = problems.iter().take(10).collect();
    println!("{tally:#?}\nslots and rows by decision: {:?}\nruns: {}", evidence.words(), evidence.runs.len());
    assert!(problems.is_empty(), "{again}: {} problems, first {shown:#?}", problems.len());
    assert!(panics.is_empty(), "{again}: {panics:#?}");
    let words = evidence.words();
    assert!(words.contains_key("fired"), "{again}: nothing fired: {words:?}");
    let sorts = plan.faults.iter().map(|(_, fault)| fault.sort());
    let never: Vec<_> = sorts
        .filter(|sort| tally.get(sort).is_none_or(|count| *count == 0))
        .filter(|sort| has_clock || !sort.starts_with("server's clock"))
        .collect();
    assert!(never.is_empty(), "{again}: these never happened: {never:?}; {tally:?}");
}

/// Something, once nothing is due.
async fn due(pool: &PgPool, planned: &[Planned]) -> Result<Option<()>, sqlx::Error> {
    let rows: Vec<(String, DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as("select name, watermark, now() from sexton.schedule order by name").fetch_all(pool).await?;
    // Planners may take a moment; what is due all the time is never all decided.
    let late = rows.iter().zip(planned).filter(|((name, watermark, now), schedule)| {
        assert_eq!(*name, schedule.name);
        let cron = Cron::named(&schedule.cron, name).expect("an expression");
        let patience = TimeDelta::seconds(5 + schedule.spread);
        cron.next(schedule.zone, *watermark).is_some_and(|slot| slot + patience < *now)
    });
    Ok((rows.len() == planned.len() && late.count() == 0).then_some(()))
}
