//! Transactions on a target: what each may take, whatever the database's defaults are.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use super::error::Error;

/// How long a step waits for a row that somebody else holds, before it is tried with fewer.
pub(super) const LOCK: Duration = Duration::from_millis(200);
/// What counting may take.
pub(super) const COUNT: Duration = Duration::from_secs(600);
/// What a look at the catalog or a change of an archive table may take.
pub(super) const LOOK: Duration = Duration::from_secs(30);

/// Begins a transaction in `mode` (an isolation level, and `read only` perhaps) with its limits set.
pub(super) async fn begin(
    pool: &PgPool,
    mode: &'static str,
    lock: Duration,
    statement: Duration,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut tx = pool.begin_with(AssertSqlSafe(format!("begin isolation level {mode}"))).await?;
    limit(&mut tx, lock, statement).await?;
    Ok(tx)
}

/// Sets what the transaction may take, and how values are spelled.
pub(super) async fn limit(conn: &mut PgConnection, lock: Duration, statement: Duration) -> Result<(), Error> {
    sqlx::query(include_str!("../../sql/target/limits.sql"))
        .bind(format!("{}ms", lock.as_millis()))
        .bind(format!("{}ms", statement.as_millis()))
        .execute(conn)
        .await?;
    Ok(())
}
