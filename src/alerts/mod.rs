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
mod mute;
mod render;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{db::Ear, fault, metrics, outbox};

pub use channels::{Channel, Channels, Email, EmailError, LOG, Sent, Slack, Webhook};
pub use decide::{Because, Verdict, decide};
pub use mute::{Held, Mutes};
pub use render::render;

/// How alerts are told.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// The queue's database.
    pub pool: PgPool,
    /// Hears of events; while it does not, they are looked for every second.
    pub ear: Ear,
    /// Where people are told.
    pub channels: Channels,
    /// Who is told of facts that name nobody, as those about the files; the log where this is empty, too.
    pub default: Vec<String>,
    /// How often trouble that lasts is told again.
    pub remind: Duration,
    /// The pause after the first failed send; it doubles up to a quarter of an hour.
    pub first_pause: Duration,
    /// Which alerts wait for the end of a window.
    pub mutes: Mutes,
}

/// How often to look while notifications do not reach us, and how soon again after something went wrong.
const LOOK: Duration = Duration::from_secs(1);
/// How often to look while they do.
const LOOK_HEARD: Duration = Duration::from_secs(15);
/// Events decided in one transaction.
const BATCH: i64 = 50;
/// How long a message waits for a daemon that has its channel.
const ORPHANED: Duration = Duration::from_secs(3_600);

/// When a channel has something to send, as the last look found it.
type Due = watch::Sender<Option<Instant>>;

/// Decides and delivers until `stop`.
///
/// One look serves all: it decides, and tells each channel's sender when its next message is due.
pub async fn run(alerts: Alerts, stop: CancellationToken) {
    let mut senders = tokio::task::JoinSet::new();
    let again = Arc::new(Notify::new());
    let mut dues = BTreeMap::new();
    for name in alerts.channels.names() {
        let (due, known) = watch::channel(None);
        // One task a channel: one message in flight on each, and none waits for another channel.
        senders.spawn(deliver::keep(alerts.clone(), name.clone(), known, again.clone(), stop.clone()));
        dues.insert(name, due);
    }
    senders.spawn(keep_clean(alerts.clone(), stop.clone()));
    let mut ear = alerts.ear.clone();
    let mut quiet = false;
    while !stop.is_cancelled() {
        let done = match alerts.look(&dues).await {
            Ok(done) => {
                quiet = false;
                done
            }
            Err(error) => {
                if quiet {
                    tracing::debug!(%error, "events still cannot be decided");
                } else {
                    tracing::warn!(%error, "events cannot be decided; trying again until the database answers");
                }
                quiet = true;
                false
            }
        };
        let pause = if done && ear.is_on() { LOOK_HEARD } else { LOOK };
        tokio::select! {
            () = stop.cancelled() => {}
            () = ear.heard() => {}
            () = again.notified() => {}
            () = sleep(pause) => {}
        }
    }
    senders.join_all().await;
}

/// Looks for messages that no daemon can send, now and then.
async fn keep_clean(alerts: Alerts, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = alerts.give_up_orphans().await {
            tracing::debug!(%error, "messages without a channel cannot be looked for; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(Duration::from_secs(60)) => {}
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
        let sends = names.iter().map(|name| deliver::drain(alerts, name, deadline));
        // A send that is cut off here is repeated by whoever comes next, under the same id.
        if let Ok(sent) = timeout_at(deadline, futures::future::try_join_all(sends)).await {
            sent?;
        }
        // A channel that failed just now made an event of its own.
        let left = outbox::pending(&alerts.pool, &names).await?;
        if left.undecided == 0 || Instant::now() >= deadline {
            return Ok(left.pending + left.undecided);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Alerts {
    /// Decides what waits for it, and tells the senders when they have something to send. False while somebody else is
    /// deciding.
    async fn look(&self, dues: &BTreeMap<String, Due>) -> Result<bool, sqlx::Error> {
        let channels: Vec<&str> = dues.keys().map(String::as_str).collect();
        loop {
            let waiting = outbox::waiting(&self.pool, &channels).await?;
            for (channel, due) in dues {
                due.send_replace(waiting.due_in.get(channel).map(|due_in| Instant::now() + *due_in));
            }
            if !waiting.undecided {
                return Ok(true);
            }
            if self.decide().await? == 0 {
                return Ok(false);
            }
        }
    }

    /// Decides up to `BATCH` events; gives how many.
    ///
    /// # Errors
    /// The database's; nothing is decided then.
    pub async fn decide(&self) -> Result<usize, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let events = outbox::undecided(&mut tx, BATCH).await?;
        let count = events.len();
        let remind = TimeDelta::from_std(self.remind).unwrap_or(TimeDelta::MAX);
        // What this very transaction tells counts for the later events of the same incident.
        let mut told: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
        let mut elsewhere = false;
        for mut event in events {
            let now = Utc::now();
            event.told_at = event.told_at.max(told.get(&event.incident).copied());
            let verdict = match decide(&event, now, remind) {
                Verdict::Quiet(why) => format!("quiet: {why}"),
                Verdict::Tell(because) => {
                    told.insert(event.incident, now);
                    let held = self.mutes.hold(&mut tx, &event, now).await?;
                    for channel in self.told(&event.channels) {
                        if !self.channels.has(&channel) {
                            elsewhere = true;
                            tracing::warn!(
                                channel,
                                event.id = %event.id,
                                "{}: this daemon has no channel {channel}; the message waits for one that has it",
                                event.subject
                            );
                        }
                        let mut message = render(&event, because, Uuid::now_v7());
                        message.lines.extend(held.as_ref().map(Held::line));
                        let not_before = held.as_ref().map(|held| held.until);
                        outbox::tell(&mut tx, event.id, &channel, &message, not_before).await?;
                    }
                    match held {
                        Some(held) => format!("told: {}, {}", because.word(), held.line()),
                        None => format!("told: {}", because.word()),
                    }
                }
            };
            outbox::decided(&mut tx, event.id, &verdict).await?;
        }
        if elsewhere {
            outbox::call(&mut tx).await?;
        }
        if count > 0 {
            fault::point("outbox.decided").await?;
        }
        tx.commit().await?;
        if count > 0 {
            fault::point("outbox.committed").await?;
        }
        Ok(count)
    }

    /// Who is told: those that the fact names, else the default, else the log.
    fn told(&self, named: &[String]) -> Vec<String> {
        let told = if named.is_empty() { &self.default } else { named };
        if told.is_empty() { vec![LOG.to_owned()] } else { told.to_vec() }
    }

    /// Who is told that `channel` fails: the default without it, else all others; in any case the log.
    fn others(&self, channel: &str) -> Vec<String> {
        let without = |names: &[String]| names.iter().filter(|name| *name != channel).cloned().collect::<Vec<_>>();
        let mut others = without(&self.default);
        if others.is_empty() {
            others = without(&self.channels.names());
        }
        if !others.iter().any(|name| name == LOG) {
            others.push(LOG.to_owned());
        }
        others
    }

    /// Gives up messages for channels that no daemon has had for `ORPHANED`, and tells others; gives how many.
    ///
    /// # Errors
    /// The database's; nothing is given up then.
    pub async fn give_up_orphans(&self) -> Result<usize, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let why = format!("for {} minutes no daemon had a channel of this name", ORPHANED.as_secs() / 60);
        let orphans = outbox::bury_orphans(&mut *tx, &self.channels.names(), ORPHANED, &why).await?;
        for orphan in &orphans {
            deliver::lost(self, &mut tx, orphan, &why).await?;
        }
        tx.commit().await?;
        for orphan in &orphans {
            let channel = orphan.channel.clone();
            ::metrics::counter!(metrics::ALERTS, "channel" => channel, "outcome" => "dead").increment(1);
        }
        Ok(orphans.len())
    }
}
