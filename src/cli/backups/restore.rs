//! `sexton backups restore`: what would happen, and with `--confirm` it does.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{place::Place, server::Server, told, words};
use crate::{
    backups::{
        restore::{self, Checked, Mode, Preview, Request, Restored},
        seal::Identities,
        work::{Ended, Work},
    },
    child::Spawner,
    cli::{AskError, Cli, exit},
    span::Span,
};

/// How often a line says how far it is, where there is nobody to watch a bar.
const SAID: Duration = Duration::from_secs(10);

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
                tell_restored(&restored, out)?;
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

fn describe(preview: &Preview, out: &mut dyn Write) -> Result<(), AskError> {
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12} {value}");
    line("backup", format!("{} ({}), of database {}", preview.backup, preview.state, preview.source))?;
    line("server", format!("{}, PostgreSQL {}", preview.server, preview.server_version))?;
    line("database", preview.database.clone())?;
    if let Some(there) = &preview.there_now {
        line("there now", there.clone())?;
    }
    if let Some(tables) = &preview.tables {
        line("tables", tables.join(", "))?;
    }
    line("server disk", format!("about {}", words::size(preview.server_bytes)))?;
    if preview.scratch_bytes > 0 {
        let free = preview.scratch_free.map(|bytes| format!("; {} are free", words::size(bytes))).unwrap_or_default();
        line("scratch", format!("{}{free}", words::size(preview.scratch_bytes)))?;
    }
    match preview.forecast_seconds {
        Some(seconds) => line("forecast", format!("{}, as when it was proven", words::seconds(seconds)))?,
        None => line("forecast", "not known: it was not restored before".to_owned())?,
    }
    writeln!(out, "\nwhat happens")?;
    for (n, step) in preview.steps.iter().enumerate() {
        writeln!(out, "  {}. {step}", n + 1)?;
    }
    for note in &preview.notes {
        writeln!(out, "note: {note}")?;
    }
    for problem in &preview.problems {
        writeln!(out, "problem: {}\n  help: {}", problem.what, problem.help)?;
    }
    Ok(())
}

fn tell_restored(restored: &Restored, out: &mut dyn Write) -> Result<(), AskError> {
    let Restored { backup, database, tables, rows, .. } = restored;
    writeln!(out, "\nrestored {backup} into database {database} in {}", words::seconds(restored.seconds))?;
    if restored.differences.is_empty() {
        match restored.checked {
            Checked::Exact => writeln!(out, "it equals what was dumped: {tables} tables, {rows} rows compared")?,
            Checked::Counts => writeln!(out, "it has what was dumped: {rows} rows of {tables} tables counted")?,
            Checked::Nothing => writeln!(out, "it was not compared: the backup has no fingerprint")?,
        }
    } else {
        writeln!(out, "it is NOT what was dumped; no other database was touched:")?;
        for difference in &restored.differences {
            writeln!(out, "  differs: {difference}")?;
        }
    }
    for note in &restored.notes {
        writeln!(out, "note: {note}")?;
    }
    if let Some(old) = &restored.replaced {
        let until = words::time(old.keep_until);
        writeln!(
            out,
            "the old database is {}, kept until {until}; {} sessions were ended",
            old.database, old.sessions_ended
        )?;
        writeln!(out, "to go back to it, connected to another database:")?;
        for statement in &old.undo {
            writeln!(out, "  {statement};")?;
        }
    }
    Ok(())
}

/// How far it is.
#[derive(Debug, Clone)]
struct Far {
    done: u64,
    total: Option<u64>,
    unit: String,
    note: String,
}

impl Far {
    fn line(&self) -> String {
        let number = |n: u64| if self.unit == "bytes" { words::size(n) } else { format!("{n} {}", self.unit) };
        match self.total {
            Some(total) => format!("{} of {}: {}", number(self.done), number(total), self.note),
            None => self.note.clone(),
        }
    }
}

/// A bar for eyes, a line now and then for logs.
async fn show(mut seen: watch::Receiver<Option<Far>>) {
    if !std::io::stderr().is_terminal() {
        let mut next = tokio::time::interval(SAID);
        next.tick().await;
        loop {
            next.tick().await;
            let line = seen.borrow_and_update().as_ref().map(Far::line);
            if let Some(line) = line {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
    let bar = Cleared(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {msg}") {
        bar.0.set_style(style);
    }
    while seen.changed().await.is_ok() {
        let Some(far) = seen.borrow_and_update().clone() else { continue };
        if let Some(total) = far.total {
            bar.0.set_length(total);
            bar.0.set_position(far.done);
        }
        bar.0.set_message(far.line());
        bar.0.tick();
    }
}

/// A bar that is gone with its value.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// SIGINT and SIGTERM ask to stop: what was made is then dropped. A second one ends the process at once.
fn stop_at_signals(stop: &CancellationToken) -> Result<(), AskError> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(i32::from(exit::ERROR));
            }
            stop.cancel();
        }
    });
    Ok(())
}

/// `sexton backups drop-replaced`.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    #[command(flatten)]
    /// The server.
    pub server: Server,
    /// Do it; without this, only say what would happen
    #[arg(long)]
    pub confirm: bool,
}

pub(super) async fn drop_replaced(cli: &Cli, args: &DropArgs, out: &mut dyn Write) -> Result<u8, AskError> {
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
