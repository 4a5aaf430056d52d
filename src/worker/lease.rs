//! Says that this process is alive, and finds out what it may no longer do.
//!
//! One heartbeat renews the lease of everything that the process holds. It runs beside the work, on a connection of
//! its own, until the last ending is written down.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Ended, Shared,
    attempt::{Key, Stopped},
    settle::Ack,
    wire::{Wire, WireError},
};
use crate::{
    fault,
    metrics::BEATS_MISSED,
    queue::{self, Claimed, Ending, Held, Snapshot},
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

/// After how many beats all that we hold is looked for, although the reply to every claim came.
const ALL: u32 = 20;
/// For how long the server may still carry out a claim whose reply was given up.
const LATE: Duration = Duration::from_secs(120);

/// Whether we may hold runs that we do not know of.
#[derive(Debug, Default)]
pub(super) struct Doubt(Mutex<Option<Instant>>);

impl Doubt {
    /// The reply to a claim was lost.
    pub(super) fn raise(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + LATE);
    }

    fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

/// Beats until `over`.
pub(super) async fn keep(
    shared: Arc<Shared>,
    contact: watch::Sender<Option<Contact>>,
    acks: mpsc::WeakUnboundedSender<Vec<Ack>>,
    over: CancellationToken,
) {
    let mut wire = Wire::new(shared.beat_pool.clone());
    let mut known = false;
    // Whoever has just begun holds nothing.
    let mut all_at = Instant::now() + shared.options.beat * ALL;
    let mut missed = 0_u32;
    loop {
        let begun = Instant::now();
        let all = all_at <= begun || shared.doubt.is_open();
        let period = shared.period();
        wire = wire.patience(period.clamp(Duration::from_millis(500), Duration::from_secs(5)));
        // Collected before asking: what is claimed meanwhile cannot be missing from the answer.
        let asked: Vec<Key> = shared.active.all().iter().map(|attempt| attempt.key()).collect();
        let pause = match beat(&shared, &mut wire, known, (!all).then_some(&asked)).await {
            Ok((alive, held)) => {
                if all {
                    all_at = begun + shared.options.beat * ALL;
                }
                if known && !alive {
                    tracing::error!("this worker was declared dead while it lived; its runs stop here");
                    shared.active.stop_all(&Stopped::LeaseLost);
                    all_at = begun;
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
                compare(&shared, &asked, &held, &acks).await;
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

/// One heartbeat, and what the database says we hold: of what we know of, or in all.
async fn beat(
    shared: &Shared,
    wire: &mut Wire,
    known: bool,
    asked: Option<&Vec<Key>>,
) -> Result<(bool, Vec<Held>), WireError> {
    let me = &shared.me;
    let runs: Option<Vec<Uuid>> = asked.map(|keys| keys.iter().map(|key| key.0).collect());
    wire.with(async |connection| {
        fault::point("beat.asked").await?;
        if !known {
            queue::register(&mut *connection, me).await?;
            queue::equip(&mut *connection, me.id, &shared.has).await?;
        }
        // Two thirds of the shortest lease at most.
        let alive = queue::beat(&mut *connection, me.id, shared.period() * 2).await?;
        let held = match &runs {
            Some(runs) => queue::held(&mut *connection, me.id, runs).await?,
            None => queue::held_in_all(&mut *connection, me.id).await?,
        };
        fault::point("beat.heard").await?;
        Ok((alive, held))
    })
    .await
}

/// Acts on what the database says we hold: cancels, pauses, runs that were taken from us, and runs that we do not know of.
async fn compare(shared: &Shared, asked: &[Key], held: &[Held], acks: &mpsc::WeakUnboundedSender<Vec<Ack>>) {
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
    let strangers: Vec<&Held> =
        held.iter().filter(|held| shared.active.get(&(held.run, held.token)).is_none()).collect();
    if strangers.is_empty() {
        return;
    }
    // The reply to a claim may be on its way, or was lost. Once no claim is on its way, it was lost; and what was
    // settled meanwhile is recognised as such.
    let Ok(_claiming) = timeout(Duration::from_secs(1), shared.claiming.lock()).await else { return };
    for held in strangers.into_iter().filter(|held| shared.active.get(&(held.run, held.token)).is_none()) {
        if let Some(acks) = acks.upgrade() {
            let attempt = shared.active.enter(unseen(held), watch::Sender::new(None));
            let ended = Ended::plain(Ending::GivenBack { why: "the reply to its claim was lost".to_owned() });
            // The settler outlives every sender.
            let _ = acks.send(vec![Ack { attempt, ended }]);
        }
    }
}

/// A run of which we only know that we hold it; it is given back unseen.
fn unseen(held: &Held) -> Claimed {
    let now = chrono::Utc::now();
    Claimed {
        id: held.run,
        token: held.token,
        job: held.job.clone(),
        kind: held.kind.clone(),
        spec: Snapshot::new(serde_json::Value::Null),
        attempt: 1,
        most_attempts: 1,
        lease: Duration::from_secs(45),
        schedule: None,
        nominal_at: None,
        caught_up: false,
        parent: None,
        chain: held.run,
        requested_by: String::new(),
        started_at: now,
        waited: Duration::ZERO,
        late_by: Duration::ZERO,
        lane: crate::lanes::OPEN,
        previous_success_at: None,
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
