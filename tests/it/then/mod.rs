//! Claims about chains: what starts once a run is over, whichever way it ends and whoever dies meanwhile, exactly once.

mod ends;
mod failing;
mod killed;
mod shown;

use serde_json::json;
use sexton::{
    queue::{self, Claimed, Ending, Run, Settled, WorkerInfo},
    spec::{Follows, On, Spec},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::support::work::spec;

/// A link of a chain.
pub(super) fn link(spec: Spec, after: &[&str], on: On) -> Spec {
    let after = after.iter().map(|job| (*job).to_owned()).collect();
    Spec { follows: Some(Follows { after, on }), ..spec }
}

/// A job that is done at once.
pub(super) fn noop(job: &str) -> Spec {
    spec(job, "noop", json!({}))
}

/// A job that fails for good at once.
pub(super) fn fails(job: &str) -> Spec {
    spec(job, "says", json!({ "never": "no such table" }))
}

/// A worker that only exists in its row.
pub(super) async fn worker(pool: &PgPool) -> Uuid {
    let id = Uuid::now_v7();
    let me = WorkerInfo { id, host: "here".to_owned(), pid: 1, version: "0".to_owned(), process: None };
    queue::register(pool, &me).await.unwrap();
    id
}

/// Claims what is ready.
pub(super) async fn claim(pool: &PgPool, worker: Uuid) -> Vec<Claimed> {
    queue::claim(pool, worker, 100).await.unwrap()
}

/// Settles in a transaction that the caller commits.
pub(super) async fn settle(connection: &mut PgConnection, run: &Claimed, ending: Ending) -> Vec<Uuid> {
    let settled = Settled { run: run.id, token: run.token, ending: &ending };
    queue::settle(connection, &[settled]).await.unwrap().remove(0).followed
}

/// Settles for good.
pub(super) async fn end(pool: &PgPool, run: &Claimed, ending: Ending) -> Vec<Uuid> {
    let mut transaction = pool.begin().await.unwrap();
    let followed = settle(&mut transaction, run, ending).await;
    transaction.commit().await.unwrap();
    followed
}

pub(super) fn done() -> Ending {
    Ending::Done { report: Default::default() }
}

pub(super) fn failed() -> Ending {
    Ending::Failed { why: "no such table".to_owned(), help: None, report: Default::default() }
}

/// Every run of a chain but the first, by job: which jobs have started.
pub(super) async fn started(pool: &PgPool, chain: Uuid) -> Vec<String> {
    let mut jobs: Vec<String> = members(pool, chain).await.into_iter().map(|run| run.job).collect();
    jobs.sort();
    jobs
}

/// Every run of a chain but the first.
pub(super) async fn members(pool: &PgPool, chain: Uuid) -> Vec<Run> {
    let filter = queue::Filter { chain: Some(chain), ..queue::Filter::default() };
    queue::list(pool, &filter).await.unwrap().into_iter().filter(|run| run.id != chain).collect()
}
