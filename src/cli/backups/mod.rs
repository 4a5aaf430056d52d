//! `sexton backups`: what a vault has, whether it can be restored, and how long it stays.
//!
//! All of it is read from the vault itself: but for `rebuild`, no daemon and no database is needed, and with `--from` no
//! settings either.

mod hold;
mod list;
mod place;
mod plan;
mod rebuild;
mod replaced;
mod restore;
mod server;
mod show;
mod status;
mod words;

use std::io::Write;

use clap::Subcommand;

use super::{AskError, Cli};
use crate::outcome::Failure;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the backups of a vault with their states
    List(list::Args),
    /// Show one backup: its facts, what its newest proof found, and how to restore it with stock tools
    Show(place::Which),
    /// Get a backup back: without --confirm it only says what would happen
    Restore(Box<restore::Args>),
    /// Drop databases that a restore replaced and whose time is over
    DropReplaced(replaced::Args),
    /// Say for each database whether its backups would help now; exit code 1 when they would not
    Status(status::Args),
    /// Show which backups stay and which go, why, and until when
    Plan(plan::Args),
    /// Delete what the plan says; without --confirm it is only shown
    Rotate(plan::RotateArgs),
    /// Hold a backup: it stays, whatever the plan says
    Hold(hold::Args),
    /// Release a backup that is held
    Release(place::Which),
    /// Fill the catalogue in the queue's database from the vaults
    Rebuild(rebuild::Args),
}

pub(super) async fn run(cli: &Cli, command: &Command, out: &mut dyn Write) -> Result<u8, AskError> {
    match command {
        Command::List(args) => list::run(cli, args, out).await,
        Command::Show(args) => show::run(cli, args, out).await,
        Command::Restore(args) => restore::run(cli, args, out).await,
        Command::DropReplaced(args) => replaced::run(cli, args, out).await,
        Command::Status(args) => status::run(cli, args, out).await,
        Command::Plan(args) => plan::run(cli, args, out).await,
        Command::Rotate(args) => plan::rotate(cli, args, out).await,
        Command::Hold(args) => hold::run(cli, args, out).await,
        Command::Release(which) => hold::release(cli, which, out).await,
        Command::Rebuild(args) => rebuild::run(cli, args, out).await,
    }
}

/// A failure for the person at the prompt.
fn told(failure: impl Into<Failure>) -> AskError {
    let failure = failure.into();
    let help = failure.help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
    AskError::Said(format!("{}{help}", failure.why))
}
