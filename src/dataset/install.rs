//! Brings a target to what work on its rows needs. Idempotent and versioned, all or nothing.

use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{
    Definition,
    error::Error,
    functions,
    quote::{ident, literal},
};

/// Every version's tables, oldest first; the first one makes version 1.
const SCRIPTS: [&str; 3] = [
    include_str!("../../sql/install/0001_step.sql"),
    include_str!("../../sql/install/0002_data.sql"),
    include_str!("../../sql/install/0003_quarantine.sql"),
];

const BOOK: &str = "create table sexton.installed (
    version integer primary key,
    installed_at timestamptz not null default now(),
    installed_by text not null default current_user
);
comment on table sexton.installed is 'What Sexton has installed in this database.';
revoke all on sexton.installed from public;
";

/// The version that this binary installs and needs.
pub const VERSION: i32 = SCRIPTS.len() as i32;

/// What an installation did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The version that was there; 0 for none.
    pub from: i32,
    /// The version that is there now, or would be.
    pub to: i32,
    /// The SQL that was run, or would be; empty when nothing is missing.
    pub sql: String,
    /// What is not installed, and why.
    pub left_out: Option<String>,
}

/// What to install.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Data sets for functions called by hand. Without one for the collector, the shipped one is taken.
    pub datasets: Vec<Known>,
    /// Roles that get what jobs need of ours, and nothing else.
    pub roles: Vec<String>,
}

/// A data set that functions called by hand can work on.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its name: its file's, without `.toml`.
    pub name: String,
    /// Its definition, as JSON.
    pub definition: Value,
}

/// Installs what is missing; with `dry_run` it only says what that is.
///
/// The schema and what is in it belong to the user who runs this, and nobody else is granted anything but what
/// callers of the collector's functions had before, and what is wanted for roles that run jobs.
pub async fn install(pool: &PgPool, dry_run: bool, wanted: &Wanted) -> Result<Installed, Error> {
    let mut tx = pool.begin().await?;
    sqlx::raw_sql("set local lock_timeout = '10s'; set local statement_timeout = '60s'").execute(&mut *tx).await?;
    sqlx::raw_sql("select pg_advisory_xact_lock(hashtextextended('sexton db install', 0))").execute(&mut *tx).await?;
    let from = version(&mut tx).await?;
    if from > VERSION {
        return Err(Error::Newer { database: database(&mut tx).await?, found: from, known: VERSION });
    }
    let mut sql = tables(&mut tx, from).await?;
    let engine = functions::engine();
    sql.push_str(&part(&mut tx, from, "functions", &engine).await?);

    let mut known = wanted.datasets.clone();
    if !known.iter().any(|set| set.name == functions::COLLECTOR) {
        known.push(Known::shipped()?);
    }
    for set in &known {
        sql.push_str(&dataset(&mut tx, from, set).await?);
    }
    let collector = known.iter().find(|set| set.name == functions::COLLECTOR);
    let table = collector.and_then(|set| set.definition["table"].as_str()).unwrap_or_default();
    let there: bool =
        sqlx::query_scalar(include_str!("../../sql/target/table_exists.sql")).bind(table).fetch_one(&mut *tx).await?;
    let left_out = (!there).then(|| format!("there is no table {table}, so its functions are not installed"));
    if there {
        sql.push_str(&part(&mut tx, from, "contract", &functions::contract()).await?);
    }
    for role in &wanted.roles {
        sql.push_str(&grants(&ident(role)));
    }
    if !dry_run && !sql.is_empty() {
        sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(Installed { from, to: VERSION, sql, left_out })
}

impl Known {
    /// The collector's data set as this binary ships it.
    fn shipped() -> Result<Self, Error> {
        let definition: Definition = toml::from_str(functions::COLLECTOR_DEFINITION)
            .unwrap_or_else(|error| unreachable!("the shipped data set is held by a test: {error}"));
        Ok(Self { name: functions::COLLECTOR.to_owned(), definition: serde_json::to_value(definition)? })
    }
}

/// What a role needs of ours to run jobs.
fn grants(role: &str) -> String {
    format!(
        "\ngrant usage on schema sexton to {role};\n\
         grant select, insert, update, delete on sexton.step to {role};\n\
         grant select (dataset, name, until) on sexton.hold to {role};\n\
         grant select, insert, update, delete on sexton.quarantine to {role};\n\
         grant select on sexton.dataset to {role};\n"
    )
}

/// The tables that are missing.
async fn tables(conn: &mut PgConnection, from: i32) -> Result<String, Error> {
    let (schema, book): (bool, bool) = sqlx::query_as(
        "select exists (select from pg_namespace where nspname = 'sexton'), to_regclass('sexton.installed') is not null",
    )
    .fetch_one(conn)
    .await?;
    let mut sql = String::new();
    if !schema {
        sql.push_str("create schema sexton;\n\n");
    }
    if !book {
        sql.push_str(BOOK);
    }
    for (version, script) in (1..).zip(SCRIPTS).filter(|(version, _)| *version > from) {
        sql.push_str(&format!("\n{script}\ninsert into sexton.installed (version) values ({version});\n"));
    }
    Ok(sql)
}

/// A group of functions, unless exactly these are there.
async fn part(conn: &mut PgConnection, from: i32, name: &str, text: &str) -> Result<String, Error> {
    let digest = base16(&Sha256::digest(text.as_bytes()));
    if from >= 2 {
        let there: Option<String> = sqlx::query_scalar("select digest from sexton.part where name = $1")
            .bind(name)
            .fetch_optional(conn)
            .await?;
        if there.as_ref() == Some(&digest) {
            return Ok(String::new());
        }
    }
    Ok(format!(
        "\n{text}\ninsert into sexton.part (name, digest) values ({}, {})\non conflict (name) do update\n\
         set digest = excluded.digest, installed_at = clock_timestamp(), installed_by = session_user;\n",
        literal(name),
        literal(&digest)
    ))
}

/// A data set's definition, unless it is there as it is.
async fn dataset(conn: &mut PgConnection, from: i32, set: &Known) -> Result<String, Error> {
    let read: Definition = serde_json::from_value(set.definition.clone())?;
    let checks = super::check::stored(conn, &read).await?;
    if from >= 2 {
        let there: Option<(Value, Value)> =
            sqlx::query_as("select definition, checks from sexton.dataset where name = $1")
                .bind(&set.name)
                .fetch_optional(conn)
                .await?;
        if there.is_some_and(|there| there == (set.definition.clone(), checks.clone())) {
            return Ok(String::new());
        }
    }
    Ok(format!(
        "\ninsert into sexton.dataset (name, definition, checks) values ({}, {}, {})\non conflict (name) do update\n\
         set definition = excluded.definition, checks = excluded.checks, installed_at = clock_timestamp(), installed_by = session_user;\n",
        literal(&set.name),
        literal(&serde_json::to_string(&set.definition)?),
        literal(&serde_json::to_string(&checks)?)
    ))
}

/// The version that is there; 0 for none.
async fn version(conn: &mut PgConnection) -> Result<i32, Error> {
    let book: bool =
        sqlx::query_scalar("select to_regclass('sexton.installed') is not null").fetch_one(&mut *conn).await?;
    if !book {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("select coalesce(max(version), 0) from sexton.installed").fetch_one(conn).await?)
}

/// Whether what this binary needs is there.
pub(super) async fn is_current(conn: &mut PgConnection) -> Result<bool, Error> {
    Ok(functions_version(conn).await? >= VERSION)
}

/// Refuses a target that lacks what this binary needs.
pub(super) async fn must_be_current(conn: &mut PgConnection) -> Result<(), Error> {
    match functions_version(conn).await? {
        0 => Err(Error::NotInstalled(database(conn).await?)),
        found if found < VERSION => Err(Error::Outdated { database: database(conn).await?, found, needed: VERSION }),
        _ => Ok(()),
    }
}

/// The version as a user sees it who has no rights on our book; 0 where there is none to ask.
async fn functions_version(conn: &mut PgConnection) -> Result<i32, Error> {
    let there: bool = sqlx::query_scalar(
        "select exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
         where n.nspname = 'sexton' and p.proname = 'version')",
    )
    .fetch_one(&mut *conn)
    .await?;
    if !there {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("select sexton.version()").fetch_one(conn).await?)
}

/// Installs tables and functions for a look, in a transaction that the caller rolls back.
pub(super) async fn for_now(conn: &mut PgConnection) -> Result<(), Error> {
    let from = version(conn).await?;
    let sql = tables(conn, from).await? + &functions::engine();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

/// The database's name.
async fn database(conn: &mut PgConnection) -> Result<String, Error> {
    Ok(sqlx::query_scalar("select current_database()::text").fetch_one(conn).await?)
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
