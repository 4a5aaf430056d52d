//! Sends what is due on one channel, one message at a time.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Alerts, LOOK, Sent};
use crate::{
    metrics,
    outbox::{self, Delivery},
};

/// The longest pause between tries.
const MOST: Duration = Duration::from_secs(900);
/// A message that nobody took for so many tries (about a day) is given up.
const TRIES: i32 = 100;

/// Delivers until `stop`.
pub(super) async fn keep(alerts: Alerts, channel: String, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let sent = tokio::select! {
            sent = tick(&alerts, &channel) => sent,
            () = patience_over(&stop) => return,
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                tracing::debug!(%error, channel, "deliveries cannot be read; trying again");
                0
            }
        };
        if sent == 0 {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(LOOK / 2) => {}
            }
        }
    }
}

/// A little after `stop`: a send on its way may end, but nobody waits for a receiver that hangs. Its message is sent
/// again, under the same id, once its lease is over.
async fn patience_over(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(Duration::from_secs(2)).await;
}

/// Sends what is due, at most a few messages; gives how many it took.
pub(super) async fn tick(alerts: &Alerts, channel: &str) -> Result<usize, sqlx::Error> {
    // One at a time: a claimed message must not wait behind a slow one until its lease is over.
    let Some(delivery) = outbox::claim_deliveries(&alerts.pool, channel, 1).await?.pop() else { return Ok(0) };
    let sent = alerts.channels.send(channel, &delivery.message).await;
    let word = settle(alerts, &delivery, sent).await?;
    ::metrics::counter!(metrics::ALERTS, "channel" => channel.to_owned(), "outcome" => word).increment(1);
    Ok(1)
}

async fn settle(alerts: &Alerts, delivery: &Delivery, sent: Sent) -> Result<&'static str, sqlx::Error> {
    let (id, channel) = (delivery.id, delivery.channel.as_str());
    match sent {
        Sent::Delivered => {
            outbox::delivered(&alerts.pool, id).await?;
            Ok("delivered")
        }
        Sent::Later { after, why } if delivery.tries < TRIES => {
            let pause = after.unwrap_or_else(|| pause(alerts.first_pause, delivery.tries, id));
            tracing::warn!(message.id = %id, channel, tries = delivery.tries, ?pause, "message not delivered yet: {why}");
            outbox::defer(&alerts.pool, id, pause, &why).await?;
            Ok("deferred")
        }
        Sent::Later { why, .. } | Sent::Never(why) => {
            tracing::error!(message.id = %id, channel, "message given up: {}: {why}", delivery.message.title);
            outbox::bury(&alerts.pool, id, &why).await?;
            Ok("dead")
        }
    }
}

/// Doubles with each try, spread by ±10 % after the message's id, so that what failed together does not return together.
fn pause(first: Duration, tries: i32, id: Uuid) -> Duration {
    let doubled = first.saturating_mul(1 << tries.saturating_sub(1).clamp(0, 20));
    let chance = f64::from(id.as_bytes()[15]) / 255.0;
    doubled.min(MOST).mul_f64(0.9 + 0.2 * chance)
}
