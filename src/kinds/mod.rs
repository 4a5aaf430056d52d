//! What can be done: each kind is one file here and one line in [`ALL`].
//!
//! A kind never names a queue: it is given its table (from the job's file, with the run's parameters in it) and a
//! [`Ctx`], and returns an [`Outcome`].

mod archive;
mod backup;
mod cleanup;
mod counted;
mod ctx;
mod drill;
mod exec;
mod http;
mod migrate;
mod moving;
mod pacing;
mod prove;
mod registry;
mod restore;
mod rotate;
mod sql;
mod told;
mod validate;

use std::{future::Future, sync::Arc};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    backups::work::Ended,
    outcome::{Failure, Outcome},
    span::Span,
    state::OnLost,
};

pub use archive::Archive;
pub use backup::{Backup, Mode, When};
pub use cleanup::Cleanup;
pub use ctx::{Ctx, Env, Progress, RunInfo};
pub use drill::Drill;
pub use exec::Exec;
pub use http::{HeaderValue, Http, Statuses};
pub use migrate::Migrate;
pub use moving::{Batch, Planned};
pub use prove::{ProofOptions, Prove, Which};
pub use registry::{Entry, Finding, Inspection, ParamsAre, Source, Uses, entry, find};
pub use restore::{By, Restore};
pub use rotate::Rotate;
pub use sql::Sql;
pub use told::TOLD;
pub use validate::{Suites, Thresholds, Validate};

pub use crate::db::failure as database_failure;

/// Every kind that this binary has.
pub const ALL: &[Entry] = &[
    entry::<Archive>(),
    entry::<Backup>(),
    entry::<Cleanup>(),
    entry::<Drill>(),
    entry::<Exec>(),
    entry::<Http>(),
    entry::<Migrate>(),
    entry::<Prove>(),
    entry::<Restore>(),
    entry::<Rotate>(),
    entry::<Sql>(),
    entry::<Validate>(),
];

/// One sort of work. The type itself is the kind's table in a job file, so `#[serde(deny_unknown_fields)]` and a
/// doc comment on each field are what ops get to see.
pub trait Kind: DeserializeOwned + JsonSchema + Send + Sized + 'static {
    /// The name of its table in job files.
    const NAME: &'static str;
    /// One line for people.
    const ABOUT: &'static str;
    /// What happens to a run whose worker was lost, unless the job says otherwise.
    const ON_LOST: OnLost;
    /// Whether another attempt goes on where the one before it was, so that a running one can be paused.
    const RESUMES: bool = false;
    /// Whether it starts child processes: then a `timeout` is required, and the lease outlives a failover.
    const CHILDREN: bool = false;
    /// Whether it compares with its job's last run: then it is given that one's report.
    const REMEMBERS: bool = false;
    /// What a job's `[params]` are to it.
    const PARAMS: ParamsAre = ParamsAre::Keys;
    /// On which side of its target's data it is (`dump`, `move`): runs on different sides never overlap.
    const SIDE: Option<&'static str> = None;
    /// How long its worker may be silent.
    const LEASE: Span = if Self::CHILDREN { Span::seconds(300) } else { Span::seconds(45) };

    /// What the table refers to by name.
    fn uses(&self) -> Uses;

    /// What is wrong or doubtful with the table beyond its shape. Needs no database.
    fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// The parameters that the work refers to by name; a job must declare each in its `[params]`.
    fn binds(&self) -> Vec<String> {
        Vec::new()
    }

    /// Which rows the work would move, for kinds that move rows by rules.
    fn plan(&self) -> Option<Planned> {
        None
    }

    /// The tables that it reads from elsewhere in a target, which the settings must allow.
    fn sources(&self) -> Vec<Source> {
        Vec::new()
    }

    /// Whether the work could be done now: what it needs is there and answers. Looked at before its time comes; changes
    /// nothing.
    fn ready(self, _env: Arc<Env>) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }

    /// Does the work.
    fn run(self, ctx: Ctx) -> impl Future<Output = Result<Outcome, Broken>> + Send;
}

/// Why a kind ended without an outcome of its own.
#[derive(Debug)]
pub enum Broken {
    /// It went wrong.
    Failed(Failure),
    /// It was told to stop (cancel, timeout, shutdown, lost lease: the guard knows which) and did.
    Stopped,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Ended> for Broken {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Failed(failure) => Self::Failed(failure),
            Ended::Stopped => Self::Stopped,
        }
    }
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(database_failure(&error))
    }
}
