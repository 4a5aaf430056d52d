//! What a database is, before it is dumped: its version, size and locale, and the programs that fit it.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    manifest::{Extension, Locale, Setting, Source},
    tools::{self, Tools},
    work::Work,
};
use crate::{
    db::{Target, failure},
    outcome::Failure,
};

/// How long the target may take to say what it is.
const LOOK: Duration = Duration::from_secs(30);

/// What is known before the first byte is dumped.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The database.
    pub source: Source,
    /// Programs of its server's major.
    pub tools: Tools,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    database: String,
    version: String,
    version_number: i32,
    database_bytes: i64,
    encoding: String,
    provider: String,
    collate: String,
    ctype: String,
    locale: Option<String>,
}

/// Looks at a target and finds its programs.
///
/// # Errors
/// When it does not answer, or programs are missing: says which to install.
pub async fn look(target: &Target, work: &Work<'_>) -> Result<Facts, Failure> {
    let near = |failure: Failure| Failure { why: format!("target `{}`: {}", target.name, failure.why), ..failure };
    let (row, settings, extensions) = match timeout(LOOK, ask(target)).await {
        Ok(answer) => answer.map_err(|error| near(failure(&error)))?,
        Err(_) => return Err(near(Failure::later(format!("it did not answer within {} s", LOOK.as_secs())))),
    };
    // Not everybody may read it, and nothing depends on it.
    let identifier = sqlx::query_scalar(include_str!("../../sql/target/system_identifier.sql"));
    let system_identifier = timeout(LOOK, identifier.fetch_one(target.pool())).await.ok().and_then(Result::ok);
    let major = row.version_number.unsigned_abs() / 10_000;
    let tools = tools::find(major, target.pg_bin.as_deref(), work.pg_bin, work.spawner).await?;
    let host = target.login.libpq().into_iter().find(|(key, _)| *key == "PGHOST").map(|(_, host)| host);
    let locale = Locale {
        encoding: row.encoding,
        provider: row.provider,
        collate: row.collate,
        ctype: row.ctype,
        locale: row.locale,
    };
    let source = Source {
        database: row.database,
        host: host.unwrap_or_default(),
        server_version: row.version,
        system_identifier,
        database_bytes: row.database_bytes.unsigned_abs(),
        locale: Some(locale),
        settings,
        extensions,
    };
    Ok(Facts { source, tools })
}

async fn ask(target: &Target) -> Result<(Row, Vec<Setting>, Vec<Extension>), sqlx::Error> {
    let pool = target.pool();
    let row = sqlx::query_as(include_str!("../../sql/target/source.sql")).fetch_one(pool).await?;
    let settings = sqlx::query_as(include_str!("../../sql/target/source_settings.sql")).fetch_all(pool).await?;
    let extensions = sqlx::query_as(include_str!("../../sql/target/source_extensions.sql")).fetch_all(pool).await?;
    Ok((row, settings, extensions))
}
