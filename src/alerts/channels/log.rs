//! The daemon's own log: for jobs that name no channel, and for machines whose logs are watched.

use super::Sent;
use crate::outbox::Message;

pub(super) fn send(message: &Message) -> Sent {
    let lines = message.lines.join("; ");
    let (help, next) = (message.help.as_deref().unwrap_or(""), message.next.as_deref().unwrap_or(""));
    if message.severity == "problem" {
        tracing::warn!(message.id = %message.id, help, next, "alert: {}: {lines}", message.title);
    } else {
        tracing::info!(message.id = %message.id, help, next, "alert: {}: {lines}", message.title);
    }
    Sent::Delivered
}
