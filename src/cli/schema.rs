//! `sexton schema`: what editors know of the files.

use std::io::Write;

use clap::ValueEnum;

use super::{AskError, exit};
use crate::catalog::schema;

/// Arguments of `schema`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Of which files
    #[arg(value_enum)]
    pub of: Of,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// jobs/*.toml
    Job,
    /// schedules/*.toml
    Schedule,
    /// jobs/datasets/*.toml
    Dataset,
}

/// Prints one schema.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let schema = match args.of {
        Of::Job => schema::job(),
        Of::Schedule => schema::schedule(),
        Of::Dataset => schema::dataset(),
    };
    writeln!(out, "{schema:#}")?;
    Ok(exit::DONE)
}
