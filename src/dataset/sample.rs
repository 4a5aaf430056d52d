//! The exception collector's tables with sample rows, for the demo and the tests.

use sqlx::{AssertSqlSafe, PgPool};

/// How many exceptions the demo has.
pub const ROWS: u32 = 3_000;

/// Makes the collector's tables and fills them with `rows` exceptions, unless the tables are there already.
///
/// Returns whether it did. The same count gives the same rows, but for the moment that their ages count back from.
/// Errors are the database's; nothing is left half made.
pub async fn load(pool: &PgPool, rows: u32) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let there: bool =
        sqlx::query_scalar("select to_regclass('public.interface_exceptions') is not null").fetch_one(&mut *tx).await?;
    if there {
        return Ok(false);
    }
    sqlx::raw_sql(include_str!("../../sql/sample/schema.sql")).execute(&mut *tx).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("set local sexton.sample_rows = {rows}"))).execute(&mut *tx).await?;
    sqlx::raw_sql(include_str!("../../sql/sample/data.sql")).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}
