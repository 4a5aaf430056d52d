//! Claims about `sexton run`, held against the real binary, real databases and kill -9.

mod clock;
mod connections;
mod crash;
mod files;
mod fleet;
pub(super) mod http;
mod late;
mod once;
mod own;
mod proof;
mod ready;
mod safety;
mod schedules;
mod stages;
mod stall;
mod told;
mod trouble;

use std::time::Duration;

use sexton::{
    queue::{self, Filter, Run},
    secret::Secret,
};
use sqlx::PgPool;

use crate::support::{Database, Site, eventually};

/// A site whose queue is `queue` and whose collector is `target`, with `more` at the end of its settings.
pub(super) fn site(queue: &str, target: &str, more: &str) -> Site {
    Site::new(&format!(
        "[database]\nurl = \"{queue}\"\n\n[targets.collector]\nurl = \"{target}\"\n\n[vaults.main]\ndir = \"vault\"\n\n{more}\n"
    ))
}

/// A target with the collector's tables and what Sexton needs there.
pub(super) async fn collector(rows: u32) -> Database {
    let database = Database::empty().await;
    sexton::dataset::sample::load(database.pool(), rows).await.expect("the sample");
    sexton::dataset::install(database.pool(), false, &Default::default()).await.expect("the step table");
    database
}

/// A job that asks the collector for a number.
pub(super) const COUNT: &str = "[sql]\ntarget = \"collector\"\nsql = \"select 1 as one\"\n";

/// The shipped data set.
pub(super) const DATASET: &str = include_str!("../../../jobs/datasets/interface_exceptions.toml");

/// The newest run of a job once `ready` holds of it.
pub(super) async fn run_when(pool: &PgPool, job: &str, what: &str, ready: impl Fn(&Run) -> bool) -> Run {
    eventually(&format!("{job} {what}"), || async {
        let filter = Filter { job: Some(job.to_owned()), ..Filter::default() };
        queue::list(pool, &filter).await.ok()?.into_iter().next().filter(|run| ready(run))
    })
    .await
}

/// A pool of the test's own on a URL.
pub(super) fn pool(url: &str) -> PgPool {
    let login = sexton::db::Login::new(&Secret::new(url), None).expect("a login");
    sexton::db::queue_pool(&login, 3)
}

/// Every decision: its schedule's name, the slots that it covers, and its run.
pub(super) async fn decisions(pool: &PgPool, schedule: &str) -> Vec<(i64, i64, i64, String, Option<uuid::Uuid>)> {
    sqlx::query_as(
        "select extract(epoch from nominal_at)::bigint, extract(epoch from until)::bigint, slots, decision::text, run \
         from sexton.slot where schedule = $1 order by nominal_at",
    )
    .bind(schedule)
    .fetch_all(pool)
    .await
    .expect("the slots")
}

/// Of an every-second schedule: every second between the first and the last decision is covered exactly once, and what
/// fired has exactly one run.
pub(super) async fn every_second_is_decided_once(pool: &PgPool, schedule: &str) -> usize {
    let decisions = decisions(pool, schedule).await;
    let mut next = decisions.first().expect("a decision").0;
    for (from, until, slots, decision, run) in &decisions {
        assert_eq!(*from, next, "a second is missing or doubled: {decisions:?}");
        assert_eq!(*slots, until - from + 1, "{decisions:?}");
        assert_eq!(run.is_some(), decision == "fired", "{decisions:?}");
        next = until + 1;
    }
    let fired = decisions.iter().filter(|row| row.3 == "fired").count();
    let (runs, slots): (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct nominal_at) from sexton.runs where schedule = $1 and parent is null",
    )
    .bind(schedule)
    .fetch_one(pool)
    .await
    .expect("the runs");
    assert_eq!((runs, slots), (fired as i64, fired as i64));
    fired
}

/// How long the fleet's test goes on; a minute is what people should try: `SEXTON_TEST_SECONDS=60`.
pub(super) fn seconds() -> Duration {
    let seconds = std::env::var("SEXTON_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(8))
}
