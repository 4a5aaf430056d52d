//! `[migrate]`: brings the rows of a legacy table into a data set; what is wrong with a row is told, and it is kept aside.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Broken, Ctx, Finding, Kind, Source, Uses,
    archive::yes,
    moving::{self, Batch, error},
    pacing::{self, Pacer},
};
use crate::{
    dataset::{self, Definition, Fence, Migrating, Migration, MigrationLine, Migrator, Pace, Throttle},
    outcome::{Failure, Outcome, Report},
    state::OnLost,
};

/// The longest that counting the source may take, by our clock; the database's own limit is a bit shorter.
const LOOK: Duration = Duration::from_secs(660);
/// The longest that a batch may take with all its tries, by our clock.
const STEP: Duration = Duration::from_secs(600);

/// The `[migrate]` table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    /// The target that both tables are in.
    pub target: String,
    /// The data set that the rows come into; its `[migrate]` says how.
    pub dataset: String,
    /// The legacy table: its name, `schema.table`, or either quoted. The target's `sources` must allow it.
    pub source: String,
    /// Columns of the source that stand for columns of the data set: `{ op_code = "operation" }`.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Only say what would come in.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// How big steps are.
    #[serde(default)]
    pub batch: Batch,
    /// What its steps wait for.
    #[serde(default)]
    pub throttle: Throttle,
}

impl Kind for Migrate {
    const NAME: &'static str = "migrate";
    const ABOUT: &'static str = "Brings the rows of a legacy table into a data set";
    const ON_LOST: OnLost = OnLost::Retry;
    const SIDE: Option<&'static str> = Some("move");
    const RESUMES: bool = true;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], dataset: Some(self.dataset.clone()), ..Uses::default() }
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source { target: self.target.clone(), key: "source", table: self.source.clone() }]
    }

    fn check(&self) -> Vec<Finding> {
        let mut found = self.batch.findings();
        if self.source.trim().is_empty() {
            found.push(error("source", "no table is named", "write schema.table"));
        }
        let mut names: Vec<&String> = self.rename.values().collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("two columns of the source stand for `{}`", twice[0]);
            found.push(error("rename", message, "keep the one that is meant"));
        }
        found.extend(pacing::throttle_findings(&self.throttle));
        found
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        moving::refuse(&self.check())?;
        let definition = moving::definition(&ctx)?;
        let begun_at = Utc::now();
        let result = self.work(&ctx, &definition).await;
        if let Err(Broken::Failed(failure)) = &result {
            self.log_failure(&ctx, &definition, begun_at, failure).await;
        }
        result
    }
}

impl Migrate {
    async fn work(&self, ctx: &Ctx, definition: &Definition) -> Result<Outcome, Broken> {
        let target = ctx.target(&self.target)?;
        let find = dataset::find_source(target.pool(), definition, &self.source);
        let table = moving::patiently(ctx, &self.target, LOOK, find).await?;
        if !target.sources.allow(&table) {
            let why =
                format!("target `{}`: the settings do not allow `{table}` as a source of a migration", self.target);
            return Err(Failure::never(why).help(target.sources.help(&self.target, &table)).into());
        }
        let prepare = Migration::prepare(target.pool(), definition, &self.source, &self.rename);
        let mut migration = moving::patiently(ctx, &self.target, LOOK, prepare).await?;
        let mut pacer = Pacer::new(ctx, &self.target, &self.throttle).await?;
        let fence = Fence { run: ctx.run.id, token: ctx.run.token };
        let migrator = Migrator { fence: (!self.dry_run).then_some(fence), by: &ctx.run.requested_by };
        let pace = Pace { rows: u64::from(self.batch.rows), target: self.batch.target.0 };
        let mut state = moving::patiently(ctx, &self.target, LOOK, migration.begin(migrator, pace)).await?;
        loop {
            let (read, total) = (state.read, state.total.max(state.read));
            pacer.clear(|note| ctx.progress(read, Some(total), "rows", note)).await?;
            // A step is never dropped half way by a stop; it is short.
            let step = tokio::time::timeout(STEP, migration.step(migrator, &mut state, pace)).await;
            match step.unwrap_or(Err(dataset::Error::Silent(STEP.as_secs()))) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(moving::failure(error, &self.target).report(self.report(&state)).into()),
            }
        }
        let source = migration.source().to_owned();
        let line = |state: &Migrating| self.line(ctx, &source, state, state.begun_at, None);
        moving::patiently(ctx, &self.target, LOOK, migration.finish(migrator, &mut state, line)).await?;
        let mut report = self.report(&state);
        pacer.report(&mut report);
        Ok(Outcome::Done(report))
    }

    fn report(&self, state: &Migrating) -> Report {
        let mut report = Report::new();
        report.set("dry_run", self.dry_run);
        report.set("rows_read", state.read);
        report.set("rows_migrated", state.migrated);
        report.set("rows_already_there", state.there);
        report.set("rows_invalid", state.invalid);
        report.set("rows_quarantined", state.quarantined);
        report.set("steps", state.steps);
        if let Some(end) = state.ended_at {
            report.set("duration_seconds", (end - state.begun_at).as_seconds_f64());
        }
        if !state.samples.is_empty() {
            let told = state.samples.iter().map(|one| format!("Record ID {}: {}", one.record, one.reason));
            let more = state.invalid - state.samples.len() as u64;
            let more = (more > 0).then(|| format!("… and {more} more"));
            report.set("samples", told.chain(more).collect::<Vec<_>>().join("\n"));
        }
        report
    }

    fn line(
        &self,
        ctx: &Ctx,
        source: &str,
        state: &Migrating,
        started_at: DateTime<Utc>,
        failed: Option<&Failure>,
    ) -> MigrationLine {
        let run = &ctx.run;
        let why = failed.map(|failure| format!(": {}", failure.why)).unwrap_or_default();
        MigrationLine {
            source: source.to_owned(),
            read: state.read,
            migrated: state.migrated,
            failed: state.invalid,
            started_at,
            dry_run: self.dry_run,
            broken: failed.is_some(),
            by: run.requested_by.clone(),
            details: format!(
                "job {}, run {}, attempt {}; {} rows were there already{why}",
                run.job, run.id, run.attempt, state.there
            ),
        }
    }

    /// A failed attempt leaves its line too, in a transaction of its own. What happened is worth more than its line.
    async fn log_failure(&self, ctx: &Ctx, definition: &Definition, begun_at: DateTime<Utc>, failure: &Failure) {
        let Ok(target) = ctx.target(&self.target) else { return };
        let number = |name| failure.report.number(name).unwrap_or_default() as u64;
        let state = Migrating {
            read: number("rows_read"),
            migrated: number("rows_migrated"),
            invalid: number("rows_invalid"),
            there: number("rows_already_there"),
            ..Migrating::default()
        };
        let line = self.line(ctx, &self.source, &state, begun_at, Some(failure));
        let write = dataset::log_migration(target.pool(), definition, &line);
        match tokio::time::timeout(Duration::from_secs(30), write).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!("the failure could not be logged in target `{}`: {error}", self.target),
            Err(_) => tracing::warn!("the failure could not be logged in target `{}`: it does not answer", self.target),
        }
    }
}
