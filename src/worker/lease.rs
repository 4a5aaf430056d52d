//! Says that this process is alive, and finds out what it may no longer do.
//!
//! One heartbeat renews the lease of everything that the process holds. It runs beside the work, on a connection of
//! its own, until the last ending is written down.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Shared,
    attempt::{Key, Stopped},
    wire::{Wire, WireError},
};
use crate::{
    fault,
    metrics::BEATS_MISSED,
    queue::{self, Held},
};

/// When the database last heard of us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contact {
    /// When the newest heartbeat that arrived was sent: leases count from there at the latest.
    pub(super) renewed: Instant,
    /// Since when every heartbeat has arrived.
    pub(super) since: Instant,
}

/// How long before the end of a lease an attempt that could not renew it must be stopping.
pub(super) fn margin(lease: Duration) -> Duration {
    (lease / 4).min(Duration::from_secs(10))
}

impl Shared {
    /// Whether the newest heartbeats arrived: else nothing new is begun, since nobody may be looking for what we hold.
    pub(super) fn in_touch(&self) -> bool {
        self.contact.borrow().is_some_and(|contact| contact.renewed.elapsed() < self.period() * 2)
    }

    /// The time between two heartbeats: three must fit the shortest lease that is held.
    fn period(&self) -> Duration {
        let lease = self.active.shortest_lease().unwrap_or(Duration::MAX);
        (lease / 3).min(self.options.beat).max(Duration::from_millis(50))
    }
}

/// Beats until `over`.
pub(super) async fn keep(shared: Arc<Shared>, contact: watch::Sender<Option<Contact>>, over: CancellationToken) {
    let mut wire = Wire::new(shared.beat_pool.clone());
    let mut known = false;
    let mut missed = 0_u32;
    loop {
        let begun = Instant::now();
        let period = shared.period();
        wire = wire.patience(period.clamp(Duration::from_millis(500), Duration::from_secs(5)));
        // Collected before asking: what is claimed meanwhile cannot be missing from the answer.
        let asked: Vec<Key> = shared.active.all().iter().map(|attempt| attempt.key()).collect();
        let pause = match beat(&shared, &mut wire, known, &asked).await {
            Ok((alive, held)) => {
                if known && !alive {
                    tracing::error!("this worker was declared dead while it lived; its runs stop here");
                    shared.active.stop_all(&Stopped::LeaseLost);
                    shared.doubt.raise();
                }
                known = alive;
                contact.send_modify(|contact| {
                    let since = contact.filter(|_| missed == 0).map_or(begun, |contact| contact.since);
                    *contact = Some(Contact { renewed: begun, since });
                });
                if missed > 0 {
                    tracing::info!(missed, "the heartbeat arrives again");
                    shared.wake.notify_one();
                }
                missed = 0;
                compare(&shared, &asked, &held);
                if alive { period } else { Duration::ZERO }
            }
            Err(error) => {
                missed += 1;
                metrics::counter!(BEATS_MISSED).increment(1);
                if missed == 1 {
                    tracing::warn!(%error, "the heartbeat did not reach the database; runs stop before their leases end");
                }
                (period / 3).min(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = over.cancelled() => return,
            () = shared.poke.notified() => {}
            () = sleep(pause.saturating_sub(begun.elapsed().min(pause))) => {}
        }
    }
}

/// One heartbeat, and which of these runs the database says we hold.
async fn beat(shared: &Shared, wire: &mut Wire, known: bool, asked: &[Key]) -> Result<(bool, Vec<Held>), WireError> {
    let me = &shared.me;
    let runs: Vec<Uuid> = asked.iter().map(|key| key.0).collect();
    wire.with(async |connection| {
        fault::point("beat.asked").await?;
        if !known {
            queue::register(&mut *connection, me).await?;
            queue::equip(&mut *connection, me.id, &shared.has).await?;
        }
        // Two thirds of the shortest lease at most.
        let alive = queue::beat(&mut *connection, me.id, shared.period() * 2).await?;
        let held = queue::held(&mut *connection, me.id, &runs).await?;
        fault::point("beat.heard").await?;
        Ok((alive, held))
    })
    .await
}

/// Acts on what the database says we hold: cancels, pauses, and runs that were taken from us.
fn compare(shared: &Shared, asked: &[Key], held: &[Held]) {
    let ours: HashSet<Key> = held.iter().map(|held| (held.run, held.token)).collect();
    for attempt in asked.iter().filter(|key| !ours.contains(key)).filter_map(|key| shared.active.get(key)) {
        attempt.stop.because(Stopped::LeaseLost);
    }
    for held in held {
        let Some(attempt) = shared.active.get(&(held.run, held.token)) else { continue };
        if let Some(by) = &held.cancel_by {
            attempt.stop.because(Stopped::Cancelled { by: by.clone(), at_once: held.cancel_at_once });
        }
        // What cannot go on where it was is let finish; the pause holds for its next attempt.
        if let Some(by) = held.pause_by.as_ref().filter(|_| (shared.kinds)(&held.kind).is_some_and(|kind| kind.resumes))
        {
            let why = held.pause_why.clone().unwrap_or_default();
            attempt.stop.because(Stopped::Paused { by: by.clone(), why });
        }
    }
}

/// Waits until a run's lease is so near its end that the attempt must stop.
pub(super) async fn near_its_end(mut contact: watch::Receiver<Option<Contact>>, begun: Instant, lease: Duration) {
    loop {
        let renewed = contact.borrow_and_update().map_or(begun, |contact| contact.renewed);
        let deadline = renewed + (lease - margin(lease));
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return,
            changed = contact.changed() => if changed.is_err() {
                tokio::time::sleep_until(deadline).await;
                return;
            },
        }
    }
}
