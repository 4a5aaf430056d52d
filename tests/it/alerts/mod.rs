//! Alerts, from the fact to what people read: real dialogues with the local inbox, through a real outbox.

mod muted;
mod receivers;
mod telling;
mod trouble;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;
use serde_json::json;
use sexton::{
    alerts::{self, Alerts, Channel, Channels, Email, Mutes, Webhook},
    daemon::inbox::{Inbox, Post},
    db::{Ear, Ears},
    outbox::{self, Fact, Sent, What},
    secret::Secret,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;
use uuid::Uuid;

use crate::support::{BOUND, Database, eventually, tls};

/// A database, an inbox, and the channels `mail` and `hook` that lead there.
struct Desk {
    database: Database,
    inbox: Inbox,
}

impl Desk {
    async fn new() -> Self {
        Self { database: Database::new().await, inbox: Inbox::start().await.unwrap() }
    }

    /// The stage of a daemon that has both channels.
    fn alerts(&self) -> Alerts {
        self.alerts_with([("mail", self.mail(None)), ("hook", self.hook("/hook", None))])
    }

    fn alerts_with<const N: usize>(&self, channels: [(&str, Channel); N]) -> Alerts {
        Alerts {
            ear: Ear::default(),
            pool: self.database.pool().clone(),
            channels: Channels::new(channels.map(|(name, channel)| (name.to_owned(), channel))),
            default: vec![],
            remind: Duration::from_secs(4 * 3_600),
            first_pause: Duration::from_millis(10),
            mutes: Mutes::default(),
        }
    }

    fn mail(&self, password: Option<&str>) -> Channel {
        let login = password.map(|password| ("sexton".to_owned(), Secret::new(password)));
        let to = ["oncall@example.org".to_owned()];
        Channel::Email(Box::new(Email::new(&self.inbox.smtp_url(), login, "sexton@example.org", &to).unwrap()))
    }

    fn hook(&self, path: &str, token: Option<&str>) -> Channel {
        hook(&self.inbox.http_url(path), token)
    }

    async fn record(&self, facts: &[Fact]) {
        let mut tx = self.database.pool().begin().await.unwrap();
        outbox::record(&mut tx, facts).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The deliveries on `channel`, oldest first.
    async fn deliveries(&self, channel: &str) -> Vec<Sent> {
        let all = outbox::deliveries(self.database.pool(), 1_000).await.unwrap();
        all.into_iter().rev().filter(|sent| sent.channel == channel).collect()
    }

    fn subjects(&self) -> Vec<String> {
        self.inbox.mails().into_iter().map(|mail| mail.subject).collect()
    }

    /// As if everything that was told had been told so long ago.
    async fn let_pass(&self, hours: i32) {
        sqlx::query("update sexton.delivery set (created_at, next_at) = (created_at - make_interval(hours => $1), next_at - make_interval(hours => $1))")
            .bind(hours)
            .execute(self.database.pool())
            .await
            .unwrap();
    }
}

fn hook(url: &str, token: Option<&str>) -> Channel {
    tls();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Channel::Webhook(Webhook { http, url: Secret::new(url), token: token.map(Secret::new) })
}

fn fact(job: &str, what: What, channels: &[&str]) -> Fact {
    let channels = channels.iter().map(|name| (*name).to_owned()).collect();
    Fact {
        job: job.into(),
        run: Some(Uuid::now_v7()),
        at: Utc::now(),
        what,
        channels,
        detail: json!({"why": "disk full"}),
    }
}

fn done() -> What {
    What::Done { breaches: vec![] }
}

/// Everything that can be sent now, is.
async fn flush(alerts: &Alerts) -> i64 {
    alerts::flush(alerts, Instant::now() + BOUND).await.unwrap()
}

/// Sends what there is until a delivery on each of these channels has failed; gives those.
async fn send_until_failed(desk: &Desk, alerts: &Alerts, channels: &[&str]) -> Vec<Sent> {
    let failed = async || {
        let all = outbox::deliveries(desk.database.pool(), 1_000).await.unwrap();
        let of =
            |channel: &&str| all.iter().find(|sent| sent.channel == *channel && sent.last_error.is_some()).cloned();
        channels.iter().map(of).collect::<Option<Vec<Sent>>>()
    };
    let sending = async {
        flush(alerts).await;
        std::future::pending().await
    };
    tokio::select! {
        never = sending => never,
        sent = eventually("they fail", failed) => sent,
    }
}

fn title(post: &Post) -> String {
    post.json()["title"].as_str().expect("a title").to_owned()
}

fn id(post: &Post) -> &str {
    &post.headers["webhook-id"]
}

/// A running stage, and what hears for it; its sends are cut off when the test ends.
struct Stage([tokio::task::JoinHandle<()>; 2]);

impl Stage {
    fn start(mut alerts: Alerts) -> Self {
        let mut ears = Ears::new(alerts.pool.clone());
        alerts.ear = ears.on(outbox::CHANNEL);
        let hearing = tokio::spawn(ears.listen());
        Self([tokio::spawn(alerts::run(alerts, CancellationToken::new())), hearing])
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// All that this thread logs, down to the finest level.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    fn listen() -> (Self, DefaultGuard) {
        let logs = Self::default();
        let writer = logs.clone();
        let lines = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(lines))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
