//! What ops allow.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Bytes;
use crate::span::Span;

/// `throttle = { … }`: what a job waits for between its steps; what is left out is not looked at.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// The longest that a replica may lag behind.
    pub replica_lag: Option<Span>,
    /// The most that a replica has not replayed yet.
    pub replica_lag_bytes: Option<Bytes>,
    /// Replicas (their `application_name`) that must be there; all that are there count anyway.
    pub replicas: Vec<String>,
    /// The most write-ahead log that a replication slot may keep back.
    pub slot_wal: Option<Bytes>,
    /// The least room that a replication slot has left before the server gives it up.
    pub slot_wal_left: Option<Bytes>,
    /// The most write-ahead log a second that the server writes, ours included.
    pub wal_rate: Option<Bytes>,
    /// The most sessions that work at the same time, ours not counted.
    pub active_sessions: Option<u64>,
    /// How many transactions the oldest snapshot may be old: until it ends, nothing that we delete can be vacuumed.
    pub xmin_age: Option<u64>,
    /// A query of your own: work waits while it gives true, more than 0, or nothing.
    pub query: Option<String>,
    /// How often all this is looked at.
    pub every: Span,
    /// The share of the time in which work may be done at all: `0.5` rests as long as each step took.
    pub share: Option<f64>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            replica_lag: None,
            replica_lag_bytes: None,
            replicas: Vec::new(),
            slot_wal: None,
            slot_wal_left: None,
            wal_rate: None,
            active_sessions: None,
            xmin_age: None,
            query: None,
            every: Span::seconds(1),
            share: None,
        }
    }
}

/// What is wrong in a [`Throttle`] beyond its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleProblem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl Throttle {
    /// What is wrong with it that can be seen without a database.
    pub fn problems(&self) -> Vec<ThrottleProblem> {
        let mut found = Vec::new();
        let mut say = |wrong: bool, message: String, help| {
            if wrong {
                found.push(ThrottleProblem { message, help });
            }
        };
        if let Some(share) = self.share {
            let message = format!("a `share` of {share} is no share of the time");
            say(!(0.01..=1.0).contains(&share), message, "write 0.01 to 1.0; 0.5 rests as long as it works");
        }
        let every = self.every.0 < Duration::from_millis(100) || self.every.0 > Duration::from_secs(60);
        let message = format!("looking `every` {} is too often or too seldom", self.every);
        say(every, message, "write 100ms to 60s; 1s is good");
        let empty = self.query.as_ref().is_some_and(|query| query.trim().is_empty());
        say(empty, "its `query` is empty".to_owned(), "write one select that gives a number or a boolean");
        let named = !self.replicas.is_empty() && self.replica_lag.is_none() && self.replica_lag_bytes.is_none();
        let message = "`replicas` are named, but not how far behind they may be".to_owned();
        say(named, message, "add replica_lag or replica_lag_bytes");
        found
    }

    /// Whether the server must be looked at.
    pub(super) fn looks(&self) -> bool {
        self.sees_others() || self.slot_wal.is_some() || self.slot_wal_left.is_some() || self.wal_rate.is_some()
    }

    /// Whether it needs to see what others do.
    pub(super) fn sees_others(&self) -> bool {
        self.replica_lag.is_some()
            || self.replica_lag_bytes.is_some()
            || self.active_sessions.is_some()
            || self.xmin_age.is_some()
    }
}
