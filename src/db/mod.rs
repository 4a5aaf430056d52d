//! Connections: to the queue's own database, and to the named targets that jobs work on.

mod failure;
mod migrate;
mod sources;
mod target;

use std::time::Duration;

use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use failure::failure;
pub use migrate::{MigrateError, migrate};
pub use sources::Sources;
pub use target::{Login, LoginError, Target, Targets, UnknownTarget};

/// How long a caller waits for a free connection.
pub const ACQUIRE: Duration = Duration::from_secs(10);

/// A pool on the queue's database that connects when first used.
///
/// Every statement of Sexton's own on the queue is short, so its timeouts are tight: a statement that takes
/// longer than 30 s means that something is stuck, and stuck is worse than failed.
pub fn queue_pool(login: &Login, most: u32) -> PgPool {
    lazy_pool(
        login.options(),
        most,
        "set statement_timeout = '30s'; set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '60s'",
    )
}

/// Connects once, outside of any pool: a pool hides why it cannot connect behind its own timeout.
///
/// # Errors
/// Why the database cannot be reached; a time-out after [`ACQUIRE`].
pub async fn probe(login: &Login) -> Result<(), sqlx::Error> {
    let connecting = async { PgConnection::connect_with(&login.options()).await?.close().await };
    tokio::time::timeout(ACQUIRE, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A pool of at most `most` connections on which `setup` is run once per connection.
fn lazy_pool(options: PgConnectOptions, most: u32, setup: &'static str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(Duration::from_secs(300))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(setup).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}
