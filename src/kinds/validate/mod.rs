//! `[validate]`: runs checks, each a query that returns the bad rows, in one read-only snapshot.
//!
//! ```text
//! checks (data set's suites, the job's own) ── facts of the catalog ──▶ queries ── look ──▶ found ── judge ──▶ report
//!                                                    keys of bad rows, hashed: what the next run knows ◀──┘
//! ```
//! Nothing here writes, so a target may be a replica.

mod ids;
mod judge;
mod known;
mod look;

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use self::{
    judge::Judged,
    known::Memory,
    look::{Found, Look},
};
use super::{Broken, Ctx, Finding, Kind, Uses, moving::error};
use crate::{
    dataset::{
        Definition,
        check::{Check, Facts, Threshold},
    },
    metrics::VALIDATION_ISSUES,
    outcome::{Failure, Outcome},
    span::Span,
    state::OnLost,
};

/// The `[validate]` table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// The target that is checked; a replica will do.
    pub target: String,
    /// The data set whose checks are run.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Which of the data set's checks are run.
    #[serde(default)]
    pub suite: Option<Suites>,
    /// The names of single rows, for checks that ask for `:ids`.
    #[serde(default)]
    pub ids: Option<Vec<String>>,
    /// How long one statement of a check may take.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
    /// How many bad rows of each check are shown; all are counted.
    #[serde(default = "twenty")]
    pub samples: u16,
    /// Thresholds of this job, by the name of the check; they go before the check's own.
    #[serde(default)]
    pub thresholds: BTreeMap<String, Thresholds>,
    /// Checks of this job alone.
    #[serde(default)]
    pub check: Vec<Check>,
}

/// `suite = "full"`, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "the name of a suite, or a list of them")]
pub enum Suites {
    /// One.
    One(String),
    /// Several; a check that is in two of them runs once.
    Several(Vec<String>),
}

/// A job's own thresholds for a check.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// What is worth a warning.
    pub warn: Option<Threshold>,
    /// What fails the run.
    pub fail: Option<Threshold>,
}

fn five_minutes() -> Span {
    Span::seconds(300)
}

fn twenty() -> u16 {
    20
}

impl Suites {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

impl Kind for Validate {
    const NAME: &'static str = "validate";
    const ABOUT: &'static str = "Counts and shows rows that break a rule";
    const ON_LOST: OnLost = OnLost::Retry;
    const REMEMBERS: bool = true;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], dataset: self.dataset.clone(), ..Uses::default() }
    }

    fn check(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.check.is_empty() && self.suite.is_none() {
            let help =
                "add [[validate.check]] with `name` and `sql`, or `dataset` and `suite` to run a data set's checks";
            found.push(error("check", "there is no check", help));
        }
        if self.suite.is_some() && self.dataset.is_none() {
            found.push(error("suite", "a suite is a data set's, and none is named", "add dataset = \"NAME\""));
        }
        for (at, check) in self.check.iter().enumerate() {
            if self.check[..at].iter().any(|earlier| earlier.name == check.name) {
                found.push(error("check", format!("two checks are called `{}`", check.name), "give each its own name"));
            }
            for problem in check.problems(None) {
                let (message, help) = problem.split_once("; ").unwrap_or((&problem, "see docs/validation.md"));
                found.push(error("check", message, help));
            }
        }
        if self.suite.is_none() {
            for name in self.thresholds.keys().filter(|name| !self.check.iter().any(|check| check.name == **name)) {
                found.push(error("thresholds", format!("there is no check `{name}`"), "name one of the job's checks"));
            }
        }
        if self.timeout.0.is_zero() {
            found.push(error("timeout", "a check needs time", "write 5m, say"));
        }
        found
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let dataset = self.definition(&ctx)?;
        let checks = self.chosen(dataset.as_ref())?;
        let memory = Memory::read(ctx.previous_report.as_ref());
        let target = ctx.target(&self.target)?;
        let mut tx = target.pool().begin_with("begin isolation level repeatable read read only").await?;
        sqlx::query("select set_config('statement_timeout', $1, true), set_config('lock_timeout', '10s', true)")
            .bind(format!("{}ms", self.timeout.0.as_millis()))
            .execute(&mut *tx)
            .await?;
        let list: Vec<&Check> = checks.iter().collect();
        let facts = Facts::read(&mut tx, dataset.as_ref(), &list).await.map_err(|error| match error {
            crate::dataset::Error::Sql(error) => Broken::from(error),
            other => Broken::Failed(Failure::never(other.to_string())),
        })?;
        let mut judged = Judged::default();
        for (at, check) in checks.iter().enumerate() {
            ctx.progress(at as u64, Some(checks.len() as u64), "checks", Some(&check.name));
            // A few statements, each with the server's own limit; past that the connection is dead.
            let most = self.timeout.0 * 5 + Duration::from_secs(30);
            let look = Look { samples: self.samples, before: memory.of(&check.name) };
            let found = tokio::select! {
                () = ctx.stop.cancelled() => return Err(Broken::Stopped),
                found = tokio::time::timeout(most, look.at(&mut tx, check, facts.query(check, dataset.as_ref()))) => found,
            };
            let found = found.map_err(|_| {
                Failure::later(format!(
                    "target `{}` did not answer check `{}` within {} s",
                    self.target,
                    check.name,
                    most.as_secs()
                ))
            })??;
            if let Found::Rows(rows) = &found {
                let labels = [("job", ctx.run.job.clone()), ("check", check.name.clone())];
                let severity = ("severity", check.severity.word().to_owned());
                metrics::gauge!(VALIDATION_ISSUES, &[labels.as_slice(), &[severity]].concat()).set(rows.count as f64);
            }
            judged.add(check, found, memory.of(&check.name));
        }
        tx.rollback().await?;
        ctx.progress(checks.len() as u64, Some(checks.len() as u64), "checks", None);
        Ok(judged.outcome())
    }
}

impl Validate {
    fn definition(&self, ctx: &Ctx) -> Result<Option<Definition>, Failure> {
        let read = |value| {
            serde_json::from_value(value).map_err(|error| {
                Failure::never(format!("the run's data set cannot be read: {error}"))
                    .help("correct its file in jobs/datasets and trigger a new run")
            })
        };
        match (&self.dataset, &ctx.dataset) {
            (Some(_), Some(value)) => read(value.clone()).map(Some),
            (Some(name), None) => Err(Failure::never(format!("the run carries no data set `{name}`"))
                .help("trigger a new run; this one was made without it")),
            (None, _) => Ok(None),
        }
    }

    /// The checks of this run, with the job's thresholds and the list of ids in them.
    fn chosen(&self, dataset: Option<&Definition>) -> Result<Vec<Check>, Failure> {
        let mut checks = self.check.clone();
        let all = dataset.map(|set| set.check.as_slice()).unwrap_or_default();
        let suites = self.suite.as_ref().map(Suites::names).unwrap_or_default();
        for suite in suites {
            if !all.iter().any(|check| check.suite.contains(suite)) {
                let mut known: Vec<&str> = all.iter().flat_map(|check| &check.suite).map(String::as_str).collect();
                known.sort_unstable();
                known.dedup();
                let help = format!("name one of them in the job's `suite`: {}", known.join(", "));
                return Err(Failure::never(format!("the data set has no check in suite `{suite}`")).help(help));
            }
        }
        let wanted = |check: &&Check| check.suite.iter().any(|suite| suites.contains(suite));
        // The job's own check goes before the data set's of that name.
        let rest: Vec<Check> =
            all.iter().filter(wanted).filter(|set| !checks.iter().any(|own| own.name == set.name)).cloned().collect();
        checks.splice(0..0, rest);
        for (name, thresholds) in &self.thresholds {
            let Some(check) = checks.iter_mut().find(|check| check.name == *name) else {
                let known: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
                let help = format!("correct [validate.thresholds]; the checks of this job are: {}", known.join(", "));
                return Err(Failure::never(format!("there is no check `{name}` to set thresholds for")).help(help));
            };
            if let Some(warn) = &thresholds.warn {
                check.warn = Some(warn.clone());
            }
            if let Some(fail) = &thresholds.fail {
                check.fail = Some(fail.clone());
            }
        }
        checks.iter_mut().try_for_each(|check| ids::set(check, self.ids.as_deref()))?;
        Ok(checks)
    }
}
