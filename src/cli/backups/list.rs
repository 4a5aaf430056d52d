//! `sexton backups list`: every backup of a vault, the newest first.

use std::io::Write;

use chrono::Utc;
use serde_json::{Value, json};

use super::{place::Place, told, words};
use crate::{
    backups::shelf::{self, Seen},
    cli::{AskError, Cli, exit},
};

/// Arguments of `backups list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the backups of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    /// Where they are.
    pub place: Place,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let vault = args.place.open(cli)?;
    let entries = shelf::shelf(&vault, args.name.as_deref()).await.map_err(told)?;
    let all = shelf::see(&vault, entries).await;
    if cli.json {
        let all: Vec<Value> = all.iter().map(as_json).collect();
        writeln!(out, "{:#}", json!(all))?;
        return Ok(exit::DONE);
    }
    if all.is_empty() {
        let of = args.name.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
        writeln!(out, "there is no backup{of} in {vault}")?;
        return Ok(exit::DONE);
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    words::table(out, ["backup", "state", "size", "age", "recipients", "restore", "held"], &rows)?;
    Ok(exit::DONE)
}

fn row(seen: &Seen) -> [String; 7] {
    let entry = &seen.entry;
    let recipients = match &seen.manifest {
        Some(manifest) if manifest.recipients.is_empty() => "none".to_owned(),
        Some(manifest) => manifest.recipients.len().to_string(),
        None => "?".to_owned(),
    };
    let restore = seen.proof.as_ref().and_then(|proof| proof.restore_seconds).map(words::seconds);
    let held = entry.hold_at(Utc::now()).map(|hold| {
        let until = hold.until.map(|until| format!(" until {}", words::time(until))).unwrap_or_default();
        format!("by {}{until}: {}", hold.by, hold.reason)
    });
    [
        entry.stem.to_string(),
        entry.state().to_owned(),
        words::size(entry.bytes),
        words::age(Utc::now() - entry.stem.taken_at),
        recipients,
        restore.unwrap_or_default(),
        held.unwrap_or_default(),
    ]
}

/// One backup for programs.
pub(super) fn as_json(seen: &Seen) -> Value {
    let entry = &seen.entry;
    json!({
        "backup": entry.stem.to_string(),
        "name": entry.stem.name,
        "taken_at": entry.stem.taken_at,
        "age_seconds": (Utc::now() - entry.stem.taken_at).num_seconds(),
        "state": entry.state(),
        "looked_at": entry.verdict.map(|(at, _)| at),
        "bytes": entry.bytes,
        "recipients": seen.manifest.as_ref().map(|manifest| manifest.recipients.len()),
        "restore_seconds": seen.proof.as_ref().and_then(|proof| proof.restore_seconds),
        "held": entry.hold_at(Utc::now()).is_some(),
        "hold": entry.hold,
    })
}
