//! `sexton backups restore`: what would happen, and with `--confirm` it does.

mod far;
mod tell;

use std::{io::Write, path::PathBuf};

use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{
    far::{Far, show, stop_at_signals},
    tell::describe,
};
use super::{place::Place, server::Server, told};
use crate::{
    backups::{
        restore::{self, Mode, Request},
        seal::Identities,
        work::{Ended, Work},
    },
    child::Spawner,
    cli::{AskError, Cli, exit},
    span::Span,
};

/// Arguments of `backups restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup: its name, the beginning of it, a file of it, or `latest`: the newest that is proven
    #[arg(value_name = "BACKUP")]
    pub backup: String,
    /// Of which name `latest` is meant
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Let `latest` be one that nobody has proven
    #[arg(long)]
    pub unproven: bool,
    #[command(flatten)]
    /// Where the backup is.
    pub place: Place,
    #[command(flatten)]
    /// Where it goes.
    pub server: Server,
    /// The database that has it in the end [default: a new one, SOURCE_restore_YYYYMMDDHHMMSS]
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<String>,
    /// What is restored: definitions and rows, rows into empty tables that are there, or definitions
    #[arg(long, value_enum, default_value_t = What::Full)]
    pub mode: What,
    /// Only the rows of this table, SCHEMA.TABLE; may be repeated
    #[arg(long, value_name = "TABLE")]
    pub table: Vec<String>,
    /// Only the rows of this schema's tables; may be repeated
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Vec<String>,
    /// A file with an age or ssh identity that opens the backup; may be repeated
    #[arg(long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// Connections that restore; more than one needs scratch for the whole dump
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: u32,
    /// Where scratch folders are made [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// First make the roles that the server lacks, from the backup
    #[arg(long)]
    pub globals: bool,
    /// Restore no owners and no grants
    #[arg(long)]
    pub no_owner: bool,
    /// Restore beside the database, compare, and take its name; the old one is kept
    #[arg(long)]
    pub swap: bool,
    /// How long the old one is kept
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub keep_old: Span,
    /// Do it; without this, only say what would happen
    #[arg(long)]
    pub confirm: bool,
}

/// What is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Definitions and rows.
    Full,
    /// Rows, into tables that are there and empty.
    DataOnly,
    /// Definitions.
    SchemaOnly,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let vault = args.place.open(cli)?;
    let target = args.server.open(cli)?;
    let backup = restore::which(&vault, &args.backup, args.name.as_deref(), args.unproven).await.map_err(told)?;
    let spawner =
        Spawner::start().map_err(|error| AskError::Said(format!("no thread that starts children: {error}")))?;
    let stop = CancellationToken::new();
    stop_at_signals(&stop)?;
    let (far, seen) = watch::channel(None);
    let tell = move |done: u64, total: Option<u64>, unit: &str, note: Option<&str>| {
        far.send_replace(Some(Far { done, total, unit: unit.to_owned(), note: note.unwrap_or("").to_owned() }));
    };
    let work = Work { spawner: &spawner, pg_bin: None, stop: &stop, tell: &tell };
    let request = Request {
        vault: &vault,
        backup,
        login: target.login.clone(),
        pg_bin: target.pg_bin.clone(),
        database: args.database.clone(),
        mode: match args.mode {
            What::Full => Mode::Full,
            What::DataOnly => Mode::DataOnly,
            What::SchemaOnly => Mode::SchemaOnly,
        },
        tables: args.table.clone(),
        schemas: args.schema.clone(),
        identities: Identities::read(&args.identity).map_err(told)?,
        jobs: args.jobs,
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        globals: args.globals,
        owners: !args.no_owner,
        swap: args.swap,
        keep_old: args.keep_old.0,
    };
    let plan = match restore::plan(&work, request).await {
        Ok(plan) => plan,
        Err(Ended::Failed(failure)) => return Err(told(failure)),
        Err(Ended::Stopped) => return stopped(cli, out),
    };
    let preview = plan.preview.clone();
    if !args.confirm || !preview.problems.is_empty() {
        if cli.json {
            writeln!(out, "{:#}", json!({ "done": false, "preview": preview }))?;
        } else {
            describe(&preview, out)?;
            if preview.problems.is_empty() {
                writeln!(out, "\nnothing was done; the same command with --confirm does it")?;
            } else {
                writeln!(out, "\nnothing was done")?;
            }
        }
        return Ok(if preview.problems.is_empty() { exit::DONE } else { exit::ERROR });
    }
    if !cli.json {
        describe(&preview, out)?;
        out.flush()?;
    }
    let watching = (!cli.json).then(|| tokio::spawn(show(seen)));
    let done = plan.carry_out(&work).await;
    if let Some(watching) = watching {
        watching.abort();
        let _ = watching.await;
    }
    match done {
        Ok(restored) => {
            if cli.json {
                writeln!(out, "{:#}", json!({ "done": true, "preview": preview, "restored": restored }))?;
            } else {
                tell::restored(&restored, out)?;
            }
            Ok(if restored.differences.is_empty() { exit::DONE } else { exit::FAILED })
        }
        Err(Ended::Failed(failure)) => {
            if cli.json {
                writeln!(
                    out,
                    "{:#}",
                    json!({ "done": false, "preview": preview, "why": failure.why, "help": failure.help })
                )?;
            } else {
                let help = failure.help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
                writeln!(std::io::stderr(), "error: the restore failed: {}{help}", failure.why)?;
            }
            Ok(exit::FAILED)
        }
        Err(Ended::Stopped) => stopped(cli, out),
    }
}

fn stopped(cli: &Cli, out: &mut dyn Write) -> Result<u8, AskError> {
    let why = "it was told to stop; all is as it was";
    if cli.json {
        writeln!(out, "{:#}", json!({ "done": false, "why": why }))?;
    } else {
        writeln!(out, "{why}")?;
    }
    Ok(exit::CANCELLED)
}
