//! Sends what is due on one channel, one message at a time, and says so when a channel fails.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use serde_json::json;
use sqlx::PgConnection;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Alerts, LOG, LOOK, Sent};
use crate::{
    fault, metrics,
    outbox::{self, Delivery, Fact, OF_CHANNEL, What},
};

/// The longest pause between tries.
const MOST: Duration = Duration::from_secs(900);
/// A message that nobody took for so many tries (about a day) is given up.
const TRIES: i32 = 100;
/// After so many tries (a quarter of an hour) others are told that this channel fails.
const TROUBLED: i32 = 10;

/// What a look at a channel came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticked {
    /// Nothing is due.
    Idle,
    /// A message was tried.
    Tried,
    /// The receiver wants nothing for this long.
    Wait(Duration),
}

/// Delivers what is due, as `due` says, until `stop`. Asks for another look `again` once something was tried: when that
/// comes back is in its row.
pub(super) async fn keep(
    alerts: Alerts,
    channel: String,
    mut due: watch::Receiver<Option<Instant>>,
    again: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut next = None;
    let mut ask_at = None;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            known = due.changed() => match known {
                Ok(()) => next = *due.borrow_and_update(),
                Err(_) => return,
            },
            () = until(next) => {
                next = None;
                if deliver(&alerts, &channel, &stop).await {
                    again.notify_one();
                } else {
                    // Another daemon has it, or it was not quite due by the database's clock.
                    ask_at = Some(Instant::now() + LOOK);
                }
            }
            () = until(ask_at) => {
                ask_at = None;
                again.notify_one();
            }
        }
    }
}

/// Waits for an instant; for ever where there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Delivers until nothing is due any more, or `stop`; whether anything was tried.
async fn deliver(alerts: &Alerts, channel: &str, stop: &CancellationToken) -> bool {
    let mut tried = false;
    while !stop.is_cancelled() {
        let ticked = tokio::select! {
            ticked = tick(alerts, channel) => ticked,
            () = patience_over(stop) => break,
        };
        let pause = match ticked {
            Ok(Ticked::Idle) => break,
            Ok(Ticked::Tried) => {
                tried = true;
                continue;
            }
            Ok(Ticked::Wait(pause)) => {
                tried = true;
                pause
            }
            Err(error) => {
                tracing::debug!(%error, channel, "deliveries cannot be read or settled; trying again");
                LOOK
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    tried
}

/// A little after `stop`: a send on its way may end, but nobody waits for a receiver that hangs. Its message is sent
/// again, under the same id, once its lease is over.
async fn patience_over(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(Duration::from_secs(2)).await;
}

/// Delivers what this channel has, with its retries, as far as that comes before `deadline`.
pub(super) async fn drain(alerts: &Alerts, channel: &str, deadline: Instant) -> Result<(), sqlx::Error> {
    let only = [channel.to_owned()];
    loop {
        let wait = loop {
            match tick(alerts, channel).await? {
                Ticked::Tried => {}
                Ticked::Idle => break Duration::from_millis(50),
                Ticked::Wait(pause) => break pause,
            }
        };
        let left = outbox::pending(&alerts.pool, &only).await?;
        let due = Duration::try_from_secs_f64(left.due_in.unwrap_or_default()).unwrap_or_default();
        let due = Instant::now() + due.max(wait);
        if left.pending == 0 || due >= deadline {
            return Ok(());
        }
        sleep_until(due).await;
    }
}

/// Tries the message that is due next, if there is one.
async fn tick(alerts: &Alerts, channel: &str) -> Result<Ticked, sqlx::Error> {
    // One at a time: a claimed message must not wait behind a slow one until its lease is over.
    let Some(delivery) = outbox::claim_deliveries(&alerts.pool, channel, 1).await?.pop() else {
        return Ok(Ticked::Idle);
    };
    fault::point("outbox.claimed").await?;
    let sent = alerts.channels.send(channel, &delivery.message).await;
    fault::point("outbox.sent").await?;
    let ticked = match &sent {
        Sent::Later { after: Some(pause), .. } => Ticked::Wait(*pause),
        _ => Ticked::Tried,
    };
    let word = settle(alerts, &delivery, sent).await?;
    fault::point("outbox.settled").await?;
    ::metrics::counter!(metrics::ALERTS, "channel" => channel.to_owned(), "outcome" => word).increment(1);
    Ok(ticked)
}

/// Writes what became of a message, and how the channel fares, in one transaction.
async fn settle(alerts: &Alerts, delivery: &Delivery, sent: Sent) -> Result<&'static str, sqlx::Error> {
    let (id, channel, tries) = (delivery.id, delivery.channel.as_str(), delivery.tries);
    let mut tx = alerts.pool.begin().await?;
    let word = match sent {
        Sent::Delivered => {
            outbox::delivered(&mut *tx, id).await?;
            // The log cannot fail, so nobody needs to know how it fares.
            if channel != LOG {
                fares(alerts, &mut tx, delivery, What::Done { breaches: Vec::new() }, "a message got through").await?;
            }
            "delivered"
        }
        Sent::Later { after, why } if tries < TRIES => {
            let pause = pause(alerts.first_pause, tries, id).max(after.unwrap_or_default());
            tracing::warn!(message.id = %id, channel, tries, ?pause, "message not delivered yet: {why}");
            outbox::defer(&mut *tx, id, pause, &why).await?;
            if tries == TROUBLED {
                let why = format!("{tries} tries did not deliver \"{}\"; they go on: {why}", delivery.message.title);
                fares(alerts, &mut tx, delivery, What::ChannelFailed, &why).await?;
            }
            "deferred"
        }
        Sent::Later { why, .. } | Sent::Never(why) => {
            outbox::bury(&mut *tx, id, &why).await?;
            lost(alerts, &mut tx, delivery, &why).await?;
            "dead"
        }
    };
    tx.commit().await?;
    Ok(word)
}

/// Says, in the log and to others, that a message is given up.
pub(super) async fn lost(
    alerts: &Alerts,
    connection: &mut PgConnection,
    delivery: &Delivery,
    why: &str,
) -> Result<(), sqlx::Error> {
    let (channel, title) = (delivery.channel.as_str(), delivery.message.title.as_str());
    tracing::error!(message.id = %delivery.id, channel, "message given up: {title}: {why}");
    let why = format!("\"{title}\" was given up: {why}");
    fares(alerts, connection, delivery, What::ChannelFailed, &why).await
}

async fn fares(
    alerts: &Alerts,
    connection: &mut PgConnection,
    delivery: &Delivery,
    what: What,
    why: &str,
) -> Result<(), sqlx::Error> {
    // A message about a channel that does not get through makes no further one: two broken channels would go on about
    // each other. The log has it.
    if what == What::ChannelFailed && delivery.message.event == "channel_failed" {
        return Ok(());
    }
    let channel = &delivery.channel;
    let help = format!(
        "repair [channels.{channel}] in sexton.toml and restart the daemon; \
         `select * from sexton.delivery where state = 'dead'` shows what was lost"
    );
    let fact = Fact {
        job: format!("{OF_CHANNEL}{channel}"),
        run: None,
        at: Utc::now(),
        channels: alerts.others(channel),
        detail: if what == What::ChannelFailed { json!({ "why": why, "help": help }) } else { json!({ "why": why }) },
        what,
    };
    outbox::record(connection, &[fact]).await
}

/// Doubles with each try, spread by ±10 % after the message's id, so that what failed together does not return together.
fn pause(first: Duration, tries: i32, id: Uuid) -> Duration {
    let doubled = first.saturating_mul(1 << tries.saturating_sub(1).clamp(0, 20));
    let chance = f64::from(id.as_bytes()[15]) / 255.0;
    doubled.min(MOST).mul_f64(0.9 + 0.2 * chance)
}
