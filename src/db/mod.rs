//! Connections: to the queue's own database, and to the named targets that jobs work on.

mod doubt;
mod ears;
mod failure;
mod follow;
pub mod forget;
mod hosts;
mod login;
mod migrate;
mod notify;
mod pooler;
mod sources;
mod standing;
mod target;

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, PgPool, postgres::PgPoolOptions};

pub use doubt::{doubt, moves};
pub use ears::{Ear, Ears};
pub use failure::{doubt_if_lost, failure};
pub use follow::follow;
pub use login::{Login, LoginError};
pub use migrate::{MigrateError, migrate};
pub use notify::{notifies, set_notify};
pub use pooler::{PoolerError, check_pooler};
pub use sources::Sources;
pub use target::{Target, Targets, UnknownTarget};

/// How long a caller waits for a free connection.
pub const ACQUIRE: Duration = Duration::from_secs(10);
/// How long people wait for one: they are told rather than kept waiting.
pub const ACQUIRE_SOON: Duration = Duration::from_secs(2);

/// What every connection to the queue begins with. Every statement of Sexton's own on the queue is short, so its
/// timeouts are tight: a statement that takes longer than 30 s means that something is stuck, and stuck is worse than
/// failed.
const QUEUE: &str =
    "set statement_timeout = '30s'; set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '60s'";
/// The same where a person waits.
const PEOPLE: &str =
    "set statement_timeout = '10s'; set lock_timeout = '5s'; set idle_in_transaction_session_timeout = '20s'";

/// A pool on the queue's database that connects when first used.
pub fn queue_pool(login: &Login, most: u32) -> PgPool {
    lazy_pool(login, PgPoolOptions::new().max_connections(most).acquire_timeout(ACQUIRE), QUEUE)
}

/// The same for whoever answers people: neither the work's connections nor its patience.
pub fn people_pool(login: &Login, most: u32) -> PgPool {
    lazy_pool(login, PgPoolOptions::new().max_connections(most).acquire_timeout(ACQUIRE_SOON), PEOPLE)
}

/// Connects once, outside of any pool: a pool hides why it cannot connect behind its own timeout.
///
/// # Errors
/// Why the database cannot be reached; a time-out after [`ACQUIRE`].
pub async fn probe(login: &Login) -> Result<(), sqlx::Error> {
    let connecting = async { login.connect().await?.close().await };
    tokio::time::timeout(ACQUIRE, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A pool on which `setup` is run once per connection.
///
/// Of several hosts only the one that takes writes is let in. Through a pooler in transaction mode nothing is set: it
/// would hold for whoever gets that session next.
fn lazy_pool(login: &Login, pool: PgPoolOptions, setup: &'static str) -> PgPool {
    let (several, pooled) = (login.has_several_hosts(), login.is_pooled());
    let (known, now) = (login.clone(), login.clone());
    pool.idle_timeout(Duration::from_secs(60))
        .after_connect(move |connection, _| {
            let chosen = known.is_chosen();
            Box::pin(async move {
                if !pooled {
                    connection.execute(setup).await?;
                }
                if several {
                    admit(connection, chosen).await?;
                }
                Ok(())
            })
        })
        // What is older than the latest move leads to a server that was left.
        .before_acquire(move |_, meta| {
            let stays = meta.age < now.since().elapsed() || !now.has_moved();
            Box::pin(async move { Ok(stays) })
        })
        .connect_lazy_with(login.options())
}

/// Refuses a server that takes no writes, and any before the hosts were compared.
async fn admit(connection: &mut PgConnection, chosen: bool) -> Result<(), sqlx::Error> {
    if chosen && standing::of(connection).await?.is_writable() {
        return Ok(());
    }
    doubt();
    Err(sqlx::Error::Protocol("this is not the host that takes writes".to_owned()))
}
