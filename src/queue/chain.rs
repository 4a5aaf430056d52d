//! What becomes of the links of a chain, from how its runs ended.
//!
//! A table, without a clock or a database. A link that has its run is never started again, so a run that is tried
//! again after it had failed starts only what had not started.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    spec::{On, Spec},
    state::Final,
};

/// A link: a job of the chain that comes after others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) job: String,
    pub(super) after: Vec<String>,
    pub(super) on: On,
}

/// How the run of a job of the chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It lives: whatever its state, it is not over.
    Live,
    /// It is over.
    Over(Final),
}

/// How a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    /// It has its run.
    Started,
    /// Its run is to be made now.
    Start,
    /// These are not over yet.
    Waits(Vec<String>),
    /// It does not start as things are, because.
    Never(String),
}

/// The links that come after `first`, as a snapshot carries them. One of an older binary says nothing of what each
/// comes after: it is a line.
pub(super) fn links(first: &str, then: &[Spec]) -> Vec<Link> {
    let mut before = first;
    let mut links = Vec::with_capacity(then.len());
    for spec in then {
        let (after, on) = match &spec.follows {
            Some(follows) => (follows.after.clone(), follows.on),
            None => (vec![before.to_owned()], On::Success),
        };
        links.push(Link { job: spec.job.clone(), after, on });
        before = &spec.job;
    }
    links
}

/// How each link stands, in the same order; `ends` has every job of the chain that has a run.
pub(super) fn stands(links: &[Link], ends: &BTreeMap<&str, End>) -> Vec<Stand> {
    let named: BTreeSet<&str> = links.iter().map(|link| link.job.as_str()).collect();
    let mut known: BTreeMap<&str, Stand> = BTreeMap::new();
    // In as many rounds as the chain is deep: a link stands as soon as all before it do.
    loop {
        let before = known.len();
        for link in links {
            if known.contains_key(link.job.as_str()) {
                continue;
            }
            if ends.contains_key(link.job.as_str()) {
                known.insert(&link.job, Stand::Started);
            } else if link.after.iter().all(|job| !named.contains(job.as_str()) || known.contains_key(job.as_str())) {
                let stand = stand(link, ends, &known);
                known.insert(&link.job, stand);
            }
        }
        if known.len() == before {
            break;
        }
    }
    // No file that was checked has a circle.
    let circle = || Stand::Never("it waits for itself".to_owned());
    links.iter().map(|link| known.get(link.job.as_str()).cloned().unwrap_or_else(circle)).collect()
}

/// How a link without a run stands, once all that it comes after do.
fn stand(link: &Link, ends: &BTreeMap<&str, End>, known: &BTreeMap<&str, Stand>) -> Stand {
    let (mut waits, mut undone, mut failed) = (Vec::new(), Vec::new(), false);
    for job in &link.after {
        match (ends.get(job.as_str()), known.get(job.as_str())) {
            (Some(End::Live), _) | (None, Some(Stand::Start | Stand::Waits(_))) => waits.push(job.clone()),
            (Some(End::Over(Final::Done)), _) => {}
            (Some(End::Over(end)), _) => {
                failed |= *end == Final::Failed;
                undone.push(format!("{job} {}", ended(*end)));
            }
            (None, Some(_)) => undone.push(format!("{job} did not run")),
            (None, None) => undone.push(format!("nothing is known of {job} any more")),
        }
    }
    match link.on {
        _ if !waits.is_empty() => Stand::Waits(waits),
        On::Always => Stand::Start,
        On::Success if undone.is_empty() => Stand::Start,
        On::Success => Stand::Never(undone.join(", ")),
        On::Failure if failed => Stand::Start,
        On::Failure => Stand::Never(format!("{} did not fail", link.after.join(", "))),
    }
}

fn ended(end: Final) -> &'static str {
    match end {
        Final::Done => "is done",
        Final::Skipped => "was skipped",
        Final::Failed => "failed",
        Final::Cancelled => "was cancelled",
    }
}

/// The links that come after `job`, near or far.
pub(super) fn downstream<'a>(job: &'a str, links: &'a [Link]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::from([job]);
    loop {
        let before = found.len();
        for link in links {
            if link.after.iter().any(|after| found.contains(after.as_str())) {
                found.insert(&link.job);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.remove(job);
    found
}

#[cfg(test)]
#[path = "chain/tests.rs"]
mod tests;
