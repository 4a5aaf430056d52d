//! What long work on backups is given, whether a run or a person at a prompt asks for it.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{child::Spawner, outcome::Failure, vault::VaultError};

/// Where progress goes: units done, units in all where known, what is counted, and what the work is at.
pub type Tell<'a> = dyn Fn(u64, Option<u64>, &str, Option<&str>) + Send + Sync + 'a;

/// What long work may use.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Starts children.
    pub spawner: &'a Spawner,
    /// Where PostgreSQL's programs are looked for first, if set.
    pub pg_bin: Option<&'a Path>,
    /// Cancelled when the work must stop.
    pub stop: &'a CancellationToken,
    /// Where progress goes.
    pub tell: &'a Tell<'a>,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("pg_bin", &self.pg_bin).finish_non_exhaustive()
    }
}

impl Work<'_> {
    /// Ends the work here if it was told to stop.
    pub fn go_on(&self) -> Result<(), Ended> {
        if self.stop.is_cancelled() { Err(Ended::Stopped) } else { Ok(()) }
    }
}

/// Why work ended early.
#[derive(Debug)]
pub enum Ended {
    /// It went wrong.
    Failed(Failure),
    /// It was told to stop.
    Stopped,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<VaultError> for Ended {
    fn from(error: VaultError) -> Self {
        Self::Failed(error.into())
    }
}
