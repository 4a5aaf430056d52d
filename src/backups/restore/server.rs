//! What a restore finds where it goes: the server, its roles and extensions, and the databases that are in the way.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::timeout;

use crate::{
    backups::manifest::{Extension, Locale},
    dataset::quote::literal,
    db::{Login, failure},
    outcome::Failure,
};

/// How long a connection and a few looks may take.
const LOOK: Duration = Duration::from_secs(30);
/// How long exact counts of rows may take before a guess will do.
const COUNTING: Duration = Duration::from_secs(10);
/// Databases from which others can be made and renamed, in the order in which they are tried.
const NEUTRAL: [&str; 2] = ["postgres", "template1"];

/// A server and what our user may do there.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) version_number: i32,
    pub(super) user: String,
    pub(super) makes_databases: bool,
    pub(super) makes_roles: bool,
    pub(super) roles: Vec<String>,
}

impl Server {
    pub(super) fn major(&self) -> u32 {
        self.version_number.unsigned_abs() / 10_000
    }
}

/// A database that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    /// Whether our user may rename it.
    pub(super) is_ours: bool,
    pub(super) bytes: Option<i64>,
    pub(super) sessions: i64,
    /// Its own tables with their rows.
    pub(super) tables: Vec<(String, i64)>,
    /// Whether these numbers are exact.
    pub(super) exact: bool,
}

impl Present {
    /// In words: how much is there.
    pub(super) fn told(&self) -> String {
        let rows: i64 = self.tables.iter().map(|(_, rows)| rows).sum();
        let about = if self.exact { "" } else { "about " };
        let bytes = self.bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
        format!("{} tables with {about}{rows} rows{bytes}", self.tables.len())
    }
}

/// A database that carries a comment of ours.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Marked {
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) sessions: i64,
    pub(super) now: DateTime<Utc>,
}

/// A connection to a server from which databases are made and renamed: to none of `not`.
pub(super) async fn admin(login: &Login, not: &[&str]) -> Result<(Login, PgConnection), Failure> {
    let own = login.database_name();
    let mut refused = None;
    for name in NEUTRAL.into_iter().chain([own.as_str()]).filter(|name| !not.contains(name)) {
        let there = login.database(name);
        match timeout(LOOK, there.connect()).await {
            Ok(Ok(mut connection)) => {
                connection
                    .execute("set statement_timeout = 0; set lock_timeout = '30s'")
                    .await
                    .map_err(|error| failure(&error))?;
                return Ok((there, connection));
            }
            Ok(Err(error)) => refused = Some(failure(&error)),
            Err(_) => refused = Some(Failure::later(format!("{there} did not answer within {} s", LOOK.as_secs()))),
        }
    }
    Err(refused.unwrap_or_else(|| Failure::never("there is no database to connect to")))
}

/// What the server is.
pub(super) async fn server(admin: &mut PgConnection) -> Result<Server, sqlx::Error> {
    sqlx::query_as(include_str!("../../../sql/target/restore_server.sql")).fetch_one(admin).await
}

/// Which of these extensions cannot be installed there.
pub(super) async fn lacking(admin: &mut PgConnection, wanted: &[Extension]) -> Result<Vec<String>, sqlx::Error> {
    let available: Vec<String> =
        sqlx::query_scalar(include_str!("../../../sql/target/available_extensions.sql")).fetch_all(admin).await?;
    Ok(wanted.iter().map(|e| e.name.clone()).filter(|name| !available.contains(name)).collect())
}

/// Whether the server's machine knows a locale: asked by making a collation that is taken back at once.
pub(super) async fn knows(admin: &mut PgConnection, locale: &Locale) -> Result<bool, sqlx::Error> {
    let mut there = admin.begin().await?;
    let statement = format!(
        "create collation pg_temp.sexton_probe (provider = libc, lc_collate = {}, lc_ctype = {})",
        literal(&locale.collate),
        literal(&locale.ctype)
    );
    let made = sqlx::query(AssertSqlSafe(statement)).execute(&mut *there).await;
    there.rollback().await?;
    // Any other refusal (another encoding, no right to make one) says nothing about the locale.
    Ok(!made.is_err_and(|error| error.to_string().contains("could not create locale")))
}

/// From now on, the first second whose name no database has: two may be made within one.
pub(super) async fn free(
    admin: &mut PgConnection,
    now: DateTime<Utc>,
    name: impl Fn(DateTime<Utc>) -> String,
) -> Result<DateTime<Utc>, sqlx::Error> {
    let mut at = now;
    loop {
        let there: Option<(bool, Option<i64>, i64)> =
            sqlx::query_as(include_str!("../../../sql/target/restore_database.sql"))
                .bind(name(at))
                .fetch_optional(&mut *admin)
                .await?;
        if there.is_none() {
            return Ok(at);
        }
        at += chrono::TimeDelta::seconds(1);
    }
}

/// A database by its name, if it is there.
pub(super) async fn present(
    login: &Login,
    admin: &mut PgConnection,
    name: &str,
) -> Result<Option<Present>, sqlx::Error> {
    let found: Option<(bool, Option<i64>, i64)> =
        sqlx::query_as(include_str!("../../../sql/target/restore_database.sql"))
            .bind(name)
            .fetch_optional(&mut *admin)
            .await?;
    let Some((is_ours, bytes, sessions)) = found else { return Ok(None) };
    let mut there = within(&login.database(name)).await?;
    let mut tables: Vec<(String, i64)> =
        sqlx::query_as(include_str!("../../../sql/target/restore_content.sql")).fetch_all(&mut there).await?;
    // Exact numbers where they come soon: people compare them with what they know.
    let names: Vec<_> = tables.iter().map(|(name, _)| name.clone()).collect();
    let exact = match timeout(COUNTING, counts(&mut there, &names)).await {
        Ok(Ok(counted)) => {
            tables = counted;
            true
        }
        _ => false,
    };
    let _ = timeout(LOOK, there.close()).await;
    Ok(Some(Present { is_ours, bytes, sessions, tables, exact }))
}

/// Rows of these tables, exactly.
pub(super) async fn counts(
    connection: &mut PgConnection,
    tables: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let mut counted = Vec::new();
    for table in tables {
        // Quoted by the server.
        let statement = AssertSqlSafe(format!("select count(*) from only {table}"));
        counted.push((table.clone(), sqlx::query_scalar(statement).fetch_one(&mut *connection).await?));
    }
    Ok(counted)
}

/// Databases whose comment begins so.
pub(super) async fn marked(admin: &mut PgConnection, beginning: &str) -> Result<Vec<Marked>, sqlx::Error> {
    sqlx::query_as(include_str!("../../../sql/target/restore_marked.sql")).bind(beginning).fetch_all(admin).await
}

/// A connection in bounded time, that names everything in full.
pub(super) async fn within(login: &Login) -> Result<PgConnection, sqlx::Error> {
    let connecting = async {
        let mut connection = login.connect().await?;
        connection.execute("set statement_timeout = 0; set search_path = ''; set row_security = off").await?;
        Ok(connection)
    };
    timeout(LOOK, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
