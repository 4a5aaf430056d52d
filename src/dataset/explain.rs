//! Everything about an order before it runs.

use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};

use super::{
    definition::Definition,
    error::{Error, explained},
    fence::Totals,
    install,
    order::Order,
    session::{COUNT, LOOK, begin},
};

/// How many rows a second are assumed where nothing has moved yet.
const ASSUMED: f64 = 20_000.0;

/// What an order would do, and what that costs as far as it can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// What it finds.
    pub totals: Totals,
    /// Parent rows that would go.
    pub rows: u64,
    /// Statements that would be run on the archive tables first.
    pub changes: Vec<String>,
    /// Each table, the parent first.
    pub tables: Vec<Table>,
    /// The indexes by which the next rows are found.
    pub indexes: Vec<String>,
    /// Whether every step would read the whole table.
    pub scans_whole_table: bool,
    /// Rows a second of earlier runs on this target; none if nothing of note has moved here.
    pub rows_a_second: Option<f64>,
}

/// What would happen to one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Where rows leave.
    pub table: String,
    /// Where they arrive; nowhere if they are deleted.
    pub to: Option<String>,
    /// How many.
    pub rows: u64,
    /// How wide a row is, in bytes, on average.
    pub row_bytes: u64,
    /// Triggers that fire for each row that leaves.
    pub triggers: Vec<String>,
    /// Publications by which subscribers would delete the rows, too.
    pub publications: Vec<String>,
    /// The write-ahead log that it would write, in bytes.
    pub wal_bytes: u64,
}

impl Explained {
    /// How long it would take, in seconds, and whether that rests on runs that were measured here.
    pub fn seconds(&self) -> (f64, bool) {
        let rate = self.rows_a_second.filter(|rate| *rate > 0.0);
        (self.rows as f64 / rate.unwrap_or(ASSUMED), rate.is_some())
    }
}

/// Looks at what `order` would do with steps of `batch` rows. Changes nothing, and needs nothing installed.
pub async fn explain(pool: &PgPool, definition: &Definition, order: &Order, batch: u64) -> Result<Explained, Error> {
    let definition = serde_json::to_value(definition)?;
    let mut tx = begin(pool, "repeatable read", LOOK, COUNT).await?;
    if !install::is_current(&mut tx).await? {
        // What looks is installed for this look only: it ends with the rollback.
        install::for_now(&mut tx).await?;
    }
    let seen = sqlx::query_scalar(include_str!("../../sql/target/explain.sql"))
        .bind(&definition)
        .bind(order.json(false))
        .bind(super::mover::cutoff(&mut tx, order.select).await?.1)
        .bind(order.max_rows.map(|most| i64::try_from(most).unwrap_or(i64::MAX)))
        .bind(i64::try_from(batch).unwrap_or(i64::MAX))
        .fetch_one(&mut *tx)
        .await;
    tx.rollback().await?;
    match seen {
        Ok(Json(seen)) => Ok(seen),
        Err(error) => Err(explained(pool, &definition, error).await),
    }
}
