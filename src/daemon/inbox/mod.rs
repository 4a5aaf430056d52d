//! The local inbox: takes mail and webhook messages on this machine, and shows what came.
//!
//! The demo tells its alerts to it, and tests script it to refuse, to hang and to break off, as receivers do. It listens
//! on the loopback only, passes nothing on, and ends when it is dropped.

mod http;
mod mime;
mod smtp;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use http::Answer;
pub use smtp::Reply;

/// Header fields by name, in lower case; what is sent several times is joined by commas.
pub type Headers = BTreeMap<String, String>;

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's receivers.
    pub to: Vec<String>,
    /// Decoded.
    pub subject: String,
    /// Decoded.
    pub headers: Headers,
    /// Decoded.
    pub body: String,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// A request, however it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// `POST`, `GET`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Its fields.
    pub headers: Headers,
    /// As it came.
    pub body: Vec<u8>,
    /// When it came.
    pub at: DateTime<Utc>,
    /// What it was answered; `None` where it was left hanging.
    pub status: Option<u16>,
}

impl Post {
    /// The body, or null where it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// All that came, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Mails taken.
    pub mails: Vec<Mail>,
    /// Requests, however answered.
    pub posts: Vec<Post>,
}

/// A mail server and a webhook receiver on the loopback, until it is dropped.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
    smtp: SocketAddr,
    http: SocketAddr,
}

#[derive(Debug, Default)]
struct Shared {
    seen: watch::Sender<Seen>,
    replies: Mutex<VecDeque<Reply>>,
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    stop: CancellationToken,
}

impl Inbox {
    /// Listens on two free ports of the loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let (mail, web) =
            (TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let shared = Arc::new(Shared::default());
        let inbox = Self { shared: shared.clone(), smtp: mail.local_addr()?, http: web.local_addr()? };
        tokio::spawn(smtp::serve(mail, shared.clone()));
        tokio::spawn(http::serve(web, shared));
        Ok(inbox)
    }

    /// For `smtp = …` of an e-mail channel.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.smtp)
    }

    /// For `url = …` of a webhook; `path` begins with a slash.
    pub fn http_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Mails taken so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.seen.borrow().mails.clone()
    }

    /// Requests so far.
    pub fn posts(&self) -> Vec<Post> {
        self.shared.seen.borrow().posts.clone()
    }

    /// Waits until what came satisfies `enough`, at most for `patience`; gives whether it does.
    pub async fn wait_for(&self, enough: impl FnMut(&Seen) -> bool, patience: Duration) -> bool {
        let mut seen = self.shared.seen.subscribe();
        matches!(tokio::time::timeout(patience, seen.wait_for(enough)).await, Ok(Ok(_)))
    }

    /// Replies to the next mails: each once, the last one for ever. An empty script takes every mail again.
    pub fn script_smtp(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner) = replies.into_iter().collect();
    }

    /// Answers to the next requests of `path`: each once, the last one for ever. An empty script answers 200 again.
    pub fn script_http(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), answers);
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    fn reply(&self) -> Reply {
        next(&mut self.replies.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or(Reply::Take)
    }

    fn answer(&self, path: &str) -> Answer {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get_mut(path).and_then(next).unwrap_or(Answer::Status(200))
    }
}

fn next<T: Clone>(script: &mut VecDeque<T>) -> Option<T> {
    if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
}
