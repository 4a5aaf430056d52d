//! Moves a data set's rows step after step, each step one short transaction with its checkpoint in it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row};

use super::{
    archive::{self, Archive},
    definition::Definition,
    error::Error,
    fence::{self, Counts, Cursor, End, Fence, Sizes, State, Totals},
    log::{self, LogLine},
    quote::condition,
    shape::Shape,
    step::{Disposal, Order, Script, Select, Side, script},
};

/// How long a step waits for a row that somebody else holds, before it is tried with fewer.
const LOCK: Duration = Duration::from_millis(200);
/// What counting may take.
const COUNT: Duration = Duration::from_secs(600);
/// What a look at the catalog or a change of an archive table may take.
const LOOK: Duration = Duration::from_secs(30);
/// How often rows are looked at that somebody else held.
const PASSES: u32 = 3;
/// How often a step is tried before it is given up, besides halving.
const TRIES: u32 = 3;

/// How big steps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rows of the first step; later ones adapt, up to twenty times as many.
    pub rows: u64,
    /// How long a step should take.
    pub target: Duration,
}

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

/// Moves the rows of one order on one target.
#[derive(Debug)]
pub struct Mover {
    pool: PgPool,
    definition: Definition,
    shape: Shape,
    archive: Archive,
    script: Script,
    order: Order,
}

impl Mover {
    /// Reads the target's catalog and refuses what cannot be moved safely. Changes nothing.
    pub async fn prepare(pool: &PgPool, definition: &Definition, order: Order) -> Result<Self, Error> {
        let mut tx = pool.begin_with("begin isolation level repeatable read read only").await?;
        limit(&mut tx, LOOK, LOOK).await?;
        let shape = Shape::read(&mut tx, definition).await?;
        check_conditions(&mut tx, definition, &shape).await?;
        let archive = match order.disposal {
            Disposal::Archive => archive::plan(&mut tx, &shape, &definition.archive).await?,
            Disposal::Delete => archive::locate(&mut tx, &shape, &definition.archive).await?,
        };
        if order.from == Side::Archive
            && let Some(missing) = archive.there.iter().position(|there| !there)
        {
            return Err(Error::NoArchive(archive.tables[missing].to_string()));
        }
        let script = script(definition, &shape, &archive.tables, archive.there[0], &order)?;
        tx.rollback().await?;
        Ok(Self { pool: pool.clone(), definition: definition.clone(), shape, archive, script, order })
    }

    /// The order that it carries out.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Counts exactly what a run would move now, by the same conditions. Changes nothing.
    pub async fn preview(&self) -> Result<Preview, Error> {
        let mut tx = self.pool.begin_with("begin isolation level repeatable read read only").await?;
        limit(&mut tx, LOOK, COUNT).await?;
        let (at, cutoff) = cutoff(&mut tx, self.order.select).await?;
        let totals = self.totals(&mut tx, cutoff).await?;
        let mut counts = Counts { rows: totals.eligible, ..Counts::default() };
        counts.rows = self.order.max_rows.map_or(counts.rows, |most| counts.rows.min(most));
        for (label, sql) in &self.script.children {
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql.as_str()))
                .bind(cutoff)
                .bind(self.order.max_rows.map(signed))
                .fetch_one(&mut *tx)
                .await?;
            counts.children.insert(label.clone(), unsigned(rows));
        }
        let installed = fence::is_installed(&mut tx).await?;
        tx.rollback().await?;
        Ok(Preview { totals, counts, changes: self.archive.changes.clone(), installed, at })
    }

    /// Takes over the run: gives its checkpoint, makes the archive tables match, and fences off older attempts.
    pub async fn begin(&mut self, fence: Fence, pace: Pace) -> Result<State, Error> {
        let mut tx = self.pool.begin_with("begin isolation level repeatable read").await?;
        limit(&mut tx, LOOK, COUNT).await?;
        let (begun_at, cutoff) = cutoff(&mut tx, self.order.select).await?;
        // What was there before is counted once, by the first attempt.
        let found = match fence.has_begun(&mut tx).await? {
            true => Totals::default(),
            false => self.totals(&mut tx, cutoff).await?,
        };
        tx.rollback().await?;
        let first = Cursor { cutoff, begun_at, found, after: None, pass: 1, batch: pace.rows, end: None };

        let mut tx = self.pool.begin_with("begin isolation level read committed").await?;
        limit(&mut tx, LOOK, LOOK).await?;
        let state = fence.begin(&mut tx, &first).await?;
        sqlx::query(include_str!("../../sql/target/forget_steps.sql")).execute(&mut *tx).await?;
        tx.commit().await?;
        if self.order.disposal == Disposal::Archive && state.cursor.end.is_none() {
            self.heal(fence, &state).await?;
        }
        Ok(state)
    }

    /// Makes the archive tables match main.
    async fn heal(&mut self, fence: Fence, state: &State) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("begin isolation level read committed").await?;
        limit(&mut tx, Duration::from_secs(5), LOOK).await?;
        // Another run may be making the same tables.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('sexton archive ' || $1, 0))")
            .bind(&self.definition.table)
            .execute(&mut *tx)
            .await?;
        self.archive = archive::plan(&mut tx, &self.shape, &self.definition.archive).await?;
        for statement in &self.archive.changes {
            tracing::info!("changing the archive: {statement}");
            sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *tx).await?;
        }
        fence.advance(&mut tx, state).await?;
        tx.commit().await?;
        self.archive.there.fill(true);
        self.script = script(&self.definition, &self.shape, &self.archive.tables, true, &self.order)?;
        Ok(())
    }

    /// Takes one step. Contention is met with smaller steps, and in the end by leaving the row for later.
    pub async fn step(&self, fence: Fence, state: &mut State, pace: Pace) -> Result<Stepped, Error> {
        if state.cursor.end.is_some() {
            return Ok(Stepped::Done);
        }
        let mut tries = 0;
        loop {
            let room = self.order.max_rows.map(|most| most.saturating_sub(state.counts.rows));
            let batch = room.map_or(state.cursor.batch, |room| room.min(state.cursor.batch));
            if batch == 0 {
                return Ok(Stepped::Done);
            }
            let begun = Instant::now();
            let mut reached = None;
            match self.try_step(fence, state, batch, pace, &mut reached).await {
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
                    } else if let Some(reached) = reached.filter(|_| tries >= TRIES) {
                        // Its children are held by somebody else: it is left for the next pass.
                        state.cursor.after = Some(reached);
                        tries = 0;
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

    /// One transaction; `None` if nothing was left to take. `reached` is the last row that was locked.
    async fn try_step(
        &self,
        fence: Fence,
        state: &State,
        batch: u64,
        pace: Pace,
        reached: &mut Option<Vec<String>>,
    ) -> Result<Option<State>, Error> {
        let mut tx = self.pool.begin_with("begin isolation level read committed").await?;
        match self.move_batch(&mut tx, fence, state, batch, pace, reached).await {
            Ok(Some(next)) => {
                tx.commit().await?;
                Ok(Some(next))
            }
            other => {
                // Waited for: a transaction that is only dropped ends some time later, and until then the next try would
                // skip the rows that this one has locked.
                let ended = tx.rollback().await;
                let nothing = other?;
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
        pace: Pace,
        reached: &mut Option<Vec<String>>,
    ) -> Result<Option<State>, Error> {
        // A single row with very many children may take longer than a step should.
        let most = if batch == 1 { LOOK * 2 } else { (pace.target * 4).max(Duration::from_secs(2)) };
        limit(tx, LOCK, most).await?;

        let mut query = match &state.cursor.after {
            None => sqlx::query(AssertSqlSafe(self.script.lock_first.as_str())),
            Some(_) => sqlx::query(AssertSqlSafe(self.script.lock_next.as_str())),
        };
        query = query.bind(state.cursor.cutoff).bind(signed(batch));
        if let Some(after) = &state.cursor.after {
            query = query.bind(after);
        }
        let row = query.fetch_one(&mut *tx).await?;
        let Some(clock) = row.try_get::<Option<String>, _>(0)? else { return Ok(None) };
        let keys = (1..=self.script.width).map(|at| row.try_get(at)).collect::<Result<Vec<Vec<String>>, _>>()?;
        let locked = keys[0].len();
        let last = keys.iter().filter_map(|column| column.last().cloned());
        let after: Vec<String> = std::iter::once(clock).chain(last).collect();
        *reached = Some(after.clone());

        for sql in &self.script.inner {
            let query = keys.iter().fold(sqlx::query(AssertSqlSafe(sql.as_str())), |query, keys| query.bind(keys));
            query.execute(&mut *tx).await?;
        }
        let mut next = state.clone();
        for (at, part) in self.script.moves.iter().enumerate() {
            let query = sqlx::query_as(AssertSqlSafe(part.sql.as_str()));
            let mut query = keys.iter().fold(query, |query, keys| query.bind(keys));
            if self.order.disposal == Disposal::Archive {
                query = query.bind(&self.order.by).bind(&self.order.reason);
            }
            let (deleted, kept): (i64, i64) = query.fetch_one(&mut *tx).await?;
            let parent = at + 1 == self.script.moves.len();
            let expected = if parent { locked as i64 } else { deleted };
            if deleted != kept || deleted != expected {
                return Err(Error::Unbalanced { table: part.table.clone(), deleted, kept, expected });
            }
            if parent {
                next.counts.rows += unsigned(deleted);
            } else {
                *next.counts.children.entry(part.label.clone()).or_default() += unsigned(deleted);
            }
        }
        next.counts.steps += 1;
        next.cursor.after = Some(after);
        fence.advance(tx, &next).await?;
        Ok(Some(next))
    }

    /// Nothing is left after the cursor: look whether rows were skipped on the way.
    async fn end_of_pass(&self, state: &mut State) -> Result<Stepped, Error> {
        let left = self.left(state.cursor.cutoff).await?;
        if left == 0 || state.cursor.pass >= PASSES {
            return Ok(Stepped::Done);
        }
        state.counts.revisited += left;
        let pause = Duration::from_millis(250) * state.cursor.pass;
        state.cursor.pass += 1;
        state.cursor.after = None;
        Ok(Stepped::Pause(pause))
    }

    /// Writes down that all is done: the counts afterwards, the log's line and the checkpoint in one transaction.
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
        let mut tx = self.pool.begin_with("begin isolation level repeatable read").await?;
        limit(&mut tx, LOOK, COUNT).await?;
        let totals = self.totals(&mut tx, state.cursor.cutoff).await?;
        let at = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *tx).await?;
        let full = self.order.max_rows.is_some_and(|most| state.counts.rows >= most);
        let skipped_locked = if full { 0 } else { totals.eligible };
        let end = End { sizes: totals.sizes, skipped_locked, at };
        let mut next = state.clone();
        next.cursor.end = Some(end);
        log::write(&mut tx, self.definition.log.as_ref(), &line(&next)).await?;
        fence.advance(&mut tx, &next).await?;
        tx.commit().await?;
        *state = next;
        Ok(end)
    }

    async fn left(&self, cutoff: DateTime<Utc>) -> Result<u64, Error> {
        let mut tx = self.pool.begin_with("begin isolation level repeatable read read only").await?;
        limit(&mut tx, LOOK, COUNT).await?;
        let (left, _, _): (i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(self.script.totals.as_str())).bind(cutoff).fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        Ok(unsigned(left))
    }

    async fn totals(&self, conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<Totals, Error> {
        let (eligible, kept_critical, kept_open): (i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(self.script.totals.as_str())).bind(cutoff).fetch_one(&mut *conn).await?;
        let (main, archive): (i64, i64) =
            sqlx::query_as(AssertSqlSafe(self.script.sizes.as_str())).fetch_one(&mut *conn).await?;
        Ok(Totals {
            eligible: unsigned(eligible),
            kept_critical: unsigned(kept_critical),
            kept_open: unsigned(kept_open),
            sizes: Sizes { main: unsigned(main), archive: unsigned(archive) },
        })
    }
}

/// Writes a log line in a transaction of its own, for what failed and for dry runs.
pub async fn write_log(pool: &PgPool, definition: &Definition, line: &LogLine) -> Result<bool, Error> {
    let mut tx = pool.begin().await?;
    limit(&mut tx, Duration::from_secs(5), LOOK).await?;
    let wrote = log::write(&mut tx, definition.log.as_ref(), line).await?;
    tx.commit().await?;
    Ok(wrote)
}

/// Sets what the transaction may take, whatever the database's defaults are, and how values are spelled.
async fn limit(conn: &mut PgConnection, lock: Duration, statement: Duration) -> Result<(), Error> {
    sqlx::query(include_str!("../../sql/target/limits.sql"))
        .bind(format!("{}ms", lock.as_millis()))
        .bind(format!("{}ms", statement.as_millis()))
        .execute(conn)
        .await?;
    Ok(())
}

/// Now, and the line that rows must be behind, by the target's clock.
async fn cutoff(conn: &mut PgConnection, select: Select) -> Result<(DateTime<Utc>, DateTime<Utc>), Error> {
    Ok(sqlx::query_as("select now(), now() - make_interval(secs => $1)")
        .bind(select.span().0.as_secs_f64())
        .fetch_one(conn)
        .await?)
}

/// Has PostgreSQL read the definition's conditions before anything relies on them.
async fn check_conditions(conn: &mut PgConnection, definition: &Definition, shape: &Shape) -> Result<(), Error> {
    let table = &shape.nodes[0].table;
    let all = [
        ("critical", definition.critical.as_ref()),
        ("open", definition.open.as_ref()),
        ("resolved.when", definition.resolved.as_ref().map(|resolved| &resolved.when)),
    ];
    for (key, text) in all.into_iter().filter_map(|(key, text)| Some((key, text?))) {
        let sql = format!("select from {} t where {} is false limit 0", table.sql(), condition(text));
        if let Err(error) = sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await {
            let Some(database) = error.as_database_error() else { return Err(error.into()) };
            return Err(Error::Predicate {
                table: table.clone(),
                key,
                text: text.clone(),
                message: database.message().to_owned(),
            });
        }
    }
    Ok(())
}

/// By what a step is divided after an error that fewer rows may avoid; `None` for any other error.
fn contention(error: &Error) -> Option<u64> {
    let Error::Sql(error) = error else { return None };
    match error.as_database_error()?.code()?.as_ref() {
        // Serialization, deadlock, lock not available.
        "40001" | "40P01" | "55P03" => Some(2),
        // The statement took too long.
        "57014" => Some(4),
        _ => None,
    }
}

/// The next step's size: a quarter of the first more while steps are quick and full, half when they are slow.
fn adapt(batch: u64, full: bool, took: Duration, pace: Pace) -> u64 {
    if took > pace.target {
        (batch / 2).max(1)
    } else if full && took < pace.target.mul_f64(0.8) {
        (batch + (pace.rows / 4).max(1)).min(pace.rows.saturating_mul(20))
    } else {
        batch
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_slowly_and_shrink_fast() {
        let pace = Pace { rows: 1_000, target: Duration::from_millis(500) };
        let after = |batch, full, ms| adapt(batch, full, Duration::from_millis(ms), pace);
        assert_eq!(after(1_000, true, 100), 1_250);
        assert_eq!(after(1_000, false, 100), 1_000);
        assert_eq!(after(1_000, true, 450), 1_000);
        assert_eq!(after(1_000, true, 501), 500);
        assert_eq!(after(1, true, 900), 1);
        assert_eq!(after(20_000, true, 10), 20_000);
    }
}
