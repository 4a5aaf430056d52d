//! Why a slot did or did not run: the ledger's row, its run, the files and the pauses of that time, put into words.

mod explain;
mod facts;
mod gather;
#[cfg(test)]
mod tests;
pub(super) mod time;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::{RequestError, words};
use crate::ledger::{Pause, RecentSlot};
pub use explain::{explain, verdict};
pub(super) use facts::before;
pub use facts::{Decision, Entry, Facts, Mark, Text, Then, Told};

/// An instant of a schedule, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The schedule.
    pub schedule: String,
    /// The instant.
    pub at: DateTime<Utc>,
    /// The same on the schedule's clock.
    pub local: String,
    /// That clock's zone.
    pub zone: String,
    /// One word: see [`verdict`].
    pub verdict: &'static str,
    /// For people: the answer, then what it hangs on.
    pub words: Vec<String>,
    /// The ledger's row.
    pub slot: Option<RecentSlot>,
    /// Its run, where it made one that is still on record.
    pub run: Option<Told>,
    /// The runs that followed that one.
    pub chain: Vec<Told>,
    /// Pauses of it, or of all, that hold at that instant or now.
    pub pauses: Vec<Pause>,
    /// The nearest slot before it, in the words of that time.
    pub before: Option<DateTime<Utc>>,
    /// The nearest slot after it.
    pub after: Option<DateTime<Utc>>,
}

impl Explanation {
    fn of(facts: &Facts) -> Self {
        let entry = match &facts.then {
            Then::There(entry) => Some(entry),
            _ => None,
        };
        let verdict = verdict(facts);
        // A range covers times between its slots, too: those it says nothing about.
        let decision = facts.decision.as_ref().filter(|decision| decision.slot.decision.word() == verdict);
        Self {
            schedule: facts.schedule.clone(),
            at: facts.at,
            local: facts.at.with_timezone(&facts.zone).to_rfc3339(),
            zone: facts.zone.name().to_owned(),
            verdict,
            words: explain(facts),
            slot: decision.map(|decision| decision.slot.clone()),
            run: decision.and_then(|decision| decision.run.clone()),
            chain: decision.map(|decision| decision.chain.clone()).unwrap_or_default(),
            pauses: facts.pauses.clone(),
            before: entry.and_then(|entry| entry.before),
            after: entry.and_then(|entry| entry.after),
        }
    }
}

/// Explains the slots at a time (RFC 3339, or a time on the schedule's clock), or the last slot and the next one.
///
/// # Errors
/// When there is no such schedule, the time cannot be read, or the database fails.
pub async fn why(pool: &PgPool, schedule: &str, time: Option<&str>) -> Result<Vec<Explanation>, RequestError> {
    let known = gather::Known::of(pool, schedule).await?;
    let asked = match time {
        Some(text) => time::read(text, known.zone(), known.now()).map_err(RequestError::Asked)?,
        None => known.last_and_next(),
    };
    let mut explained = Vec::new();
    for asked in asked {
        explained.push(Explanation::of(&known.facts(pool, asked).await?));
    }
    Ok(explained)
}
