//! What this process works on, and how an attempt is told to stop.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::log::Book;
use crate::{kinds::Progress, metrics::RUNNING, queue::Claimed, span::Span};

/// One claimed run, from the claim until its ending is written down.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) claimed: Claimed,
    pub(super) stop: Stop,
    pub(super) progress: watch::Sender<Option<Progress>>,
    pub(super) begun: Instant,
    /// What it logs, once it may.
    pub(super) log: OnceLock<Arc<Book>>,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
}

/// Which attempt: the run and the token.
pub(super) type Key = (Uuid, i64);

impl Attempt {
    fn new(
        claimed: Claimed,
        progress: watch::Sender<Option<Progress>>,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Arc<Self> {
        Arc::new(Self {
            claimed,
            stop: Stop::default(),
            progress,
            begun: Instant::now(),
            log: OnceLock::new(),
            slot: Mutex::new(slot),
        })
    }

    pub(super) fn key(&self) -> Key {
        (self.claimed.id, self.claimed.token)
    }
}

/// Why an attempt was told to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stopped {
    /// A person asked, or a newer run takes its place; without time to stop in peace, or with.
    Cancelled { by: String, at_once: bool },
    /// A person asked for a pause: it goes on later where it is.
    Paused { by: String, why: String },
    /// It took longer than its job allows.
    TimedOut(Span),
    /// The worker ends.
    Shutdown,
    /// The lease could not be renewed, or the run was taken.
    LeaseLost,
}

/// Tells one attempt to stop; the first reason counts.
#[derive(Debug, Default)]
pub(super) struct Stop {
    pub(super) token: CancellationToken,
    why: OnceLock<Stopped>,
}

impl Stop {
    pub(super) fn because(&self, why: Stopped) {
        if self.why.set(why).is_ok() {
            self.token.cancel();
        }
    }

    pub(super) fn why(&self) -> Option<&Stopped> {
        self.why.get()
    }
}

/// Every attempt of this process.
#[derive(Debug, Default)]
pub(super) struct Active {
    attempts: Mutex<HashMap<Key, Arc<Attempt>>>,
    count: watch::Sender<usize>,
}

impl Active {
    /// One without a slot.
    pub(super) fn enter(&self, claimed: Claimed, progress: watch::Sender<Option<Progress>>) -> Arc<Attempt> {
        let attempt = Attempt::new(claimed, progress, None);
        let mut attempts = self.lock();
        attempts.insert(attempt.key(), attempt.clone());
        self.tell(&attempts);
        attempt
    }

    /// What was claimed together, each with a slot of `slots`; those that are left over are free again.
    pub(super) fn enter_all(&self, claimed: Vec<Claimed>, mut slots: OwnedSemaphorePermit) -> Vec<Arc<Attempt>> {
        let attempts: Vec<_> =
            claimed.into_iter().map(|run| Attempt::new(run, watch::Sender::new(None), slots.split(1))).collect();
        let mut active = self.lock();
        active.extend(attempts.iter().map(|attempt| (attempt.key(), attempt.clone())));
        self.tell(&active);
        attempts
    }

    /// Their endings are written down: the slots are free, all at once, so that the next claim is for as many.
    pub(super) fn leave_all(&self, keys: impl IntoIterator<Item = Key>) {
        let mut attempts = self.lock();
        let gone: Vec<_> = keys.into_iter().filter_map(|key| attempts.remove(&key)).collect();
        self.tell(&attempts);
        drop(attempts);
        let slots =
            gone.iter().filter_map(|attempt| attempt.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(slots.reduce(|mut all, slot| {
            all.merge(slot);
            all
        }));
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Attempt>> {
        self.lock().get(key).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Attempt>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The shortest lease that is held, which bounds the time between two heartbeats.
    pub(super) fn shortest_lease(&self) -> Option<Duration> {
        self.lock().values().map(|attempt| attempt.claimed.lease).min()
    }

    pub(super) fn stop_all(&self, why: &Stopped) {
        for attempt in self.all() {
            attempt.stop.because(why.clone());
        }
    }

    /// Waits until there is none.
    pub(super) async fn idle(&self) {
        // The sender lives as long as self does, so this cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn tell(&self, attempts: &HashMap<Key, Arc<Attempt>>) {
        self.count.send_replace(attempts.len());
        metrics::gauge!(RUNNING).set(attempts.len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Attempt>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
