//! How slots get their one decision.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Watermark;

/// What was decided, as `sexton.decision` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// It has its run.
    Fired,
    /// A later slot stands for it.
    Coalesced,
    /// The job was still live.
    SkippedOverlap,
    /// It lay in a blackout window.
    SkippedWindow,
    /// It waits for the end of a blackout window.
    Deferred,
    /// The schedule was paused.
    SkippedPaused,
    /// It came too late.
    MissedExpired,
}

impl Decided {
    /// The word for it, as the database, logs, metrics and the API write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Coalesced => "coalesced",
            Self::SkippedOverlap => "skipped_overlap",
            Self::SkippedWindow => "skipped_window",
            Self::Deferred => "deferred",
            Self::SkippedPaused => "skipped_paused",
            Self::MissedExpired => "missed_expired",
        }
    }
}

/// A word that this binary does not know.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no decision that this sexton knows; a newer one wrote it")]
pub struct UnknownDecision(String);

impl TryFrom<String> for Decided {
    type Error = UnknownDecision;

    fn try_from(word: String) -> Result<Self, UnknownDecision> {
        let all = [
            Self::Fired,
            Self::Coalesced,
            Self::SkippedOverlap,
            Self::SkippedWindow,
            Self::Deferred,
            Self::SkippedPaused,
            Self::MissedExpired,
        ];
        all.into_iter().find(|decided| decided.word() == word).ok_or(UnknownDecision(word))
    }
}

/// A decision to be written: for one slot, or for consecutive ones that share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The schedule.
    pub schedule: String,
    /// The first slot.
    pub nominal_at: DateTime<Utc>,
    /// The last slot; the first again, if there is one.
    pub until: DateTime<Utc>,
    /// How many.
    pub slots: u64,
    /// The decision.
    pub decision: Decided,
    /// Why.
    pub reason: String,
    /// How late, in seconds.
    pub lateness: f64,
    /// The run that it made.
    pub run: Option<Uuid>,
}

/// Takes those of the schedules that are on under this revision for the caller's transaction, never waiting for those that
/// somebody else has; each as it is now. Everything that is locked besides (jobs) is locked after them, so that
/// nobody waits in a circle.
///
/// # Errors
/// The database's; so below.
pub async fn hold(
    connection: &mut PgConnection,
    schedules: &[&str],
    revision: i64,
) -> Result<(DateTime<Utc>, Vec<Watermark>), sqlx::Error> {
    let rows: Vec<(String, DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(include_str!("../../sql/ledger/hold.sql"))
        .bind(schedules)
        .bind(revision)
        .fetch_all(connection)
        .await?;
    let now = rows.first().map_or(DateTime::UNIX_EPOCH, |(_, _, now)| *now);
    Ok((now, rows.into_iter().map(|(schedule, at, _)| Watermark { schedule, at, revision }).collect()))
}

/// Writes the decisions of schedules that the caller holds and moves each watermark to the last of its slots. `false`
/// when one is no longer before its slots: the caller then rolls back.
pub async fn decide(connection: &mut PgConnection, slots: &[Slot], by: Uuid) -> Result<bool, sqlx::Error> {
    if slots.is_empty() {
        return Ok(true);
    }
    let written = sqlx::query(include_str!("../../sql/ledger/decide.sql"))
        .bind(by)
        .bind(each(slots, |slot| slot.schedule.clone()))
        .bind(each(slots, |slot| slot.nominal_at))
        .bind(each(slots, |slot| slot.until))
        .bind(each(slots, |slot| i64::try_from(slot.slots).unwrap_or(i64::MAX)))
        .bind(each(slots, |slot| slot.decision.word()))
        .bind(each(slots, |slot| slot.reason.clone()))
        .bind(each(slots, |slot| slot.lateness))
        .bind(each(slots, |slot| slot.run))
        .execute(connection)
        .await?;
    Ok(written.rows_affected() == slots.len() as u64)
}

fn each<T>(slots: &[Slot], of: impl Fn(&Slot) -> T) -> Vec<T> {
    slots.iter().map(of).collect()
}
