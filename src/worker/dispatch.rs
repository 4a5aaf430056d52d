//! When to claim, and how much: never more than there are free slots.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use sqlx::PgConnection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    attempt::Attempt,
    backend::Hand,
    listen::Listening,
    wire::{LIMIT, Wire, WireError, backoff},
};
use crate::{
    fault, memory,
    metrics::START_DELAY,
    queue::{Claimed, Claims, Found, LaneLook, Promoted, advance, claim_lanes, lanes_ready, look_before, promote},
};

/// How many runs one claim takes at most.
const MOST: usize = 1000;
/// How many a worker takes that does nothing: few, so that it begins sooner.
const FIRST: usize = 250;
/// How many runs one task of the worker begins at most: few enough that all cores get some.
const HAND: usize = 50;
/// How often to look while notifications do not reach us.
const POLL_UNHEARD: Duration = Duration::from_secs(1);
/// How long there is nothing to do until memory is given back.
const TIDY: Duration = Duration::from_secs(8);

/// Claims and hands over until `stop`; dropping the inbox then ends the worker once all is done.
pub(super) async fn keep(
    shared: Arc<Shared>,
    free: Arc<Semaphore>,
    inbox: mpsc::Sender<Hand>,
    listening: Listening,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(shared.pool.clone()).beside(shared.contact.clone());
    let mut claims = Claims::new(shared.me.id);
    let mut beside = JoinSet::new();
    let mut promote_at = Instant::now();
    let mut lanes_at = Instant::now();
    let mut what = For::All;
    let mut failures = 0;
    let mut rest = Rest::default();
    loop {
        let Some(slots) = slots(&free, shared.active.len() == 0, &stop).await else { return };
        if !shared.in_touch() {
            // Whatever we claimed now would count as lost soon: first be heard.
            drop(slots);
            let mut contact = shared.contact.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = contact.changed() => {}
                () = sleep(POLL_UNHEARD) => {}
            }
            continue;
        }
        if let Some(found) = beside.try_join_next() {
            claims.looked(found.ok().flatten());
        }
        if let Some(place) = claims.look_beside() {
            beside.spawn(look_beside(shared.clone(), place));
        }
        // A claim that is on its way is never abandoned: its reply says what we hold.
        let claiming = shared.claiming.lock().await;
        let asks = shared.asks.load(Ordering::Relaxed);
        let claimed = match look(
            &shared,
            &mut wire,
            &mut claims,
            (slots.num_permits(), what, &rest),
            &mut promote_at,
            &mut lanes_at,
        )
        .await
        {
            Ok(claimed) => claimed,
            Err(error) => {
                shared.doubt.raise();
                drop(claiming);
                drop(slots);
                failures += 1;
                if failures == 1 {
                    tracing::warn!(%error, "cannot claim runs; trying again until the database answers");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(backoff(failures)) => continue,
                }
            }
        };
        if failures > 0 {
            tracing::info!(failures, "claiming runs again");
            failures = 0;
        }
        let drained = claimed.len() < slots.num_permits();
        let busy = !claimed.is_empty() || shared.active.len() > 0;
        let attempts = enter(&shared, claimed, slots);
        drop(claiming);
        if shared.asks.load(Ordering::Relaxed) != asks {
            // It may have been asked of these.
            shared.poke.notify_one();
        }
        rest.note(busy);
        for hand in attempts.chunks(HAND) {
            if inbox.send(hand.into()).await.is_err() {
                tracing::error!("the apalis worker is gone; its runs are taken over when their leases are over");
                return;
            }
        }
        if what == For::Ready {
            (promote_at, lanes_at) = (Instant::now(), Instant::now());
            what = if drained { For::Due } else { For::All };
            continue;
        }
        what = For::All;
        if drained {
            let poll = if listening.is_on() { shared.options.poll } else { shared.options.poll.min(POLL_UNHEARD) };
            let next = promote_at.min(lanes_at).min(Instant::now() + poll);
            let next = claims.owes_at().map_or(next, |owes| next.min(owes.into()));
            tokio::select! {
                () = stop.cancelled() => return,
                // Most often a run was enqueued that is ready. Only then is looked for one that may be due before the next
                // that we knew of.
                () = shared.wake.notified() => {
                    what = if promote_at <= Instant::now() { For::All } else { For::Ready };
                    claims.begin_anew();
                }
                Some(found) = beside.join_next() => claims.looked(found.ok().flatten()),
                () = sleep_until(next) => {}
            }
        } else if shared.wake.notified().now_or_never().is_some() {
            // As long as there is more to claim we do not wait, but what waits at a gate is not forgotten.
            lanes_at = Instant::now();
            claims.begin_anew();
        }
    }
}

/// Looks for what is ready before the place where the claims are, while they go on: it may take longer than they can wait.
async fn look_beside(shared: Arc<Shared>, place: DateTime<Utc>) -> Option<Vec<Found>> {
    let mut wire = Wire::new(shared.pool.clone()).beside(shared.contact.clone()).patience(LIMIT);
    let found = wire.with(async |connection| look_before(connection, place).await).await;
    found.inspect_err(|error| tracing::debug!(%error, "cannot look for what is ready before what was claimed")).ok()
}

/// Waits for a free slot, then takes as many as there are.
async fn slots(free: &Arc<Semaphore>, idle: bool, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    let mut slots = tokio::select! {
        biased;
        () = stop.cancelled() => return None,
        slot = free.clone().acquire_owned() => slot.ok()?,
    };
    let most = if idle { FIRST } else { MOST };
    // Nobody else takes any.
    let more = free.available_permits().min(most - 1);
    if let Ok(more) = free.clone().try_acquire_many_owned(more as u32) {
        slots.merge(more);
    }
    Some(slots)
}

/// What one looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// What becomes due, what waits at gates if it is time for that, and what is ready.
    All,
    /// What is ready: quick, for a run that was just enqueued.
    Ready,
    /// What becomes due and what waits at gates. What is ready was looked for a moment ago.
    Due,
}

/// Since when there has been nothing to do.
#[derive(Default)]
struct Rest {
    since: Option<Instant>,
    tidied: bool,
}

impl Rest {
    /// Notes whether there is anything to do now. After a while without, memory that only work needed is given back.
    fn note(&mut self, busy: bool) {
        if busy {
            *self = Self::default();
            return;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if !self.tidied && since.elapsed() > TIDY {
            self.tidied = true;
            memory::tidy();
        }
    }

    /// Whether the last look found nothing, and nothing runs.
    fn is_idle(&self) -> bool {
        self.since.is_some()
    }
}

/// What a look at the gates gave.
struct Looked {
    runs: usize,
    again_in: Option<Duration>,
}

/// Claims behind gates, if it is time to look and anything is ready there.
async fn claim_behind_gates(
    shared: &Shared,
    connection: &mut PgConnection,
    claims: &mut Claims,
    promoted: Option<Promoted>,
    slots: usize,
) -> Result<LaneLook, sqlx::Error> {
    let ready = match promoted {
        // What advanced since then is told like what is enqueued.
        Some(promoted) => promoted.gated || promoted.behind,
        None => lanes_ready(&mut *connection).await?,
    };
    if ready { claim_lanes(connection, claims, &shared.has, slots).await } else { Ok(LaneLook::default()) }
}

/// Promotes what is due, if anything may be, and claims.
async fn look(
    shared: &Shared,
    wire: &mut Wire,
    claims: &mut Claims,
    (slots, what, rest): (usize, For, &Rest),
    promote_at: &mut Instant,
    lanes_at: &mut Instant,
) -> Result<Vec<Claimed>, WireError> {
    let now = Instant::now();
    let promoting = what != For::Ready && *promote_at <= now;
    let looking = what != For::Ready && *lanes_at <= now;
    // To ask whether there is anything at all is to look from the beginning.
    let idle = what == For::All && rest.is_idle() && !claims.is_slow();
    let (promoted, look, claimed) = wire
        .with(async |connection| {
            let promoted = if promoting { Some(promote(&mut *connection, idle).await?) } else { None };
            if promoted.is_some_and(|promoted| promoted.behind) {
                advance(connection).await?;
            }
            fault::point("claim.asked").await?;
            let mut look = None;
            let mut claimed = Vec::new();
            // What has just become due is not left until the next look.
            if looking || promoted.is_some_and(|promoted| promoted.gated && promoted.ready > 0) {
                let found = claim_behind_gates(shared, connection, claims, promoted, slots).await?;
                look = Some(Looked { runs: found.runs.len(), again_in: found.again_in });
                claimed = found.runs;
            }
            let some = match what {
                For::Due => promoted.is_none_or(|promoted| promoted.ready > 0 || promoted.behind),
                For::All | For::Ready => promoted.is_none_or(|promoted| promoted.open || promoted.behind),
            };
            if some && claimed.len() < slots {
                claimed.extend(claims.take(&mut *connection, slots - claimed.len()).await?);
            }
            if !claimed.is_empty() {
                fault::point("claim.committed").await?;
            }
            Ok((promoted, look, claimed))
        })
        .await?;
    if let Some(look) = look {
        // A full hand leaves others at the gates.
        let full = look.runs > 0 && claimed.len() >= slots;
        let pause = look.again_in.map_or(shared.options.poll, |pause| pause.min(shared.options.poll));
        *lanes_at = if full { now } else { now + pause };
    }
    if let Some(promoted) = promoted {
        shared.behind.store(promoted.behind, Ordering::Relaxed);
        *promote_at = now + promoted.next_in.map_or(shared.options.poll, |next| next.min(shared.options.poll));
    }
    Ok(claimed)
}

fn enter(shared: &Shared, claimed: Vec<Claimed>, slots: OwnedSemaphorePermit) -> Vec<Arc<Attempt>> {
    let delay = metrics::histogram!(START_DELAY);
    for run in &claimed {
        delay.record(run.waited.as_secs_f64());
    }
    if claimed.iter().any(|run| run.lease < shared.options.beat * 3) {
        shared.poke.notify_one();
    }
    shared.active.enter_all(claimed, slots)
}
