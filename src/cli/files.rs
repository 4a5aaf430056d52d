//! `sexton files`: what is active, who applied it, and which files every daemon has.

use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::{AskError, Cli, exit, reach};
use crate::{
    ledger::{FilesState, KnownStation},
    requests::{self, ActiveFiles},
};

/// Arguments of `apply`.
#[derive(Debug, Clone, clap::Args)]
pub struct ApplyArgs {
    /// Take them also where most schedules go, or where a file looks cut off
    #[arg(long)]
    pub allow_removals: bool,
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `files`.
#[derive(Debug, Clone, clap::Args)]
pub struct FilesArgs {
    /// How many revisions
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: i64,
}

pub(super) async fn run(cli: &Cli, args: &FilesArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    let files = requests::files(&pool, args.limit).await?;
    if cli.json {
        writeln!(out, "{:#}", json!(files))?;
        return Ok(exit::DONE);
    }
    let Some(active) = &files.active else {
        writeln!(out, "no files are active yet; start a daemon with `sexton run`, or `sexton apply`")?;
        return Ok(exit::DONE);
    };
    writeln!(out, "{}", words(active))?;
    for older in files.revisions.iter().filter(|revision| revision.id != active.id) {
        writeln!(out, "  before: {}, applied {} by {}", older.id, time(older.applied_at), older.applied_by)?;
    }
    for station in &files.daemons {
        writeln!(out, "{}", station_words(station))?;
    }
    if files.daemons.is_empty() {
        writeln!(out, "no daemon has said anything of its files in the last minute")?;
    }
    Ok(exit::DONE)
}

fn words(active: &ActiveFiles) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "revision {} is active: {}, {}; applied {} by {}",
        active.id,
        count(active.schedules.len(), "schedule"),
        count(active.jobs.len(), "job"),
        time(active.applied_at),
        active.applied_by
    )
}

fn station_words(station: &KnownStation) -> String {
    let state = match station.state {
        FilesState::Current => "current",
        FilesState::Drifted => "drifted",
        FilesState::Broken => "broken ",
    };
    let KnownStation { host, pid, folder, .. } = station;
    let why = station.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{state}  {folder} on {host} (process {pid}) since {}{why}", time(station.at))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
