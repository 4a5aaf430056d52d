//! `sexton backups drop-replaced`: the databases that a restore replaced, and those whose time is over go.

use std::io::Write;

use serde_json::{Value, json};

use super::{server::Server, told, words};
use crate::{
    backups::restore,
    cli::{AskError, Cli, exit},
};

/// Arguments of `backups drop-replaced`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    /// The server.
    pub server: Server,
    /// Do it; without this, only say what would happen
    #[arg(long)]
    pub confirm: bool,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let login = args.server.open(cli)?.login.clone();
    let all = if args.confirm { restore::drop_replaced(&login).await } else { restore::replaced(&login).await };
    let all = all.map_err(told)?;
    let stuck = all.iter().any(|old| old.why.is_some());
    let code = if stuck { exit::FAILED } else { exit::DONE };
    if cli.json {
        writeln!(out, "{:#}", Value::from(all.iter().map(|old| json!(old)).collect::<Vec<_>>()))?;
        return Ok(code);
    }
    if all.is_empty() {
        writeln!(out, "no database was replaced")?;
    }
    for old in &all {
        let state = match (&old.why, old.keep_until) {
            _ if old.dropped => "dropped".to_owned(),
            (Some(why), _) => format!("not dropped: {why}"),
            (None, None) => "its comment does not say how long it is kept, so it stays".to_owned(),
            (None, Some(until)) if old.over => format!("its time was over at {}", words::time(until)),
            (None, Some(until)) => format!("kept until {}", words::time(until)),
        };
        writeln!(out, "{}: {state}", old.database)?;
    }
    if !args.confirm && all.iter().any(|old| old.over) {
        writeln!(out, "nothing was done; the same command with --confirm drops those whose time is over")?;
    }
    Ok(code)
}
