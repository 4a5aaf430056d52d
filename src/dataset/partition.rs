//! Takes whole partitions, where the parent and its archive are partitioned by age: they change hands at once instead
//! of row by row.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;

use super::{
    error::Error,
    fence::{Fence, State},
    mover::Mover,
    order::{Disposal, Side},
    pace::contention,
    session::{COUNT, LOOK, begin},
};

/// How long it is waited for those who use the partition: nobody can use the parent meanwhile.
const LOCK: Duration = Duration::from_millis(500);
/// How many rows may hang on a partition that is taken whole: they move while it is locked.
const MOST_CHILDREN: i64 = 50_000;

/// What `sexton.take_partition` gives.
#[derive(Deserialize)]
struct Taken {
    rows: u64,
    children: BTreeMap<String, u64>,
}

impl Mover {
    /// Takes the next partition that goes whole. Says whether it did; otherwise its rows go step by step.
    pub(super) async fn take_partition(&self, fence: Fence, state: &mut State) -> Result<bool, Error> {
        state.cursor.partitions_taken = true;
        let order = &self.order;
        // Only some rows of a partition cannot be taken this way.
        if order.disposal != Disposal::Archive || order.from != Side::Main || order.max_rows.is_some() {
            return Ok(false);
        }
        let Some(part) = self.next_partition(state).await? else { return Ok(false) };
        match self.take(fence, state, &part).await {
            Ok(Some(next)) => {
                *state = next;
                state.cursor.partitions_taken = false;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) if contention(&error).is_some() => {
                tracing::info!("partition {} is in use, so its rows move step by step", part["sql"]);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn next_partition(&self, state: &State) -> Result<Option<Value>, Error> {
        let mut tx = begin(&self.pool, "repeatable read read only", LOOK, COUNT).await?;
        let parts = sqlx::query_scalar(include_str!("../../sql/target/whole_partitions.sql"))
            .bind(&self.definition)
            .bind(self.order.json(false))
            .bind(state.cursor.cutoff)
            .fetch_one(&mut *tx)
            .await;
        tx.rollback().await?;
        let parts: Value = self.explain(parts).await?;
        Ok(parts.get(0).cloned())
    }

    async fn take(&self, fence: Fence, state: &State, part: &Value) -> Result<Option<State>, Error> {
        // First a check that is only written down, then its validation, which others need not wait for.
        for (validate, most) in [(false, LOOK), (true, COUNT)] {
            let mut tx = begin(&self.pool, "read committed", LOCK, most).await?;
            sqlx::query(include_str!("../../sql/target/prepare_partition.sql"))
                .bind(part)
                .bind(validate)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        }
        let mut tx = begin(&self.pool, "read committed", LOCK, LOOK).await?;
        let taken = sqlx::query_scalar(include_str!("../../sql/target/take_partition.sql"))
            .bind(&self.definition)
            .bind(self.order.json(false))
            .bind(state.cursor.cutoff)
            .bind(part)
            .bind(MOST_CHILDREN)
            .fetch_one(&mut *tx)
            .await;
        let taken: Option<Json<Taken>> = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tx.rollback().await?;
                return self.explain(Err(error)).await;
            }
        };
        let Some(Json(taken)) = taken else {
            tx.rollback().await?;
            return Ok(None);
        };
        let mut next = state.clone();
        next.counts.rows += taken.rows;
        for (label, rows) in taken.children {
            *next.counts.children.entry(label).or_default() += rows;
        }
        next.counts.steps += 1;
        next.counts.partitions += 1;
        next.cursor.partitions_taken = false;
        fence.advance(&mut tx, &next.cursor, &next.counts).await?;
        tx.commit().await?;
        Ok(Some(next))
    }
}
