//! Runs that need something of their daemon, or that something limits: who takes them, and why they wait.
//!
//! One worker at a time, under a lock that lasts for its transaction, reads how the gates stand, has
//! [`plan`] decide and claims just that. A run holds its gates while its row is `running`, so there is nothing to give
//! back when an attempt ends or a worker is lost.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{Claimed, Claims};
use crate::lanes::{Facts, Gate, Holder, Lane, Wait, Waiting, plan};

/// What a look at the gates gave.
#[derive(Debug, Clone, Default)]
pub struct LaneLook {
    /// The runs that the worker holds now.
    pub runs: Vec<Claimed>,
    /// When to look again, if nothing ends or is enqueued before.
    pub again_in: Option<Duration>,
}

/// How soon to look again when another worker is just deciding.
const TAKEN: Duration = Duration::from_millis(20);
/// How many runs of one lane are looked at, at most.
const HEADS: usize = 500;

/// Whether there is anything for [`claim_lanes`].
pub async fn lanes_ready(database: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../sql/queue/lanes_ready.sql")).fetch_one(database).await
}

/// Claims up to `slots` runs whose gates are open for the worker, which has `has`, in the order of their rank and with
/// room for the runs without gates that come before.
pub async fn claim_lanes(
    connection: &mut PgConnection,
    claims: &mut Claims,
    has: &[String],
    slots: usize,
) -> Result<LaneLook, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let (ours, now): (bool, DateTime<Utc>) =
        sqlx::query_as(include_str!("../../sql/queue/lanes_lock.sql")).fetch_one(&mut *transaction).await?;
    if !ours {
        return Ok(LaneLook { again_in: Some(TAKEN), ..LaneLook::default() });
    }
    let facts = Facts { now, slots, has: has.to_vec(), ..gather(&mut transaction, claims.worker, slots).await? };
    let plan = plan(&facts);
    let again_in = plan.again_at.map(|at| (at - now).to_std().unwrap_or_default());
    let mut look = LaneLook { runs: Vec::new(), again_in };
    if !plan.start.is_empty() {
        let rows = sqlx::query_as(include_str!("../../sql/queue/claim_these.sql"))
            .bind(claims.worker)
            .bind(&plan.start)
            .fetch_all(&mut *transaction)
            .await?;
        look.runs = claims.known.read(&mut transaction, rows).await?;
        spend(&mut transaction, &plan.spent).await?;
    }
    transaction.commit().await?;
    Ok(look)
}

async fn spend(connection: &mut PgConnection, spent: &BTreeMap<String, DateTime<Utc>>) -> Result<(), sqlx::Error> {
    if spent.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../sql/queue/lanes_spend.sql"))
        .bind(spent.keys().collect::<Vec<_>>())
        .bind(spent.values().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// How the gates stand, and who waits at them.
async fn gather(connection: &mut PgConnection, worker: Uuid, slots: usize) -> Result<Facts, sqlx::Error> {
    let waiting: Vec<(Uuid, i32, DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as(include_str!("../../sql/queue/lanes_waiting.sql"))
            .bind(slots.clamp(1, HEADS) as i64)
            .fetch_all(&mut *connection)
            .await?;
    let running: Vec<(i32, DateTime<Utc>)> =
        sqlx::query_as(include_str!("../../sql/queue/lanes_running.sql")).fetch_all(&mut *connection).await?;
    let ids: BTreeSet<i32> = waiting.iter().map(|run| run.1).chain(running.iter().map(|run| run.0)).collect();
    let lanes = known(connection, &ids.into_iter().collect::<Vec<_>>()).await?;
    let limited = lanes.values().flat_map(|lane| &lane.gates).filter(|gate| gate.rate.is_some());
    let limited: BTreeSet<&str> = limited.map(|gate| gate.name.as_str()).collect();
    let rates: Vec<(String, DateTime<Utc>)> = if limited.is_empty() {
        Vec::new()
    } else {
        let rates = sqlx::query_as(include_str!("../../sql/queue/lanes_rates.sql"));
        rates.bind(limited.into_iter().collect::<Vec<_>>()).fetch_all(&mut *connection).await?
    };
    let free = sqlx::query_scalar(include_str!("../../sql/queue/lanes_free.sql"))
        .bind(slots.min(HEADS) as i64)
        .fetch_all(&mut *connection)
        .await?;
    let others = sqlx::query_scalar(include_str!("../../sql/queue/lanes_has.sql"))
        .bind(worker)
        .fetch_all(&mut *connection)
        .await?;
    Ok(Facts {
        others,
        lanes,
        running: running.into_iter().map(|(lane, started_at)| Holder { lane, started_at }).collect(),
        waiting: (waiting.into_iter()).map(|(run, lane, rank, due_at)| Waiting { run, lane, rank, due_at }).collect(),
        free,
        rates: rates.into_iter().collect(),
        ..Facts::default()
    })
}

async fn known(connection: &mut PgConnection, ids: &[i32]) -> Result<HashMap<i32, Lane>, sqlx::Error> {
    type Row = (i32, Json<Vec<String>>, Json<Vec<Gate>>);
    let rows: Vec<Row> =
        sqlx::query_as(include_str!("../../sql/queue/lanes_known.sql")).bind(ids).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id, needs, gates)| (id, Lane { needs: needs.0, gates: gates.0 })).collect())
}

/// Why a run that is ready does not start, as the workers see it; `None` when nothing but a free slot is missing.
pub async fn why_waits(pool: &PgPool, run: Uuid) -> Result<Option<Wait>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let lane: Option<i32> = sqlx::query_scalar(include_str!("../../sql/queue/lanes_of.sql"))
        .bind(run)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(lane) = lane.filter(|lane| *lane != crate::lanes::OPEN) else { return Ok(None) };
    let now = sqlx::query_scalar(include_str!("../../sql/queue/lanes_now.sql")).fetch_one(&mut *connection).await?;
    let facts = gather(&mut connection, Uuid::nil(), HEADS).await?;
    let plan = plan(&Facts { now, slots: usize::MAX, free: Vec::new(), ..facts });
    Ok(plan.waits.get(&lane).filter(|_| !plan.start.contains(&run)).cloned())
}

/// Runs that no living daemon can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    /// What they need.
    pub needs: Vec<String>,
    /// What of that no daemon has; all of it when each is there but not on one daemon.
    pub lacking: Vec<String>,
    /// How many are ready.
    pub runs: i64,
}

/// The runs that no living daemon can take, by what they need.
pub async fn stranded(pool: &PgPool) -> Result<Vec<Stranded>, sqlx::Error> {
    let lanes: Vec<(i32, i64, Json<Vec<String>>)> =
        sqlx::query_as(include_str!("../../sql/queue/lanes_live.sql")).fetch_all(pool).await?;
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let daemons: Vec<Vec<String>> =
        sqlx::query_scalar(include_str!("../../sql/queue/lanes_has.sql")).bind(Uuid::nil()).fetch_all(pool).await?;
    let stuck = lanes.into_iter().filter_map(|(_, runs, needs)| {
        let lane = Lane { needs: needs.0, gates: Vec::new() };
        let lacking = lane.nobody(&daemons)?;
        Some(Stranded { needs: lane.needs, lacking, runs })
    });
    Ok(stuck.collect())
}

/// Says what a worker has.
pub async fn equip(database: impl PgExecutor<'_>, worker: Uuid, has: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/queue/lanes_equip.sql")).bind(worker).bind(has).execute(database).await?;
    Ok(())
}
