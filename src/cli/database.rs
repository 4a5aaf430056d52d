//! `sexton db`: prepares the queue's database and targets.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::{AskError, Cli, answers, direct_login, exit, load, queue_login, targets};
use crate::{
    catalog::Catalog,
    dataset::{self, Installed, Known, Wanted},
    db::{self, Login, Target},
    secret::Secret,
    settings::Settings,
};

/// What to prepare.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the queue's own database to this version's schema (the daemon does it at start, too)
    Migrate,
    /// Install what work on a target's rows needs: the schema sexton, and the exception collector's functions
    Install {
        /// The target's name in sexton.toml
        #[arg(long, value_name = "NAME", required_unless_present = "url", conflicts_with = "url")]
        target: Option<String>,
        /// A database, without any configuration; its password is read from PGPASSWORD or PGPASSFILE
        #[arg(long, value_name = "postgres://…")]
        url: Option<String>,
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Give a role what jobs need of what is installed; may be repeated
        #[arg(long, value_name = "ROLE")]
        grant: Vec<String>,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command, out: &mut dyn Write) -> Result<u8, AskError> {
    match command {
        Command::Migrate => {
            let settings = load(cli.config.as_deref())?;
            let login = direct_login(&settings, &queue_login(&settings)?)?;
            answers(&login).await?;
            db::migrate(&db::queue_pool(&login, 2)).await?;
            if cli.json {
                writeln!(out, "{}", json!({ "database": login.to_string(), "up_to_date": true }))?;
            } else {
                writeln!(out, "the queue's schema in {login} is up to date")?;
            }
        }
        Command::Install { target: Some(name), dry_run, grant, .. } => {
            let settings = load(cli.config.as_deref())?;
            let targets = db::Targets::new(targets(&settings)?);
            let target = targets.get(name).map_err(|unknown| AskError::Said(unknown.to_string()))?;
            let wanted = Wanted { datasets: known(&settings)?, roles: grant.clone() };
            install(cli, target, &wanted, *dry_run, out).await?;
        }
        Command::Install { url, dry_run, grant, .. } => {
            let login = Login::new(&Secret::new(url.clone().unwrap_or_default()), None)?;
            let target = Target::new(login.database_name(), login, None);
            let wanted = Wanted { datasets: Vec::new(), roles: grant.clone() };
            install(cli, &target, &wanted, *dry_run, out).await?;
        }
    }
    Ok(exit::DONE)
}

/// The data sets in the files that the settings name; all of them must be right.
fn known(settings: &Settings) -> Result<Vec<Known>, AskError> {
    let (_, parsed) = Catalog::read(&settings.files.jobs, &settings.files.schedules);
    let catalog = parsed.catalog.ok_or_else(|| {
        AskError::Said(
            "the job files have mistakes, so their data sets are not installed; run `sexton check`".to_owned(),
        )
    })?;
    Ok(catalog.datasets.into_iter().map(|(name, definition)| Known { name, definition }).collect())
}

async fn install(
    cli: &Cli,
    target: &Target,
    wanted: &Wanted,
    dry_run: bool,
    out: &mut dyn Write,
) -> Result<(), AskError> {
    let name = &target.name;
    let done = dataset::install(target.pool(), dry_run, wanted).await;
    let Installed { from, to, sql, left_out } = done.map_err(|error| AskError::Said(error.to_string()))?;
    if cli.json {
        let answer = json!({
            "target": name, "from": from, "to": to, "sql": sql, "left_out": left_out, "dry_run": dry_run,
        });
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    if dry_run {
        write!(out, "{sql}")?;
    } else if sql.is_empty() {
        writeln!(out, "target `{name}` has version {to} already; nothing changed")?;
    } else if from == to {
        writeln!(out, "target `{name}` has version {to} already; its functions and data sets were brought up to date")?;
    } else {
        writeln!(out, "target `{name}` went from version {from} to {to}")?;
    }
    if let Some(left_out) = left_out {
        writeln!(out, "{}note: {left_out}", if dry_run { "-- " } else { "" })?;
    }
    Ok(())
}
