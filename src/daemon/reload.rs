//! How the files on disk become the revision that every daemon follows.
//!
//! All or nothing: one problem anywhere keeps the whole last good revision, also at a start. Only a daemon that finds
//! no revision at all refuses to start with broken files.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::Utc;
use serde_json::{Value, json};
use sqlx::{Acquire, PgConnection, PgPool};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    catalog::{Catalog, Files, Names, Problem},
    ledger::{self, Entry, Revision},
    metrics::FILES_GOOD,
    outbox::{self, Fact, What},
    planner,
    queue::{self, EnqueueError},
};

/// Two readings this far apart must be equal: an editor, `git` or a sync may be in the middle of its work.
const STEADY: Duration = Duration::from_millis(100);
/// How often to read until two readings are equal.
const READINGS: usize = 50;
/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many problems an event and its message carry.
const TOLD: usize = 20;

/// Where the files are, and what they are checked against.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folder of jobs.
    pub jobs: PathBuf,
    /// The folder of schedules.
    pub schedules: PathBuf,
    /// Targets, vaults and channels that the settings have.
    pub names: Names,
    /// Channels of jobs that name none; they are told about the files, too.
    pub default_alert: Vec<String>,
    /// Who decides the slots that are due when the old revision ends.
    pub me: Uuid,
}

/// Why the files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A daemon starts. Content that was a revision before is taken for an old copy, and the current one stays.
    Start,
    /// A person asks. Any content becomes the current one: that is how an edit is taken back.
    Asked,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Reloaded {
    /// The files are the current revision now.
    Applied {
        /// Its number.
        revision: i64,
    },
    /// They were it already.
    Unchanged {
        /// Its number.
        revision: i64,
    },
    /// The files are an old revision; the current one stays.
    Drifted {
        /// The current one's number.
        revision: i64,
    },
    /// The files are broken; the current revision stays.
    Kept {
        /// Its number.
        revision: i64,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

/// Why the files could not be taken in at all.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no revision to go on with.
    #[error("the files are broken, and there is no earlier revision to go on with: {}", first(.problems))]
    FirstStart {
        /// Everything that is wrong.
        problems: Vec<Problem>,
        /// The files, for showing the problems in them.
        files: Files,
    },
    /// The database refused or was not there; what became of it is unknown, and asking again tells.
    #[error("the files could not be made a revision: {0}")]
    Database(#[from] sqlx::Error),
    /// A slot that was due could not be decided before.
    #[error("the files could not be made a revision, because a slot that is due could not fire: {0}")]
    Fire(#[from] EnqueueError),
    /// The database did not answer.
    #[error("the files could not be made a revision: the database did not answer within {0:?}")]
    Silent(Duration),
}

/// Reads the files and makes them the current revision, if they are good.
///
/// # Errors
/// Broken files are an error only where there is no revision to go on with.
pub async fn reload(pool: &PgPool, source: &Source, occasion: Occasion, by: &str) -> Result<Reloaded, ReloadError> {
    let (files, problems) = settled(source).await;
    let mut parsed = Catalog::parse(&files);
    parsed.problems.splice(0..0, problems);
    if let Some(catalog) = &parsed.catalog {
        parsed.problems.extend(catalog.check_names(&source.names));
    }
    parsed.problems.iter().for_each(tell);
    let broken = parsed.problems.iter().any(Problem::is_error);
    let work = async {
        match parsed.catalog.filter(|_| !broken) {
            Some(catalog) => take(pool, source, &files, &catalog, occasion, by).await,
            None => keep_current(pool, source, files, parsed.problems).await,
        }
    };
    let reloaded = tokio::time::timeout(PATIENCE, work).await.map_err(|_| ReloadError::Silent(PATIENCE))?;
    metrics::gauge!(FILES_GOOD).set(if matches!(reloaded, Ok(Reloaded::Applied { .. } | Reloaded::Unchanged { .. })) {
        1.0
    } else {
        0.0
    });
    reloaded
}

/// Reloads on every SIGHUP until `stop`, pokes the planner, and asks again for as long as the database is away.
pub async fn on_hangup(pool: PgPool, source: Source, by: String, poke: Arc<Notify>, stop: CancellationToken) {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => return tracing::error!(%error, "SIGHUP cannot be heard; restart to take in edited files"),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            heard = hangups.recv() => if heard.is_none() { return },
        }
        tracing::info!("SIGHUP: reading the files");
        let mut pause = Duration::from_millis(500);
        while let Err(error) = reload(&pool, &source, Occasion::Asked, &by).await {
            tracing::error!(%error, "trying again in {pause:?}");
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
            }
        }
        poke.notify_one();
    }
}

/// The files, once two readings in a row are equal.
async fn settled(source: &Source) -> (Files, Vec<Problem>) {
    let mut last = read(source).await;
    for _ in 0..READINGS {
        sleep(STEADY).await;
        let next = read(source).await;
        if next == last {
            return next;
        }
        last = next;
    }
    let help = Some("reload once whatever writes them is done".to_owned());
    last.1.push(Problem::whole("jobs", format!("the files kept changing for {:?}", STEADY * READINGS as u32), help));
    last
}

async fn read(source: &Source) -> (Files, Vec<Problem>) {
    let (jobs, schedules) = (source.jobs.clone(), source.schedules.clone());
    let reading = tokio::task::spawn_blocking(move || Files::read(&jobs, &schedules));
    reading.await.unwrap_or_else(|error| {
        (Files::default(), vec![Problem::whole("jobs", format!("reading the files failed: {error}"), None)])
    })
}

/// Makes good files the current revision, unless they are it or were it.
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
    let reloaded = match &current {
        Some(current) if current.digest == digest => Reloaded::Unchanged { revision: current.id },
        Some(current) if occasion == Occasion::Start && ledger::seen(&mut transaction, &digest).await? => {
            Reloaded::Drifted { revision: current.id }
        }
        current => {
            close(&mut transaction, source, current.as_ref()).await?;
            let entries = catalog.schedules.iter().map(|schedule| Entry {
                name: schedule.name.clone(),
                job: schedule.job.clone(),
                enabled: schedule.enabled,
            });
            let entries: Vec<_> = entries.collect();
            let revision = ledger::apply(&mut transaction, &digest, &files.0, &entries, by).await?;
            Reloaded::Applied { revision }
        }
    };
    let fact = match &reloaded {
        Reloaded::Drifted { revision } => {
            let why = format!("the files in {} are an older revision than {revision}", source.jobs.display());
            let help = "bring them up to date, or reload (SIGHUP) to make them the current revision again";
            fact(source, What::FilesDrifted, json!({ "why": why, "help": help, "revision": revision }))
        }
        Reloaded::Applied { revision } | Reloaded::Unchanged { revision } | Reloaded::Kept { revision, .. } => {
            fact(source, What::FilesMended, json!({ "why": "the files are good again", "revision": revision }))
        }
    };
    outbox::record(&mut transaction, &[fact]).await?;
    transaction.commit().await?;
    match &reloaded {
        Reloaded::Applied { revision } => {
            queue::nudge(pool).await;
            tracing::info!(
                revision,
                schedules = catalog.schedules.len(),
                jobs = catalog.jobs.len(),
                "the files are revision {revision} now"
            );
        }
        Reloaded::Drifted { revision } => tracing::warn!(
            revision,
            "the files here are an older revision, so revision {revision} stays; reload (SIGHUP) to go back to them"
        ),
        _ => tracing::info!("the files have not changed"),
    }
    Ok(reloaded)
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

/// Says that the files are broken and stays with the current revision.
async fn keep_current(
    pool: &PgPool,
    source: &Source,
    files: Files,
    problems: Vec<Problem>,
) -> Result<Reloaded, ReloadError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let Some(current) = ledger::current(&mut transaction).await? else {
        return Err(ReloadError::FirstStart { problems, files });
    };
    let errors: Vec<_> = problems.iter().filter(|problem| problem.is_error()).collect();
    let why = format!("the files are broken, so revision {} stays: {}", current.id, first(&problems));
    let detail = json!({
        "why": why,
        "help": "`sexton check` shows every problem; then reload (SIGHUP)",
        "revision": current.id,
        "count": errors.len(),
        "problems": errors.iter().take(TOLD).collect::<Vec<_>>(),
    });
    outbox::record(&mut transaction, &[fact(source, What::FilesBroken, detail)]).await?;
    transaction.commit().await?;
    tracing::error!(revision = current.id, problems = errors.len(), "{why}");
    Ok(Reloaded::Kept { revision: current.id, problems })
}

fn fact(source: &Source, what: What, detail: Value) -> Fact {
    let channels = source.default_alert.clone();
    Fact { job: outbox::FILES.to_owned(), run: None, at: Utc::now(), what, channels, detail }
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

/// The first problem, and how many more there are.
fn first(problems: &[Problem]) -> String {
    let mut errors = problems.iter().filter(|problem| problem.is_error());
    let first = errors.next().map(ToString::to_string).unwrap_or_default();
    match errors.count() {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}
