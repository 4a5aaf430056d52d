//! How a subject fares, and what a fact makes of it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Fact, What};

/// How a job (or the files) fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Health {
    /// Which.
    pub subject: String,
    /// Failures in a row.
    pub failures: i64,
    /// Since when it fails.
    pub failing_since: Option<DateTime<Utc>>,
    /// Runs in a row that did not keep a threshold.
    pub breaches: i64,
    /// Since when thresholds are not kept.
    pub breached_since: Option<DateTime<Utc>>,
    /// The first event of the trouble that lasts.
    pub incident: Option<Uuid>,
    /// When a run was last done.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Which run that was.
    pub last_success_run: Option<Uuid>,
    /// When a run last ended, however.
    pub last_end_at: Option<DateTime<Utc>>,
}

/// An event in the making: its kind, its place in a row, and the incident that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    pub(super) kind: &'static str,
    pub(super) repeat: i64,
    /// `None` starts an incident of its own.
    pub(super) incident: Option<Uuid>,
}

impl Health {
    /// Whether nothing lasts that a success would end.
    pub(super) fn is_well(&self) -> bool {
        self.failing_since.is_none() && self.breached_since.is_none()
    }

    /// Whether a success at that time is not to be noted: one was, less than a second before (`touch_health.sql`).
    pub(super) fn has_noted(&self, at: DateTime<Utc>) -> bool {
        self.last_success_at.is_some_and(|noted| noted >= at - TimeDelta::seconds(1))
    }

    /// Takes a fact in. `id` is the event's id, should there be one.
    pub(super) fn take(&mut self, fact: &Fact, id: Uuid) -> Vec<News> {
        match &fact.what {
            What::Done { breaches } => self.done(fact, !breaches.is_empty(), id),
            What::FilesMended => self.recover("files_mended"),
            What::Failed => vec![self.fail(fact, "failed", id)],
            What::Held => vec![self.fail(fact, "held", id)],
            What::FilesBroken => vec![self.fail(fact, "files_broken", id)],
            What::FilesDrifted => vec![self.fail(fact, "files_drifted", id)],
            What::ChannelFailed => vec![self.fail(fact, "channel_failed", id)],
            What::Late => vec![self.fail(fact, "late", id)],
            What::Lost => vec![News { kind: "lost", repeat: 1, incident: self.incident }],
            What::Missed => vec![News { kind: "missed", repeat: 1, incident: None }],
            What::Paused => vec![News { kind: "paused", repeat: 1, incident: None }],
            What::Cancelled => {
                self.last_end_at = Some(fact.at);
                vec![News { kind: "cancelled", repeat: 1, incident: None }]
            }
            What::Skipped => {
                self.last_end_at = Some(fact.at);
                Vec::new()
            }
        }
    }

    fn done(&mut self, fact: &Fact, breached: bool, id: Uuid) -> Vec<News> {
        let mut news = self.recover("recovered");
        self.last_success_at = Some(fact.at);
        self.last_success_run = fact.run;
        self.last_end_at = Some(fact.at);
        if breached {
            self.breaches += 1;
            self.breached_since.get_or_insert(fact.at);
            let incident = *self.incident.get_or_insert(id);
            news.push(News { kind: "breached", repeat: self.breaches, incident: Some(incident) });
        } else if self.breached_since.take().is_some() {
            news.push(News { kind: "breach_cleared", repeat: 1, incident: self.incident.take() });
            self.breaches = 0;
        }
        news
    }

    fn fail(&mut self, fact: &Fact, kind: &'static str, id: Uuid) -> News {
        self.failures += 1;
        self.failing_since.get_or_insert(fact.at);
        self.last_end_at = Some(fact.at);
        let incident = *self.incident.get_or_insert(id);
        News { kind, repeat: self.failures, incident: Some(incident) }
    }

    fn recover(&mut self, kind: &'static str) -> Vec<News> {
        if self.failing_since.take().is_none() {
            return Vec::new();
        }
        let repeat = std::mem::take(&mut self.failures);
        // A breach that began before the failure goes on under the same incident.
        let incident = if self.breached_since.is_some() { self.incident } else { self.incident.take() };
        vec![News { kind, repeat, incident }]
    }
}

/// How a subject fares; `None` before its first run ended.
///
/// # Errors
/// The database's.
pub async fn health(pool: &PgPool, subject: &str) -> Result<Option<Health>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    Ok(read(&mut connection, &[subject.to_owned()]).await?.pop())
}

/// How those of these subjects fare that had a run which ended.
///
/// # Errors
/// The database's.
pub async fn healths(pool: &PgPool, subjects: &[String]) -> Result<Vec<Health>, sqlx::Error> {
    read(&mut *pool.acquire().await?, subjects).await
}

pub(super) async fn read(connection: &mut PgConnection, subjects: &[String]) -> Result<Vec<Health>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/outbox/health.sql")).bind(subjects).fetch_all(connection).await
}

/// Locks the rows of these subjects, making those that are missing.
pub(super) async fn lock(connection: &mut PgConnection, subjects: &[String]) -> Result<Vec<Health>, sqlx::Error> {
    sqlx::query(include_str!("../../sql/outbox/open_health.sql")).bind(subjects).execute(&mut *connection).await?;
    sqlx::query_as(include_str!("../../sql/outbox/lock_health.sql")).bind(subjects).fetch_all(connection).await
}

pub(super) async fn save(connection: &mut PgConnection, healths: &[Health]) -> Result<(), sqlx::Error> {
    fn each<T>(healths: &[Health], get: impl Fn(&Health) -> T) -> Vec<T> {
        healths.iter().map(get).collect()
    }
    sqlx::query(include_str!("../../sql/outbox/save_health.sql"))
        .bind(each(healths, |h| h.subject.clone()))
        .bind(each(healths, |h| h.failures))
        .bind(each(healths, |h| h.failing_since))
        .bind(each(healths, |h| h.breaches))
        .bind(each(healths, |h| h.breached_since))
        .bind(each(healths, |h| h.incident))
        .bind(each(healths, |h| h.last_success_at))
        .bind(each(healths, |h| h.last_success_run))
        .bind(each(healths, |h| h.last_end_at))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::expect::Breach;

    fn fact(what: What) -> Fact {
        Fact { job: "j".into(), run: None, at: DateTime::UNIX_EPOCH, what, channels: vec![], detail: Value::Null }
    }

    fn words(health: &mut Health, what: What) -> Vec<(&'static str, i64, Option<Uuid>)> {
        health.take(&fact(what), Uuid::now_v7()).into_iter().map(|n| (n.kind, n.repeat, n.incident)).collect()
    }

    #[test]
    fn failures_count_up_and_one_recovery_ends_them() {
        let mut health = Health::default();
        let first = words(&mut health, What::Failed);
        let second = words(&mut health, What::Failed);
        let incident = first[0].2;
        assert_eq!((first[0].0, first[0].1), ("failed", 1));
        assert_eq!(second, [("failed", 2, incident)]);
        assert_eq!(words(&mut health, What::Done { breaches: vec![] }), [("recovered", 2, incident)]);
        assert_eq!(words(&mut health, What::Done { breaches: vec![] }), []);
        assert_eq!(health.incident, None);
    }

    #[test]
    fn a_breach_is_told_until_it_clears() {
        let breach =
            || What::Done { breaches: vec![Breach { name: "n".into(), expected: "> 1".into(), actual: None }] };
        let mut health = Health::default();
        let first = words(&mut health, breach());
        assert_eq!((first[0].0, first[0].1), ("breached", 1));
        assert_eq!(words(&mut health, breach())[0].1, 2);
        assert_eq!(words(&mut health, What::Done { breaches: vec![] }), [("breach_cleared", 1, first[0].2)]);
        assert!(health.is_well());
    }

    #[test]
    fn a_success_is_noted_once_a_second() {
        let at = |millis| DateTime::from_timestamp_millis(millis).expect("a time");
        let noted = |last_success_at| Health { last_success_at, ..Health::default() };
        assert!(!noted(None).has_noted(at(0)));
        for (now, noted_already) in [(0, true), (1000, true), (1001, false)] {
            assert_eq!(noted(Some(at(0))).has_noted(at(now)), noted_already, "{now}");
        }
    }
}
