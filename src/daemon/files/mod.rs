//! How the files on disk become the revision that every daemon follows.
//!
//! ```text
//! watch, SIGHUP ─▶ read until they hold still ─▶ check ─▶ cut off? too much gone? ─▶ one revision ─▶ say how it stands
//! ```
//! All or nothing: one problem anywhere keeps the whole last good revision, also at a start. Only a daemon that finds
//! no revision at all refuses to start with broken files.

pub(super) mod apply;
mod keeper;
mod read;
mod standing;
mod take;
mod watch;

use std::{path::PathBuf, time::Duration};

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    catalog::{Files, Names, Problem},
    queue::EnqueueError,
    settings::Share,
};

pub(super) use keeper::Keeper;
pub use read::{Reading, read};
pub use take::take_in;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// How many of the schedules may go at once.
    pub most_removed: Share,
    /// Who decides the slots that are due when the old revision ends, and whose files these are.
    pub me: Uuid,
}

/// Why the files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A daemon starts. Content that was a revision before is taken for an old copy, and the current one stays.
    Start,
    /// They changed, or a person asks. Any content becomes the current one: that is how an edit is taken back.
    Asked,
    /// A person insists: also files that look cut off, and also when most schedules go.
    Insisted,
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
    /// The files are broken, or look it; the current revision stays.
    Kept {
        /// Its number.
        revision: i64,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

impl Reloaded {
    /// The revision that is the current one afterwards.
    pub fn revision(&self) -> i64 {
        match self {
            Self::Applied { revision }
            | Self::Unchanged { revision }
            | Self::Drifted { revision }
            | Self::Kept { revision, .. } => *revision,
        }
    }
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

/// Reads the files, makes them the current revision if they are good, and says on record how they stand.
///
/// # Errors
/// Broken files are an error only where there is no revision to go on with.
pub async fn reload(pool: &PgPool, source: &Source, occasion: Occasion, by: &str) -> Result<Reloaded, ReloadError> {
    let reading = read::settled(source).await;
    let reloaded = take_in(pool, source, &reading, occasion, by).await?;
    standing::Standing::after(&reloaded, &reading, source).record(pool, source).await?;
    Ok(reloaded)
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
