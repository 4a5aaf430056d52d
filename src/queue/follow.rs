//! What starts once a run of a chain is over, however it ended.
//!
//! Settling, rescue, cancel and a newer slot that takes a waiting run's place are the ways by which a run ends; each calls
//! [`follow`] in its own transaction, so a link starts with the end that starts it, or not at all.
//!
//! **Order of locks**: rows of runs, then chains (in the order of their keys), then what fails in a row, then health.
//! Two branches that end at the same instant, in whichever daemons: the second waits for the chain and then sees the
//! first one's end, so exactly one of them starts what comes after both.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    EnqueueError, NewRun,
    chain::{End, Link, Stand, downstream, links, stands},
    enqueue_all,
    history::{EVER, since},
};
use crate::{
    spec::{NEWEST, Spec},
    state::Final,
};

/// A run that is over and that others may come after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) run: Uuid,
    pub(super) chain: Uuid,
}

/// A run of a chain.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Member {
    pub(super) id: Uuid,
    pub(super) job: String,
    pub(super) chain: Uuid,
    parent: Option<Uuid>,
    pub(super) state: String,
    format: Option<i64>,
    then: Option<Value>,
    schedule: Option<String>,
    nominal_at: Option<DateTime<Utc>>,
    caught_up: bool,
    pub(super) why: Option<String>,
}

impl Member {
    /// What comes after it; nothing, when a newer binary wrote it or nobody can read it.
    fn then(&self) -> Vec<Spec> {
        let Some(then) = self.then.clone() else { return Vec::new() };
        if self.format.is_some_and(|format| format > i64::from(NEWEST)) {
            tracing::error!(run.id = %self.id, format = self.format, "a newer sexton made the chain of {}; nothing of it starts here", self.job);
            return Vec::new();
        }
        serde_json::from_value(then).unwrap_or_else(|error| {
            tracing::error!(run.id = %self.id, %error, "what comes after {} cannot be read; nothing of it starts", self.job);
            Vec::new()
        })
    }

    /// Whether an older binary wrote what comes after it: a line, each once the one before is done.
    fn is_of_a_line(&self) -> bool {
        let first = self.then.as_ref().and_then(|then| then.get(0));
        first.is_some_and(|first| first.get("follows").is_none())
    }

    pub(super) fn end(&self) -> End {
        let all = [Final::Done, Final::Skipped, Final::Failed, Final::Cancelled];
        all.into_iter().find(|end| end.word() == self.state).map_or(End::Live, End::Over)
    }

    /// A run that comes after this one.
    fn followed(&self, spec: Spec, after: &[String]) -> NewRun {
        NewRun {
            schedule: self.schedule.clone(),
            nominal_at: self.nominal_at,
            caught_up: self.caught_up,
            parent: Some(self.id),
            chain: Some(self.chain),
            ..NewRun::now(spec, format!("after {}", after.join(", ")))
        }
    }
}

/// Starts what these ends start, in the caller's transaction; gives each new run with the run whose end started it.
///
/// Without a chain it asks nothing.
pub(super) async fn follow(connection: &mut PgConnection, over: &[Over]) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    if over.is_empty() {
        return Ok(Vec::new());
    }
    let chains: Vec<Uuid> = over.iter().map(|over| over.chain).collect();
    sqlx::query(include_str!("../../sql/queue/lock_chains.sql")).bind(&chains).execute(&mut *connection).await?;
    // A statement of its own: it sees all that the last holder of the lock committed.
    let mut all: BTreeMap<Uuid, Vec<Member>> = BTreeMap::new();
    for member in members(connection, &chains).await? {
        all.entry(member.chain).or_default().push(member);
    }
    let mut parents = Vec::new();
    let mut runs = Vec::new();
    for (chain, members) in &all {
        let ended: Vec<Uuid> = over.iter().filter(|over| over.chain == *chain).map(|over| over.run).collect();
        for (parent, run) in starts(members, &ended) {
            parents.push(parent);
            runs.push(run);
        }
    }
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let ids = enqueue_all(connection, &runs).await.map_err(|error| match error {
        EnqueueError::Database(error) => error,
        // Only a slot's first run can collide, and what follows is none.
        twice @ EnqueueError::Twice(_) => sqlx::Error::Protocol(twice.to_string()),
    })?;
    Ok(parents.into_iter().zip(ids).collect())
}

/// The runs of these chains, oldest first.
pub(super) async fn members(connection: &mut PgConnection, chains: &[Uuid]) -> Result<Vec<Member>, sqlx::Error> {
    let look = async |connection: &mut PgConnection, since: DateTime<Utc>| {
        let members = sqlx::query_as(include_str!("../../sql/queue/members.sql")).bind(chains).bind(since);
        members.fetch_all(connection).await
    };
    let since = since(chains.iter().copied());
    let found: Vec<Member> = look(&mut *connection, since).await?;
    // One whose first run is not there began earlier than its id says, or its first run is forgotten.
    let whole = chains.iter().all(|chain| found.iter().any(|member| member.id == *chain));
    if whole || since == EVER { Ok(found) } else { look(connection, EVER).await }
}

/// What is to be started in one chain, now that these of its runs are over, each with its parent.
fn starts(members: &[Member], ended: &[Uuid]) -> Vec<(Uuid, NewRun)> {
    let (line, ended): (Vec<&Member>, Vec<&Member>) =
        members.iter().filter(|member| ended.contains(&member.id)).partition(|member| member.is_of_a_line());
    let mut starts: Vec<_> = line.iter().filter_map(|ended| next_of_line(ended, members)).collect();
    let Some(last) = ended.last() else { return starts };
    let (specs, links) = plan(members);
    let ends = members.iter().map(|member| (member.job.as_str(), member.end())).collect();
    let starting = links.iter().zip(stands(&links, &ends)).filter(|(_, stand)| *stand == Stand::Start);
    starts.extend(starting.filter_map(|(link, _)| {
        let spec = specs.iter().find(|spec| spec.job == link.job)?.clone();
        let down = downstream(&link.job, &links);
        let then = specs.iter().filter(|spec| down.contains(spec.job.as_str())).cloned().collect();
        let parent = ended.iter().rfind(|ended| link.after.contains(&ended.job)).unwrap_or(last);
        Some((parent.id, parent.followed(spec.followed_by(then), &link.after)))
    }));
    starts
}

/// What an older binary would start now: the first of what a run carries, with the rest, once the run is done. There a
/// job may come twice, so whether it has started is told by its parent.
fn next_of_line(ended: &Member, members: &[Member]) -> Option<(Uuid, NewRun)> {
    let started = members.iter().any(|member| member.parent == Some(ended.id));
    let mut then = ended.then();
    if ended.end() != End::Over(Final::Done) || started || then.is_empty() {
        return None;
    }
    let mut next = then.remove(0);
    next.then = then;
    Some((ended.id, ended.followed(next, std::slice::from_ref(&ended.job))))
}

/// All links of a chain, from its first run; where that is gone, from what its other runs carry.
pub(super) fn plan(members: &[Member]) -> (Vec<Spec>, Vec<Link>) {
    let mut specs: Vec<Spec> = Vec::new();
    let mut all: Vec<Link> = Vec::new();
    let first = members.iter().filter(|member| member.id == member.chain);
    let first: Vec<&Member> = first.collect();
    let sources = if first.is_empty() { members.iter().collect() } else { first };
    for member in sources {
        let then = member.then();
        for (link, spec) in links(&member.job, &then).into_iter().zip(then.iter()) {
            if !specs.iter().any(|known| known.job == spec.job) {
                specs.push(spec.clone());
                all.push(link);
            }
        }
    }
    (specs, all)
}
