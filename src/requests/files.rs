//! Which files are active, and how those of every daemon stand to them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    catalog::{Diff, How, Noun},
    ledger::{self, KnownStation, Revision},
};

/// What there is to know of the files.
#[derive(Debug, Serialize)]
pub struct KnownFiles {
    /// The revision that all daemons follow; `None` before the first.
    pub active: Option<ActiveFiles>,
    /// The newest revisions.
    pub revisions: Vec<OldFiles>,
    /// Every daemon that was heard of in the last minute.
    pub daemons: Vec<KnownStation>,
}

/// The active revision.
#[derive(Debug, Serialize)]
pub struct ActiveFiles {
    /// Its number.
    pub id: i64,
    /// What tells its content from another.
    pub digest: String,
    /// When it became active.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: String,
    /// The paths of its files.
    pub files: Vec<String>,
    /// The names of its schedules.
    pub schedules: Vec<String>,
    /// The names of its jobs.
    pub jobs: Vec<String>,
}

/// A revision by its number.
#[derive(Debug, Serialize)]
pub struct OldFiles {
    /// Its number.
    pub id: i64,
    /// What tells its content from another.
    pub digest: String,
    /// When it became active.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: String,
}

/// What there is to know of the files, with the newest revisions.
///
/// # Errors
/// The database's.
pub async fn files(pool: &PgPool, revisions: i64) -> Result<KnownFiles, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let active = ledger::current(&mut connection).await?.map(active);
    drop(connection);
    let revisions = ledger::revisions(pool, revisions).await?.into_iter();
    let revisions = revisions.map(|Revision { id, digest, applied_at, applied_by, .. }| OldFiles {
        id,
        digest,
        applied_at,
        applied_by,
    });
    Ok(KnownFiles { active, revisions: revisions.collect(), daemons: ledger::stations(pool).await? })
}

fn active(revision: Revision) -> ActiveFiles {
    let files: Vec<String> = revision.files.keys().cloned().collect();
    // From the texts alone: another version of Sexton may have applied them.
    let all = Diff::between(&Default::default(), &crate::catalog::Files(revision.files));
    let names = |what: Noun| {
        let ours = all.0.iter().filter(|change| change.what == what && change.how == How::Added);
        ours.map(|change| change.name.clone()).collect()
    };
    ActiveFiles {
        id: revision.id,
        digest: revision.digest,
        applied_at: revision.applied_at,
        applied_by: revision.applied_by,
        files,
        schedules: names(Noun::Schedule),
        jobs: names(Noun::Job),
    }
}
