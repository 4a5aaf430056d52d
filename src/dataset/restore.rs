//! Brings archived rows back by name, step after step, each with its checkpoint in it.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};

use super::{
    definition::Definition,
    error::{Error, explained},
    fence::Fence,
    install,
    log::{self, LogLine},
    mover::heal,
    session::{LOOK, begin},
};

/// How many rows one step brings back.
const STEP: usize = 500;
/// How long a step waits for what somebody else holds.
const LOCK: Duration = Duration::from_millis(500);
/// How often rows that somebody else holds are looked at.
const PASSES: u32 = 3;
/// Why a row stays that may be free a moment later; `sexton.restore_step` says it so.
const IN_USE: &str = "is in use by somebody else";

/// How far a restore is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// When its first attempt began.
    pub begun_at: DateTime<Utc>,
    /// How many names of this pass are done.
    pub done: usize,
    /// 1, then one more each time that rows are revisited that were in use.
    pub pass: u32,
    /// The names of this pass, if it is not the first: those that were in use.
    pub names: Vec<String>,
    /// Parent rows that came back.
    pub rows: u64,
    /// Rows of each child that came back with them, by label.
    pub children: BTreeMap<String, u64>,
    /// What stays in the archive, with the reason.
    pub refused: Vec<Refused>,
    /// Steps committed.
    pub steps: u64,
    /// Whether all is done.
    pub ended: bool,
}

/// A row that stays in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// How it was called.
    pub name: String,
    /// Why it stays.
    pub why: String,
}

/// What `sexton.restore_step` gives.
#[derive(Deserialize)]
struct Step {
    rows: u64,
    children: BTreeMap<String, u64>,
    refused: Vec<Refused>,
}

/// Brings rows of one data set on one target back.
#[derive(Debug)]
pub struct Restorer {
    pool: PgPool,
    definition: Value,
    names: Vec<String>,
}

impl Restorer {
    /// Looks at what is installed in the target. `by_key`: names are keys, whatever the data set is known by.
    pub async fn prepare(
        pool: &PgPool,
        definition: &Definition,
        names: Vec<String>,
        by_key: bool,
    ) -> Result<Self, Error> {
        let mut tx = begin(pool, "read committed", LOOK, LOOK).await?;
        install::must_be_current(&mut tx).await?;
        tx.rollback().await?;
        let mut definition = definition.clone();
        if by_key {
            definition.known_by = None;
        }
        Ok(Self { pool: pool.clone(), definition: serde_json::to_value(definition)?, names })
    }

    /// Does all of it and takes it back: what a real run would do now. Changes nothing.
    pub async fn preview(&self) -> Result<Restoring, Error> {
        let mut tx = begin(&self.pool, "read committed", LOCK, LOOK * 4).await?;
        let mut seen = Restoring { begun_at: Utc::now(), pass: 1, ..Restoring::default() };
        let healed = sqlx::query(include_str!("../../sql/target/heal.sql"))
            .bind(&self.definition)
            .execute(&mut *tx)
            .await
            .map_err(Error::from);
        let result = match healed {
            Ok(_) => self.all(&mut tx, &mut seen).await,
            Err(error) => Err(error),
        };
        tx.rollback().await?;
        self.explain(result).await?;
        Ok(seen)
    }

    async fn all(&self, tx: &mut PgConnection, seen: &mut Restoring) -> Result<(), Error> {
        for names in self.names.chunks(STEP) {
            let step = self.take(tx, names).await?;
            seen.add(names.len(), step);
        }
        Ok(())
    }

    /// Takes over the run: gives its checkpoint, makes the archive tables match, and fences off older attempts.
    pub async fn begin(&self, fence: Fence) -> Result<Restoring, Error> {
        let mut tx = begin(&self.pool, "read committed", LOOK, LOOK).await?;
        let begun_at = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *tx).await?;
        let checked = self.check(&mut tx).await;
        self.explain(checked).await?;
        let first = Restoring { begun_at, pass: 1, ..Restoring::default() };
        let (state, _): (Restoring, Value) = fence.begin(&mut tx, &first).await?;
        tx.commit().await?;
        if !state.ended {
            heal(&self.pool, &self.definition).await?;
        }
        Ok(state)
    }

    /// Takes one step; says how long to wait before the next one, or that there is none.
    pub async fn step(&self, fence: Fence, state: &mut Restoring) -> Result<Option<Duration>, Error> {
        let names = if state.pass == 1 { &self.names } else { &state.names };
        let next: Vec<String> = names.iter().skip(state.done).take(STEP).cloned().collect();
        if next.is_empty() {
            let busy = state.refused.iter().filter(|one| one.why == IN_USE);
            let busy: Vec<String> = busy.map(|one| one.name.clone()).collect();
            if busy.is_empty() || state.pass >= PASSES {
                return Ok(None);
            }
            state.refused.retain(|one| one.why != IN_USE);
            state.pass += 1;
            state.done = 0;
            state.names = busy;
            return Ok(Some(Duration::from_millis(250) * state.pass));
        }
        let mut tx = begin(&self.pool, "read committed", LOCK, LOOK).await?;
        let moved = match self.take(&mut tx, &next).await {
            Ok(step) => {
                let mut after = state.clone();
                after.add(next.len(), step);
                fence.advance(&mut tx, &after, &serde_json::json!({ "rows": after.rows })).await.map(|()| after)
            }
            Err(error) => Err(error),
        };
        match moved {
            Ok(after) => {
                tx.commit().await?;
                *state = after;
                Ok(Some(Duration::ZERO))
            }
            Err(error) => {
                tx.rollback().await?;
                self.explain(Err(error)).await
            }
        }
    }

    /// Writes down that all is done, and the log's line.
    pub async fn finish(&self, fence: Fence, state: &mut Restoring, line: LogLine) -> Result<(), Error> {
        if state.ended {
            return Ok(());
        }
        let mut tx = begin(&self.pool, "read committed", LOOK, LOOK).await?;
        let after = Restoring { ended: true, ..state.clone() };
        log::write(&mut tx, &self.definition, &line).await?;
        fence.advance(&mut tx, &after, &serde_json::json!({ "rows": after.rows })).await?;
        tx.commit().await?;
        *state = after;
        Ok(())
    }

    /// How many rows were asked for.
    pub fn asked(&self) -> u64 {
        self.names.len() as u64
    }

    async fn check(&self, tx: &mut PgConnection) -> Result<(), Error> {
        sqlx::query(include_str!("../../sql/target/check_order.sql"))
            .bind(&self.definition)
            .bind(serde_json::json!({ "from": "archive", "to": "main" }))
            .execute(tx)
            .await?;
        Ok(())
    }

    async fn take(&self, tx: &mut PgConnection, names: &[String]) -> Result<Step, Error> {
        let Json(step) = sqlx::query_scalar(include_str!("../../sql/target/restore_step.sql"))
            .bind(&self.definition)
            .bind(names)
            .fetch_one(tx)
            .await?;
        Ok(step)
    }

    async fn explain<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Err(Error::Sql(error)) => Err(explained(&self.pool, &self.definition, error).await),
            other => other,
        }
    }
}

impl Restoring {
    fn add(&mut self, names: usize, step: Step) {
        self.done += names;
        self.rows += step.rows;
        for (label, rows) in step.children {
            *self.children.entry(label).or_default() += rows;
        }
        self.refused.extend(step.refused);
        self.steps += 1;
    }
}
