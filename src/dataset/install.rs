//! Brings a target to what work in steps needs. Idempotent and versioned.

use sqlx::{AssertSqlSafe, PgPool};

use super::{error::Error, quote::database};

/// Every version's script, oldest first; the first one makes version 1.
const SCRIPTS: [&str; 1] = [include_str!("../../sql/install/0001_step.sql")];

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
}

/// Installs what is missing, all or nothing; with `dry_run` it only says what that is.
///
/// The schema and its tables belong to the user who runs this and nobody else is granted anything.
pub async fn install(pool: &PgPool, dry_run: bool) -> Result<Installed, Error> {
    let mut tx = pool.begin().await?;
    sqlx::raw_sql("set local lock_timeout = '10s'; set local statement_timeout = '60s'").execute(&mut *tx).await?;
    sqlx::raw_sql("select pg_advisory_xact_lock(hashtextextended('sexton db install', 0))").execute(&mut *tx).await?;
    let (schema, book): (bool, bool) = sqlx::query_as(
        "select exists (select from pg_namespace where nspname = 'sexton'), to_regclass('sexton.installed') is not null",
    )
    .fetch_one(&mut *tx)
    .await?;
    let from: i32 = match book {
        true => {
            sqlx::query_scalar("select coalesce(max(version), 0) from sexton.installed").fetch_one(&mut *tx).await?
        }
        false => 0,
    };
    if from > VERSION {
        return Err(Error::Newer { database: database(&mut tx).await?, found: from, known: VERSION });
    }
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
    if !dry_run && !sql.is_empty() {
        sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(Installed { from, to: VERSION, sql })
}
