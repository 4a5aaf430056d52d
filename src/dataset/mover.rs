//! Moves a data set's rows step after step, each step one short transaction with its checkpoint in it.
//!
//! What a step does is the function `sexton.step` in the target, the same that people call by hand; here is when it
//! is called, how big it is, and what happens when it meets others.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};

use super::{
    definition::Definition,
    error::{Error, explained},
    fence::{Counts, Cursor, End, Fence, State, Totals},
    install,
    log::{self, LogLine},
    order::{Disposal, Order, Select},
    pace::{Pace, adapt, contention},
    session::{COUNT, LOCK, LOOK, begin},
};
use crate::fault;

/// How often rows are looked at that somebody else held.
const PASSES: u32 = 3;
/// How often a step is tried before it is given up, besides halving.
const TRIES: u32 = 3;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// Rows have moved; there may be more.
    Moved,
    /// Rows that somebody else held are revisited after a pause.
    Pause(Duration),
    /// All is done.
    Done,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What is there.
    pub totals: Totals,
    /// What would leave.
    pub counts: Counts,
    /// What would be run on the archive tables first.
    pub changes: Vec<String>,
    /// Whether the target has what a real run needs.
    pub installed: bool,
    /// When the look began, by the target's clock.
    pub at: DateTime<Utc>,
}

/// What `sexton.preview` gives.
#[derive(Deserialize)]
struct Seen {
    totals: Totals,
    rows: u64,
    children: std::collections::BTreeMap<String, u64>,
    changes: Vec<String>,
}

/// What `sexton.step` gives.
#[derive(Deserialize)]
struct Step {
    locked: u64,
    #[serde(flatten)]
    moved: Option<Moved>,
}

#[derive(Deserialize)]
struct Moved {
    after: Vec<String>,
    rows: u64,
    children: std::collections::BTreeMap<String, u64>,
    stuck: Vec<super::fence::Stuck>,
}

/// Moves the rows of one order on one target.
#[derive(Debug)]
pub struct Mover {
    pub(super) pool: PgPool,
    pub(super) definition: Value,
    pub(super) order: Order,
    installed: bool,
}

impl Mover {
    /// Looks at what is installed in the target. Changes nothing.
    pub async fn prepare(pool: &PgPool, definition: &Definition, order: Order) -> Result<Self, Error> {
        let mut tx = begin(pool, "repeatable read read only", LOOK, LOOK).await?;
        let installed = install::is_current(&mut tx).await?;
        tx.rollback().await?;
        Ok(Self { pool: pool.clone(), definition: serde_json::to_value(definition)?, order, installed })
    }

    /// The order that it carries out.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Counts exactly what a run would move now, by the same conditions. Changes nothing.
    pub async fn preview(&self) -> Result<Preview, Error> {
        let mode = if self.installed { "repeatable read read only" } else { "repeatable read" };
        let mut tx = begin(&self.pool, mode, LOOK, COUNT).await?;
        if !self.installed {
            // What looks is installed for this look only: it ends with the rollback.
            install::for_now(&mut tx).await?;
        }
        let (at, cutoff) = cutoff(&mut tx, self.order.select).await?;
        let seen = sqlx::query_scalar(include_str!("../../sql/target/preview.sql"))
            .bind(&self.definition)
            .bind(self.order.json(false))
            .bind(cutoff)
            .bind(self.order.max_rows.map(signed))
            .fetch_one(&mut *tx)
            .await;
        tx.rollback().await?;
        let Json(seen): Json<Seen> = self.explain(seen).await?;
        let counts = Counts { rows: seen.rows, children: seen.children, ..Counts::default() };
        Ok(Preview { totals: seen.totals, counts, changes: seen.changes, installed: self.installed, at })
    }

    /// Takes over the run: gives its checkpoint, makes the archive tables match, and fences off older attempts.
    pub async fn begin(&mut self, fence: Fence, pace: Pace) -> Result<State, Error> {
        let mut tx = begin(&self.pool, "repeatable read", LOOK, COUNT).await?;
        install::must_be_current(&mut tx).await?;
        let (begun_at, cutoff) = cutoff(&mut tx, self.order.select).await?;
        let checked = sqlx::query(include_str!("../../sql/target/check_order.sql"))
            .bind(&self.definition)
            .bind(self.order.json(false))
            .execute(&mut *tx)
            .await;
        self.explain(checked).await?;
        // What was there before is counted once, by the first attempt.
        let found = match fence.has_begun(&mut tx).await? {
            true => Totals::default(),
            false => self.totals(&mut tx, cutoff).await?,
        };
        tx.rollback().await?;
        let first = Cursor {
            cutoff,
            begun_at,
            found,
            partitions_taken: false,
            after: None,
            pass: 1,
            batch: pace.rows,
            end: None,
        };

        let mut tx = begin(&self.pool, "read committed", LOOK, LOOK).await?;
        let (cursor, counts) = fence.begin(&mut tx, &first).await?;
        let state = State { cursor, counts };
        sqlx::query(include_str!("../../sql/target/forget_steps.sql")).execute(&mut *tx).await?;
        tx.commit().await?;
        if self.order.disposal == Disposal::Archive && state.cursor.end.is_none() {
            heal(&self.pool, &self.definition).await?;
        }
        Ok(state)
    }

    /// Takes one step. Contention is met with smaller steps, and in the end by leaving the row for later.
    pub async fn step(&self, fence: Fence, state: &mut State, pace: Pace) -> Result<Stepped, Error> {
        if state.cursor.end.is_some() {
            return Ok(Stepped::Done);
        }
        if !state.cursor.partitions_taken && self.take_partition(fence, state).await? {
            return Ok(Stepped::Moved);
        }
        let mut tries = 0;
        loop {
            let room = self.order.max_rows.map(|most| most.saturating_sub(state.counts.rows));
            let batch = room.map_or(state.cursor.batch, |room| room.min(state.cursor.batch));
            if batch == 0 {
                return Ok(Stepped::Done);
            }
            let begun = Instant::now();
            match self.try_step(fence, state, batch, pace, tries >= TRIES).await {
                Ok(Some(next)) => {
                    let full = next.counts.rows - state.counts.rows == batch;
                    *state = next;
                    state.cursor.batch = adapt(state.cursor.batch, full, begun.elapsed(), pace);
                    return Ok(Stepped::Moved);
                }
                Ok(None) => return self.end_of_pass(state).await,
                Err(error) => {
                    let Some(part) = contention(&error) else { return Err(error) };
                    tracing::debug!(batch, "a step met contention and is tried with fewer rows: {error}");
                    if batch > 1 {
                        state.cursor.batch = (batch / part).max(1);
                    } else if tries >= TRIES * 2 {
                        return Err(error);
                    } else {
                        tries += 1;
                        tokio::time::sleep(LOCK / 2 * tries).await;
                    }
                }
            }
        }
    }

    /// One transaction; `None` if nothing was left to take.
    async fn try_step(
        &self,
        fence: Fence,
        state: &State,
        batch: u64,
        pace: Pace,
        patient: bool,
    ) -> Result<Option<State>, Error> {
        // A single row with very many children may take longer than a step should.
        let most = if batch == 1 { LOOK * 2 } else { (pace.target * 4).max(Duration::from_secs(2)) };
        let mut tx = begin(&self.pool, "read committed", LOCK, most).await?;
        match self.move_batch(&mut tx, fence, state, batch, patient).await {
            Ok(Some(next)) => {
                fault::point("step.moved").await.map_err(sqlx::Error::from)?;
                tx.commit().await?;
                fault::point("step.committed").await.map_err(sqlx::Error::from)?;
                Ok(Some(next))
            }
            other => {
                // Waited for: a transaction that is only dropped ends some time later, and until then the next try would
                // skip the rows that this one has locked.
                let ended = tx.rollback().await;
                let nothing = match other {
                    Err(Error::Sql(error)) => return Err(explained(&self.pool, &self.definition, error).await),
                    other => other?,
                };
                ended?;
                Ok(nothing)
            }
        }
    }

    async fn move_batch(
        &self,
        tx: &mut PgConnection,
        fence: Fence,
        state: &State,
        batch: u64,
        patient: bool,
    ) -> Result<Option<State>, Error> {
        let Json(step): Json<Step> = sqlx::query_scalar(include_str!("../../sql/target/step.sql"))
            .bind(&self.definition)
            .bind(self.order.json(patient))
            .bind(state.cursor.cutoff)
            .bind(state.cursor.after.as_ref())
            .bind(signed(batch))
            .fetch_one(&mut *tx)
            .await?;
        let Some(moved) = step.moved.filter(|_| step.locked > 0) else { return Ok(None) };
        let mut next = state.clone();
        next.counts.rows += moved.rows;
        for (label, rows) in moved.children {
            *next.counts.children.entry(label).or_default() += rows;
        }
        next.counts.add_stuck(moved.stuck);
        next.counts.steps += 1;
        next.cursor.after = Some(moved.after);
        fence.advance(tx, &next.cursor, &next.counts).await?;
        Ok(Some(next))
    }

    /// Nothing is left after the cursor: look whether rows were skipped on the way.
    async fn end_of_pass(&self, state: &mut State) -> Result<Stepped, Error> {
        let mut tx = begin(&self.pool, "repeatable read read only", LOOK, COUNT).await?;
        let left = self.totals(&mut tx, state.cursor.cutoff).await?.eligible.saturating_sub(state.counts.stuck);
        tx.rollback().await?;
        if left == 0 || state.cursor.pass >= PASSES {
            return Ok(Stepped::Done);
        }
        state.counts.revisited += left;
        state.counts.forget_stuck();
        let pause = Duration::from_millis(250) * state.cursor.pass;
        state.cursor.pass += 1;
        state.cursor.after = None;
        Ok(Stepped::Pause(pause))
    }

    /// Counts what is there now, then writes down that all is done: the log's line and the checkpoint in one transaction.
    ///
    /// `line` makes the log's line from the final state.
    pub async fn finish(
        &self,
        fence: Fence,
        state: &mut State,
        line: impl FnOnce(&State) -> LogLine,
    ) -> Result<End, Error> {
        if let Some(end) = state.cursor.end {
            return Ok(end);
        }
        // Counting may take seconds, and nothing that writes may.
        let mut tx = begin(&self.pool, "repeatable read", LOOK, COUNT).await?;
        let totals = self.totals(&mut tx, state.cursor.cutoff).await?;
        let at = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        let mut tx = begin(&self.pool, "read committed", LOOK, LOOK).await?;
        let full = self.order.max_rows.is_some_and(|most| state.counts.rows >= most);
        let skipped_locked = if full { 0 } else { totals.eligible.saturating_sub(state.counts.stuck) };
        let end = End { sizes: totals.sizes, skipped_locked, at };
        let mut next = state.clone();
        next.cursor.end = Some(end);
        log::write(&mut tx, &self.definition, &line(&next)).await?;
        fence.advance(&mut tx, &next.cursor, &next.counts).await?;
        tx.commit().await?;
        *state = next;
        Ok(end)
    }

    async fn totals(&self, conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<Totals, Error> {
        let totals = sqlx::query_scalar(include_str!("../../sql/target/totals.sql"))
            .bind(&self.definition)
            .bind(self.order.json(false))
            .bind(cutoff)
            .fetch_one(conn)
            .await;
        let Json(totals) = self.explain(totals).await?;
        Ok(totals)
    }

    /// The same result, with the words of our functions where one of them refused.
    pub(super) async fn explain<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, Error> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(explained(&self.pool, &self.definition, error).await),
        }
    }
}

/// Makes the archive tables match main.
pub(super) async fn heal(pool: &PgPool, definition: &Value) -> Result<(), Error> {
    let mut tx = begin(pool, "read committed", Duration::from_secs(5), LOOK).await?;
    let healed =
        sqlx::query_scalar(include_str!("../../sql/target/heal.sql")).bind(definition).fetch_one(&mut *tx).await;
    let changes: Vec<String> = match healed {
        Ok(changes) => changes,
        Err(error) => {
            tx.rollback().await?;
            return Err(explained(pool, definition, error).await);
        }
    };
    tx.commit().await?;
    for change in changes {
        tracing::info!("changed the archive: {change}");
    }
    Ok(())
}

/// Writes a log line in a transaction of its own, for what failed and for dry runs.
pub async fn write_log(pool: &PgPool, definition: &Definition, line: &LogLine) -> Result<bool, Error> {
    let mut tx = begin(pool, "read committed", Duration::from_secs(5), LOOK).await?;
    let wrote = log::write(&mut tx, &serde_json::to_value(definition)?, line).await?;
    tx.commit().await?;
    Ok(wrote)
}

/// Now, and the line that rows must be behind, by the target's clock.
pub(super) async fn cutoff(conn: &mut PgConnection, select: Select) -> Result<(DateTime<Utc>, DateTime<Utc>), Error> {
    Ok(sqlx::query_as("select now(), now() - make_interval(secs => $1)")
        .bind(select.span().0.as_secs_f64())
        .fetch_one(conn)
        .await?)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
