//! What a kind is given: who it works for, what it may use, and how to say how far it is.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Broken;
use crate::{
    backups::{
        catalogue::Catalogue,
        work::{Tell, Work},
    },
    child::Spawner,
    db::{Target, Targets},
    outcome::{Failure, Report},
    vault::{Vault, Vaults},
};

/// What one attempt is given.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Which run this is.
    pub run: RunInfo,
    /// What every run on this daemon may use.
    pub env: Arc<Env>,
    /// The data set's definition, where the table names one.
    pub dataset: Option<Value>,
    /// The parameters of this run, resolved.
    pub params: std::collections::BTreeMap<String, Value>,
    /// The report of this job's last run that ended by itself, for kinds that remember.
    pub previous_report: Option<Report>,
    /// Cancelled when the attempt must stop; long loops look at it between steps.
    pub stop: CancellationToken,
    /// How far the work is; the worker writes it down about once a second.
    pub progress: watch::Sender<Option<Progress>>,
}

/// Which run, which attempt, and how it came to be.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// The run.
    pub id: Uuid,
    /// Its job.
    pub job: String,
    /// The attempt's fencing token.
    pub token: i64,
    /// 1 for the first attempt.
    pub attempt: i32,
    /// Who asked: `schedule NAME`, a person, or `after JOB`.
    pub requested_by: String,
    /// The schedule that made it or its chain.
    pub schedule: Option<String>,
    /// The slot's nominal instant, for runs that a schedule made.
    pub nominal_at: Option<DateTime<Utc>>,
    /// How long after it was first due this attempt was started.
    pub late_by: Duration,
    /// Whether the slot was missed and caught up.
    pub caught_up: bool,
    /// When this job last succeeded.
    pub previous_success_at: Option<DateTime<Utc>>,
}

/// What every run on this daemon may use.
#[derive(Debug, Clone)]
pub struct Env {
    /// Named databases.
    pub targets: Targets,
    /// Named vaults.
    pub vaults: Vaults,
    /// Starts children.
    pub spawner: Spawner,
    /// For HTTP requests.
    pub http: reqwest::Client,
    /// Where PostgreSQL's client programs are looked for first, if set.
    pub pg_bin: Option<PathBuf>,
    /// What is known of backups, where there is a queue.
    pub catalogue: Option<Catalogue>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// What is counted: `rows`, `bytes`, `checks`.
    pub unit: String,
    /// What it is at.
    pub note: Option<String>,
}

impl Env {
    /// A target by name.
    pub fn target(&self, name: &str) -> Result<&Target, Failure> {
        self.targets.get(name).map_err(|unknown| {
            Failure::never(unknown.to_string()).help(format!("add [targets.{name}] with its url to sexton.toml"))
        })
    }

    /// A vault by name.
    pub fn vault(&self, name: &str) -> Result<Arc<Vault>, Failure> {
        let vault = self.vaults.get(name).map_err(|unknown| {
            Failure::never(unknown.to_string()).help(format!("add [vaults.{name}] with `dir` or `s3` to sexton.toml"))
        })?;
        Ok(Arc::clone(vault))
    }

    /// What work on backups may use.
    pub(super) fn work<'a>(&'a self, stop: &'a CancellationToken, tell: &'a Tell<'a>) -> Work<'a> {
        Work { spawner: &self.spawner, pg_bin: self.pg_bin.as_deref(), stop, tell }
    }
}

impl Ctx {
    /// Ends the attempt here if it was told to stop.
    pub fn go_on(&self) -> Result<(), Broken> {
        if self.stop.is_cancelled() { Err(Broken::Stopped) } else { Ok(()) }
    }

    /// A target by name.
    pub fn target(&self, name: &str) -> Result<&Target, Broken> {
        Ok(self.env.target(name)?)
    }

    /// A vault by name.
    pub fn vault(&self, name: &str) -> Result<Arc<Vault>, Broken> {
        Ok(self.env.vault(name)?)
    }

    /// Where work on backups says how far it is.
    pub(super) fn tell(&self) -> impl Fn(u64, Option<u64>, &str, Option<&str>) + Send + Sync {
        |done, total, unit: &str, note: Option<&str>| self.progress(done, total, unit, note)
    }

    /// What work on backups may use.
    pub(super) fn work<'a>(&'a self, tell: &'a Tell<'a>) -> Work<'a> {
        self.env.work(&self.stop, tell)
    }

    /// Says how far the work is.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str, note: Option<&str>) {
        self.progress.send_replace(Some(Progress {
            done,
            total,
            unit: unit.to_owned(),
            note: note.map(str::to_owned),
        }));
    }
}
