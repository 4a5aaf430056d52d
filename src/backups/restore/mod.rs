//! Restoring a backup: looked at first, then done so that nothing that was there is ever lost.
//!
//! Rows and definitions go into a database that is new, are compared with what was dumped, and only then may that
//! database take another's name; the other one is kept. Rows alone go into tables that are there and empty, in one
//! transaction. What fails or is killed leaves everything as it was: a new database that was not finished is dropped,
//! by the restore itself or by the next one.

mod database;
mod definitions;
mod fresh;
mod obstacles;
mod place;
mod plan;
mod preview;
mod pump;
mod replaced;
mod roles;
mod rows;
mod rows_sql;
mod script;
mod select;
mod server;
mod settings;
mod steps;
mod swap;
mod verify;
mod which;

use std::{path::PathBuf, time::Duration};

pub use plan::Plan;
pub use preview::{Checked, Mode, Preview, Problem, Replaced, Restored};
pub use replaced::{Old, drop_replaced, replaced};
pub use which::which;

use super::{
    seal::Identities,
    shelf::Entry,
    work::{Ended, Work},
};
use crate::{db::Login, vault::Vault};

/// What somebody asks for.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where the backup is.
    pub vault: &'a Vault,
    /// Which it is.
    pub backup: Entry,
    /// The server; the database in it is what `swap` and rows alone go to where no other is named.
    pub login: Login,
    /// The folder of PostgreSQL's programs, if the target names one.
    pub pg_bin: Option<PathBuf>,
    /// The database that has the backup in the end; a new one with a name of its own without it.
    pub database: Option<String>,
    /// What is restored.
    pub mode: Mode,
    /// Tables whose rows are restored; with `schemas` none: all.
    pub tables: Vec<String>,
    /// Schemas, of whose tables rows are restored.
    pub schemas: Vec<String>,
    /// What opens the backup.
    pub identities: Identities,
    /// Connections that restore.
    pub jobs: u32,
    /// Where scratch folders are made.
    pub scratch: PathBuf,
    /// Whether roles that are missing are made from the backup's globals.
    pub globals: bool,
    /// Whether owners and grants are restored.
    pub owners: bool,
    /// Whether it takes the name of a database that is there, once it is proven equal.
    pub swap: bool,
    /// How long that one is kept.
    pub keep_old: Duration,
}

/// Looks at everything that a restore depends on; changes nothing.
///
/// # Errors
/// When something cannot be looked at. What can be seen to be wrong is in the plan's preview instead.
pub async fn plan<'a>(work: &Work<'_>, request: Request<'a>) -> Result<Plan<'a>, Ended> {
    plan::plan(work, request).await
}
