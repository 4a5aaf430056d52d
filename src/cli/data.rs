//! `sexton data`: how much of a data set is where, and which of its rows are held.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::json;

use super::{AskError, Cli, exit, load, targets};
use crate::{
    catalog::Catalog,
    dataset::{self, Definition},
    db,
};

/// Which data set, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// The data set: its file's name in jobs/datasets without `.toml`
    #[arg(value_name = "DATASET")]
    pub dataset: String,
    /// The target that its tables are in
    #[arg(long, value_name = "NAME")]
    pub target: String,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count what is in main and in the archive, and what there is to clean up
    Show(Where),
    /// List the rows that are held
    Holds(Where),
    /// Hold rows: they neither move nor go, whoever asks
    Hold {
        #[command(flatten)]
        /// Which data set.
        place: Where,
        /// The rows, by the data set's `known_by`, else by its key
        #[arg(value_name = "ROW", required = true)]
        rows: Vec<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// Until when, as 2030-01-31T00:00:00Z; for good without
        #[arg(long, value_name = "TIME")]
        until: Option<DateTime<Utc>>,
    },
    /// Release rows that are held
    Release {
        #[command(flatten)]
        /// Which data set.
        place: Where,
        /// The rows
        #[arg(value_name = "ROW", required = true)]
        rows: Vec<String>,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command, out: &mut dyn Write) -> Result<u8, AskError> {
    let (Command::Show(place) | Command::Holds(place) | Command::Hold { place, .. } | Command::Release { place, .. }) =
        command;
    let settings = load(cli.config.as_deref())?;
    let (_, parsed) = Catalog::read(&settings.files.jobs, &settings.files.schedules);
    let catalog = parsed
        .catalog
        .ok_or_else(|| AskError::Said("the job files have mistakes; `sexton check` shows them".to_owned()))?;
    let Some(definition) = catalog.datasets.get(&place.dataset) else {
        let all: Vec<_> = catalog.datasets.keys().map(String::as_str).collect();
        return Err(AskError::Said(format!("there is no data set `{}`; there are: {}", place.dataset, all.join(", "))));
    };
    let definition: Definition = serde_json::from_value(definition.clone())?;
    let all = db::Targets::new(targets(&settings)?);
    let target = all.get(&place.target).map_err(|unknown| AskError::Said(unknown.to_string()))?;
    let said = |error: dataset::Error| {
        let help = error.help(&place.target).map(|help| format!(" ({help})")).unwrap_or_default();
        AskError::Said(format!("target `{}`: {error}{help}", place.target))
    };
    match command {
        Command::Show(_) => {
            let survey = dataset::survey(target.pool(), &definition).await.map_err(said)?;
            if cli.json {
                writeln!(out, "{:#}", json!({ "dataset": place.dataset, "target": place.target, "survey": survey }))?;
                return Ok(exit::DONE);
            }
            writeln!(out, "{:>12}  {:>12}  table", "main", "archive")?;
            for table in &survey.tables {
                writeln!(out, "{:>12}  {:>12}  {}", table.main, table.archive, table.label)?;
            }
            let s = &survey.statistics;
            writeln!(
                out,
                "\n{} older than a year, {} settled for more than 90 days, {} critical; {} days old on average; the \
                 database has {} MB",
                s.old, s.resolved, s.critical, s.average_age_days, s.database_size_mb
            )?;
        }
        Command::Holds(_) => {
            let holds = dataset::holds(target.pool(), &definition).await.map_err(said)?;
            if cli.json {
                writeln!(out, "{:#}", json!(holds))?;
                return Ok(exit::DONE);
            }
            for hold in &holds {
                let until = hold.until.map_or("for good".to_owned(), |until| format!("until {until}"));
                writeln!(out, "{}  {until}, by {} since {}: {}", hold.name, hold.held_by, hold.held_at, hold.reason)?;
            }
            if holds.is_empty() {
                writeln!(out, "no row of `{}` is held by name", place.dataset)?;
            }
        }
        Command::Hold { rows, reason, until, .. } => {
            dataset::hold(target.pool(), &definition, rows, reason, *until).await.map_err(said)?;
            answer(cli, out, json!({ "held": rows }), &format!("{} held", counted(rows.len())))?;
        }
        Command::Release { rows, .. } => {
            let released = dataset::release(target.pool(), &definition, rows).await.map_err(said)?;
            let text = format!("{} released", counted(released as usize));
            answer(cli, out, json!({ "released": released }), &text)?;
        }
    }
    Ok(exit::DONE)
}

fn counted(rows: usize) -> String {
    if rows == 1 { "1 row is".to_owned() } else { format!("{rows} rows are") }
}

fn answer(cli: &Cli, out: &mut dyn Write, json: serde_json::Value, text: &str) -> Result<(), AskError> {
    if cli.json {
        writeln!(out, "{json}")?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(())
}
