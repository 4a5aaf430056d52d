//! A campaign against the promises about runs: none is lost, none has two owners, what commits commits once, and all come
//! to their end once they are let.
//!
//! ```text
//! SEXTON_TEST_SECONDS=600 cargo test --test it campaign -- --nocapture     five daemons, ten minutes
//! SEXTON_CAMPAIGN_SEED=7 cargo test --test it campaign -- --nocapture      the campaign of that seed again
//! ```
//! A seed draws runs, what people do to them, and what goes wrong ([`plan`]); [`crew`] does it to real daemons, their wires
//! and their server. First everything goes wrong and only what may never be is looked for; then nothing goes wrong any more
//! and all must come to its end. [`verdict`] reads what the tables, the target and the runs' own children say. A fault that
//! was drawn and never struck fails the campaign.

mod crew;
mod plan;
mod record;
mod sweep;
mod verdict;
mod work;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crew::Crew;
use plan::{Plan, Size};
use verdict::Evidence;

/// What always runs with the other tests.
const QUICK: Size = Size { daemons: 3, seconds: 8, pace: 5 };
/// How long all that was asked for may take to end once nothing goes wrong any more: the longest lease, the look for lost
/// runs, the retries' pauses, and the work itself.
const RECOVERY: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_no_run_is_lost_or_doubled_and_all_end() {
    let size = match number("SEXTON_TEST_SECONDS") {
        Some(seconds) => Size { daemons: 5, seconds, pace: 5 },
        None => QUICK,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as u64;
    // What runs with every change draws the same each time; a long campaign looks for what is new.
    let usual = if size == QUICK { 4_711 } else { now % 1_000_000 };
    let seed = number("SEXTON_CAMPAIGN_SEED").unwrap_or(usual);
    let plan = Plan::new(seed, size);
    println!("{plan}");
    let again = format!("SEXTON_CAMPAIGN_SEED={seed}");
    let mut crew = Crew::start(size.daemons).await;
    crew.suffer(&plan).await;
    crew.peace().await;
    let recovery = crew.settle(RECOVERY).await.unwrap_or_else(|why| panic!("{again}: {why}"));
    let told = crew.told().await;
    let (tally, panics) = crew.stop().await;
    let mut evidence = Evidence::read(&crew.pool, &crew.effects).await.expect("the tables");
    evidence.asked = std::mem::take(&mut crew.asked);
    evidence.senseless = std::mem::take(&mut crew.senseless);
    crew.end().await;

    println!("{tally:#?}\nsometimes: {:#?}\nall over {recovery:?} after the last fault", evidence.sometimes());
    assert!(told, "{again}: events are undecided");
    let problems = evidence.problems();
    let shown: Vec<_> = problems.iter().take(10).collect();
    assert!(problems.is_empty(), "{again}: {} problems, first {shown:#?}", problems.len());
    assert!(panics.is_empty(), "{again}: {panics:#?}");
    let never: Vec<_> = plan.faults().map(|fault| fault.sort()).filter(|sort| !tally.contains_key(sort)).collect();
    assert!(never.is_empty(), "{again}: these never happened: {never:?}");
    // In a short campaign the one daemon that is told to stop may have nothing in hand that lasts beyond its grace.
    let seen = |(what, count): (&&str, &usize)| *count > 0 || (size == QUICK && *what == "attempts given back");
    assert!(evidence.sometimes().iter().all(seen), "{again}: {:?}", evidence.sometimes());
}
