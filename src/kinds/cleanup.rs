//! `[cleanup]`: takes rows that have outlived their retention out of a data set, to its archive or for good.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Broken, Ctx, Finding, Kind, Uses,
    archive::yes,
    moving::{self, Batch, Moving, Planned},
    pacing,
};
use crate::{
    dataset::{Disposal, Operation, Order, Select, Side, Throttle, Vacuum},
    outcome::{Failure, Outcome},
    span::Span,
    state::OnLost,
};

/// The `[cleanup]` table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cleanup {
    /// The target that the rows are in.
    pub target: String,
    /// The data set.
    pub dataset: String,
    /// Rows go whose age column is further back than this; whole days. Either this or `resolved_for`.
    pub older_than: Option<Span>,
    /// Rows go that have been resolved for longer than this; whole days. Either this or `older_than`.
    pub resolved_for: Option<Span>,
    /// Where they go: `"archive"` or, for good, `"delete"`.
    pub disposal: Disposal,
    /// Where they are taken from: `"main"`, or `"archive"` to purge that.
    #[serde(default)]
    pub from: Side,
    /// Only say what would go.
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
    /// The most parent rows that one run takes.
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

impl Cleanup {
    fn select(&self) -> Option<Select> {
        match (self.older_than, self.resolved_for) {
            (Some(span), None) => Some(Select::Old(span)),
            (None, Some(span)) => Some(Select::Resolved(span)),
            _ => None,
        }
    }

    fn order(&self, job: &str, by: &str) -> Option<Order> {
        let select = self.select()?;
        let reason = self.reason.clone().unwrap_or_else(|| match select {
            Select::Old(span) => format!("{job}: older than {span}"),
            Select::Resolved(span) => format!("{job}: resolved for {span}"),
        });
        Some(Order {
            from: self.from,
            disposal: self.disposal,
            select,
            keep_critical: self.keep_critical,
            keep_open: self.keep_open,
            max_rows: self.max_rows,
            by: by.to_owned(),
            reason,
        })
    }
}

impl Kind for Cleanup {
    const NAME: &'static str = "cleanup";
    const ABOUT: &'static str = "Takes rows past their retention out of a data set";
    const ON_LOST: OnLost = OnLost::Retry;
    const SIDE: Option<&'static str> = Some("move");
    const RESUMES: bool = true;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], vaults: Vec::new(), dataset: Some(self.dataset.clone()) }
    }

    fn check(&self) -> Vec<Finding> {
        let mut found = self.batch.findings();
        match self.select() {
            None => found.push(moving::error(
                if self.older_than.is_some() { "resolved_for" } else { "older_than" },
                "which rows go is said by exactly one of `older_than` and `resolved_for`",
                "older_than = \"730d\" goes by age, resolved_for = \"90d\" by how long rows have been resolved",
            )),
            Some(Select::Old(span)) => found.extend(moving::check_days("older_than", span)),
            Some(Select::Resolved(span)) => found.extend(moving::check_days("resolved_for", span)),
        }
        if self.from == Side::Archive && self.disposal == Disposal::Archive {
            found.push(moving::error(
                "disposal",
                "rows of the archive cannot go to the archive",
                "write disposal = \"delete\" to purge the archive",
            ));
        }
        if self.max_rows == Some(0) {
            found.push(moving::error("max_rows", "0 rows would never take anything", "leave it out for no limit"));
        }
        found.extend(pacing::throttle_findings(&self.throttle));
        found.extend(self.max_fraction.and_then(pacing::fraction_finding));
        found
    }

    fn plan(&self) -> Option<Planned> {
        Some(Planned {
            target: self.target.clone(),
            order: self.order("", "")?,
            batch: self.batch.rows.into(),
            dry_run: self.dry_run,
        })
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let findings = self.check();
        let Some(order) = self.order(&ctx.run.job, &ctx.run.requested_by) else {
            let why = "which rows go is said by exactly one of `older_than` and `resolved_for`";
            return Err(Failure::never(why).help("correct the job's file").into());
        };
        let moving = Moving {
            ctx: &ctx,
            target: &self.target,
            operation: Operation::Cleanup,
            order,
            batch: self.batch,
            throttle: &self.throttle,
            vacuum: self.vacuum,
            max_fraction: self.max_fraction,
            dry_run: self.dry_run,
            findings,
        };
        moving.run().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(table: &str) -> Vec<String> {
        let cleanup: Cleanup = toml::from_str(table).expect("a table");
        cleanup.check().into_iter().map(|finding| finding.key).collect()
    }

    #[test]
    fn which_rows_go_is_said_exactly_once() {
        let base = "target = 't'\ndataset = 'd'\ndisposal = 'delete'\n";
        assert_eq!(findings(base), ["older_than"]);
        assert_eq!(findings(&format!("{base}older_than = '2d'\nresolved_for = '2d'")), ["resolved_for"]);
        assert_eq!(findings(&format!("{base}older_than = '23h'")), ["older_than"]);
        assert_eq!(findings(&format!("{base}resolved_for = '90d'")), [""; 0]);
    }

    #[test]
    fn pacing_is_checked_with_the_file() {
        let base = "target = 't'\ndataset = 'd'\ndisposal = 'delete'\nolder_than = '2d'\n";
        assert_eq!(findings(&format!("{base}throttle = {{ share = 0.5, replica_lag = '10s' }}")), [""; 0]);
        assert_eq!(
            findings(&format!("{base}throttle = {{ share = 2.0 }}\nmax_fraction = 1.5")),
            ["throttle", "max_fraction"]
        );
        assert!(toml::from_str::<Cleanup>(&format!("{base}throttle = {{ replica_lagg = '10s' }}")).is_err());
    }

    #[test]
    fn where_rows_go_must_be_said_and_make_sense() {
        assert!(toml::from_str::<Cleanup>("target = 't'\ndataset = 'd'\nolder_than = '2d'").is_err());
        let purge = "target = 't'\ndataset = 'd'\nolder_than = '2d'\nfrom = 'archive'\n";
        assert_eq!(findings(&format!("{purge}disposal = 'archive'")), ["disposal"]);
        assert_eq!(findings(&format!("{purge}disposal = 'delete'")), [""; 0]);
    }
}
