//! `[restore]`: brings archived rows of a data set back, with all that belongs to them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Broken, Ctx, Finding, Kind, Uses,
    archive::yes,
    moving::{self, error},
    pacing::{self, Pacer},
};
use crate::{
    dataset::{self, Definition, Fence, LogLine, Operation, Restorer, Restoring, Throttle},
    outcome::{Failure, Outcome, Report},
    state::OnLost,
};

/// The longest that one transaction may take, by our clock; the database's own limit is a bit shorter.
const LOOK: Duration = Duration::from_secs(180);
/// How many refusals are told by name; all are counted.
const TOLD: usize = 50;

/// The `[restore]` table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The target that the rows are in.
    pub target: String,
    /// The data set.
    pub dataset: String,
    /// Which rows come back.
    pub ids: Vec<String>,
    /// What `ids` are: names (the data set's `known_by`) or keys.
    #[serde(default)]
    pub by: By,
    /// Only say what would come back.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// What its steps wait for.
    #[serde(default)]
    pub throttle: Throttle,
}

/// What rows are called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The data set's `known_by`.
    #[default]
    Name,
    /// Its key; of several columns, their values with `, ` between.
    Key,
}

impl Kind for Restore {
    const NAME: &'static str = "restore";
    const ABOUT: &'static str = "Brings archived rows of a data set back";
    const ON_LOST: OnLost = OnLost::Retry;
    const SIDE: Option<&'static str> = Some("move");
    const RESUMES: bool = true;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], vaults: Vec::new(), dataset: Some(self.dataset.clone()) }
    }

    fn check(&self) -> Vec<Finding> {
        if self.ids.is_empty() {
            return vec![error("ids", "no row is named", "name at least one")];
        }
        pacing::throttle_findings(&self.throttle)
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        moving::refuse(&self.check())?;
        let definition = moving::definition(&ctx)?;
        let begun_at = Utc::now();
        let result = self.work(&ctx, &definition).await;
        if let Err(Broken::Failed(failure)) = &result {
            let line = self.line(&ctx, 0, 0, begun_at, Some(failure));
            moving::log(&ctx, &self.target, &definition, &line).await;
        }
        result
    }
}

impl Restore {
    async fn work(&self, ctx: &Ctx, definition: &Definition) -> Result<Outcome, Broken> {
        let mut pacer = Pacer::new(ctx, &self.target, &self.throttle).await?;
        let pool = ctx.target(&self.target)?.pool();
        let restorer = Restorer::prepare(pool, definition, self.ids.clone(), self.by == By::Key);
        let restorer = moving::patiently(ctx, &self.target, LOOK, restorer).await?;
        if self.dry_run {
            let seen = moving::patiently(ctx, &self.target, LOOK, restorer.preview()).await?;
            let line = self.line(ctx, seen.rows, seen.refused.len(), seen.begun_at, None);
            moving::log(ctx, &self.target, definition, &line).await;
            return self.outcome(&seen);
        }
        let fence = Fence { run: ctx.run.id, token: ctx.run.token };
        let mut state = moving::patiently(ctx, &self.target, LOOK, restorer.begin(fence)).await?;
        loop {
            let at = state.rows + state.refused.len() as u64;
            pacer.clear(|note| ctx.progress(at, Some(restorer.asked()), "rows", note)).await?;
            // A step is never dropped half way by a stop; it is short.
            let step = tokio::time::timeout(LOOK, restorer.step(fence, &mut state)).await;
            let step = step.unwrap_or(Err(dataset::Error::Silent(LOOK.as_secs())));
            match step.map_err(|error| moving::failure(error, &self.target))? {
                None => break,
                Some(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = ctx.stop.cancelled() => {}
                },
            }
        }
        let line = self.line(ctx, state.rows, state.refused.len(), state.begun_at, None);
        moving::patiently(ctx, &self.target, LOOK, restorer.finish(fence, &mut state, line)).await?;
        let mut outcome = self.outcome(&state)?;
        if let Outcome::Done(report) = &mut outcome {
            pacer.report(report);
        }
        Ok(outcome)
    }

    fn outcome(&self, state: &Restoring) -> Result<Outcome, Broken> {
        let mut report = Report::new();
        report.set("dry_run", self.dry_run);
        report.set("rows_restored", state.rows);
        for (label, rows) in &state.children {
            report.set(format!("{label}_restored"), *rows);
        }
        report.set("rows_refused", state.refused.len());
        report.set("steps", state.steps);
        let told: Vec<String> =
            state.refused.iter().take(TOLD).map(|one| format!("{}: {}", one.name, one.why)).collect();
        if told.is_empty() {
            return Ok(Outcome::Done(report));
        }
        report.set("refused", told.join("\n"));
        if state.rows > 0 {
            return Ok(Outcome::Done(report));
        }
        let why = format!(
            "target `{}`: none of {} rows could be brought back: {}",
            self.target,
            state.refused.len(),
            told[0]
        );
        Err(Failure::never(why).help("the report's `refused` says why of each").report(report).into())
    }

    fn line(&self, ctx: &Ctx, rows: u64, refused: usize, begun_at: DateTime<Utc>, failed: Option<&Failure>) -> LogLine {
        let run = &ctx.run;
        let why = failed.map(|failure| format!(": {}", failure.why)).unwrap_or_default();
        LogLine {
            operation: Operation::Restore,
            what: "RESTORE",
            days: None,
            rows,
            kept: refused as u64,
            begun_at,
            failed: failed.is_some(),
            dry_run: self.dry_run,
            by: run.requested_by.clone(),
            notes: format!("job {}, run {}, attempt {}, {refused} refused{why}", run.job, run.id, run.attempt),
        }
    }
}
