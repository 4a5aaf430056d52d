//! `sexton runs`: see, follow, pause, cancel and retry runs.

mod log;
mod watch;

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{AskError, Cli, exit, far, reach};
use crate::{
    queue::{self, Cancel, Filter, Pause, Resume, Retried, Run},
    requests::{self, Paused},
};

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The newest runs first
    List {
        /// Only of this job
        #[arg(long, value_name = "JOB")]
        job: Option<String>,
        /// Only in this state: waiting, ready, running, retrying, held, done, skipped, failed, cancelled
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only of the chain that this run belongs to
        #[arg(long, value_name = "RUN")]
        chain: Option<Uuid>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// One run: what it did, why it failed, what to do
    Show {
        /// The run's id
        id: Uuid,
    },
    /// What a run logged, and what its programs printed
    #[command(visible_alias = "logs")]
    Log {
        /// The run's id
        id: Uuid,
        /// Only of this attempt
        #[arg(long, value_name = "N")]
        attempt: Option<i32>,
    },
    /// Follow a run to its end: states, progress, log; exits with the code of its outcome
    Watch {
        /// The run's id
        id: Uuid,
    },
    /// End a run; one that is running is told to stop
    Cancel {
        /// The run's id
        id: Uuid,
        /// Why, for the record
        #[arg(long, value_name = "TEXT", default_value = "cancelled at the command line")]
        why: String,
    },
    /// Have a run rest: a running one ends its step and goes on later, one that waits is not started
    Pause {
        /// The run's id
        id: Uuid,
        /// Why, for the record
        #[arg(long, visible_alias = "reason", value_name = "TEXT", default_value = "paused at the command line")]
        why: String,
    },
    /// Let a paused run go on where it was
    Resume {
        /// The run's id
        id: Uuid,
    },
    /// Have a failed, cancelled or held run tried again
    Retry {
        /// The run's id
        id: Uuid,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    match command {
        Command::List { job, state, chain, limit } => {
            let chain = match chain {
                Some(id) => Some(queue::find(&pool, *id).await?.ok_or_else(|| unknown(*id))?.chain),
                None => None,
            };
            let filter = Filter { job: job.clone(), state: state.clone(), chain, limit: *limit, ..Filter::default() };
            let runs = queue::list(&pool, &filter).await?;
            if cli.json {
                writeln!(out, "{}", serde_json::to_string_pretty(&runs)?)?;
            } else {
                table(&runs, out)?;
            }
        }
        Command::Show { id } => {
            let mut run = queue::find(&pool, *id).await?.ok_or_else(|| unknown(*id))?;
            run.links = queue::linked(&pool, &run).await?;
            run.waits = queue::why_waits(&pool, *id).await?.map(|wait| wait.to_string());
            if cli.json {
                writeln!(out, "{}", serde_json::to_string_pretty(&run)?)?;
            } else {
                show(&run, out)?;
            }
        }
        Command::Log { id, attempt } => return log::run(&pool, *id, *attempt, cli.json, out).await,
        Command::Watch { id } => return watch::run(&pool, *id, cli.json, out).await,
        Command::Cancel { id, why } => {
            let said = match requests::cancel(&pool, *id, &who(), why).await? {
                Cancel::Ended => "cancelled",
                Cancel::Asked => "its worker was told to stop it",
                Cancel::Over(state) => {
                    return Err(AskError::Said(format!("run {id} is {state}; there is nothing to cancel")));
                }
                Cancel::Unknown => return Err(unknown(*id)),
            };
            if cli.json {
                return shown(&pool, *id, out).await;
            }
            writeln!(out, "run {id}: {said}")?;
        }
        Command::Pause { id, why } => {
            let said = match requests::pause(&pool, *id, &who(), why).await? {
                Paused::Asked(Pause::Kept) => "paused; it starts once it is resumed",
                Paused::Asked(Pause::Asked) => "its worker was told to pause it after its step",
                Paused::Asked(Pause::Already) => "it is paused already",
                Paused::Asked(Pause::Over(state)) => {
                    return Err(AskError::Said(format!("run {id} is {state}; there is nothing to pause")));
                }
                Paused::Asked(Pause::Unknown) => return Err(unknown(*id)),
                Paused::Cannot { kind } => {
                    return Err(AskError::Said(format!(
                        "run {id} is running, and a `{kind}` cannot go on where it was; let it end, or cancel it"
                    )));
                }
            };
            if cli.json {
                return shown(&pool, *id, out).await;
            }
            writeln!(out, "run {id}: {said}; `sexton runs resume {id}` lets it go on")?;
        }
        Command::Resume { id } => match queue::resume(&pool, *id, &who()).await? {
            Resume::Resumed if cli.json => return shown(&pool, *id, out).await,
            Resume::Resumed => writeln!(out, "run {id} goes on")?,
            Resume::Unpaused => return Err(AskError::Said(format!("run {id} is not paused"))),
            Resume::Over(state) => {
                return Err(AskError::Said(format!("run {id} is {state}; there is nothing to resume")));
            }
            Resume::Unknown => return Err(unknown(*id)),
        },
        Command::Retry { id } => match queue::retry(&pool, *id, &who()).await? {
            Retried::Ready if cli.json => return shown(&pool, *id, out).await,
            Retried::Ready => writeln!(out, "run {id} is ready again")?,
            Retried::Not(state) => {
                return Err(AskError::Said(format!(
                    "run {id} is {state}; only failed, cancelled, held or retrying runs can be retried"
                )));
            }
            Retried::Unknown => return Err(unknown(*id)),
        },
    }
    Ok(exit::DONE)
}

/// The run as it is now, as JSON.
async fn shown(pool: &PgPool, id: Uuid, out: &mut dyn Write) -> Result<u8, AskError> {
    let run = queue::find(pool, id).await?.ok_or_else(|| unknown(id))?;
    writeln!(out, "{}", serde_json::to_string_pretty(&run)?)?;
    Ok(exit::DONE)
}

fn unknown(id: Uuid) -> AskError {
    AskError::Said(format!("there is no run {id}; `sexton runs list` shows the newest"))
}

/// Who sits at the command line, for the record.
pub fn who() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "somebody".to_owned());
    format!("{user} at the command line")
}

fn table(runs: &[Run], out: &mut dyn Write) -> std::io::Result<()> {
    if runs.is_empty() {
        return writeln!(out, "no runs");
    }
    let width = runs.iter().map(|run| run.job.len()).max().unwrap_or(3).max(3);
    writeln!(out, "{:36}  {:width$}  {:9}  {:19}  {:>8}  WHAT", "RUN", "JOB", "STATE", "DUE (UTC)", "TOOK")?;
    for run in runs {
        let due = run.due_at.format("%Y-%m-%d %H:%M:%S");
        writeln!(out, "{}  {:width$}  {:9}  {due}  {:>8}  {}", run.id, run.job, run.state, took(run), what(run))?;
    }
    Ok(())
}

fn took(run: &Run) -> String {
    match (run.started_at, run.finished_at) {
        (Some(from), Some(to)) => format!("{:.1}s", (to - from).as_seconds_f64()),
        _ => String::new(),
    }
}

/// The few words that tell most about a run.
fn what(run: &Run) -> String {
    let text = run.why.clone().or_else(|| far::paused(run)).or_else(|| far::far(run));
    let text = text.unwrap_or_else(|| numbers(&run.report));
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(100).collect()
}

/// The numbers of a report that tell something, in one line: no zeros, no times (they have their column), no details.
fn numbers(report: &Value) -> String {
    let Some(entries) = report.as_object() else { return String::new() };
    let tells = |name: &str, value: &Value| {
        value.as_f64().is_some_and(|number| number != 0.0)
            && !name.contains('.')
            && !name.starts_with("duration")
            && !name.ends_with("_seconds")
    };
    let told = entries.iter().filter(|(name, value)| tells(name, value)).map(|(name, value)| format!("{name}={value}"));
    let dry = entries.get("dry_run").and_then(Value::as_bool) == Some(true);
    dry.then(|| "dry run".to_owned()).into_iter().chain(told).collect::<Vec<_>>().join(" ")
}

fn show(run: &Run, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "run        {}", run.id)?;
    writeln!(out, "job        {} ({})", run.job, run.kind)?;
    writeln!(out, "state      {}", run.state)?;
    writeln!(out, "asked by   {} at {}", run.requested_by, run.created_at.format("%F %T UTC"))?;
    if let (Some(schedule), Some(at)) = (&run.schedule, run.nominal_at) {
        let late = if run.caught_up { ", caught up" } else { "" };
        writeln!(out, "slot       {schedule} at {}{late}", at.format("%F %T UTC"))?;
    }
    writeln!(out, "attempts   {} of {}", run.spent, run.most_attempts)?;
    if let Some(at) = run.started_at {
        writeln!(out, "started    {}", at.format("%F %T UTC"))?;
    }
    if let Some(at) = run.finished_at {
        writeln!(out, "finished   {} (took {})", at.format("%F %T UTC"), took(run))?;
    }
    if let (Some(how), Some(at)) = (far::paused(run), run.pause_requested_at) {
        writeln!(out, "paused     since {}, {}", at.format("%F %T UTC"), how.trim_start_matches("paused "))?;
    }
    if let Some(far) = far::far(run) {
        writeln!(out, "progress   {far}")?;
    }
    if let Some(waits) = &run.waits {
        writeln!(out, "why        {waits}")?;
    }
    if let Some(why) = &run.why {
        writeln!(out, "why        {why}")?;
    }
    if let Some(help) = &run.help {
        writeln!(out, "help       {help}")?;
    }
    for attempt in &run.tries {
        let at = attempt.started_at.map(|at| at.format("%F %T UTC").to_string()).unwrap_or_default();
        let took = attempt.seconds.map(|seconds| format!(" after {seconds:.1}s")).unwrap_or_default();
        let worker = attempt.worker.map(|worker| format!(" on worker {worker}")).unwrap_or_default();
        // Of the newest one, why is said above.
        let why = attempt.why.as_deref().filter(|_| attempt.ended_at != run.finished_at || run.finished_at.is_none());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(out, "attempt {:<2} {at}, {}{took}{worker}{why}", attempt.attempt, attempt.outcome)?;
        if let Some(by) = &attempt.cancel_by {
            writeln!(out, "           cancelled by {by}")?;
        }
        if let Some(by) = &attempt.retried_by {
            writeln!(out, "           {by} had it tried again")?;
        }
    }
    for (name, value) in run.report.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('_')) {
        writeln!(out, "  {name} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
    }
    chain(run, out)
}

/// The chain that it belongs to, a job a line, in order.
fn chain(run: &Run, out: &mut dyn Write) -> std::io::Result<()> {
    let width = run.links.iter().map(|link| link.job.len()).max().unwrap_or(0);
    for (n, link) in run.links.iter().enumerate() {
        let title = if n == 0 { "chain" } else { "" };
        let here = if link.run == Some(run.id) { '>' } else { ' ' };
        let state = link.state.replace('_', " ");
        let why = match (&link.why, link.run) {
            (Some(why), None) if link.state == "waits" => format!(" {why}"),
            (Some(why), _) => format!(": {}", why.lines().next().unwrap_or_default()),
            (None, _) => String::new(),
        };
        let id = link.run.filter(|id| *id != run.id).map(|id| format!("  (run {id})")).unwrap_or_default();
        writeln!(out, "{title:9}{here} {:width$}  {state}{why}{id}", link.job)?;
    }
    Ok(())
}
