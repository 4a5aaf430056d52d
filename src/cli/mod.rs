//! The command line: parses, asks the shared truths, and prints.
//!
//! What needs the whole daemon (`run`, `once`, `demo`) is only parsed here and done by `daemon`.

mod backfill;
mod backups;
pub mod check;
mod data;
mod database;
pub mod exit;
mod explain;
mod far;
mod files;
mod instance;
pub mod next;
mod pause;
mod reach;
mod runs;
mod schema;
mod trigger;
mod why;

use std::{io::Write, path::PathBuf};

use clap::{Parser, Subcommand};

pub use files::{ApplyArgs, FilesArgs};
pub use reach::{AskError, answers, direct_login, load, queue_login, targets, vaults};
pub use runs::who;
pub use trigger::{code, report};

/// A durable job scheduler that looks after PostgreSQL data.
#[derive(Debug, Parser)]
#[command(name = "sexton", version, about, after_help = exit::HELP, propagate_version = true)]
pub struct Cli {
    /// The settings [default: ./sexton.toml, then /etc/sexton/sexton.toml]
    #[arg(long, global = true, value_name = "FILE", env = "SEXTON_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: plan, work and tell, until SIGTERM; it takes edited files in, at once with SIGHUP
    Run,
    /// See everything work on a private PostgreSQL: no configuration, no account
    Demo(DemoArgs),
    /// Check job and schedule files; needs no database
    Check(check::Args),
    /// Show what the edited files change, and make them the active revision of every daemon
    Apply(ApplyArgs),
    /// See which files are active, and what every daemon has on disk
    Files(FilesArgs),
    /// Show when schedules fire next
    Next(next::Args),
    /// Say why a slot did or did not run
    Why(why::Args),
    /// Print the JSON Schema of job, schedule or data set files, for editors
    Schema(schema::Args),
    /// Show what a job would do to a target's rows, before it does
    Explain(OnceArgs),
    /// Look whether jobs could do their work: tools, vaults, databases, room
    Ready(ReadyArgs),
    /// Hand a run of a job to the daemons
    Trigger(TriggerArgs),
    /// Run a job now, in this process; needs no daemon
    Once(OnceArgs),
    /// Run slots of the past: shows which, and with --yes queues them at a pace
    Backfill(backfill::Args),
    /// Stop a schedule, or every schedule, from firing; says who and why
    Pause(pause::PauseArgs),
    /// Let a schedule, or every schedule, fire again
    Resume(pause::ResumeArgs),
    /// See whose queue this is, or say it
    Instance(instance::Args),
    /// See, follow, pause, cancel and retry runs
    #[command(subcommand)]
    Runs(runs::Command),
    /// See how much of a data set is where, and hold rows of it
    #[command(subcommand)]
    Data(data::Command),
    /// See backups, how they are kept, and get them back
    #[command(subcommand)]
    Backups(Box<backups::Command>),
    /// Prepare databases
    #[command(subcommand)]
    Db(database::Command),
}

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// End after the tour; exit code 0 only if every step did what the summary says
    #[arg(long)]
    pub once: bool,
    /// Where the private cluster, the vault and the files go
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The HTTP port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
}

/// Arguments of `ready`.
#[derive(Debug, clap::Args)]
pub struct ReadyArgs {
    /// The jobs [default: all]
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
}

/// Arguments of `trigger`.
#[derive(Debug, clap::Args)]
pub struct TriggerArgs {
    #[command(flatten)]
    /// Which job, with which parameters.
    pub what: OnceArgs,
    /// Wait for the end and exit with its code
    #[arg(long)]
    pub wait: bool,
    /// Name the request: asked again with the same key and parameters, it is the same run
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// Which job, with which parameters.
#[derive(Debug, clap::Args)]
pub struct OnceArgs {
    /// The job's name: its file's name without `.toml`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Set a parameter that the job declares in its `[params]`; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub params: Vec<(String, String)>,
}

fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Answers a command that only asks. The number is the exit code.
///
/// # Errors
/// What stopped it, for the person at the prompt. `run`, `once` and `demo` are not answered here.
pub async fn ask(cli: &Cli, out: &mut dyn Write) -> Result<u8, AskError> {
    match &cli.command {
        Command::Check(args) => {
            let args = check::Args { config: cli.config.clone(), json: cli.json, ..args.clone() };
            Ok(check::run(&args, out)?)
        }
        Command::Next(args) => {
            let args = next::Args { config: cli.config.clone(), json: cli.json, ..args.clone() };
            Ok(next::run(&args, out).await?)
        }
        Command::Why(args) => why::run(cli, args, out).await,
        Command::Schema(args) => schema::run(args, out),
        Command::Explain(args) => explain::run(cli, args, out).await,
        Command::Trigger(args) => trigger::run(cli, args, out).await,
        Command::Pause(args) => pause::pause(cli, args, out).await,
        Command::Backfill(args) => backfill::run(cli, args, out).await,
        Command::Resume(args) => pause::resume(cli, args, out).await,
        Command::Instance(args) => instance::run(cli, args, out).await,
        Command::Files(args) => files::run(cli, args, out).await,
        Command::Runs(command) => runs::run(cli, command, out).await,
        Command::Data(command) => data::run(cli, command, out).await,
        Command::Backups(command) => backups::run(cli, command, out).await,
        Command::Db(command) => database::run(cli, command, out).await,
        Command::Run | Command::Apply(_) | Command::Once(_) | Command::Demo(_) | Command::Ready(_) => {
            Err(AskError::Said("this command is the daemon's".to_owned()))
        }
    }
}
