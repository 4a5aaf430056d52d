//! Writes the application's own log of data operations, where it has one.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    definition::Log,
    error::Error,
    quote::{find, ident},
    step::Select,
};

/// Which log an operation belongs into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `data_archive_log`.
    Archive,
    /// `data_cleanup_log`.
    Cleanup,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Which log.
    pub operation: Operation,
    /// Which rows were meant.
    pub select: Select,
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
pub(super) async fn write(conn: &mut PgConnection, log: Option<&Log>, line: &LogLine) -> Result<bool, Error> {
    let Some(log) = log else { return Ok(false) };
    let name = match line.operation {
        Operation::Archive => log.archive.as_ref(),
        Operation::Cleanup => log.cleanup.as_ref(),
    };
    let Some(name) = name else { return Ok(false) };
    let Some((_, table)) = find(conn, name).await? else {
        tracing::warn!("the log table {name} is not in the target; the operation is not logged there");
        return Ok(false);
    };
    let what = match line.select {
        Select::Old(_) => "OLD",
        Select::Resolved(_) => "RESOLVED",
    };
    let (kind, days, counts) = match line.operation {
        Operation::Archive => ("archive_type", "archive_days", vec![("records_archived", line.rows)]),
        Operation::Cleanup => {
            ("cleanup_type", "retention_days", vec![("records_deleted", line.rows), ("records_preserved", line.kept)])
        }
    };
    let names: String = counts.iter().map(|(name, _)| format!(", {}", ident(name))).collect();
    // The log's counts are integers; a bigger count is worth more than an error.
    let values: String = (0..counts.len()).map(|at| format!(", least(${}, 2147483647)::integer", at + 8)).collect();
    let sql = format!(
        "insert into {} ({kind}, {days}, started_at, completed_at, duration, status, dry_run, initiated_by, notes{names})\n\
         values ($1, $2, $3, clock_timestamp(), clock_timestamp() - $3, $4, $5, $6, $7{values})",
        table.sql()
    );
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(format!("{what}_{}", log.noun))
        .bind(i32::try_from(line.select.span().days()).unwrap_or(i32::MAX))
        .bind(line.begun_at)
        .bind(if line.failed { "FAILED" } else { "COMPLETED" })
        .bind(line.dry_run)
        .bind(line.by.chars().take(255).collect::<String>())
        .bind(&line.notes);
    for (_, count) in counts {
        query = query.bind(i64::try_from(count).unwrap_or(i64::MAX));
    }
    query.execute(conn).await?;
    Ok(true)
}
