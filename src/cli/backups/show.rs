//! `sexton backups show`: one backup, what its newest proof found, and how to restore it.

use std::io::Write;

use chrono::Utc;
use serde_json::json;

use super::{list, place::Which, told, words};
use crate::{
    backups::{
        manifest::Manifest,
        proof::Proof,
        shelf::{self, Entry},
    },
    cli::{AskError, Cli, exit},
};

pub(super) async fn run(cli: &Cli, which: &Which, out: &mut dyn Write) -> Result<u8, AskError> {
    let (vault, entry) = which.find(cli).await?;
    let manifest = Manifest::read(&vault, &entry.stem).await.map_err(told)?;
    let proof = Proof::newest(&vault, &entry.keys).await.map_err(told)?;
    if cli.json {
        let seen = shelf::Seen { entry, manifest: Some(manifest.clone()), proof: proof.clone() };
        let mut all = list::as_json(&seen);
        all["manifest"] = json!(manifest);
        all["proof"] = json!(proof);
        writeln!(out, "{all:#}")?;
        return Ok(exit::DONE);
    }
    facts(out, &entry, &manifest)?;
    match &proof {
        Some(proof) => proven(out, proof)?,
        None => writeln!(out, "\nnobody has looked at it: whether it can be restored is not known")?,
    }
    writeln!(out, "\nwithout Sexton, into a new database:\n  {}", manifest.restore)?;
    if let Some(globals) = &manifest.restore_globals {
        writeln!(out, "its roles, before that, if the server does not have them:\n  {globals}")?;
    }
    Ok(exit::DONE)
}

fn facts(out: &mut dyn Write, entry: &Entry, manifest: &Manifest) -> Result<(), AskError> {
    let source = &manifest.source;
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12} {value}");
    line("backup", entry.stem.to_string())?;
    line("state", entry.state().to_owned())?;
    let age = words::age(Utc::now() - manifest.created_at);
    line("taken", format!("{}, {age} ago, by {}", words::time(manifest.created_at), manifest.job))?;
    line("database", format!("{} on {}, PostgreSQL {}", source.database, source.host, source.server_version))?;
    let (stored, plain) = (words::size(manifest.bytes()), words::size(manifest.dump_bytes()));
    line(
        "size",
        format!("{stored} in {} objects; {plain} as a dump; {} in the database", manifest.parts.len(), {
            words::size(source.database_bytes)
        }),
    )?;
    line("with", format!("{}, sexton {}, {}", manifest.tools.pg_dump, manifest.tools.sexton, manifest.compression))?;
    if let Some(fingerprint) = &manifest.fingerprint {
        line("fingerprint", format!("{} tables, {} rows", fingerprint.tables.len(), fingerprint.rows()))?;
    }
    if !manifest.without_rows_of.is_empty() {
        line("without", format!("the rows of {}", manifest.without_rows_of.join(", ")))?;
    }
    match manifest.recipients.as_slice() {
        [] => line("encrypted", "no".to_owned())?,
        all => {
            for recipient in all {
                line("encrypted", format!("for {recipient}"))?;
            }
        }
    }
    if let Some(hold) = entry.hold_at(Utc::now()) {
        let until = hold.until.map_or("for good".to_owned(), |until| format!("until {}", words::time(until)));
        line("held", format!("{until} by {}: {}", hold.by, hold.reason))?;
    }
    Ok(())
}

fn proven(out: &mut dyn Write, proof: &Proof) -> Result<(), AskError> {
    let place = proof.place.as_deref().map(|place| format!(" on {place}")).unwrap_or_default();
    writeln!(out, "\n{} at {}{place}", proof.verdict, words::time(proof.at))?;
    if let Some(why) = &proof.why {
        writeln!(out, "  {why}")?;
    }
    if let Some(help) = &proof.help {
        writeln!(out, "  help: {help}")?;
    }
    if let Some(seconds) = proof.restore_seconds {
        let compared = format!("{} tables, {} rows compared", proof.tables, proof.rows);
        writeln!(out, "  restored in {}; {compared}", words::seconds(seconds))?;
    }
    for difference in &proof.differences {
        writeln!(out, "  differs: {difference}")?;
    }
    if let Some(amcheck) = &proof.amcheck {
        writeln!(out, "  amcheck: {amcheck}")?;
    }
    Ok(())
}
