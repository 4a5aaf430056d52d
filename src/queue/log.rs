//! What attempts logged: written in batches, read in pages, forgotten by days.
//!
//! It lies beside the runs in partitions of its own, so that no amount of it slows a claim or an ending.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgExecutor};
use uuid::Uuid;

/// One line of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Line {
    /// The attempt's fencing token.
    pub token: i64,
    /// Counts within the attempt; what is missing was left out.
    pub line: i32,
    /// 1 for the first attempt.
    pub attempt: i32,
    /// When, by the clock of the daemon that wrote it.
    pub at: DateTime<Utc>,
    /// `error`, `warn` or `info`.
    pub level: String,
    /// The part of Sexton that said it, or `stdout` and `stderr` of a program.
    pub target: String,
    /// What was said.
    pub message: String,
    /// With which values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
}

impl Line {
    /// Where it is in the log of its run.
    pub fn place(&self) -> Place {
        Place { token: self.token, line: self.line }
    }
}

/// A place in the log of a run; the default one is before its first line. As a text: `TOKEN.LINE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    token: i64,
    line: i32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.token, self.line)
    }
}

impl std::str::FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let parts = text.split_once('.').and_then(|(token, line)| Some((token.parse().ok()?, line.parse().ok()?)));
        let (token, line) = parts.ok_or(BadPlace)?;
        Ok(Self { token, line })
    }
}

impl Place {
    pub(super) fn token(self) -> i64 {
        self.token
    }

    pub(super) fn line(self) -> i32 {
        self.line
    }
}

/// A text that names no place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place in a log is written TOKEN.LINE, as an answer gave it")]
pub struct BadPlace;

/// Writes down lines, each with its run. One that is there already stays, so that a repetition is harmless.
///
/// # Errors
/// The database's; so below.
pub async fn add(database: impl PgExecutor<'_>, lines: &[(Uuid, Line)]) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/queue/add_log.sql"))
        .bind(lines.iter().map(|(run, _)| *run).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.token).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.line).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.attempt).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.at).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.level.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.target.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.message.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.fields.clone()).collect::<Vec<_>>())
        .execute(database)
        .await?;
    Ok(())
}

/// At most `limit` lines after a place, in the order of attempts; of one attempt only if it is given.
pub async fn page(
    database: impl PgExecutor<'_>,
    run: Uuid,
    after: Place,
    attempt: Option<i32>,
    limit: i64,
) -> Result<Vec<Line>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/log.sql"))
        .bind(run)
        .bind(after.token)
        .bind(after.line)
        .bind(attempt)
        .bind(limit)
        .fetch_all(database)
        .await
}

/// What an upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkept {
    /// Partitions that were made, for today and tomorrow.
    pub made: Vec<String>,
    /// Partitions that were dropped.
    pub dropped: Vec<String>,
    /// Lines outside of a day's partition that were removed.
    pub removed: u64,
    /// What could not be done now, and why; the next upkeep tries again.
    pub left: Vec<String>,
}

/// Makes the partitions of today and tomorrow, drops those whose last line is older than `keep`, and removes as old
/// lines from the default partition, some thousands at a time. Waits for no lock longer than a quarter of a second, so
/// that nobody who writes waits longer for it; what that leaves undone is told and done by the next one.
pub async fn upkeep(connection: &mut PgConnection, keep: Duration) -> Result<Upkept, sqlx::Error> {
    let keep = keep.max(Duration::from_secs(24 * 3600));
    let (partitions, today, oldest): (Vec<String>, NaiveDate, NaiveDate) =
        sqlx::query_as(include_str!("../../sql/queue/log_days.sql")).bind(keep).fetch_one(&mut *connection).await?;
    let mut upkept = Upkept::default();
    for day in [Some(today), today.checked_add_days(Days::new(1))].into_iter().flatten() {
        let name = name(day);
        if partitions.contains(&name) {
            continue;
        }
        match make(connection, day).await {
            Ok(()) => upkept.made.push(name),
            Err(error) => upkept.left.push(left(&name, error)?),
        }
    }
    for partition in partitions.into_iter().filter(|partition| *partition < name(oldest)) {
        match alter(connection, &[format!("drop table sexton.{partition}")]).await {
            Ok(()) => upkept.dropped.push(partition),
            Err(error) => upkept.left.push(left(&partition, error)?),
        }
    }
    upkept.removed = sqlx::query(include_str!("../../sql/queue/prune_log.sql"))
        .bind(keep)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    Ok(upkept)
}

/// The partition of a day.
fn name(day: NaiveDate) -> String {
    format!("run_log_{}", day.format("%Y%m%d"))
}

/// Made beside the table and attached: that locks out nobody who writes into other partitions.
async fn make(connection: &mut PgConnection, day: NaiveDate) -> Result<(), sqlx::Error> {
    let name = name(day);
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    let statements = [
        format!("create table sexton.{name} (like sexton.run_log including all)"),
        format!(
            "alter table sexton.run_log attach partition sexton.{name} \
             for values from ('{day} 00:00:00+00') to ('{next} 00:00:00+00')"
        ),
    ];
    alter(connection, &statements).await
}

/// All of it or nothing, and never long in the way of others. The names are made of digits.
async fn alter(connection: &mut PgConnection, statements: &[String]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("set local lock_timeout = '250ms'").execute(&mut *transaction).await?;
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// What is left for the next time: the database answered, only not as hoped.
fn left(partition: &str, error: sqlx::Error) -> Result<String, sqlx::Error> {
    match error.as_database_error() {
        Some(said) => Ok(format!("{partition}: {said}")),
        None => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { token: 1_764_000_000_000_000, line: 12 };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert!(Place::default() < place);
        for text in ["", "12", "a.1", "1.b", "1.2.3"] {
            assert_eq!(text.parse::<Place>(), Err(BadPlace), "{text}");
        }
    }

    #[test]
    fn partitions_sort_as_their_days() {
        let day = |text: &str| name(text.parse().expect("a date"));
        assert_eq!(day("2026-01-09"), "run_log_20260109");
        assert!(day("2026-09-30") < day("2026-10-01") && day("2026-12-31") < day("2027-01-01"));
    }
}
