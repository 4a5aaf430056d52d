//! Decides from events who is told what, and delivers it.
//!
//! ```text
//! event row ─ decide ─▶ delivery row a channel ─ send ─▶ delivered
//!                                      ▲           │ later: back-off, or what Retry-After says
//!                                      └───────────┘ never: dead, and said in the log
//! ```
//!
//! Both halves work from rows, so any number of daemons share them, and what one began another ends. A message may
//! arrive twice (a lost reply), always under the same id.

mod channels;
mod decide;
mod deliver;
mod render;

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::outbox;

pub use channels::{Channel, Channels, Email, EmailError, LOG, Sent, Slack, Webhook};
pub use decide::{Because, Verdict, decide};
pub use render::render;

/// How alerts are told.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// The queue's database.
    pub pool: PgPool,
    /// Where people are told.
    pub channels: Channels,
    /// Who is told of facts that name nobody, as those about the files; the log where this is empty, too.
    pub default: Vec<String>,
    /// How often trouble that lasts is told again.
    pub remind: Duration,
    /// The pause after the first failed send; it doubles up to a quarter of an hour.
    pub first_pause: Duration,
}

/// How long to wait before looking again, at most.
const LOOK: Duration = Duration::from_secs(1);
/// Events decided in one transaction.
const BATCH: i64 = 50;

/// Decides and delivers until `stop`.
pub async fn run(alerts: Alerts, stop: CancellationToken) {
    let mut senders = tokio::task::JoinSet::new();
    for name in alerts.channels.names() {
        // One task a channel: one message in flight on each, and none waits for another channel.
        senders.spawn(deliver::keep(alerts.clone(), name, stop.clone()));
    }
    let mut listener = None;
    let mut quiet = false;
    while !stop.is_cancelled() {
        match alerts.decide().await {
            Ok(decided) => {
                quiet = false;
                if decided as i64 == BATCH {
                    continue;
                }
            }
            Err(error) if quiet => tracing::debug!(%error, "events still cannot be decided"),
            Err(error) => {
                quiet = true;
                tracing::warn!(%error, "events cannot be decided; trying again until the database answers");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake(&alerts.pool, &mut listener) => {}
        }
    }
    senders.join_all().await;
}

/// Waits for a notification, at most [`LOOK`].
async fn wake(pool: &PgPool, listener: &mut Option<PgListener>) {
    if listener.is_none()
        && let Ok(Ok(mut fresh)) = timeout(Duration::from_secs(5), PgListener::connect_with(pool)).await
        && fresh.listen(outbox::CHANNEL).await.is_ok()
    {
        *listener = Some(fresh);
    }
    match listener {
        None => sleep(LOOK).await,
        Some(fresh) => {
            if let Ok(Err(_)) = timeout(LOOK, fresh.recv()).await {
                *listener = None;
                sleep(LOOK).await;
            }
        }
    }
}

/// Decides and delivers what is there now, until nothing is left or `deadline`: before a process ends.
///
/// Gives how many messages are left; daemons deliver them later.
///
/// # Errors
/// The database's.
pub async fn flush(alerts: &Alerts, deadline: Instant) -> Result<i64, sqlx::Error> {
    let names = alerts.channels.names();
    loop {
        while alerts.decide().await? > 0 {}
        let sends = names.iter().map(|name| deliver::tick(alerts, name));
        // A receiver that hangs is left to its lease and to the next process.
        if let Ok(sent) = tokio::time::timeout_at(deadline, futures::future::try_join_all(sends)).await {
            sent?;
        }
        let left = outbox::pending(&alerts.pool, &names).await?;
        if left.pending == 0 && left.undecided == 0 {
            return Ok(0);
        }
        let pause = Duration::try_from_secs_f64(left.due_in.unwrap_or(0.0)).unwrap_or_default();
        let pause = pause.clamp(Duration::from_millis(50), LOOK);
        if Instant::now() + pause >= deadline {
            return Ok(left.pending + left.undecided);
        }
        sleep(pause).await;
    }
}

impl Alerts {
    /// Decides up to [`BATCH`] events; gives how many.
    ///
    /// # Errors
    /// The database's; nothing is decided then.
    pub async fn decide(&self) -> Result<usize, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let events = outbox::undecided(&mut tx, BATCH).await?;
        let remind = TimeDelta::from_std(self.remind).unwrap_or(TimeDelta::MAX);
        for event in &events {
            let verdict = match decide(event, Utc::now(), remind) {
                Verdict::Quiet(why) => format!("quiet: {why}"),
                Verdict::Tell(because) => {
                    for channel in self.told(&event.channels) {
                        let message = render(event, because, Uuid::now_v7());
                        outbox::tell(&mut tx, event.id, &channel, &message).await?;
                    }
                    format!("told: {}", because.word())
                }
            };
            outbox::decided(&mut tx, event.id, &verdict).await?;
        }
        tx.commit().await?;
        Ok(events.len())
    }

    /// Who is told: those that the fact names, else the default, else the log.
    fn told(&self, named: &[String]) -> Vec<String> {
        let told = if named.is_empty() { &self.default } else { named };
        if told.is_empty() { vec![LOG.to_owned()] } else { told.to_vec() }
    }
}
