//! Keeps the gauges of the queue and of this process current, at a cost that stays small however much there is to count.

use std::{collections::BTreeSet, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    memory,
    metrics::{MEMORY, QUEUE_DEPTH, QUEUE_OLDEST, STRANDED},
    queue::{self, Depth},
};

/// The least time between two measurements.
const EVERY: Duration = Duration::from_secs(15);
/// They take at most this part of the time: counting a queue of millions is work, too.
const PART: u32 = 50;
const STATES: [&str; 5] = ["waiting", "ready", "running", "retrying", "held"];

/// Measures until `over`, and keeps the recorder small: nobody may ever come for what it collects.
pub(super) async fn keep(pool: PgPool, recorder: PrometheusHandle, over: CancellationToken) {
    let mut told = BTreeSet::new();
    let mut due = Instant::now();
    while !over.is_cancelled() {
        recorder.run_upkeep();
        let begun = Instant::now();
        if due <= begun {
            tokio::select! {
                () = over.cancelled() => return,
                () = measure(&pool, &mut told) => {}
            }
            due = Instant::now() + pause(begun.elapsed());
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}

/// How long to rest after a measurement that took so long.
fn pause(taken: Duration) -> Duration {
    EVERY.max(taken * PART)
}

async fn measure(pool: &PgPool, told: &mut BTreeSet<Vec<String>>) {
    if let Some(bytes) = memory::resident() {
        ::metrics::gauge!(MEMORY).set(bytes as f64);
    }
    // Others say when the database is away.
    let Ok(depths) = queue::depth(pool).await else { return };
    show(&depths);
    // Only what is ready can be stranded.
    let stranded =
        if depths.iter().any(|depth| depth.state == "ready") { queue::stranded(pool).await } else { Ok(Vec::new()) };
    if let Ok(stranded) = stranded {
        ::metrics::gauge!(STRANDED).set(stranded.iter().map(|lane| lane.runs as f64).sum::<f64>());
        tell_stranded(&stranded, told);
    }
}

fn show(depths: &[Depth]) {
    for state in STATES {
        let depth = depths.iter().find(|depth| depth.state == state);
        ::metrics::gauge!(QUEUE_DEPTH, "state" => state).set(depth.map_or(0, |depth| depth.runs) as f64);
        if state == "ready" {
            ::metrics::gauge!(QUEUE_OLDEST).set(depth.map_or(0.0, |depth| depth.oldest.max(0.0)));
        }
    }
}

/// Says once of each need that no daemon has, as long as runs wait for it.
fn tell_stranded(stranded: &[queue::Stranded], told: &mut BTreeSet<Vec<String>>) {
    told.retain(|lacking| stranded.iter().any(|lane| lane.lacking == *lacking));
    for lane in stranded {
        if told.insert(lane.lacking.clone()) {
            let needs = lane.lacking.join(" and ");
            tracing::warn!(
                needs,
                runs = lane.runs,
                "runs wait for {needs}, which no daemon that is running has: start one with it in its sexton.toml, or change the jobs"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measuring_takes_at_most_a_fiftieth_of_the_time() {
        assert_eq!(pause(Duration::from_millis(2)), EVERY);
        assert_eq!(pause(Duration::from_secs(3)), Duration::from_secs(150));
    }
}
