//! Writes the application's own log of data operations, where it has one.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::error::Error;

/// Which log an operation belongs into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `data_archive_log`.
    Archive,
    /// `data_cleanup_log`.
    Cleanup,
    /// `data_archive_log`, as rows that came back.
    Restore,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Which log.
    pub operation: Operation,
    /// Which rows were meant: `OLD`, `RESOLVED`, `RESTORE`.
    pub what: &'static str,
    /// Older than so many days; none for what goes by name.
    pub days: Option<u64>,
    /// Parent rows that left.
    pub rows: u64,
    /// Parent rows past the cutoff that stayed.
    pub kept: u64,
    /// When the run began.
    pub begun_at: DateTime<Utc>,
    /// Whether it failed.
    pub failed: bool,
    /// Whether nothing was really done.
    pub dry_run: bool,
    /// Who asked.
    pub by: String,
    /// Run, job, and what went wrong.
    pub notes: String,
}

/// Writes a line, unless the definition names no such log or the table is not there. Returns whether it did.
pub(super) async fn write(conn: &mut PgConnection, definition: &Value, line: &LogLine) -> Result<bool, Error> {
    let line = json!({
        "operation": match line.operation {
            Operation::Archive => "archive",
            Operation::Cleanup => "cleanup",
            Operation::Restore => "restore",
        },
        "what": line.what,
        "days": line.days,
        "rows": line.rows,
        "kept": line.kept,
        "started_at": line.begun_at,
        "failed": line.failed,
        "dry_run": line.dry_run,
        "by": line.by,
        "notes": line.notes,
    });
    let wrote = sqlx::query_scalar(include_str!("../../sql/target/log_operation.sql"))
        .bind(definition)
        .bind(line)
        .fetch_one(conn)
        .await?;
    Ok(wrote)
}
