//! Records facts in the transaction that makes them true.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Fact, What,
    health::{self, Health, News},
};
use crate::db;

/// Takes facts in, in their order: says how each subject fares now, and writes an event wherever there may be news.
///
/// A batch of successes of healthy jobs costs two statements and at most one write for each job and second.
/// Otherwise every subject of the batch is locked, in the order of their names, until the transaction ends.
///
/// # Errors
/// The database's; the caller's transaction is then of no use any more.
pub async fn record(connection: &mut PgConnection, facts: &[Fact]) -> Result<(), sqlx::Error> {
    if facts.is_empty() {
        return Ok(());
    }
    if facts.iter().all(|fact| matches!(&fact.what, What::Done { breaches } if breaches.is_empty())) {
        let newest: BTreeMap<&str, &Fact> = facts.iter().map(|fact| (fact.job.as_str(), fact)).collect();
        let newest: Vec<_> = newest.into_iter().map(|(job, fact)| (job, fact.at, fact.run)).collect();
        if note(connection, &newest).await? {
            return Ok(());
        }
    }
    let subjects: Vec<String> =
        facts.iter().map(|fact| fact.job.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut healths: BTreeMap<String, Health> =
        health::lock(connection, &subjects).await?.into_iter().map(|health| (health.subject.clone(), health)).collect();
    let mut events = Vec::new();
    for fact in facts {
        // A fact makes two events at most, the second of which may begin an incident and then names it.
        let ids = [Uuid::now_v7(), Uuid::now_v7()];
        let news = healths.entry(fact.job.clone()).or_default().take(fact, ids[1]);
        let ids = &ids[ids.len() - news.len()..];
        events.extend(news.into_iter().zip(ids).map(|(news, id)| (*id, news, fact)));
    }
    let healths: Vec<Health> = healths.into_values().collect();
    health::save(connection, &healths).await?;
    add(connection, &events).await
}

/// Takes in that these jobs are done, each with its newest run, without what else a fact says; false, and nothing is taken
/// in, if that may be news of one of them.
///
/// # Errors
/// The database's, as above.
pub async fn still_well(
    connection: &mut PgConnection,
    done: &BTreeMap<&str, Uuid>,
    at: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let newest: Vec<_> = done.iter().map(|(job, run)| (*job, at, Some(*run))).collect();
    note(connection, &newest).await
}

/// Notes the newest success of each subject; false, and none is noted, if it may be news of one of them.
async fn note(
    connection: &mut PgConnection,
    newest: &[(&str, DateTime<Utc>, Option<Uuid>)],
) -> Result<bool, sqlx::Error> {
    let subjects: Vec<String> = newest.iter().map(|(subject, ..)| (*subject).to_owned()).collect();
    let healths = health::read(connection, &subjects).await?;
    if !healths.iter().all(Health::is_well) {
        return Ok(false);
    }
    // Of a job that is done many times a second most successes need not be noted, nor wait for who is just noting one.
    let noted: HashMap<&str, &Health> = healths.iter().map(|health| (health.subject.as_str(), health)).collect();
    let newest: Vec<_> =
        newest.iter().filter(|(job, at, _)| !noted.get(job).is_some_and(|health| health.has_noted(*at))).collect();
    if newest.is_empty() {
        return Ok(true);
    }
    sqlx::query(include_str!("../../sql/outbox/touch_health.sql"))
        .bind(newest.iter().map(|(job, ..)| *job).collect::<Vec<_>>())
        .bind(newest.iter().map(|(_, at, _)| *at).collect::<Vec<_>>())
        .bind(newest.iter().map(|(.., run)| *run).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(true)
}

async fn add(connection: &mut PgConnection, events: &[(Uuid, News, &Fact)]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../sql/outbox/add_events.sql"))
        .bind(events.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, news, _)| news.kind.to_owned()).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, _, fact)| fact.job.clone()).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, _, fact)| fact.run).collect::<Vec<_>>())
        .bind(events.iter().map(|(id, news, _)| news.incident.unwrap_or(*id)).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, news, _)| news.repeat).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, _, fact)| json!(fact.channels)).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, _, fact)| detail(fact)).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, _, fact)| fact.at).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    call(connection).await
}

/// Calls the alerts of every daemon, with the commit. A hint: they look by themselves, too.
///
/// # Errors
/// The database's.
pub async fn call(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if db::notifies() {
        sqlx::query("select pg_notify($1, '')").bind(super::CHANNEL).execute(connection).await?;
    }
    Ok(())
}

/// The fact's detail, with the thresholds that were not kept.
fn detail(fact: &Fact) -> Value {
    let mut detail = fact.detail.clone();
    if let (What::Done { breaches }, Value::Object(entries)) = (&fact.what, &mut detail)
        && !breaches.is_empty()
    {
        entries.insert("breaches".to_owned(), json!(breaches));
    }
    detail
}
