//! `sexton pause` and `sexton resume`: one schedule, or everything with one switch.

use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::{AskError, Cli, exit, reach, who};
use crate::ledger::{self, Pause};

/// Which schedules.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The schedule
    #[arg(value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// Every schedule, those of files to come included
    #[arg(long)]
    pub all: bool,
    /// Only list what is paused
    #[arg(long)]
    pub list: bool,
}

/// Arguments of `pause`.
#[derive(Debug, Clone, clap::Args)]
pub struct PauseArgs {
    #[command(flatten)]
    /// Which schedules.
    pub which: Which,
    /// Why, for whoever wonders at 2 a.m.
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    pub reason: Option<String>,
    /// Until when, as 2030-01-31T00:00:00Z; until somebody resumes without
    #[arg(long, value_name = "TIME")]
    pub until: Option<DateTime<Utc>>,
}

/// Arguments of `resume`.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct ResumeArgs {
    /// The schedule
    #[arg(value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// End the pause of all schedules; those that are paused alone stay so
    #[arg(long)]
    pub all: bool,
}

pub(super) async fn pause(cli: &Cli, args: &PauseArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    if args.which.list {
        let open = ledger::open_pauses(&pool).await?;
        if cli.json {
            writeln!(out, "{:#}", json!(open))?;
            return Ok(exit::DONE);
        }
        for pause in &open {
            writeln!(out, "{}", words(pause))?;
        }
        if open.is_empty() {
            writeln!(out, "nothing is paused")?;
        }
        return Ok(exit::DONE);
    }
    let reason = args.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    let reason = reason.ok_or_else(|| AskError::Said("a pause needs a reason: --reason \"…\"".to_owned()))?;
    if args.until.is_some_and(|until| until <= Utc::now()) {
        return Err(AskError::Said("--until lies in the past".to_owned()));
    }
    if let Some(name) = &args.which.schedule {
        known(&pool, name).await?;
    }
    let pause = ledger::pause(&pool, args.which.schedule.as_deref(), reason, &who(), args.until).await?;
    if cli.json {
        writeln!(out, "{:#}", json!(pause))?;
    } else {
        let again = args.which.schedule.clone().unwrap_or_else(|| "--all".to_owned());
        writeln!(out, "{}; `sexton resume {again}` ends it", words(&pause))?;
    }
    Ok(exit::DONE)
}

pub(super) async fn resume(cli: &Cli, args: &ResumeArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    if let Some(name) = &args.schedule {
        known(&pool, name).await?;
    }
    let ended = ledger::resume(&pool, args.schedule.as_deref(), &who()).await?;
    let what = args.schedule.as_deref().unwrap_or("everything");
    if ended.is_empty() {
        return Err(AskError::Said(format!("{what} is not paused; `sexton pause --list` shows what is")));
    }
    if cli.json {
        writeln!(out, "{:#}", json!(ended))?;
        return Ok(exit::DONE);
    }
    let left = ledger::open_pauses(&pool).await?;
    let left: Vec<_> = left.iter().filter(|pause| args.all || pause.schedule.is_none()).map(words).collect();
    writeln!(out, "{what} goes on; the slots of the pause are skipped, not caught up")?;
    for pause in left {
        writeln!(out, "still: {pause}")?;
    }
    Ok(exit::DONE)
}

/// Refuses a name that no schedule has.
async fn known(pool: &PgPool, name: &str) -> Result<(), AskError> {
    let all = ledger::schedules(pool).await?;
    let names: Vec<_> =
        all.iter().filter(|known| known.removed_at.is_none()).map(|known| known.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let near = names.iter().filter(|known| strsim::damerau_levenshtein(known, name) <= 3).min();
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(AskError::Said(format!("no schedule `{name}` is active{near}")))
}

fn words(pause: &Pause) -> String {
    let what = pause.schedule.as_deref().unwrap_or("every schedule");
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let until = pause.ends_at.map_or("until somebody resumes it".to_owned(), |at| format!("until {}", time(at)));
    format!("{what} is paused {until}, by {} since {}: {}", pause.author, time(pause.made_at), pause.reason)
}
