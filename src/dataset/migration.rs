//! Brings the rows of a legacy table into a data set, batch after batch, each with its checkpoint in it.
//!
//! What a batch does is the function `sexton.migrate_batch` in the target, the same that people call by hand. A dry run
//! takes the same batches on a connection of its own, whose temporary tables keep what it would have inserted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction, types::Json};

use super::{
    definition::Definition,
    error::{Error, explained},
    fence::Fence,
    install,
    pace::{Pace, adapt, contention},
    session::{COUNT, LOCK, LOOK, begin, limit},
};

/// How many refusals are told by name; all are counted.
const TOLD: usize = 100;
/// How often a batch of one row is tried.
const TRIES: u32 = 5;

/// How far a migration is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrating {
    /// When its first attempt began.
    pub begun_at: DateTime<Utc>,
    /// How many rows the source had then.
    pub total: u64,
    /// The key of the last row that was read, as text.
    pub after: Option<Vec<String>>,
    /// How many rows the next batch takes.
    pub batch: u64,
    /// Rows read.
    pub read: u64,
    /// Rows inserted.
    pub migrated: u64,
    /// Rows that main or the archive had already.
    pub there: u64,
    /// Rows that were refused.
    pub invalid: u64,
    /// Those of them that were not in the quarantine yet.
    pub quarantined: u64,
    /// Batches committed.
    pub steps: u64,
    /// The first refusals.
    pub samples: Vec<Sample>,
    /// Set once all is done.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its key in the source.
    pub record: String,
    /// Why, without any of its values.
    pub reason: String,
}

/// What `sexton.migrate_batch` gives.
#[derive(Deserialize)]
struct Batch {
    read: u64,
    migrated: u64,
    there: u64,
    invalid: u64,
    quarantined: u64,
    #[serde(default)]
    after: Option<Vec<String>>,
    samples: Vec<Sample>,
}

/// Who migrates, for the quarantine and the log.
#[derive(Debug, Clone, Copy)]
pub struct Migrator<'a> {
    /// The attempt; none for a dry run, which writes nothing.
    pub fence: Option<Fence>,
    /// Who asked.
    pub by: &'a str,
}

/// One line of the application's own log of migrations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MigrationLine {
    /// The source.
    pub source: String,
    /// Rows read.
    pub read: u64,
    /// Rows inserted, or that would be.
    pub migrated: u64,
    /// Rows refused.
    pub failed: u64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Whether nothing was really done.
    pub dry_run: bool,
    /// Whether the migration itself failed.
    pub broken: bool,
    /// Who asked.
    pub by: String,
    /// Run, job, and what went wrong.
    pub details: String,
}

/// Migrates one source into one data set.
#[derive(Debug)]
pub struct Migration {
    pool: PgPool,
    /// Its own: the batches' temporary tables live and die with it.
    conn: PgConnection,
    definition: Value,
    plan: Value,
}

/// The schema and name, as the catalog has them, of the table that a person calls `name`.
pub async fn find_source(pool: &PgPool, definition: &Definition, name: &str) -> Result<String, Error> {
    let mut tx = begin(pool, "read committed", LOOK, LOOK).await?;
    install::must_be_current(&mut tx).await?;
    let found =
        sqlx::query_scalar(include_str!("../../sql/target/migrate_source.sql")).bind(name).fetch_one(&mut *tx).await;
    tx.rollback().await?;
    match found {
        Ok(found) => Ok(found),
        Err(error) => Err(explained(pool, &serde_json::to_value(definition)?, error).await),
    }
}

impl Migration {
    /// Reads source and data set from the target's catalog, and refuses what cannot be migrated at all. Changes nothing.
    ///
    /// `rename` says which of the source's columns stand for which of the data set's.
    pub async fn prepare(
        pool: &PgPool,
        definition: &Definition,
        source: &str,
        rename: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let definition = serde_json::to_value(definition)?;
        let mut conn = pool.acquire().await?.detach();
        let mut tx = begin_on(&mut conn, LOOK, LOOK).await?;
        let planned = plan(&mut tx, &definition, source, rename).await;
        tx.commit().await?;
        match planned {
            Ok(plan) => Ok(Self { pool: pool.clone(), conn, definition, plan }),
            Err(Error::Sql(error)) => Err(explained(pool, &definition, error).await),
            Err(error) => Err(error),
        }
    }

    /// The source, quoted.
    pub fn source(&self) -> &str {
        self.plan["source"].as_str().unwrap_or_default()
    }

    /// Begins; a real run takes over from older attempts and gives the checkpoint.
    pub async fn begin(&mut self, migrator: Migrator<'_>, pace: Pace) -> Result<Migrating, Error> {
        let count = format!("select clock_timestamp(), count(*) from {}", self.source());
        let mut tx = begin_on(&mut self.conn, LOOK, COUNT).await?;
        let again = match migrator.fence {
            Some(fence) => fence.has_begun(&mut tx).await?,
            None => false,
        };
        let mut first = Migrating { batch: pace.rows, ..Migrating::default() };
        if !again {
            let (begun_at, total): (DateTime<Utc>, i64) =
                sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut *tx).await?;
            first.begun_at = begun_at;
            first.total = u64::try_from(total).unwrap_or_default();
        }
        if let Some(fence) = migrator.fence {
            let (state, _): (Migrating, Value) = fence.begin(&mut tx, &first).await?;
            first = state;
            sqlx::query(include_str!("../../sql/target/migrate_forget.sql")).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(first)
    }

    /// Takes one batch; says whether there may be more. Contention is met with smaller batches.
    pub async fn step(&mut self, migrator: Migrator<'_>, state: &mut Migrating, pace: Pace) -> Result<bool, Error> {
        if state.ended_at.is_some() {
            return Ok(false);
        }
        let mut tries = 0;
        loop {
            let begun = Instant::now();
            match self.try_step(migrator, state, pace).await {
                Ok(None) => return Ok(false),
                Ok(Some(next)) => {
                    let full = next.read - state.read >= state.batch;
                    *state = next;
                    state.batch = adapt(state.batch, full, begun.elapsed(), pace);
                    return Ok(true);
                }
                Err(error) => {
                    let Some(part) = contention(&error).filter(|_| tries < TRIES) else {
                        return Err(self.explain(error).await);
                    };
                    tracing::debug!(state.batch, "a batch met contention and is tried with fewer rows: {error}");
                    if state.batch == 1 {
                        tries += 1;
                        tokio::time::sleep(LOCK / 2 * tries).await;
                    }
                    state.batch = (state.batch / part).max(1);
                }
            }
        }
    }

    /// One transaction; `None` if nothing was left to read.
    async fn try_step(
        &mut self,
        migrator: Migrator<'_>,
        state: &Migrating,
        pace: Pace,
    ) -> Result<Option<Migrating>, Error> {
        // Of many bad rows each is looked for by itself, which takes longer than a step should.
        let most = if state.batch == 1 { LOOK * 4 } else { (pace.target * 8).max(Duration::from_secs(10)) };
        let mut tx = begin_on(&mut self.conn, LOCK, most).await?;
        let batch = sqlx::query_scalar(include_str!("../../sql/target/migrate_batch.sql"))
            .bind(&self.plan)
            .bind(&state.after)
            .bind(signed(state.batch))
            .bind(signed(state.read))
            .bind(migrator.fence.is_none())
            .bind(migrator.by)
            .bind(migrator.fence.map(|fence| fence.run))
            .fetch_one(&mut *tx)
            .await;
        let next = match batch {
            Ok(Json(Batch { read: 0, .. })) => Ok(None),
            Ok(Json(batch)) => {
                let next = state.with(batch);
                match migrator.fence {
                    Some(fence) => advance(fence, &mut tx, &next).await.map(|()| Some(next)),
                    None => Ok(Some(next)),
                }
            }
            Err(error) => Err(error.into()),
        };
        match next {
            Ok(Some(next)) => {
                tx.commit().await?;
                Ok(Some(next))
            }
            other => {
                tx.rollback().await?;
                other
            }
        }
    }

    /// Writes down that all is done: the log's line and the checkpoint in one transaction. `line` makes the line from
    /// the final state.
    pub async fn finish(
        &mut self,
        migrator: Migrator<'_>,
        state: &mut Migrating,
        line: impl FnOnce(&Migrating) -> MigrationLine,
    ) -> Result<(), Error> {
        if state.ended_at.is_some() {
            return Ok(());
        }
        let definition = self.definition.clone();
        let mut tx = begin_on(&mut self.conn, LOOK, LOOK).await?;
        let at = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *tx).await?;
        let next = Migrating { ended_at: Some(at), ..state.clone() };
        write_line(&mut tx, &definition, &line(&next)).await?;
        if let Some(fence) = migrator.fence {
            advance(fence, &mut tx, &next).await?;
        }
        tx.commit().await?;
        *state = next;
        Ok(())
    }

    async fn explain(&self, error: Error) -> Error {
        match error {
            Error::Sql(error) => explained(&self.pool, &self.definition, error).await,
            other => other,
        }
    }
}

impl Migrating {
    fn with(&self, batch: Batch) -> Self {
        let mut next = self.clone();
        next.read += batch.read;
        next.migrated += batch.migrated;
        next.there += batch.there;
        next.invalid += batch.invalid;
        next.quarantined += batch.quarantined;
        next.after = batch.after;
        next.steps += 1;
        let room = TOLD.saturating_sub(next.samples.len());
        next.samples.extend(batch.samples.into_iter().take(room));
        next
    }
}

/// Writes a line in a transaction of its own, for what failed. Returns whether it did.
pub async fn log_migration(pool: &PgPool, definition: &Definition, line: &MigrationLine) -> Result<bool, Error> {
    let mut tx = begin(pool, "read committed", Duration::from_secs(5), LOOK).await?;
    let wrote = write_line(&mut tx, &serde_json::to_value(definition)?, line).await?;
    tx.commit().await?;
    Ok(wrote)
}

async fn write_line(conn: &mut PgConnection, definition: &Value, line: &MigrationLine) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(include_str!("../../sql/target/log_migration.sql"))
        .bind(definition)
        .bind(Json(line))
        .fetch_one(conn)
        .await?)
}

async fn plan(
    conn: &mut PgConnection,
    definition: &Value,
    source: &str,
    rename: &BTreeMap<String, String>,
) -> Result<Value, Error> {
    install::must_be_current(conn).await?;
    let plan: Value = sqlx::query_scalar(include_str!("../../sql/target/migrate_plan.sql"))
        .bind(definition)
        .bind(source)
        .bind(Json(rename))
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query(include_str!("../../sql/target/migrate_open.sql")).bind(&plan).execute(conn).await?;
    Ok(plan)
}

async fn advance(fence: Fence, conn: &mut PgConnection, state: &Migrating) -> Result<(), Error> {
    fence.advance(conn, state, &json!({ "rows": state.migrated })).await
}

async fn begin_on(
    conn: &mut PgConnection,
    lock: Duration,
    statement: Duration,
) -> Result<Transaction<'_, Postgres>, Error> {
    let mut tx = conn.begin_with("begin isolation level read committed").await?;
    limit(&mut tx, lock, statement).await?;
    Ok(tx)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
