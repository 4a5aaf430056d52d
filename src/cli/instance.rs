//! `sexton instance`: whose queue this is.

use std::io::Write;

use serde_json::json;

use super::{AskError, Cli, exit, load, reach, who};
use crate::ledger;

/// Arguments of `instance`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Say that the queue is this instance's from now on; daemons whose settings name another one stop planning and
    /// working here
    #[arg(long, value_name = "NAME", requires = "confirm")]
    pub set: Option<String>,
    /// Really do it
    #[arg(long)]
    pub confirm: bool,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let ours = load(cli.config.as_deref())?.instance;
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    if let Some(name) = args.set.as_deref().map(str::trim) {
        if name.is_empty() {
            return Err(AskError::Said("an instance needs a name".to_owned()));
        }
        ledger::set_instance(&pool, name, &who()).await?;
    }
    let queue = ledger::instance(&pool).await?;
    if cli.json {
        writeln!(out, "{:#}", json!({ "queue": queue, "settings": ours }))?;
    } else {
        writeln!(out, "the queue's database is {}", queue.as_deref().unwrap_or("nobody's yet"))?;
        writeln!(out, "these settings are {}", ours.as_deref().unwrap_or("for any instance that has no name"))?;
    }
    Ok(exit::DONE)
}
