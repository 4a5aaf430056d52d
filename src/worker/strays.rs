//! Finds the runs that the database says we hold and that we do not know of.
//!
//! Only a claim whose reply was lost leaves any. To find them reads all that is live, so it is done seldom, and on a
//! connection of its own: the heartbeat never waits for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Ended, Shared,
    settle::Ack,
    wire::{LIMIT, Wire},
};
use crate::queue::{self, Claimed, Ending, Held, Snapshot};

/// After how many heartbeats they are looked for, although the reply to every claim came.
const ALL: u32 = 20;
/// The share of the time that the looks may take, as a divisor, as long as no more than [`REST`] lies between two. While
/// somebody pins an old snapshot, they pass all that was live since then.
const SHARE: u32 = 20;
const REST: Duration = Duration::from_secs(60);
/// For how long the server may still carry out a claim whose reply was given up.
const LATE: Duration = Duration::from_secs(120);

/// Until when runs may become ours without our knowing.
#[derive(Debug, Default)]
pub(super) struct Doubt(Mutex<Option<Instant>>);

impl Doubt {
    /// The reply to a claim was lost, or this worker was declared dead.
    pub(super) fn raise(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + LATE);
    }

    /// Whether there may be some that a look at that time did not find.
    fn is_open_since(&self, looked: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| looked < until)
    }
}

/// Looks for them until `over`.
pub(super) async fn keep(shared: Arc<Shared>, acks: mpsc::WeakUnboundedSender<Vec<Ack>>, over: CancellationToken) {
    // Whoever has just begun holds nothing.
    let mut looked = Instant::now();
    let mut rest = Duration::ZERO;
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(shared.options.beat.max(rest)) => {}
        }
        if !shared.doubt.is_open_since(looked) && looked.elapsed() < shared.options.beat * ALL {
            continue;
        }
        let begun = Instant::now();
        // Of its own for each look: there are minutes between them.
        let mut wire = Wire::new(shared.pool.clone()).beside(shared.contact.clone()).patience(LIMIT);
        match wire.with(async |connection| queue::held_in_all(connection, shared.me.id).await).await {
            Ok(held) => {
                looked = begun;
                rest = (begun.elapsed() * SHARE).min(REST);
                give_back(&shared, &held, &acks).await;
            }
            // The heartbeat and the dispatcher say so already.
            Err(error) => tracing::debug!(%error, "cannot look for runs whose claim was not heard of"),
        }
    }
}

async fn give_back(shared: &Shared, held: &[Held], acks: &mpsc::WeakUnboundedSender<Vec<Ack>>) {
    let unknown = |held: &&Held| shared.active.get(&(held.run, held.token)).is_none();
    if !held.iter().any(|held| unknown(&held)) {
        return;
    }
    // The reply to a claim may be on its way. Once no claim is on its way, it was lost; and what was settled meanwhile is
    // recognised as such.
    let Ok(_claiming) = timeout(Duration::from_secs(1), shared.claiming.lock()).await else { return };
    for held in held.iter().filter(unknown) {
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
        spec: Snapshot::unread(),
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
