//! `sexton why`: why a slot did or did not run.

use std::io::Write;

use serde_json::json;

use super::{AskError, Cli, exit, reach};
use crate::requests::why::why;

/// Arguments of `why`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The schedule, also one that was removed
    #[arg(value_name = "SCHEDULE")]
    pub schedule: String,
    /// As 2026-03-29T01:00:00Z, or "2026-03-29 02:30" on the schedule's clock [default: the last slot and the next one]
    #[arg(value_name = "TIME")]
    pub time: Option<String>,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    let explained = why(&pool, &args.schedule, args.time.as_deref()).await?;
    if cli.json {
        writeln!(out, "{:#}", json!({"schedule": args.schedule, "explanations": explained}))?;
        return Ok(exit::DONE);
    }
    for (n, explanation) in explained.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        for (line, words) in explanation.words.iter().enumerate() {
            writeln!(out, "{}{words}", if line == 0 { "" } else { "  " })?;
        }
    }
    Ok(exit::DONE)
}
