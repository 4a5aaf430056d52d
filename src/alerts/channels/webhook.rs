//! A JSON message by `POST`, with the headers of Standard Webhooks that let a receiver de-duplicate.

use chrono::Utc;

use super::{Sent, judge};
use crate::{outbox::Message, secret::Secret};

/// A receiver of JSON messages.
#[derive(Debug)]
pub struct Webhook {
    /// For requests; follows no redirects.
    pub http: reqwest::Client,
    /// Where to.
    pub url: Secret,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
}

impl Webhook {
    pub(super) async fn send(&self, message: &Message) -> Sent {
        let mut request = self
            .http
            .post(self.url.reveal())
            .header("webhook-id", message.id.to_string())
            .header("webhook-timestamp", Utc::now().timestamp().to_string())
            .json(message);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        judge(request.send().await).await
    }
}
