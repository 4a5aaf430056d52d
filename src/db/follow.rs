//! Keeps pools where their database is: after a failover to another host, and after a password was rotated.
//!
//! sqlx connects to one host with one password. So this loop looks when somebody doubts, and tells the pools.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use super::{ACQUIRE, Login, doubt};

/// How often the files of a login are read again without a doubt.
const LOOK: Duration = Duration::from_secs(5);
/// The least time between two looks at the server.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows one login for these pools, as long as it is polled. Says once when the database is away, and once when it
/// is back.
pub async fn follow(login: Login, pools: Vec<PgPool>) {
    let mut doubts = doubt::doubts();
    // The pools may have been made before the login was first used.
    let mut known = Known { version: u64::MAX, since: login.since() };
    known.tell(&login, &pools);
    if !login.is_chosen() {
        back(&login, &pools, &mut known).await;
    }
    loop {
        let doubted = tokio::select! {
            changed = doubts.changed() => changed.is_ok(),
            () = sleep(LOOK) => false,
        };
        login.reread();
        known.tell(&login, &pools);
        if doubted {
            back(&login, &pools, &mut known).await;
            sleep(PAUSE).await;
        }
    }
}

/// What the pools know.
struct Known {
    version: u64,
    since: tokio::time::Instant,
}

impl Known {
    fn tell(&mut self, login: &Login, pools: &[PgPool]) {
        let version = login.version();
        if version != self.version {
            self.version = version;
            for pool in pools {
                pool.set_connect_options(login.options());
            }
        }
        if login.since() != self.since {
            self.since = login.since();
            doubt::moved();
        }
    }
}

/// Waits until the database can be used.
async fn back(login: &Login, pools: &[PgPool], known: &mut Known) {
    let mut failures = 0_u32;
    loop {
        let looked = look(login).await;
        known.tell(login, pools);
        let error = match looked {
            Ok(()) => break,
            Err(error) => error,
        };
        if failures == 0 {
            tracing::warn!("the database {login} cannot be used, waiting for it: {error}");
        }
        failures = failures.saturating_add(1);
        sleep(pause(failures, rand())).await;
    }
    if failures > 0 {
        tracing::info!("the database {login} can be used again");
    }
}

/// Whether the database can be used; finds it on another host.
async fn look(login: &Login) -> Result<(), sqlx::Error> {
    let looking = async { if login.has_several_hosts() { login.choose().await } else { super::probe(login).await } };
    timeout(ACQUIRE, looking).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// How long to wait after so many failures in a row: 100 ms doubling up to 2 s, of which `chance` in `0.0..1.0` takes
/// up to half, so that daemons which lost one server do not come back together.
fn pause(failures: u32, chance: f64) -> Duration {
    let most = Duration::from_millis(100 << failures.saturating_sub(1).min(5)).min(Duration::from_secs(2));
    most.mul_f64(1.0 - chance / 2.0)
}

fn rand() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_spread() {
        assert_eq!(pause(1, 0.0), Duration::from_millis(100));
        assert_eq!(pause(1, 1.0), Duration::from_millis(50));
        assert_eq!(pause(1000, 0.0), Duration::from_secs(2));
    }
}
