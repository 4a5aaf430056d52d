//! What archive and cleanup have in common: a data set's rows moved step after step, or counted in a dry run.

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Broken, Ctx, Finding, database_failure,
    pacing::{self, Pacer},
};
use crate::{
    dataset::{
        self, Counts, Definition, Disposal, Fence, LogLine, Mover, Operation, Order, Pace, Preview, Select, Sizes,
        State, Stepped, Throttle, Totals, Vacuum,
    },
    outcome::{Failure, Outcome, Report},
    span::Span,
};

/// The longest that a look at the whole table may take, by our clock; the database's own limit is a bit shorter.
const LOOK: Duration = Duration::from_secs(660);
/// The longest that a step may take with all its tries, by our clock.
const STEP: Duration = Duration::from_secs(300);

/// How big steps are.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Parent rows of the first step. Later steps adapt to `target`, up to twenty times as many.
    pub rows: u32,
    /// How long a step should take.
    pub target: Span,
}

impl Default for Batch {
    fn default() -> Self {
        Self { rows: 1_000, target: Span(Duration::from_millis(500)) }
    }
}

impl Batch {
    /// What is wrong with it.
    pub(super) fn findings(self) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.rows == 0 {
            found.push(error("batch", "`rows` is 0: no step would move anything", "write at least 1"));
        }
        if self.target.0 < Duration::from_millis(10) || self.target.0 > Duration::from_secs(60) {
            found.push(error(
                "batch",
                format!("a `target` of {} is no good step", self.target),
                "write 10ms to 60s; 500ms is good",
            ));
        }
        found
    }
}

/// A finding that is an error.
pub(super) fn error(key: &str, message: impl Into<String>, help: &str) -> Finding {
    Finding { key: key.to_owned(), message: message.into(), help: Some(help.to_owned()), warning: false }
}

/// Retention is whole days: less than one would take rows that are hardly there.
pub(super) fn check_days(key: &str, span: Span) -> Option<Finding> {
    (span.days() < 1).then(|| error(key, format!("{span} is less than a day"), "write at least 1d"))
}

/// Rows that a job would move by rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The target that they are in.
    pub target: String,
    /// Which rows, and where they go.
    pub order: Order,
    /// Rows of the first step.
    pub batch: u64,
    /// Whether the job would only count.
    pub dry_run: bool,
}

/// One move, as a kind wants it.
pub(super) struct Moving<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) target: &'a str,
    pub(super) operation: Operation,
    pub(super) order: Order,
    pub(super) batch: Batch,
    pub(super) throttle: &'a Throttle,
    pub(super) vacuum: Vacuum,
    pub(super) max_fraction: Option<f64>,
    pub(super) dry_run: bool,
    /// What [`Kind::check`](super::Kind::check) found; a run carries parameters that no file was checked with.
    pub(super) findings: Vec<Finding>,
}

impl Moving<'_> {
    /// Moves the rows, or says what would move.
    pub(super) async fn run(self) -> Result<Outcome, Broken> {
        refuse(&self.findings)?;
        let definition = definition(self.ctx)?;
        let begun_at = Utc::now();
        let result = self.work(&definition).await;
        if let Err(Broken::Failed(failure)) = &result {
            self.log_failure(&definition, begun_at, failure).await;
        }
        result
    }

    async fn work(&self, definition: &Definition) -> Result<Outcome, Broken> {
        let pool = self.ctx.target(self.target)?.pool();
        let pacer = Pacer::new(self.ctx, self.target, self.throttle).await?;
        let mut mover = self.patiently(LOOK, Mover::prepare(pool, definition, self.order.clone())).await?;
        if self.dry_run {
            let preview = self.patiently(LOOK, mover.preview()).await?;
            let line = self.line(preview.counts.rows, kept(&preview.totals), preview.at, None);
            log(self.ctx, self.target, definition, &line).await;
            return Ok(Outcome::Done(self.preview_report(&preview)));
        }
        self.really(definition, &mut mover, pacer).await
    }

    async fn really(
        &self,
        definition: &Definition,
        mover: &mut Mover,
        mut pacer: Pacer<'_>,
    ) -> Result<Outcome, Broken> {
        let ctx = self.ctx;
        let fence = Fence { run: ctx.run.id, token: ctx.run.token };
        let pace = Pace { rows: u64::from(self.batch.rows), target: self.batch.target.0 };
        let mut state = self.patiently(LOOK, mover.begin(fence, pace)).await?;
        pacing::guard(&self.order, &state.cursor.found, self.max_fraction)?;
        let most = self.order.max_rows.unwrap_or(u64::MAX);
        let total = state.cursor.found.eligible.min(most);
        loop {
            let rows = state.counts.rows;
            pacer.clear(|note| ctx.progress(rows, Some(total.max(rows)), "rows", note)).await?;
            // A step is never dropped half way by a stop; it is short.
            let step = mover.step(fence, &mut state, pace);
            match tokio::time::timeout(STEP, step).await {
                Err(_) => return Err(self.broken(dataset::Error::Silent(STEP.as_secs()), Some(&state))),
                Ok(Err(error)) => return Err(self.broken(error, Some(&state))),
                Ok(Ok(Stepped::Moved)) => {}
                Ok(Ok(Stepped::Pause(pause))) => {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = ctx.stop.cancelled() => {}
                    }
                }
                Ok(Ok(Stepped::Done)) => break,
            }
        }
        let line = |state: &State| self.line(state.counts.rows, kept(&state.cursor.found), state.cursor.begun_at, None);
        let end = self.patiently(LOOK, mover.finish(fence, &mut state, line)).await?;
        let mut report = self.report(&state.counts, &state.cursor.found, end.sizes);
        report.set("rows_skipped_locked", end.skipped_locked);
        report.set("rows_revisited", state.counts.revisited);
        report.set("steps", state.counts.steps);
        pacer.report(&mut report);
        if self.vacuum == Vacuum::Auto {
            let say = |table: &str| {
                ctx.progress(state.counts.rows, Some(state.counts.rows), "rows", Some(&format!("vacuum {table}")))
            };
            pacing::vacuum(ctx, self.target, definition, &self.order, &state.counts, say, &mut report).await;
        }
        report.set("duration_seconds", (end.at - state.cursor.begun_at).as_seconds_f64());
        Ok(Outcome::Done(report))
    }

    async fn patiently<T>(
        &self,
        most: Duration,
        work: impl Future<Output = Result<T, dataset::Error>>,
    ) -> Result<T, Broken> {
        patiently(self.ctx, self.target, most, work).await
    }

    fn broken(&self, error: dataset::Error, state: Option<&State>) -> Broken {
        let report = state.map(|state| self.report(&state.counts, &state.cursor.found, Sizes::default()));
        let failure = failure(error, self.target);
        Broken::Failed(match report {
            Some(report) => failure.report(report),
            None => failure,
        })
    }

    fn line(&self, rows: u64, kept: u64, begun_at: DateTime<Utc>, failed: Option<&Failure>) -> LogLine {
        let run = &self.ctx.run;
        let why = failed.map(|failure| format!(": {}", failure.why)).unwrap_or_default();
        LogLine {
            operation: self.operation,
            what: match self.order.select {
                Select::Old(_) => "OLD",
                Select::Resolved(_) => "RESOLVED",
            },
            days: Some(self.order.select.span().days()),
            rows,
            kept,
            begun_at,
            failed: failed.is_some(),
            dry_run: self.dry_run,
            by: run.requested_by.clone(),
            notes: format!("job {}, run {}, attempt {}{why}", run.job, run.id, run.attempt),
        }
    }

    /// A failed attempt leaves its line too, in a transaction of its own.
    async fn log_failure(&self, definition: &Definition, begun_at: DateTime<Utc>, failure: &Failure) {
        let rows = failure.report.number(&self.word("rows")).unwrap_or_default() as u64;
        log(self.ctx, self.target, definition, &self.line(rows, 0, begun_at, Some(failure))).await;
    }

    /// `rows_archived`, `retry_attempts_deleted`…
    fn word(&self, what: &str) -> String {
        match self.order.disposal {
            Disposal::Archive => format!("{what}_archived"),
            Disposal::Delete => format!("{what}_deleted"),
        }
    }

    fn report(&self, counts: &Counts, found: &Totals, after: Sizes) -> Report {
        let mut report = Report::new();
        report.set("dry_run", self.dry_run);
        report.set(self.word("rows"), counts.rows);
        for (label, rows) in &counts.children {
            report.set(self.word(label), *rows);
        }
        if counts.partitions > 0 {
            report.set("partitions_archived", counts.partitions);
        }
        if counts.stuck > 0 {
            report.set("rows_stuck", counts.stuck);
            let said: Vec<String> =
                counts.stuck_samples.iter().map(|one| format!("{}: {}", one.key, one.why)).collect();
            report.set("stuck", said.join("\n"));
        }
        if found.kept_held > 0 {
            report.set("rows_kept_held", found.kept_held);
        }
        report.set("rows_kept_critical", found.kept_critical);
        report.set("rows_kept_open", found.kept_open);
        report.set("main_rows_before", found.sizes.main);
        report.set("archive_rows_before", found.sizes.archive);
        report.set("archive_bytes_before", found.sizes.archive_bytes);
        if after != Sizes::default() {
            report.set("main_rows_after", after.main);
            report.set("archive_rows_after", after.archive);
            report.set("main_bytes_after", after.main_bytes);
            report.set("archive_bytes_after", after.archive_bytes);
        }
        report
    }

    /// The same names as the real run's, and nothing has changed.
    fn preview_report(&self, preview: &Preview) -> Report {
        let mut report = self.report(&preview.counts, &preview.totals, preview.totals.sizes);
        report.set("rows_eligible", preview.totals.eligible);
        if let Some((why, help)) = pacing::too_much(&self.order, &preview.totals, self.max_fraction) {
            report.set("refuses", format!("the real run would be refused: {why}; {help}"));
        }
        if !preview.changes.is_empty() {
            report.set("archive_changes", preview.changes.join(";\n"));
        }
        if !preview.installed {
            report.set("lacks", format!("run `sexton db install --target {}` before the real run", self.target));
        }
        report
    }
}

/// Refuses what [`Kind::check`](super::Kind::check) found: a run carries parameters that no file was checked with.
pub(super) fn refuse(findings: &[Finding]) -> Result<(), Failure> {
    let Some(finding) = findings.iter().find(|finding| !finding.warning) else { return Ok(()) };
    let failure = Failure::never(format!("`{}`: {}", finding.key, finding.message));
    Err(match &finding.help {
        Some(help) => failure.help(help),
        None => failure,
    })
}

/// The data set that the run carries.
pub(super) fn definition(ctx: &Ctx) -> Result<Definition, Failure> {
    let value = ctx.dataset.clone().ok_or_else(|| {
        Failure::never("the run carries no data set").help("name one with `dataset` and write it in jobs/datasets/")
    })?;
    serde_json::from_value(value).map_err(|error| {
        Failure::never(format!("the run's data set cannot be read: {error}"))
            .help("correct its file in jobs/datasets/ and trigger a new run")
    })
}

/// Waits for a look at the database, but no longer than `most` and not past a stop.
pub(super) async fn patiently<T>(
    ctx: &Ctx,
    target: &str,
    most: Duration,
    work: impl Future<Output = Result<T, dataset::Error>>,
) -> Result<T, Broken> {
    tokio::select! {
        () = ctx.stop.cancelled() => Err(Broken::Stopped),
        done = tokio::time::timeout(most, work) => {
            let done = done.unwrap_or(Err(dataset::Error::Silent(most.as_secs())));
            done.map_err(|error| failure(error, target).into())
        }
    }
}

/// Writes a line into the target's own log, in a transaction of its own. What happened is worth more than its line.
pub(super) async fn log(ctx: &Ctx, target: &str, definition: &Definition, line: &LogLine) {
    let Ok(there) = ctx.target(target) else { return };
    let write = dataset::write_log(there.pool(), definition, line);
    match tokio::time::timeout(Duration::from_secs(30), write).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!("the operation could not be logged in target `{target}`: {error}"),
        Err(_) => tracing::warn!("the operation could not be logged in target `{target}`: it does not answer"),
    }
}

fn kept(found: &Totals) -> u64 {
    found.kept_held + found.kept_critical + found.kept_open
}

/// What a data set's error means for the run.
pub(super) fn failure(error: dataset::Error, target: &str) -> Failure {
    let failure = match &error {
        dataset::Error::Sql(sql) => {
            let failure = database_failure(sql);
            Failure { why: format!("target `{target}`: {}", failure.why), ..failure }
        }
        dataset::Error::Superseded | dataset::Error::Silent(_) => Failure::later(format!("target `{target}`: {error}")),
        _ => Failure::never(format!("target `{target}`: {error}")),
    };
    match error.help(target) {
        Some(help) => failure.help(help),
        None => failure,
    }
}
