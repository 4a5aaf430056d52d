//! A chain as people see it: its jobs in order, with those that did not start and why.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Run,
    chain::{Stand, stands},
    follow::{Member, members, plan},
};
use crate::spec::On;

/// A job of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// The job.
    pub job: String,
    /// Jobs that must be over first; none for the first of the chain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How they must have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<On>,
    /// Its run's state; `waits` or `not_started` without a run.
    pub state: String,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Uuid>,
    /// Why its run ended so, what it waits for, or why it does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The chain that a run belongs to, in the order in which it is written; empty when nothing follows and nothing went
/// before.
pub async fn linked(pool: &PgPool, run: &Run) -> Result<Vec<Linked>, sqlx::Error> {
    if run.parent.is_none() && run.spec.get("then").is_none() {
        return Ok(Vec::new());
    }
    Ok(show(&members(&mut *pool.acquire().await?, &[run.chain]).await?))
}

fn show(members: &[Member]) -> Vec<Linked> {
    let (_, links) = plan(members);
    let ends: BTreeMap<&str, _> = members.iter().map(|member| (member.job.as_str(), member.end())).collect();
    let stands = stands(&links, &ends);
    let started = |member: &Member| Linked {
        job: member.job.clone(),
        after: Vec::new(),
        on: None,
        state: member.state.clone(),
        run: Some(member.id),
        why: member.why.clone(),
    };
    // What no link names is the first, or what an older binary's line has twice.
    let mut shown: Vec<Linked> =
        members.iter().filter(|member| !links.iter().any(|link| link.job == member.job)).map(started).collect();
    for (link, stand) in links.into_iter().zip(stands) {
        let run = members.iter().find(|member| member.job == link.job);
        let (state, why) = match stand {
            Stand::Waits(jobs) => ("waits", Some(format!("for {}", jobs.join(", ")))),
            Stand::Never(why) => ("not_started", Some(why)),
            Stand::Start | Stand::Started => ("waits", None),
        };
        let unstarted =
            || Linked { job: link.job.clone(), after: vec![], on: None, state: state.to_owned(), run: None, why };
        let one = run.map_or_else(unstarted, started);
        shown.push(Linked { after: link.after, on: Some(link.on), ..one });
    }
    shown
}
