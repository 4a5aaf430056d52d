//! What fires differently once a set of files is active.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::{Diff, How, Noun};
use crate::catalog::{Catalog, Schedule};

/// What becomes of one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The schedule.
    pub schedule: String,
    /// When it would have fired next; `None` for one that is new, off or over.
    pub was: Option<DateTime<Utc>>,
    /// When it fires next; `None` for one that is gone, off or over.
    pub is: Option<DateTime<Utc>>,
    /// Jobs of its chain whose files change; its next run has the new words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
}

/// The effects of a diff, seen at `now`. Windows, pauses and catch-up are left out: `sexton next` shows those.
pub fn effects(old: Option<&Catalog>, new: &Catalog, diff: &Diff, now: DateTime<Utc>) -> Vec<Effect> {
    let changed: Vec<&str> = diff
        .0
        .iter()
        .filter(|change| change.what == Noun::Job && matches!(change.how, How::Changed { .. }))
        .map(|change| change.name.as_str())
        .collect();
    let due = |schedule: &Schedule| schedule.cron.next(schedule.zone, now).filter(|_| schedule.enabled);
    let names = diff.schedules().map(|(name, _)| name);
    let by_job = new.schedules.iter().filter(|schedule| !jobs(schedule, &changed).is_empty());
    let mut names: Vec<&str> = names.chain(by_job.map(|schedule| schedule.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| {
        let was = old.and_then(|old| old.schedule(name)).and_then(due);
        let schedule = new.schedule(name);
        let jobs = schedule.map(|schedule| jobs(schedule, &changed)).unwrap_or_default();
        Effect { schedule: name.to_owned(), was, is: schedule.and_then(due), jobs }
    };
    names.into_iter().map(of).filter(|effect| effect.was != effect.is || !effect.jobs.is_empty()).collect()
}

/// Those of `changed` that the schedule fires first, or by its chain.
fn jobs(schedule: &Schedule, changed: &[&str]) -> Vec<String> {
    let chain = std::iter::once(schedule.job.as_str()).chain(schedule.then.iter().map(|next| next.job.as_str()));
    chain.filter(|job| changed.contains(job)).map(str::to_owned).collect()
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{} ", self.schedule)?;
        match (self.was, self.is) {
            (Some(was), None) => write!(f, "no longer fires; its next slot was {}", time(was))?,
            (None, Some(is)) => write!(f, "fires, first at {}", time(is))?,
            (Some(was), Some(is)) if was != is => write!(f, "fires next at {}, not at {}", time(is), time(was))?,
            (_, Some(is)) => write!(f, "fires next at {} as before", time(is))?,
            (None, None) => write!(f, "does not fire, as before")?,
        }
        if !self.jobs.is_empty() {
            write!(f, ", with the new words of {}", self.jobs.join(", "))?;
        }
        Ok(())
    }
}
