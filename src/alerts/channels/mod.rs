//! Where people are told: one file a channel, all with the same outcome of a send.

mod email;
mod hidden;
mod log;
mod slack;
mod webhook;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use self::hidden::Hidden;
use crate::{causes::with_causes, outbox::Message};

pub use email::{Email, EmailError};
pub use slack::Slack;
pub use webhook::Webhook;

/// How long one send may take; less than the lease of a delivery.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much of a refusal is kept.
const SAID: usize = 200;

/// The channel that is always there: the daemon's own log.
pub const LOG: &str = "log";

/// One way to people.
#[derive(Debug)]
pub enum Channel {
    /// A Slack incoming webhook.
    Slack(Slack),
    /// E-mail over SMTP.
    Email(Box<Email>),
    /// A JSON message by `POST`.
    Webhook(Webhook),
    /// The daemon's own log.
    Log,
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The receiver has it.
    Delivered,
    /// Not now; try again, after this long if the receiver said so.
    Later {
        /// What the receiver asked for.
        after: Option<Duration>,
        /// What it met.
        why: String,
    },
    /// The receiver will never take it.
    Never(String),
}

/// All channels of this daemon, by name.
#[derive(Debug, Clone)]
pub struct Channels(Arc<BTreeMap<String, Channel>>);

impl Channels {
    /// Collects channels; [`LOG`] is always among them.
    pub fn new(channels: impl IntoIterator<Item = (String, Channel)>) -> Self {
        let mut all: BTreeMap<_, _> = channels.into_iter().collect();
        all.entry(LOG.to_owned()).or_insert(Channel::Log);
        Self(Arc::new(all))
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sends `message` on the channel `name`, within [`PATIENCE`]. No reason that it gives shows a secret.
    pub(super) async fn send(&self, name: &str, message: &Message) -> Sent {
        let Some(channel) = self.0.get(name) else {
            return Sent::Never(format!("this daemon has no channel `{name}`"));
        };
        let sending = async {
            match channel {
                Channel::Slack(slack) => slack.send(message).await,
                Channel::Email(email) => email.send(message).await,
                Channel::Webhook(webhook) => webhook.send(message).await,
                Channel::Log => log::send(message),
            }
        };
        let sent = tokio::time::timeout(PATIENCE, sending).await.unwrap_or_else(|_| Sent::Later {
            after: None,
            why: format!("the receiver did not answer within {} s", PATIENCE.as_secs()),
        });
        match sent {
            Sent::Delivered => Sent::Delivered,
            Sent::Later { after, why } => Sent::Later { after, why: channel.hidden().hide(&why) },
            Sent::Never(why) => Sent::Never(channel.hidden().hide(&why)),
        }
    }
}

impl Channel {
    fn hidden(&self) -> Hidden {
        match self {
            Self::Slack(slack) => Hidden::default().url(slack.webhook_url.reveal()),
            Self::Webhook(webhook) => Hidden::default().url(webhook.url.reveal()).token(webhook.token.as_ref()),
            Self::Email(email) => email.hidden(),
            Self::Log => Hidden::default(),
        }
    }
}

/// What an HTTP answer means: 2xx has it, 408, 429 and 5xx may take it later, the rest never will.
async fn judge(response: Result<reqwest::Response, reqwest::Error>) -> Sent {
    match response {
        Ok(response) if response.status().is_success() => Sent::Delivered,
        Ok(response) => {
            let status = response.status();
            let after = retry_after(&response);
            let why = match said(response).await {
                _ if status.is_redirection() => {
                    format!("the receiver answered {status}; redirects are not followed, so write the URL it leads to")
                }
                text if text.is_empty() => format!("the receiver answered {status}"),
                text => format!("the receiver answered {status}: {text}"),
            };
            match status.as_u16() {
                408 | 425 | 429 | 500..=599 => Sent::Later { after, why },
                _ => Sent::Never(why),
            }
        }
        // The URL may be the secret.
        Err(error) => Sent::Later {
            after: None,
            why: format!("the receiver cannot be reached: {}", with_causes(&error.without_url())),
        },
    }
}

/// The first line of a refusal, such as Slack's `invalid_payload`; empty where it is a page.
async fn said(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > SAID {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let line: String = text.trim().lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    if line.starts_with('<') { String::new() } else { line.chars().take(SAID).collect() }
}

/// Seconds or a date, as RFC 9110 has it; at most an hour.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let text = response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = text.parse().ok().map(Duration::from_secs).or_else(|| {
        let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        (date.to_utc() - chrono::Utc::now()).to_std().ok()
    })?;
    Some(pause.min(Duration::from_secs(3_600)))
}
