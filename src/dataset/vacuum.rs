//! Afterwards: makes the room that many moved rows left behind usable again, and tells the planner of it.
//!
//! A courtesy: the rows have moved whatever becomes of it, and what it leaves undone autovacuum does later. So nothing
//! here fails a run; what was not done is said.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::{
    definition::Definition,
    error::Error,
    fence::Counts,
    order::{Disposal, Order, Side},
    session::{LOCK, LOOK, begin},
};

/// Fewer rows than these are left to autovacuum.
const ROWS: u64 = 10_000;
/// The same as a share of the table.
const SHARE: f64 = 0.05;
/// How long all tables together may take.
const MOST: Duration = Duration::from_secs(1_800);
/// How long a vacuum that is cancelled has until its connection is cut.
const GRACE: Duration = Duration::from_secs(5);

/// `vacuum = "auto"` or `"never"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Vacuum {
    /// When a run moved many rows.
    #[default]
    Auto,
    /// It is left to autovacuum.
    Never,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Tables whose room is usable again.
    pub tables: Vec<String>,
    /// Tables whose statistics are fresh.
    pub analyzed: Vec<String>,
    /// What was not done, and why.
    pub notes: Vec<String>,
    /// About how many bytes new rows of the same tables can use again.
    pub reusable: u64,
    /// How many bytes the file system got back.
    pub returned: u64,
}

/// One table, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Table {
    place: i64,
    label: String,
    leaves: bool,
    name: String,
    sql: String,
    owner: String,
    may: bool,
    bytes: i64,
    live: i64,
    dead: i64,
    vacuums: i64,
}

/// Vacuums the tables that many rows have left, and analyzes those where many arrived. `say` is told which table it is at.
pub async fn vacuum(
    pool: &PgPool,
    definition: &Definition,
    order: &Order,
    counts: &Counts,
    stop: &CancellationToken,
    say: impl Fn(&str),
) -> Result<Vacuumed, Error> {
    let definition = serde_json::to_value(definition)?;
    let mut done = Vacuumed::default();
    if counts.rows.max(counts.children.values().copied().max().unwrap_or_default()) <= ROWS {
        return Ok(done);
    }
    let deadline = Instant::now() + MOST;
    let mut own = open(pool).await?;
    for table in look(pool, &definition, order).await? {
        let rows = match table.place {
            // The rows of a partition that changed hands leave nothing behind.
            1 if counts.partitions > 0 && table.leaves => counts.rows.min(table.dead.unsigned_abs()),
            1 => counts.rows,
            _ => counts.children.get(&table.label).copied().unwrap_or_default(),
        };
        if !worth(rows, table.live.unsigned_abs()) {
            continue;
        }
        if !table.may {
            done.notes.push(format!(
                "{} is left to autovacuum: it belongs to `{}`, and our user may not vacuum it",
                table.name, table.owner
            ));
            continue;
        }
        say(&table.name);
        let statement = match table.leaves {
            // Nobody is locked out: no table is waited for, and none is cut shorter, which would lock it.
            true => format!("vacuum (skip_locked, index_cleanup on, truncate off, analyze) {}", table.sql),
            false => format!("analyze (skip_locked) {}", table.sql),
        };
        match run(pool, &mut own, &statement, deadline.saturating_duration_since(Instant::now()), stop).await? {
            Ended::Well => {}
            Ended::Stopped => {
                done.notes.push(format!("{} is left to autovacuum: the run was told to stop", table.name));
                break;
            }
            Ended::Badly(why) => {
                done.notes.push(format!("{} is left to autovacuum: {why}", table.name));
                continue;
            }
        }
        if !table.leaves {
            done.analyzed.push(table.name);
            continue;
        }
        match after(pool, &definition, order, &table).await? {
            Some(now) => {
                let (bytes, dead) = (table.bytes.unsigned_abs(), now.dead.unsigned_abs());
                done.reusable += reusable(bytes, table.live.unsigned_abs(), rows, dead);
                done.returned += bytes.saturating_sub(now.bytes.unsigned_abs());
                if dead > rows / 2 {
                    done.notes.push(format!(
                        "{dead} dead rows of {} are still seen by an old transaction; autovacuum takes them later",
                        table.name
                    ));
                }
                done.tables.push(table.name);
            }
            None => done.notes.push(format!(
                "{} is left to autovacuum: somebody held it locked, or a part of it is not ours to vacuum",
                table.name
            )),
        }
    }
    close(own).await;
    Ok(done)
}

/// Whether so many rows are worth a vacuum of a table that has `live` left.
fn worth(rows: u64, live: u64) -> bool {
    rows > ROWS && rows as f64 > (live + rows) as f64 * SHARE
}

/// About the bytes that the rows which left took, without those that are still seen by somebody.
fn reusable(bytes: u64, live: u64, rows: u64, dead: u64) -> u64 {
    let gone = rows.saturating_sub(dead) as f64;
    (bytes as f64 * gone / (live + rows).max(1) as f64) as u64
}

async fn look(pool: &PgPool, definition: &serde_json::Value, order: &Order) -> Result<Vec<Table>, Error> {
    let mut tx = begin(pool, "read committed read only", LOCK, LOOK).await?;
    let tables = sqlx::query_as(include_str!("../../sql/target/vacuum_look.sql"))
        .bind(definition)
        .bind(match order.from {
            Side::Main => "main",
            Side::Archive => "archive",
        })
        .bind(order.disposal == Disposal::Archive)
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    Ok(tables)
}

/// The table once its vacuum is counted; `None`: it was skipped.
async fn after(
    pool: &PgPool,
    definition: &serde_json::Value,
    order: &Order,
    before: &Table,
) -> Result<Option<Table>, Error> {
    // Before version 15, the server counts a moment later.
    for _ in 0..6 {
        let tables = look(pool, definition, order).await?;
        let now = tables.into_iter().find(|table| table.name == before.name);
        if let Some(now) = now.filter(|now| now.vacuums > before.vacuums) {
            return Ok(Some(now));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(None)
}

/// How a statement ended.
enum Ended {
    Well,
    Stopped,
    Badly(String),
}

/// A connection of our own, which is cut where a vacuum cannot be cancelled. The steps were taken on it, most likely, and
/// what a session did is counted once it has been quiet for a second: a vacuum before that would be counted first.
async fn open(pool: &PgPool) -> Result<PgConnection, Error> {
    let mut own = pool.acquire().await?.detach();
    sqlx::raw_sql("select pg_sleep(1.1)").execute(&mut own).await?;
    Ok(own)
}

/// Runs one statement outside of any transaction; a stop cancels it in the server.
async fn run(
    pool: &PgPool,
    own: &mut PgConnection,
    statement: &str,
    most: Duration,
    stop: &CancellationToken,
) -> Result<Ended, Error> {
    if most.is_zero() {
        return Ok(Ended::Badly(format!("all tables together took longer than {} min", MOST.as_secs() / 60)));
    }
    // As gentle as autovacuum is by default.
    let limits = format!("set statement_timeout = '{}ms'; set vacuum_cost_delay = '2ms'", most.as_millis());
    sqlx::raw_sql(AssertSqlSafe(limits)).execute(&mut *own).await?;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *own).await?;
    let ended = {
        let work = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(own);
        tokio::pin!(work);
        tokio::select! {
            ended = &mut work => Some(ended),
            () = stop.cancelled() => {
                cancel(pool, pid).await;
                // Whether it heard of it or not: its connection is not used again.
                let _ = tokio::time::timeout(GRACE, &mut work).await;
                None
            }
        }
    };
    Ok(match ended {
        None => Ended::Stopped,
        Some(Ok(_)) => Ended::Well,
        Some(Err(error)) => Ended::Badly(match error.as_database_error() {
            Some(error) => error.message().to_owned(),
            None => error.to_string(),
        }),
    })
}

async fn cancel(pool: &PgPool, pid: i32) {
    let cancel = sqlx::query("select pg_cancel_backend($1)").bind(pid).execute(pool);
    match tokio::time::timeout(GRACE, cancel).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!("the vacuum could not be cancelled: {error}"),
        Err(_) => tracing::warn!("the vacuum could not be cancelled: the target does not answer"),
    }
}

async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!("the vacuum's connection broke: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_left_to_autovacuum() {
        assert!(!worth(10_000, 0));
        assert!(worth(10_001, 0));
        assert!(!worth(40_000, 960_000), "4 % of the table");
        assert!(worth(60_000, 940_000));
    }

    #[test]
    fn room_is_what_the_rows_took_that_nobody_sees_any_more() {
        assert_eq!(reusable(1_000_000, 75, 25, 0), 250_000);
        assert_eq!(reusable(1_000_000, 75, 25, 25), 0, "an old transaction sees them all");
        assert_eq!(reusable(0, 0, 0, 0), 0);
    }
}
