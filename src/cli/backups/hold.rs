//! `sexton backups hold` and `release`: a backup stays because somebody says so.

use std::io::Write;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{place::Which, told, words};
use crate::{
    backups::hold::Hold,
    cli::{AskError, Cli, exit, who},
};

/// Arguments of `backups hold`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    /// Which one.
    pub which: Which,
    /// Why
    #[arg(long)]
    pub reason: String,
    /// Until when, as 2030-01-31T00:00:00Z; for good without
    #[arg(long, value_name = "TIME")]
    pub until: Option<DateTime<Utc>>,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    if args.until.is_some_and(|until| until <= Utc::now()) {
        return Err(AskError::Said("--until is past: the hold would not hold".to_owned()));
    }
    if args.reason.trim().is_empty() {
        return Err(AskError::Said("--reason is for whoever finds the hold in a year: say why".to_owned()));
    }
    let (vault, entry) = args.which.find(cli).await?;
    let hold = Hold::new(&entry.stem, &who(), args.reason.trim(), args.until);
    hold.write(&vault, &entry.stem).await.map_err(told)?;
    if cli.json {
        writeln!(out, "{:#}", json!(hold))?;
    } else {
        let until = args.until.map_or("until it is released".to_owned(), |at| format!("until {}", words::time(at)));
        writeln!(out, "{} is held {until}", entry.stem)?;
    }
    Ok(exit::DONE)
}

pub(super) async fn release(cli: &Cli, which: &Which, out: &mut dyn Write) -> Result<u8, AskError> {
    let (vault, entry) = which.find(cli).await?;
    let held = entry.hold.is_some();
    if held {
        Hold::release(&vault, &entry.stem).await.map_err(told)?;
    }
    if cli.json {
        writeln!(out, "{:#}", json!({ "backup": entry.stem.to_string(), "released": held }))?;
    } else {
        let what = if held { "is released" } else { "was not held" };
        writeln!(out, "{} {what}", entry.stem)?;
    }
    Ok(exit::DONE)
}
