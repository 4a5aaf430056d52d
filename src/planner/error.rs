//! Why a tick decided less than was due.

use std::{future::Future, time::Duration};

use crate::queue::EnqueueError;

/// Why a tick decided less than was due. Nothing is lost: the next one looks again.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The database refused or was not there.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The database did not answer.
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
    /// A run could not be made.
    #[error("schedule {schedule}: {error}")]
    Fire {
        /// Whose slot it was.
        schedule: String,
        /// Why.
        error: EnqueueError,
    },
    /// The current revision means nothing to this binary.
    #[error(
        "this sexton cannot read revision {revision} of the files, so it plans nothing: {problem} \
         (is another daemon newer than this one?)"
    )]
    Files {
        /// The revision.
        revision: i64,
        /// The first thing that is wrong.
        problem: String,
    },
}

impl PlanError {
    /// Whether the connection is of no use any more.
    pub(super) fn is_of_the_wire(&self) -> bool {
        match self {
            Self::Database(error) | Self::Fire { error: EnqueueError::Database(error), .. } => {
                error.as_database_error().is_none()
            }
            Self::Silent(_) => true,
            Self::Fire { .. } | Self::Files { .. } => false,
        }
    }
}

/// One exchange with the database, for which there is so much patience.
pub(super) async fn within<T>(
    patience: Duration,
    exchange: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, PlanError> {
    Ok(tokio::time::timeout(patience, exchange).await.map_err(|_| PlanError::Silent(patience))??)
}
