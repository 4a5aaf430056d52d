//! Whether a pooler in transaction mode keeps what Sexton needs: prepared statements.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::Login;

/// How often the trial is made: a pooler that loses statements does so at once, or when it hands out another session.
const ROUNDS: u32 = 3;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a pooler cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// It hands a prepared statement to a session that does not know it, or that knows another by its name.
    #[error(
        "[database] url leads through a pooler that does not keep prepared statements ({0})\n  help: use PgBouncer 1.21 or newer with max_prepared_statements = 200 (or more), or set url to the server itself"
    )]
    Statements(String),
    /// It could not be tried.
    #[error("the pooler of [database] url cannot be used: {0}")]
    Database(#[from] sqlx::Error),
}

/// Tries it, with two connections that are given each other's sessions; gives what should be set and is not.
///
/// # Errors
/// What the pooler loses, and which one does not.
pub async fn check_pooler(login: &Login) -> Result<Option<String>, PoolerError> {
    timeout(PATIENCE, trial(login)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|error| {
        let code = error.as_database_error().and_then(|database| database.code()).unwrap_or_default();
        match &*code {
            // A name that is taken, one that is unknown, another number of parameters.
            "42P05" | "26000" | "08P01" => PoolerError::Statements(error.to_string()),
            _ => PoolerError::Database(error),
        }
    })
}

async fn trial(login: &Login) -> Result<Option<String>, sqlx::Error> {
    let mut one = login.connect().await?;
    for _ in 0..ROUNDS {
        sqlx::query("select $1::int4").bind(1_i32).execute(&mut one).await?;
        // The other one takes the session that was given back last, and keeps it while the first goes on.
        let mut other = login.connect().await?;
        let mut held = other.begin().await?;
        sqlx::query("select $1::text, $2::text").bind("a").bind("b").execute(&mut *held).await?;
        let again = sqlx::query("select $1::int4").bind(1_i32).execute(&mut one);
        match timeout(Duration::from_secs(1), again).await {
            Ok(done) => done.map(drop)?,
            // A pooler with one session alone: the first must wait for the other's end.
            Err(_) => {
                held.rollback().await?;
                one.close_hard().await?;
                one = login.connect().await?;
                continue;
            }
        }
        held.rollback().await?;
        other.close().await?;
    }
    let timeouts: (String, String) = sqlx::query_as(
        "select current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')",
    )
    .fetch_one(&mut one)
    .await?;
    close(one).await;
    let unset = [("statement_timeout", "30s", timeouts.0), ("idle_in_transaction_session_timeout", "60s", timeouts.1)];
    let missing: Vec<_> =
        unset.iter().filter(|(_, _, is)| is == "0").map(|(name, to, _)| format!("{name} = '{to}'")).collect();
    Ok(if missing.is_empty() { None } else { Some(missing.join(", ")) })
}

async fn close(connection: PgConnection) {
    let _ = connection.close().await;
}
