//! `sexton db`: prepares the queue's database and targets.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::{AskError, Cli, answers, exit, load, queue_login, reach, targets};
use crate::{
    dataset::{self, Installed},
    db,
};

/// What to prepare.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the queue's own database to this version's schema (the daemon does it at start, too)
    Migrate,
    /// Install what archive and cleanup need in a target: the table that fences their steps
    Install {
        /// The target's name in sexton.toml
        #[arg(long, value_name = "NAME")]
        target: String,
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command, out: &mut dyn Write) -> Result<u8, AskError> {
    match command {
        Command::Migrate => {
            let settings = load(cli.config.as_deref())?;
            let login = queue_login(&settings)?;
            answers(&login).await?;
            db::migrate(&db::queue_pool(&login, 2)).await?;
            if cli.json {
                writeln!(out, "{}", json!({ "database": login.to_string(), "up_to_date": true }))?;
            } else {
                writeln!(out, "the queue's schema in {login} is up to date")?;
            }
        }
        Command::Install { target, dry_run } => install(cli, target, *dry_run, out).await?,
    }
    Ok(exit::DONE)
}

async fn install(cli: &Cli, name: &str, dry_run: bool, out: &mut dyn Write) -> Result<(), AskError> {
    let targets = db::Targets::new(targets(&reach::load(cli.config.as_deref())?)?);
    let target = targets.get(name).map_err(|unknown| AskError::Said(unknown.to_string()))?;
    let installed =
        dataset::install(target.pool(), dry_run).await.map_err(|error| AskError::Said(error.to_string()))?;
    if cli.json {
        let Installed { from, to, sql } = installed;
        writeln!(out, "{}", json!({ "target": name, "from": from, "to": to, "sql": sql, "dry_run": dry_run }))?;
    } else if dry_run {
        write!(out, "{}", installed.sql)?;
    } else if installed.from == installed.to {
        writeln!(out, "target `{name}` has version {} already; nothing changed", installed.to)?;
    } else {
        writeln!(out, "target `{name}` went from version {} to {}", installed.from, installed.to)?;
    }
    Ok(())
}
