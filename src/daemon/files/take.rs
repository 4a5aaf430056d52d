//! Makes files that were read the current revision, if they are good: one transaction, or nothing.

use sqlx::{PgConnection, PgPool};

use super::{Occasion, PATIENCE, Reading, ReloadError, Reloaded, Source};
use crate::{
    catalog::{Catalog, Diff, Files, Offer, Problem, cut_off, only_trimmed, too_many_removed},
    ledger::{self, Entry, Published, Revision},
    planner, queue,
};

/// Makes files that were read the current revision, if they are good and do not look cut off.
///
/// # Errors
/// Broken files are an error only where there is no revision to go on with.
pub async fn take_in(
    pool: &PgPool,
    source: &Source,
    reading: &Reading,
    occasion: Occasion,
    by: &str,
) -> Result<Reloaded, ReloadError> {
    let work = async {
        // Before anything else: what is wrong with a last line that is half there is only a consequence.
        if let Some(kept) = cut(pool, reading, occasion).await? {
            say(&kept);
            return Ok(kept);
        }
        let parsed = reading.parse(source);
        parsed.problems.iter().for_each(tell);
        match &parsed.catalog {
            Some(catalog) => take(pool, source, &reading.files, catalog, occasion, by).await,
            None => keep(pool, &reading.files, parsed.problems).await,
        }
    };
    let work = async {
        let reloaded = work.await?;
        if occasion == Occasion::Start && !matches!(reloaded, Reloaded::Applied { .. }) {
            again(pool, source).await?;
        }
        Ok(reloaded)
    };
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| ReloadError::Silent(PATIENCE))?
}

/// Whether the current revision stays because files look cut off.
async fn cut(pool: &PgPool, reading: &Reading, occasion: Occasion) -> Result<Option<Reloaded>, ReloadError> {
    let mut connection = pool.acquire().await?;
    let Some(current) = ledger::current(&mut connection).await?.filter(|_| occasion != Occasion::Insisted) else {
        return Ok(None);
    };
    let mut problems = cut_off(&Files(current.files), &reading.files);
    if problems.is_empty() || ledger::seen(&mut connection, &reading.files.digest()).await? {
        return Ok(None);
    }
    problems.extend(reading.problems.iter().cloned());
    Ok(Some(Reloaded::Kept { revision: current.id, problems }))
}

/// Makes good files the current revision, unless they are it, were it, or look cut off.
async fn take(
    pool: &PgPool,
    source: &Source,
    files: &Files,
    catalog: &Catalog,
    occasion: Occasion,
    by: &str,
) -> Result<Reloaded, ReloadError> {
    let digest = files.digest();
    let mut transaction = pool.begin().await?;
    ledger::lock_files(&mut transaction).await?;
    let current = ledger::current(&mut transaction).await?;
    if let Some(current) = &current {
        let seen = ledger::seen(&mut transaction, &digest).await?;
        if let Some(stays) = stays(source, current, files, &digest, seen, occasion) {
            say(&stays);
            return Ok(stays);
        }
    }
    close(&mut transaction, source, current.as_ref()).await?;
    let entries = catalog.schedules.iter().map(|schedule| Entry {
        name: schedule.name.clone(),
        job: schedule.job.clone(),
        enabled: schedule.enabled,
    });
    let entries: Vec<_> = entries.collect();
    let revision = ledger::apply(&mut transaction, &digest, &files.0, &entries, by).await?;
    publish(&mut transaction, source, revision, catalog.clone()).await?;
    transaction.commit().await?;
    queue::nudge(pool).await;
    let diff = Diff::between(&Files(current.map(|current| current.files).unwrap_or_default()), files);
    tracing::info!(
        revision,
        schedules = catalog.schedules.len(),
        jobs = catalog.jobs.len(),
        "the files are revision {revision} now: {}",
        diff.short()
    );
    Ok(Reloaded::Applied { revision })
}

/// Publishes the current revision's jobs as this binary and its settings have them: the one that applied it may be older.
async fn again(pool: &PgPool, source: &Source) -> Result<(), ReloadError> {
    let mut transaction = pool.begin().await?;
    ledger::lock_files(&mut transaction).await?;
    if let Some(current) = ledger::current(&mut transaction).await?
        && let Some(catalog) = Catalog::parse(&Files(current.files)).catalog
    {
        publish(&mut transaction, source, current.id, catalog).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Lets `sexton.enqueue` make runs of these jobs.
async fn publish(
    connection: &mut PgConnection,
    source: &Source,
    revision: i64,
    catalog: Catalog,
) -> Result<(), ReloadError> {
    let written = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let mut jobs = Vec::new();
    for Offer { spec, parts } in catalog.with_default_alert(source.default_alert.clone()).offers() {
        jobs.push(Published {
            spec: serde_json::to_value(&spec).map_err(written)?,
            parts: serde_json::to_value(&parts).map_err(written)?,
            priority: spec.priority,
            lease: spec.lease.0.as_secs_f64(),
            most_attempts: queue::most_attempts(&spec),
            on_lost: queue::on_lost(&spec),
            name: spec.job,
            kind: spec.kind,
        });
    }
    Ok(ledger::publish(connection, revision, &jobs, &source.default_alert).await?)
}

/// What keeps the current revision where it is; `None` if these files are to replace it.
fn stays(
    source: &Source,
    current: &Revision,
    files: &Files,
    digest: &str,
    seen: bool,
    occasion: Occasion,
) -> Option<Reloaded> {
    let revision = current.id;
    if current.digest == digest {
        return Some(Reloaded::Unchanged { revision });
    }
    if occasion == Occasion::Start && seen {
        return Some(Reloaded::Drifted { revision });
    }
    if occasion == Occasion::Insisted {
        return None;
    }
    let problems = refused(source, &Files(current.files.clone()), files, seen);
    if !problems.is_empty() {
        return Some(Reloaded::Kept { revision, problems });
    }
    only_trimmed(&Files(current.files.clone()), files).then_some(Reloaded::Unchanged { revision })
}

/// Why good files are not taken without a person's word. Content that was a revision before is whole: an entry that was
/// added at the end of a file is taken back.
pub(super) fn refused(source: &Source, current: &Files, files: &Files, seen: bool) -> Vec<Problem> {
    let mut problems = if seen { Vec::new() } else { cut_off(current, files) };
    problems.extend(too_many_removed(current, files, source.most_removed));
    problems
}

/// The last act of the old revision: what is due under it is decided by its words.
async fn close(connection: &mut PgConnection, source: &Source, current: Option<&Revision>) -> Result<(), ReloadError> {
    let Some(current) = current else { return Ok(()) };
    let Some(catalog) = Catalog::parse(&Files(current.files.clone())).catalog else {
        // Its schedules fired under a binary that could read it; there is no telling what was due.
        tracing::warn!(revision = current.id, "this sexton cannot read revision {}, which it replaces", current.id);
        return Ok(());
    };
    let catalog = catalog.with_default_alert(source.default_alert.clone());
    let look = ledger::freeze(connection).await?;
    if !planner::close(connection, &catalog, &look, source.me).await? {
        // The schedules are frozen, so nobody can have moved them.
        return Err(sqlx::Error::Protocol("a frozen schedule has moved".to_owned()).into());
    }
    Ok(())
}

/// Stays with the current revision, if there is one, because of these problems.
async fn keep(pool: &PgPool, files: &Files, problems: Vec<Problem>) -> Result<Reloaded, ReloadError> {
    let mut connection = pool.acquire().await?;
    match ledger::current(&mut connection).await? {
        Some(current) => Ok(Reloaded::Kept { revision: current.id, problems }),
        None => Err(ReloadError::FirstStart { problems, files: files.clone() }),
    }
}

fn say(stays: &Reloaded) {
    match stays {
        Reloaded::Kept { problems, .. } => problems.iter().for_each(tell),
        Reloaded::Unchanged { revision } => tracing::info!(revision, "the files are revision {revision} already"),
        Reloaded::Drifted { .. } | Reloaded::Applied { .. } => {}
    }
}

/// One line for the log.
fn tell(problem: &Problem) {
    let text = problem.to_string();
    if problem.is_error() {
        tracing::error!(help = problem.help, "{text}");
    } else {
        tracing::warn!(help = problem.help, "{text}");
    }
}
