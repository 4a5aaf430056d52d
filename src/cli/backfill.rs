//! `sexton backfill`: runs for slots of the past, after a look.

use std::io::Write;

use serde_json::json;

use super::{AskError, Cli, exit, reach, who};
use crate::{
    requests::{
        backfill::{Asked, Backfill, MOST, backfill},
        words::utc,
    },
    span::Span,
};

/// The most slots that are shown to people.
const SHOWN: usize = 40;

/// Arguments of `backfill`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The schedule
    #[arg(value_name = "SCHEDULE")]
    pub schedule: String,
    /// The first instant, as 2026-03-29T01:00:00Z or "2026-03-29 02:30" on the schedule's clock
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// The first instant after it all, likewise; not in the future
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// Queue the runs; without, they are only shown
    #[arg(long)]
    pub yes: bool,
    /// Also slots whose run is done
    #[arg(long)]
    pub again: bool,
    /// Let the runs overlap; without, each waits until no other run of the job is live
    #[arg(long)]
    pub overlap: bool,
    /// How far apart they become due
    #[arg(long, value_name = "SPAN", default_value = "10s")]
    pub pace: Span,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    let asked = Asked {
        schedule: &args.schedule,
        from: &args.from,
        to: &args.to,
        again: args.again,
        overlap: args.overlap,
        pace: args.pace,
    };
    let who = who();
    let done = backfill(&pool, &asked, args.yes.then_some(who.as_str())).await?;
    if cli.json {
        writeln!(out, "{:#}", json!(done))?;
    } else {
        write!(out, "{}", told(args, &done))?;
    }
    Ok(exit::DONE)
}

/// The backfill for people.
fn told(args: &Args, done: &Backfill) -> String {
    let mut text = String::new();
    for item in done.plan.slots.iter().take(SHOWN) {
        let what = if item.runs { "run" } else { "left out" };
        text += &format!("{}  {what:8}  {}\n", utc(item.at), item.why);
    }
    let more = done.plan.slots.len().saturating_sub(SHOWN);
    if more > 0 {
        text += &format!("… and {more} more; --json has them all\n");
    }
    text += &format!("{}\n", done.words);
    if !done.then.is_empty() && done.plan.runs > 0 {
        text += &format!("each is followed by: {}\n", done.then.join(", "));
    }
    for note in &done.notes {
        text += &format!("note: {note}\n");
    }
    if let Some(from) = done.plan.go_on_from {
        text += &format!("that is all that one command takes (at most {MOST} runs); go on with --from {}\n", utc(from));
    }
    text += &match (args.yes, done.queued.len()) {
        (false, _) if done.plan.runs > 0 => "nothing was queued yet; --yes does it\n".to_owned(),
        (true, n) if n > 0 => format!("queued; `sexton runs list --job {}` tells how they go\n", done.job),
        _ => String::new(),
    };
    text
}
