//! `[archive]`: moves a data set's old rows, with all that belongs to them, to its archive.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Broken, Ctx, Finding, Kind, Uses,
    moving::{self, Batch, Moving, Planned},
    pacing,
};
use crate::{
    dataset::{Disposal, Operation, Order, Select, Side, Throttle, Vacuum},
    outcome::Outcome,
    span::Span,
    state::OnLost,
};

/// The `[archive]` table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The target that the rows are in.
    pub target: String,
    /// The data set.
    pub dataset: String,
    /// Rows move whose age column is further back than this; whole days.
    pub older_than: Span,
    /// Only say what would move.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// Critical rows stay.
    #[serde(default = "yes")]
    pub keep_critical: bool,
    /// Open rows stay.
    #[serde(default = "yes")]
    pub keep_open: bool,
    /// How big steps are.
    #[serde(default)]
    pub batch: Batch,
    /// The most parent rows that one run moves.
    pub max_rows: Option<u64>,
    /// The share of the table that one run may take: more is refused. Left out, it is half of the table, for runs that
    /// would take more than 10,000 rows.
    pub max_fraction: Option<f64>,
    /// What its steps wait for.
    #[serde(default)]
    pub throttle: Throttle,
    /// Whether the tables that many rows left are vacuumed afterwards: `"auto"`, or `"never"`.
    #[serde(default)]
    pub vacuum: Vacuum,
    /// Written beside each archived row.
    pub reason: Option<String>,
}

pub(super) fn yes() -> bool {
    true
}

impl Archive {
    fn order(&self, job: &str, by: &str) -> Order {
        Order {
            from: Side::Main,
            disposal: Disposal::Archive,
            select: Select::Old(self.older_than),
            keep_critical: self.keep_critical,
            keep_open: self.keep_open,
            max_rows: self.max_rows,
            by: by.to_owned(),
            reason: self.reason.clone().unwrap_or_else(|| format!("{job}: older than {}", self.older_than)),
        }
    }
}

impl Kind for Archive {
    const NAME: &'static str = "archive";
    const ABOUT: &'static str = "Moves old rows of a data set to its archive";
    const ON_LOST: OnLost = OnLost::Retry;
    const SIDE: Option<&'static str> = Some("move");
    const RESUMES: bool = true;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], vaults: Vec::new(), dataset: Some(self.dataset.clone()) }
    }

    fn check(&self) -> Vec<Finding> {
        let mut found = self.batch.findings();
        found.extend(moving::check_days("older_than", self.older_than));
        if self.max_rows == Some(0) {
            found.push(moving::error("max_rows", "0 rows would never move anything", "leave it out for no limit"));
        }
        found.extend(pacing::throttle_findings(&self.throttle));
        found.extend(self.max_fraction.and_then(pacing::fraction_finding));
        found
    }

    fn plan(&self) -> Option<Planned> {
        Some(Planned {
            target: self.target.clone(),
            order: self.order("", ""),
            batch: self.batch.rows.into(),
            dry_run: self.dry_run,
        })
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let order = self.order(&ctx.run.job, &ctx.run.requested_by);
        let moving = Moving {
            ctx: &ctx,
            target: &self.target,
            operation: Operation::Archive,
            order,
            batch: self.batch,
            throttle: &self.throttle,
            vacuum: self.vacuum,
            max_fraction: self.max_fraction,
            dry_run: self.dry_run,
            findings: self.check(),
        };
        moving.run().await
    }
}
