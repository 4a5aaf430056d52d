//! Keeps the figures of backups current, and says when the newest proven one is too old: a schedule that never ran is not
//! to be silent.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::wire::Parts;
use crate::{
    backups::catalogue::{Catalogue, Figures},
    catalog::{Catalog, Files},
    kinds::Backup,
    ledger, metrics,
    outbox::{self, Fact, Health, What},
    span::Span,
};

/// How often daemons look, if nothing is about to become late.
const EVERY: Duration = Duration::from_secs(30);
/// How often they look while one is late: people wait for the all-clear.
const LATE: Duration = Duration::from_secs(10);
/// How often they look into the vaults, in case others changed them.
const TAKE_IN: Duration = Duration::from_secs(3600);
/// How often trouble that lasts is noted, so that people can be reminded of it.
const NOTE: TimeDelta = TimeDelta::hours(1);
/// The states that are counted, so that one which nothing is in any more is 0.
const STATES: [&str; 5] = ["stored", "verified", "sampled", "proven", "failed"];

/// Backups that must not grow too old.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watched {
    job: String,
    vault: String,
    name: String,
    max_age: Span,
    channels: Vec<String>,
}

impl Watched {
    /// What facts about it are recorded under.
    fn subject(&self) -> String {
        format!("{}{} in vault {}", outbox::OF_PROOF, self.name, self.vault)
    }
}

/// Looks until `over`. `active` says which revision of the files is followed.
pub(super) async fn keep_looking(parts: Parts, mut active: watch::Receiver<i64>, over: CancellationToken) {
    let Some(catalogue) = parts.env.catalogue.clone() else { return };
    let mut taken_in: Option<Instant> = None;
    let mut watched: Option<(i64, Vec<Watched>)> = None;
    let mut said = false;
    while !over.is_cancelled() {
        if taken_in.is_none_or(|at| at.elapsed() > TAKE_IN) {
            taken_in = Some(Instant::now());
            tokio::select! {
                () = over.cancelled() => return,
                () = take_in(&parts, &catalogue) => {}
            }
        }
        let revision = *active.borrow_and_update();
        let mut pause = EVERY;
        match look(&parts, &catalogue, revision, &mut watched).await {
            Ok(again) => (pause, said) = (again, false),
            Err(error) if said => tracing::debug!(%error, "the figures of backups still cannot be read"),
            Err(error) => {
                said = true;
                tracing::warn!(%error, "the figures of backups cannot be read; trying again until the database answers");
            }
        }
        tokio::select! {
            () = over.cancelled() => {}
            // Whoever keeps the files outlives this, or all is over.
            Ok(()) = active.changed() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Takes in what the vaults have; one that cannot be read now is read in an hour.
async fn take_in(parts: &Parts, catalogue: &Catalogue) {
    for vault in parts.env.vaults.iter() {
        if let Err(error) = catalogue.sync(vault, None).await {
            tracing::warn!(error = error.why, "the backups in vault {} could not be looked at", vault.name());
        }
    }
}

/// Looks once; gives when to look again.
async fn look(
    parts: &Parts,
    catalogue: &Catalogue,
    revision: i64,
    watched: &mut Option<(i64, Vec<Watched>)>,
) -> Result<Duration, sqlx::Error> {
    let figures = catalogue.figures().await?;
    show(parts, &figures);
    if watched.as_ref().is_none_or(|(known, _)| *known < revision) {
        let mut connection = parts.pool.acquire().await?;
        let Some(revision) = ledger::current(&mut connection).await? else { return Ok(EVERY) };
        drop(connection);
        let Some(catalog) = Catalog::parse(&Files(revision.files)).catalog else { return Ok(EVERY) };
        *watched = Some((revision.id, watched_in(&catalog.with_default_alert(parts.source.default_alert.clone()))));
    }
    let all: Vec<&Watched> = watched.iter().flat_map(|(_, all)| all).collect();
    if all.is_empty() {
        return Ok(EVERY);
    }
    let mut pause = EVERY;
    let subjects: Vec<String> = all.iter().map(|one| one.subject()).collect();
    let healths = outbox::healths(&parts.pool, &subjects).await?;
    for one in all {
        let proven = figures.proven.get(&(one.vault.clone(), one.name.clone())).copied();
        let health = healths.iter().find(|health| health.subject == one.subject());
        // Most looks find nothing to say.
        let now = Utc::now();
        if news(one.max_age, proven, health, now).is_some() {
            judge(parts, catalogue, one).await?;
        }
        pause = pause.min(again(one.max_age, since(proven, health), now));
    }
    Ok(pause)
}

/// The gauges.
fn show(parts: &Parts, figures: &Figures) {
    use ::metrics::gauge;
    for figure in &figures.names {
        let name = figure.name.clone();
        gauge!(metrics::BACKUP_PROVEN, "name" => name.clone())
            .set(figure.proven_taken_at.map_or(0.0, |at| at.timestamp() as f64));
        gauge!(metrics::BACKUP_BYTES, "name" => name.clone()).set(figure.bytes as f64);
        if let Some(seconds) = figure.restore_seconds {
            gauge!(metrics::BACKUP_RESTORE, "name" => name.clone()).set(seconds);
        }
        if let Some(seconds) = figure.seconds {
            gauge!(metrics::BACKUP_SECONDS, "name" => name.clone()).set(seconds);
            let speed = figure.dump_bytes.unwrap_or(0) as f64 / seconds.max(0.001);
            gauge!(metrics::BACKUP_SPEED, "name" => name.clone()).set(speed);
        }
        for state in STATES {
            let count = figures.counts.get(&(name.clone(), state.to_owned())).copied().unwrap_or(0);
            gauge!(metrics::BACKUP_COUNT, "name" => name.clone(), "state" => state).set(count as f64);
        }
    }
    for vault in parts.env.vaults.iter() {
        let bytes = figures.vaults.get(vault.name()).copied().unwrap_or(0);
        gauge!(metrics::VAULT_BYTES, "vault" => vault.name().to_owned()).set(bytes as f64);
        if let Some(budget) = vault.budget() {
            gauge!(metrics::VAULT_BUDGET, "vault" => vault.name().to_owned()).set(budget as f64);
        }
    }
}

/// What the files say must not grow too old; of two jobs that say it of the same, the one that says it more strictly.
fn watched_in(catalog: &Catalog) -> Vec<Watched> {
    let mut all: BTreeMap<(String, String), Watched> = BTreeMap::new();
    for job in catalog.jobs.keys() {
        let Ok(spec) = catalog.resolve(job, &BTreeMap::new()) else { continue };
        if spec.kind != "backup" {
            continue;
        }
        let Ok(backup) = serde_json::from_value::<Backup>(spec.table) else { continue };
        let (Some(name), Some(max_age)) = (backup.name, backup.max_age) else { continue };
        let key = (backup.vault.clone(), name.clone());
        let one = Watched { job: job.clone(), vault: backup.vault, name, max_age, channels: spec.alert };
        if all.get(&key).is_none_or(|known| known.max_age > one.max_age) {
            all.insert(key, one);
        }
    }
    all.into_values().collect()
}

/// Says when one begins to be late, now and then while it is, and when it is no more.
async fn judge(parts: &Parts, catalogue: &Catalogue, one: &Watched) -> Result<(), sqlx::Error> {
    let mut tx = parts.pool.begin().await?;
    // One daemon at a time, so that nothing is said twice.
    if !Catalogue::take_turn(&mut tx).await? {
        return Ok(());
    }
    let subject = one.subject();
    let health = outbox::health(&parts.pool, &subject).await?;
    let proven = catalogue.proven(&one.vault, &one.name).await?;
    let now = Utc::now();
    let Some(what) = news(one.max_age, proven, health.as_ref(), now) else { return Ok(()) };
    let detail = match what {
        What::Late => {
            let why = match proven {
                Some(at) => format!(
                    "the newest proven backup was taken at {} UTC, more than {} ago",
                    at.format("%Y-%m-%d %H:%M:%S"),
                    one.max_age
                ),
                None => format!("no backup was proven in more than {}", one.max_age),
            };
            tracing::error!(
                job = one.job,
                name = one.name,
                vault = one.vault,
                why,
                "{} has no fresh proven backup",
                one.name
            );
            let help = format!("see whether {} ran and how it ended: sexton runs list --job {}", one.job, one.job);
            json!({ "why": why, "help": help })
        }
        _ => json!({}),
    };
    let fact = Fact { job: subject, run: None, at: now, what, channels: one.channels.clone(), detail };
    outbox::record(&mut tx, &[fact]).await?;
    tx.commit().await
}

/// From when the age counts: before anything was proven, from when it was first looked for.
fn since(proven: Option<DateTime<Utc>>, health: Option<&Health>) -> Option<DateTime<Utc>> {
    proven.or(health.and_then(|health| health.last_success_at))
}

/// When to look again: when it becomes late, and often while it is.
fn again(max_age: Span, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    let age = since.map_or(Duration::ZERO, |at| (now - at).to_std().unwrap_or_default());
    // A little after that moment it is late for sure.
    max_age.0.checked_sub(age).map_or(LATE, |left| (left + Duration::from_secs(1)).min(EVERY))
}

/// What there is to say.
fn news(max_age: Span, proven: Option<DateTime<Utc>>, health: Option<&Health>, now: DateTime<Utc>) -> Option<What> {
    let well = || Some(What::Done { breaches: Vec::new() });
    let late = |at: DateTime<Utc>| (now - at).to_std().is_ok_and(|age| age > max_age.0);
    let Some(health) = health else { return if proven.is_some_and(late) { Some(What::Late) } else { well() } };
    let late = since(proven, Some(health)).is_none_or(late);
    let failing = health.failing_since.is_some();
    match (late, failing) {
        (true, false) => Some(What::Late),
        (true, true) => health.last_end_at.is_none_or(|at| now - at > NOTE).then_some(What::Late),
        (false, true) => well(),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_when_it_begins_again_in_an_hour_and_when_it_is_over() {
        let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(100);
        let ago = |hours| now - TimeDelta::hours(hours);
        let day = Span::seconds(86_400);
        let well = Health { last_success_at: Some(ago(2_000)), ..Health::default() };
        let bad = |hours| Health { failing_since: Some(ago(50)), last_end_at: Some(ago(hours)), ..well.clone() };
        let done = Some(What::Done { breaches: Vec::new() });
        assert_eq!(news(day, None, None, now), done, "the first look begins the time");
        assert_eq!(news(day, Some(ago(25)), None, now), Some(What::Late), "of what was proven it began then");
        assert_eq!(news(day, Some(ago(23)), Some(&well), now), None);
        assert_eq!(news(day, Some(ago(25)), Some(&well), now), Some(What::Late));
        assert_eq!(news(day, None, Some(&well), now), Some(What::Late));
        assert_eq!(news(day, Some(ago(25)), Some(&bad(0)), now), None);
        assert_eq!(news(day, Some(ago(25)), Some(&bad(2)), now), Some(What::Late));
        assert_eq!(news(day, Some(ago(1)), Some(&bad(2)), now), done);
    }

    #[test]
    fn it_is_looked_at_when_it_becomes_late_and_often_while_it_is() {
        let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(100);
        let after = |seconds| again(Span::seconds(60), Some(now - TimeDelta::seconds(seconds)), now);
        let seconds = Duration::from_secs;
        assert_eq!([after(0), after(50), after(60), after(61)], [EVERY, seconds(11), seconds(1), LATE]);
        assert_eq!(again(Span::seconds(1), None, now), seconds(2), "not yet proven, just looked for");
    }
}
