//! When moving work waits for the rest of the database.
//!
//! A [`Brake`] looks between steps; what was seen and what is allowed are values, and [`decide`] says `Go` or `Wait`.
//! Nobody can overrule it: what cannot be known counts as a reason to wait.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, Instant},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use sqlx::{AssertSqlSafe, PgPool, types::Json};

use super::{
    error::Error,
    session::{LOCK, LOOK, begin},
};
use crate::{expect::size, span::Span};

/// How long a user's own query may take.
const QUERY: Duration = Duration::from_secs(5);
/// How often a replica says at least where it is (`wal_receiver_status_interval`).
const STATUS: f64 = 10.0;
/// How far a replica may be behind that has not said for how long: one file of the write-ahead log.
const SEGMENT: f64 = 16.0 * 1_048_576.0;

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

/// A number of bytes: `"64 MiB"`, `"50 MB/s"` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bytes(pub f64);

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size, a size a second, or a number of bytes.",
            "anyOf": [
                { "type": "string", "pattern": "^\\s*[0-9.]+\\s*(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)\\s*(/s)?$" },
                { "type": "integer", "minimum": 0 },
            ],
            "examples": ["64 MiB", "50 MB/s"],
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: \"64 MiB\", \"50 MB/s\" or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let amount = text.strip_suffix("/s").unwrap_or(text).trim();
                let bytes = size(amount).filter(|bytes| *bytes >= 0.0);
                bytes.map(Bytes).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(bytes), &self);
                u64::try_from(bytes).map(|bytes| Bytes(bytes as f64)).map_err(|_| wrong())
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes as f64))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1_024.0)];
        match units.iter().find(|(_, unit)| self.0 >= *unit) {
            Some((name, unit)) => {
                let text = format!("{:.1}", self.0 / unit);
                write!(f, "{} {name}", text.trim_end_matches(".0"))
            }
            None => write!(f, "{} B", self.0),
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
    fn looks(&self) -> bool {
        self.sees_others() || self.slot_wal.is_some() || self.slot_wal_left.is_some() || self.wal_rate.is_some()
    }

    /// Whether it needs to see what others do.
    fn sees_others(&self) -> bool {
        self.replica_lag.is_some()
            || self.replica_lag_bytes.is_some()
            || self.active_sessions.is_some()
            || self.xmin_age.is_some()
    }
}

/// What the server is under.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Signals {
    /// As whom we look.
    pub who: String,
    /// Where.
    pub database: String,
    /// Whether we see what others do.
    pub sees_all: bool,
    /// When, in seconds by the server's clock.
    pub at: f64,
    /// The position in the write-ahead log; none on a standby.
    pub wal: Option<f64>,
    /// Other sessions that work.
    pub active: i64,
    /// How many transactions the oldest snapshot of others is old.
    pub xmin_age: i64,
    /// Who receives the write-ahead log.
    pub replicas: Json<Vec<Replica>>,
    /// What keeps the write-ahead log back.
    pub slots: Json<Vec<Slot>>,
}

/// One receiver of the write-ahead log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Replica {
    /// Its `application_name`.
    pub name: String,
    /// `streaming`, `catchup`…
    pub state: Option<String>,
    /// For how many seconds it lags behind; none if it has nothing to replay, or has not said.
    pub lag: Option<f64>,
    /// For how many seconds it has said nothing.
    pub silent: Option<f64>,
    /// How many bytes it has not replayed; none for what replays nothing (a backup).
    pub behind: Option<f64>,
}

/// One replication slot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub status: Option<String>,
    /// How many bytes it keeps back.
    pub kept: Option<f64>,
    /// How many more bytes may be written until it is in danger; none without a limit.
    pub left: Option<f64>,
}

/// Whether the next step may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Go,
    /// Not yet.
    Wait {
        /// `replica_lag 12.4 s > 10s (standby1)`.
        why: String,
    },
}

/// Decides from what is seen, what was seen at the look before, and what is allowed.
pub fn decide(now: &Signals, before: Option<&Signals>, limits: &Throttle) -> Verdict {
    let wait = lagging(now, limits)
        .or_else(|| keeping(now, limits))
        .or_else(|| {
            let (most, before) = (limits.wal_rate?, before?);
            let (bytes, seconds) = (now.wal? - before.wal?, now.at - before.at);
            let rate = bytes / seconds;
            (seconds > 0.0 && rate > most.0).then(|| format!("wal_rate {}/s > {most}/s", Bytes(rate.round())))
        })
        .or_else(|| {
            let most = limits.active_sessions?;
            (now.active.unsigned_abs() > most).then(|| format!("active_sessions {} > {most}", now.active))
        })
        .or_else(|| {
            let most = limits.xmin_age?;
            (now.xmin_age.unsigned_abs() > most).then(|| format!("xmin_age {} > {most}", now.xmin_age))
        });
    wait.map_or(Verdict::Go, |why| Verdict::Wait { why })
}

/// Which replica is too far behind, missing, or silent about it.
fn lagging(now: &Signals, limits: &Throttle) -> Option<String> {
    if limits.replica_lag.is_none() && limits.replica_lag_bytes.is_none() {
        return None;
    }
    let there = |name: &String| {
        now.replicas
            .iter()
            .any(|one| one.name == *name && one.behind.is_some() && one.state.as_deref() != Some("startup"))
    };
    if let Some(missing) = limits.replicas.iter().find(|name| !there(name)) {
        return Some(format!("replica `{missing}` is not there"));
    }
    now.replicas.iter().filter_map(|one| Some((one, one.behind?))).find_map(|(one, behind)| {
        let name = &one.name;
        if let Some(most) = limits.replica_lag_bytes.filter(|most| behind > most.0) {
            return Some(format!("replica_lag_bytes {} > {most} ({name})", Bytes(behind)));
        }
        let most = limits.replica_lag?;
        // One that hangs goes on showing the lag that it had last; its silence tells more.
        let silent = if behind > 0.0 { one.silent.unwrap_or_default() - STATUS } else { 0.0 };
        let lag = match one.lag {
            Some(lag) => lag.max(silent),
            None if behind > SEGMENT => return Some(format!("replica_lag of {name} is not known yet")),
            None => silent,
        };
        (lag > most.0.as_secs_f64()).then(|| format!("replica_lag {lag:.1} s > {most} ({name})"))
    })
}

/// Which replication slot keeps too much, or is about to be given up.
fn keeping(now: &Signals, limits: &Throttle) -> Option<String> {
    if limits.slot_wal.is_none() && limits.slot_wal_left.is_none() {
        return None;
    }
    // A slot that is lost keeps nothing any more.
    now.slots.iter().filter(|slot| slot.status.as_deref() != Some("lost")).find_map(|slot| {
        let name = &slot.name;
        if slot.status.as_deref() == Some("unreserved") {
            return Some(format!("replication slot `{name}` is about to be lost"));
        }
        if let (Some(most), Some(kept)) = (limits.slot_wal, slot.kept)
            && kept > most.0
        {
            return Some(format!("slot_wal {} > {most} ({name})", Bytes(kept)));
        }
        let (least, left) = (limits.slot_wal_left?, slot.left?);
        (left < least.0).then(|| format!("slot_wal_left {} < {least} ({name})", Bytes(left.max(0.0))))
    })
}

/// Looks at one target for one job.
#[derive(Debug)]
pub struct Brake {
    pool: PgPool,
    limits: Throttle,
    before: Option<Signals>,
    looked: Option<Instant>,
}

impl Brake {
    /// A brake that has not looked yet.
    pub fn new(pool: &PgPool, limits: &Throttle) -> Self {
        Self { pool: pool.clone(), limits: limits.clone(), before: None, looked: None }
    }

    /// Whether the next step may begin. Looks no more often than `every`; between two looks work goes on.
    pub async fn look(&mut self) -> Result<Verdict, Error> {
        if self.looked.is_some_and(|looked| looked.elapsed() < self.limits.every.0) {
            return Ok(Verdict::Go);
        }
        let mut verdict = Verdict::Go;
        if self.limits.looks() {
            let now = self.signals().await?;
            verdict = decide(&now, self.before.as_ref(), &self.limits);
            self.before = Some(now);
        }
        if verdict == Verdict::Go
            && let Some(query) = &self.limits.query
        {
            verdict = self.ask(query).await?;
        }
        // A look that said wait is not one between which work may go on.
        self.looked = (verdict == Verdict::Go).then(Instant::now);
        Ok(verdict)
    }

    async fn signals(&self) -> Result<Signals, Error> {
        let mut tx = begin(&self.pool, "read committed read only", LOCK, LOOK).await?;
        let now: Signals = sqlx::query_as(include_str!("../../sql/target/pressure.sql")).fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        if self.limits.sees_others() && !now.sees_all {
            return Err(Error::Refused {
                message: format!(
                    "the job's throttle looks at replicas and sessions, which user `{}` may not see in database `{}`",
                    now.who, now.database
                ),
                hint: Some(format!("run on the target: grant pg_monitor to \"{}\";", now.who.replace('"', "\"\""))),
            });
        }
        Ok(now)
    }

    /// Asks a user's own query: read only, and not for long.
    async fn ask(&self, query: &str) -> Result<Verdict, Error> {
        // As a value it must be one column of one row; on a line of its own, so that a comment at its end stays inside.
        let sql = format!("select to_jsonb((\n{}\n))", query.trim().trim_end_matches(';'));
        let mut tx = begin(&self.pool, "read committed read only", LOCK, QUERY).await?;
        let asked: Result<Option<serde_json::Value>, _> =
            sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *tx).await;
        tx.rollback().await?;
        let value = match asked {
            Ok(value) => value,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014") => {
                return Ok(wait(format!("query gave nothing within {} s", QUERY.as_secs())));
            }
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                return Ok(wait("query waits for a lock".to_owned()));
            }
            Err(sqlx::Error::Database(error)) => {
                return Err(Error::Refused {
                    message: format!("the throttle's `query` fails: {}", error.message()),
                    hint: Some("write one select of one number or boolean that the target's user may run".to_owned()),
                });
            }
            Err(error) => return Err(error.into()),
        };
        match answer(value.as_ref()) {
            Some(verdict) => Ok(verdict),
            None => Err(Error::Refused {
                message: format!("the throttle's `query` gave {}", value.unwrap_or_default()),
                hint: Some("let it give a number or a boolean".to_owned()),
            }),
        }
    }
}

fn wait(why: String) -> Verdict {
    Verdict::Wait { why }
}

/// What a query's answer means; `None`: it means nothing.
fn answer(value: Option<&serde_json::Value>) -> Option<Verdict> {
    use serde_json::Value;
    Some(match value {
        None | Some(Value::Null) => wait("query gave nothing".to_owned()),
        Some(Value::Bool(true)) => wait("query is true".to_owned()),
        Some(Value::Bool(false)) => Verdict::Go,
        Some(Value::Number(number)) if number.as_f64()? > 0.0 => wait(format!("query {number} > 0")),
        Some(Value::Number(_)) => Verdict::Go,
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests;
