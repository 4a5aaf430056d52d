//! How an attempt ends: the one place where panic, timeout, cancel, shutdown and a lost lease become words.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::{
    Shared,
    attempt::{Attempt, Stopped},
    lease::{margin, near_its_end},
    log,
    wire::chance,
};
use crate::{
    expect::{Breach, breaches},
    fault,
    kinds::{Broken, Ctx, Entry, RunInfo},
    outcome::{Failure, Outcome, Report},
    queue::{self, Brief, Claimed, Ending},
    retry::Retry,
    spec::{NEWEST, Spec},
};

/// How an attempt ended, and what is to be told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// What becomes of the run.
    pub ending: Ending,
    /// Thresholds that its report did not keep.
    pub breaches: Vec<Breach>,
    /// How long it took.
    pub took: Duration,
}

impl Ended {
    /// An ending of nothing that was measured.
    pub(super) fn plain(ending: Ending) -> Self {
        Self { ending, breaches: Vec::new(), took: Duration::ZERO }
    }
}

/// Does one attempt and tells how it ended. Never panics and never takes longer than its job, its lease and a person
/// allow, plus the grace.
pub(super) async fn guard(shared: &Shared, attempt: &Attempt) -> Ended {
    let run = &attempt.claimed;
    let span = tracing::info_span!("run", run.id = %run.id, job = %run.job, attempt = run.attempt);
    log::attach(&span, attempt.log.get_or_init(|| log::Book::new(&shared.log, run)));
    let mut ended = match read(shared, run) {
        Ok((brief, entry)) => {
            let spec = Arc::clone(&brief.spec);
            tracing::info!(parent: &span, "{} starts: attempt {} of {}", run.job, run.attempt, run.most_attempts);
            match previous_report(shared, run, entry).await {
                Ok(previous) => {
                    let (ended, stopped) = watched(shared, attempt, brief, entry, previous).instrument(span).await;
                    word(&spec, run, ended, stopped, attempt.begun.elapsed())
                }
                Err(failure) => Ended::plain(after(failure, run, spec.retry)),
            }
        }
        Err(failure) => Ended::plain(after(failure, run, Retry::default())),
    };
    ended.took = attempt.begun.elapsed();
    ended
}

/// The ending of an attempt whose guard broke: a bug of ours, not of its kind.
pub(super) fn broke(attempt: &Attempt, panic: &(dyn Any + Send)) -> Ended {
    let failure = Failure::later(format!("the worker broke down on it: {}", message(panic)))
        .help("this is a bug in sexton; please report it with the log");
    let mut ended = Ended::plain(after(failure, &attempt.claimed, Retry::default()));
    ended.took = attempt.begun.elapsed();
    ended
}

/// Reads the snapshot and finds its kind.
fn read(shared: &Shared, run: &Claimed) -> Result<(Brief, &'static Entry), Failure> {
    let help = "run daemons of one version; if they are, cancel this run and trigger the job again";
    let format = run.spec.get("format").and_then(serde_json::Value::as_u64);
    if format.is_some_and(|format| format > u64::from(NEWEST)) {
        return Err(Failure::later(format!("the run was made by a newer sexton (format {format:?}, known {NEWEST})"))
            .help(help));
    }
    let brief = run
        .spec
        .read()
        .map_err(|error| Failure::later(format!("the run's snapshot of its job cannot be read: {error}")).help(help))?;
    let entry = (shared.kinds)(&brief.spec.kind)
        .ok_or_else(|| Failure::later(format!("this daemon has no kind `{}`", brief.spec.kind)).help(help))?;
    Ok((brief, entry))
}

/// The report that a kind compares with, where it does. Without an answer the attempt fails, because what is new would
/// be lost on it.
async fn previous_report(shared: &Shared, run: &Claimed, entry: &Entry) -> Result<Option<Report>, Failure> {
    if !entry.remembers {
        return Ok(None);
    }
    let report = timeout(Duration::from_secs(10), queue::previous_report(&shared.pool, &run.job)).await;
    match report {
        Ok(Ok(report)) => Ok(report.and_then(|report| Report::deserialize(report).ok())),
        Ok(Err(error)) => Err(Failure::later(format!("the report of the job's last run cannot be read: {error}"))),
        Err(_) => Err(Failure::later("the queue's database did not give the report of the job's last run within 10 s")),
    }
}

/// How the kind itself ended; `None`: it did not end within the grace and was dropped, with its children.
type Raw = Option<Result<Result<Outcome, Broken>, Box<dyn Any + Send>>>;

/// Runs the kind until it ends or is told to stop and has had its grace.
async fn watched(
    shared: &Shared,
    attempt: &Attempt,
    Brief { spec, table, params }: Brief,
    entry: &Entry,
    previous_report: Option<Report>,
) -> (Raw, Option<Stopped>) {
    let run = &attempt.claimed;
    let ctx = Ctx {
        run: RunInfo {
            id: run.id,
            job: run.job.clone(),
            token: run.token,
            attempt: run.attempt,
            requested_by: run.requested_by.clone(),
            schedule: run.schedule.clone(),
            nominal_at: run.nominal_at,
            late_by: run.late_by,
            caught_up: run.caught_up,
            previous_success_at: run.previous_success_at,
        },
        env: Arc::clone(&shared.env),
        dataset: spec.dataset.clone(),
        params,
        previous_report,
        stop: attempt.stop.token.clone(),
        progress: attempt.progress.clone(),
    };
    let start = entry.start;
    let work = async move {
        let broken = |error: std::io::Error| Failure::later(error.to_string());
        fault::point("attempt.begun").await.map_err(broken)?;
        let ended = start(table, ctx).await;
        fault::point("attempt.done").await.map_err(broken)?;
        ended
    };
    let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
    let overtime = async {
        match spec.timeout {
            Some(limit) => {
                sleep(limit.0).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // First, so that what ends at once sets no timer.
        biased;
        ended = &mut work => return (Some(ended), attempt.stop.why().cloned()),
        () = attempt.stop.token.cancelled() => {}
        limit = overtime => attempt.stop.because(Stopped::TimedOut(limit)),
        () = near_its_end(shared.contact.clone(), attempt.begun, run.lease) => attempt.stop.because(Stopped::LeaseLost),
    }
    let grace = match attempt.stop.why() {
        // Its children must be dead before anybody else may start.
        Some(Stopped::LeaseLost) => shared.options.stop_grace.min(margin(run.lease) / 2),
        Some(Stopped::Cancelled { at_once: true, .. }) => Duration::ZERO,
        _ => shared.options.stop_grace,
    };
    let ended = timeout(grace, &mut work).await.ok();
    (ended, attempt.stop.why().cloned())
}

/// What becomes of the run, from how the kind ended and why it was told to stop.
fn word(spec: &Spec, run: &Claimed, raw: Raw, stopped: Option<Stopped>, took: Duration) -> Ended {
    // Without the lease nothing may be written but that it was lost, however well the work went.
    if stopped == Some(Stopped::LeaseLost) {
        return Ended::plain(Ending::Lost { why: "its worker could not renew the lease and stopped it".to_owned() });
    }
    let said = match raw {
        None => None,
        Some(Err(panic)) => {
            let failure = Failure::later(format!("the kind `{}` panicked: {}", spec.kind, message(&*panic)))
                .help("this is a bug; please report it with the log");
            return Ended::plain(after(failure, run, spec.retry));
        }
        Some(Ok(Ok(outcome))) => return outcome_word(spec, run, outcome, took),
        Some(Ok(Err(Broken::Failed(failure)))) => Some(failure),
        Some(Ok(Err(Broken::Stopped))) => None,
    };
    let last = said.as_ref().map(|failure| format!(" ({})", failure.why)).unwrap_or_default();
    Ended::plain(match stopped {
        None => {
            let bug = || {
                Failure::later("the kind stopped although nobody told it to").help("this is a bug; please report it")
            };
            after(said.unwrap_or_else(bug), run, spec.retry)
        }
        Some(Stopped::Cancelled { by, .. }) => {
            let why = format!("cancelled by {by}{last}");
            Ending::Cancelled { by, why }
        }
        Some(Stopped::Paused { by, why }) => Ending::GivenBack { why: format!("paused by {by}: {why}{last}") },
        Some(Stopped::TimedOut(limit)) => {
            let failure = Failure::later(format!("it took longer than its timeout of {limit} and was stopped{last}"))
                .help(format!("find out what it waits for, or raise `timeout` in jobs/{}.toml", run.job));
            after(failure.report(said.map(|failure| failure.report).unwrap_or_default()), run, spec.retry)
        }
        Some(Stopped::Shutdown) => Ending::GivenBack { why: format!("interrupted by the end of its daemon{last}") },
        Some(Stopped::LeaseLost) => Ending::Lost { why: format!("its worker could not renew the lease{last}") },
    })
}

/// What becomes of a run whose kind said how it ended.
fn outcome_word(spec: &Spec, run: &Claimed, outcome: Outcome, took: Duration) -> Ended {
    match outcome {
        Outcome::Done(mut report) => {
            if report.get("duration").is_none() {
                report.set("duration", (took.as_secs_f64() * 1000.0).round() / 1000.0);
            }
            let breaches = breaches(&spec.expect, &report);
            let ending = if spec.fail_on_breach && !breaches.is_empty() {
                let all = breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                Ending::Failed {
                    why: format!("it is done, but its report breaks what the job expects: {all}"),
                    help: Some(format!("look at the numbers; the thresholds are `expect` in jobs/{}.toml", run.job)),
                    report,
                }
            } else {
                Ending::Done { report }
            };
            Ended { ending, breaches, took }
        }
        Outcome::Skipped(why) => Ended::plain(Ending::Skipped { why }),
        Outcome::Snoozed(pause) => Ended::plain(Ending::Snoozed { pause }),
        Outcome::Failed(failure) => Ended::plain(after(failure, run, spec.retry)),
        Outcome::Cancelled { by } => Ended::plain(Ending::Cancelled { why: format!("cancelled by {by}"), by }),
    }
}

/// What comes after a failure: another attempt, or the end. The column counts, so that a snapshot which cannot be read
/// ends like every other.
fn after(failure: Failure, run: &Claimed, retry: Retry) -> Ending {
    let retry = Retry { attempts: run.most_attempts.unsigned_abs(), ..retry };
    let Failure { why, help, again, report } = failure;
    match retry.pause(run.attempt.unsigned_abs(), again, chance()) {
        Some(pause) => Ending::Retrying { pause, why, help },
        None => Ending::Failed { why, help, report },
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

/// The report of a final ending, where it has one.
impl Ended {
    /// Its numbers.
    pub fn report(&self) -> Option<&Report> {
        match &self.ending {
            Ending::Done { report } | Ending::Failed { report, .. } => Some(report),
            _ => None,
        }
    }
}
