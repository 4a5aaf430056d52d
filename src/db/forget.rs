//! Removes rows that are of no use any more: some thousands in a transaction, and never in anybody's way.

use std::time::Duration;

use sqlx::{PgPool, PgTransaction};

/// How many rows a transaction removes, or looks at, at most.
pub const BATCH: i64 = 5_000;

/// Only one of all daemons forgets at a time, and a batch that waits or takes long gives way.
const POLITE: &str = "set local lock_timeout = '250ms'; set local statement_timeout = '10s'";

/// How rows of a table go.
#[derive(Debug, Clone, Copy)]
pub struct Forget {
    /// Removes at most `$2` rows of more than `$1` ago.
    pub statement: &'static str,
}

/// A transaction that removes rows; `None` while another daemon has one.
///
/// # Errors
/// The database's; so below.
pub async fn turn(pool: &PgPool) -> Result<Option<PgTransaction<'static>>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::raw_sql(POLITE).execute(&mut *transaction).await?;
    let mine: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended('sexton forget', 0))")
        .fetch_one(&mut *transaction)
        .await?;
    Ok(mine.then_some(transaction))
}

/// Removes the rows of more than `age` ago, batch after batch, until none is left or another daemon does it; how many.
pub async fn forget(pool: &PgPool, what: Forget, age: Duration) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    loop {
        let pace = Pace::start();
        let Some(mut transaction) = turn(pool).await? else { return Ok(removed) };
        let batch = sqlx::query(what.statement).bind(age).bind(BATCH).execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        removed += batch;
        if batch < BATCH.cast_unsigned() {
            return Ok(removed);
        }
        pace.rest().await;
    }
}

/// Leaves the server to others for half of the time.
#[derive(Debug)]
pub struct Pace(tokio::time::Instant);

impl Pace {
    /// Before a batch.
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// After it.
    pub async fn rest(self) {
        tokio::time::sleep(self.0.elapsed()).await;
    }
}
