//! What a restore would do and has done, in words.

use std::io::Write;

use crate::{
    backups::restore::{Checked, Preview, Restored},
    cli::{AskError, backups::words},
};

pub(super) fn describe(preview: &Preview, out: &mut dyn Write) -> Result<(), AskError> {
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

pub(super) fn restored(restored: &Restored, out: &mut dyn Write) -> Result<(), AskError> {
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
