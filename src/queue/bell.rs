//! Notifications, few enough: the first at once, then one per [`PAUSE`] at most, and one after the last.
//!
//! What asked for one while another was on its way is told by the next: nothing is lost in a process that lives on.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::CHANNEL;
use crate::db;

/// The least time between two of a kind.
const PAUSE: Duration = Duration::from_millis(5);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells every worker that there may be something to claim. A hint: workers also look by themselves, so a failure
/// only costs seconds and is logged at debug.
///
/// Comes back once it is sent, or at once where it is sent with the next one.
pub async fn nudge(pool: &PgPool) {
    tell(pool, "ready").await;
}

/// Sends one notification; what is lost here is found by looking.
pub(super) async fn tell(pool: &PgPool, what: &'static str) {
    if !db::notifies() {
        return;
    }
    static BELLS: LazyLock<Bells> = LazyLock::new(|| Bells::new(PAUSE));
    // A process has one queue, but tests have many.
    let options = pool.connect_options();
    let name = format!(
        "{} {} {:?} {:?} {what}",
        options.get_host(),
        options.get_port(),
        options.get_socket(),
        options.get_database()
    );
    let pool = pool.clone();
    BELLS.ring(name, move || send(pool.clone(), what)).await;
}

async fn send(pool: PgPool, what: &'static str) {
    let notify = sqlx::query(include_str!("../../sql/queue/nudge.sql")).bind(what).execute(&pool);
    let error = match timeout(PATIENCE, notify).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    tracing::debug!(error, channel = CHANNEL, "could not notify the workers; they will see it when they look");
}

/// The bells that ring, or rang a moment ago, and whether each is to ring again.
#[derive(Debug, Clone)]
struct Bells {
    ringing: Arc<Mutex<HashMap<String, bool>>>,
    pause: Duration,
}

impl Bells {
    fn new(pause: Duration) -> Self {
        Self { ringing: Arc::default(), pause }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.ringing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings by `send`, now or with the next ring.
    async fn ring<F: Future<Output = ()> + Send + 'static>(&self, name: String, send: impl Fn() -> F + Send + 'static) {
        if let Some(again) = self.lock().get_mut(&name) {
            *again = true;
            return;
        }
        self.lock().insert(name.clone(), false);
        let (first, rung) = oneshot::channel();
        // A task of its own: whoever asks may be dropped, the others rely on it.
        let mut ringing = Ringing { bells: self.clone(), name, silent: false };
        tokio::spawn(async move {
            let mut first = Some(first);
            loop {
                let next = Instant::now() + ringing.bells.pause;
                send().await;
                if let Some(first) = first.take() {
                    let _ = first.send(());
                }
                sleep_until(next).await;
                if !ringing.again() {
                    break;
                }
            }
        });
        let _ = rung.await;
    }
}

/// A bell that rings; silent when dropped, also with its runtime.
struct Ringing {
    bells: Bells,
    name: String,
    silent: bool,
}

impl Ringing {
    /// Whether somebody asked meanwhile; else it is silent from now on.
    fn again(&mut self) -> bool {
        let mut bells = self.bells.lock();
        let asked = bells.get_mut(&self.name).is_some_and(std::mem::take);
        if !asked {
            bells.remove(&self.name);
        }
        drop(bells);
        self.silent = !asked;
        asked
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        // A bell that fell silent by itself may ring for somebody else by now.
        if !self.silent {
            self.bells.lock().remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counting(sent: &Arc<AtomicUsize>) -> impl Fn() -> std::future::Ready<()> + Send + 'static + Clone {
        let sent = sent.clone();
        move || {
            sent.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        }
    }

    #[tokio::test]
    async fn the_first_is_sent_at_once_and_the_rest_with_one_more() {
        let (bells, sent) = (Bells::new(Duration::from_millis(400)), Arc::new(AtomicUsize::new(0)));
        bells.ring("a".into(), counting(&sent)).await;
        assert_eq!(sent.load(Ordering::Relaxed), 1, "at once");
        for _ in 0..100 {
            bells.ring("a".into(), counting(&sent)).await;
        }
        assert_eq!(sent.load(Ordering::Relaxed), 1, "the others wait");
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(sent.load(Ordering::Relaxed), 2, "one for all of them");
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert!(bells.lock().is_empty(), "nothing is kept of a silent bell");
        bells.ring("a".into(), counting(&sent)).await;
        assert_eq!(sent.load(Ordering::Relaxed), 3, "at once again");
    }

    #[tokio::test]
    async fn whoever_asks_while_one_is_sent_gets_one_that_is_sent_afterwards() {
        let (bells, sent) = (Bells::new(Duration::from_millis(400)), Arc::new(AtomicUsize::new(0)));
        let slow = {
            let sent = sent.clone();
            move || {
                let sent = sent.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        // Dropped half-way, as by a caller's time-out: it is sent all the same.
        assert!(timeout(Duration::from_millis(100), bells.ring("a".into(), slow.clone())).await.is_err());
        bells.ring("a".into(), slow).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(sent.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_bell_does_not_stay_silent_when_its_runtime_ends() {
        let (bells, sent) = (Bells::new(Duration::from_millis(400)), Arc::new(AtomicUsize::new(0)));
        for round in 1..=2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(bells.ring("a".into(), counting(&sent)));
            assert_eq!(sent.load(Ordering::Relaxed), round);
        }
    }
}
