//! A connection of one's own that is cut and made anew when it fails.
//!
//! A half-open connection answers nothing for minutes and would block a slot of the pool for as long; one that is
//! owned can simply be dropped.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::{sync::watch, time::timeout};

use super::lease::Contact;
use crate::db;

/// How long one exchange with the database may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a look at all that is live may take: a little more than the server lets a statement.
pub(super) const LIMIT: Duration = Duration::from_secs(35);
/// A connection taken out of a pool.
pub(super) struct Wire {
    pool: PgPool,
    patience: Duration,
    contact: Option<watch::Receiver<Option<Contact>>>,
    connection: Option<PgConnection>,
}

/// Why an exchange failed. The connection is cut; whether the database did it is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Database(#[from] sqlx::Error),
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
    #[error("the connection was made before the database was out of reach")]
    Outdated,
}

impl Wire {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, patience: PATIENCE, contact: None, connection: None }
    }

    /// Gives up on an answer once the heartbeat gets through again after it did not: whatever was asked before will
    /// not be answered on a connection of that time.
    pub(super) fn beside(mut self, contact: watch::Receiver<Option<Contact>>) -> Self {
        self.contact = Some(contact);
        self
    }

    /// With another patience.
    pub(super) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Does one exchange on the connection, making it first where needed.
    pub(super) async fn with<T>(
        &mut self,
        exchange: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, WireError> {
        let taken = self.connection.take();
        let pool = &self.pool;
        let whole = async {
            let mut connection = match taken {
                Some(connection) => connection,
                None => pool.acquire().await?.detach(),
            };
            let value = exchange(&mut connection).await?;
            Ok::<_, sqlx::Error>((connection, value))
        };
        // On every failure the connection is dropped with the future: what it would answer next is anybody's guess.
        let (connection, value) = tokio::select! {
            done = timeout(self.patience, whole) => match done {
                Ok(done) => done.inspect_err(db::doubt_if_lost)?,
                Err(_) => {
                    db::doubt();
                    return Err(WireError::Silent(self.patience));
                }
            },
            () = back_in_touch(self.contact.clone()) => return Err(WireError::Outdated),
        };
        self.connection = Some(connection);
        Ok(value)
    }
}

/// Waits until the heartbeat gets through again after it did not.
async fn back_in_touch(contact: Option<watch::Receiver<Option<Contact>>>) {
    if let Some(mut contact) = contact {
        let before = contact.borrow_and_update().map(|contact| contact.since);
        let again = |now: &Option<Contact>| before.is_some() && now.is_some_and(|now| Some(now.since) != before);
        if contact.wait_for(again).await.is_ok() {
            return;
        }
    }
    std::future::pending().await
}

/// How long to wait after so many failures in a row: 100 ms doubling up to 5 s, spread so that workers which failed
/// together do not come back together.
pub(super) fn backoff(failures: u32) -> Duration {
    let most = Duration::from_millis(100 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(5));
    most.mul_f64(0.5 + chance() / 2.0)
}

/// A random number in `0.0..1.0`.
pub(super) fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_after_failures_grows_and_stays_bounded() {
        for _ in 0..100 {
            assert!(backoff(1) >= Duration::from_millis(50) && backoff(1) <= Duration::from_millis(100));
            assert!(backoff(1000) >= Duration::from_millis(2500) && backoff(1000) <= Duration::from_secs(5));
        }
    }
}
