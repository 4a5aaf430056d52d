//! What is seen, and what follows from it.

use serde::Deserialize;
use sqlx::types::Json;

use super::{Bytes, Throttle};

/// How often a replica says at least where it is (`wal_receiver_status_interval`).
const STATUS: f64 = 10.0;
/// How far a replica may be behind that has not said for how long: one file of the write-ahead log.
const SEGMENT: f64 = 16.0 * 1_048_576.0;

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
