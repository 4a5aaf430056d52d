//! Rows that are held by name, and how much of a data set is where.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool, types::Json};

use super::{
    definition::Definition,
    error::{Error, explained},
    install,
    session::{COUNT, LOOK, begin},
};

/// A row that neither moves nor goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Hold {
    /// The row: the data set's `known_by`, else its key.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Until when; for good without.
    pub until: Option<DateTime<Utc>>,
    /// Who held it.
    pub held_by: String,
    /// Since when.
    pub held_at: DateTime<Utc>,
}

/// How much of a data set is where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// Rows of each table, in main and in the archive, the parent first.
    pub tables: Vec<TableSize>,
    /// What there is to clean up.
    pub statistics: Statistics,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct TableSize {
    /// The table.
    pub label: String,
    /// Rows in main.
    pub main: i64,
    /// Rows in the archive.
    pub archive: i64,
}

/// What `sexton.statistics` gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// All parent rows in main.
    pub total: i64,
    /// Those older than a year.
    pub old: i64,
    /// Those settled for more than 90 days.
    pub resolved: i64,
    /// Those that are critical.
    pub critical: i64,
    /// Whole days.
    pub average_age_days: i64,
    /// The database, in MB.
    pub database_size_mb: i64,
}

/// Holds rows by name; a row that is held already gets the new reason and end.
pub async fn hold(
    pool: &PgPool,
    definition: &Definition,
    names: &[String],
    reason: &str,
    until: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    let mut tx = begin(pool, "read committed", LOOK, LOOK).await?;
    install::must_be_current(&mut tx).await?;
    sqlx::query(include_str!("../../sql/target/hold.sql"))
        .bind(&definition.table)
        .bind(names)
        .bind(reason)
        .bind(until)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Releases rows by name; says how many were held.
pub async fn release(pool: &PgPool, definition: &Definition, names: &[String]) -> Result<u64, Error> {
    let mut tx = begin(pool, "read committed", LOOK, LOOK).await?;
    install::must_be_current(&mut tx).await?;
    let done = sqlx::query(include_str!("../../sql/target/release.sql"))
        .bind(&definition.table)
        .bind(names)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

/// The rows of a data set that are held by name.
pub async fn holds(pool: &PgPool, definition: &Definition) -> Result<Vec<Hold>, Error> {
    let mut tx = begin(pool, "read committed", LOOK, LOOK).await?;
    install::must_be_current(&mut tx).await?;
    let holds =
        sqlx::query_as(include_str!("../../sql/target/holds.sql")).bind(&definition.table).fetch_all(&mut *tx).await?;
    tx.rollback().await?;
    Ok(holds)
}

/// Counts what is where. Changes nothing.
pub async fn survey(pool: &PgPool, definition: &Definition) -> Result<Survey, Error> {
    let value: Value = serde_json::to_value(definition)?;
    let mut tx = begin(pool, "repeatable read", LOOK, COUNT).await?;
    if !install::is_current(&mut tx).await? {
        // What looks is installed for this look only: it ends with the rollback.
        install::for_now(&mut tx).await?;
    }
    let statistics =
        sqlx::query_scalar(include_str!("../../sql/target/statistics.sql")).bind(&value).fetch_one(&mut *tx).await;
    let statistics = match statistics {
        Ok(Json(statistics)) => statistics,
        Err(error) => {
            tx.rollback().await?;
            return Err(explained(pool, &value, error).await);
        }
    };
    let tables = sqlx::query_as(include_str!("../../sql/target/sizes.sql")).bind(&value).fetch_all(&mut *tx).await?;
    tx.rollback().await?;
    Ok(Survey { tables, statistics })
}
