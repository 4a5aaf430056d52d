//! The database that a restore makes: marked until it is whole, and gone if it never becomes so.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use super::server;
use crate::{
    backups::{copy, manifest::Manifest, name::Stem},
    dataset::quote::{ident, literal},
    db::{Login, failure},
    outcome::Failure,
};

/// How the comment of a database begins that is being filled.
const UNFINISHED: &str = "sexton: unfinished restore";
/// How long dropping one may take.
const DROP: Duration = Duration::from_secs(60);

/// A database that this restore made. While it is held, no other restore takes it for a leftover.
#[derive(Debug)]
pub(super) struct Made {
    admin: Login,
    pub(super) name: String,
    hold: PgConnection,
}

impl Made {
    /// Makes it as the backup's was.
    pub(super) async fn create(admin: &Login, name: &str, manifest: &Manifest, stem: &Stem) -> Result<Self, Failure> {
        let source = &manifest.source;
        copy::create(admin, name, &source.locale, &source.extensions).await?;
        let begun = async {
            // First somebody is in it, so that no other restore takes it for a leftover.
            let mut hold = server::within(&admin.database(name)).await?;
            comment_on(&mut hold, name, &format!("{UNFINISHED} of {stem}; the next restore drops it")).await?;
            Ok::<_, sqlx::Error>(hold)
        };
        match begun.await {
            Ok(hold) => Ok(Self { admin: admin.clone(), name: name.to_owned(), hold }),
            Err(error) => {
                let _ = drop_database(admin, name).await;
                Err(failure(&error))
            }
        }
    }

    /// It is whole: says so in its comment, and lets it go.
    pub(super) async fn finish(self, admin: &mut PgConnection, comment: &str) -> Result<(), Failure> {
        comment_on(admin, &self.name, comment).await.map_err(|error| failure(&error))?;
        let _ = timeout(DROP, self.hold.close()).await;
        Ok(())
    }

    /// Drops it; adds to what went wrong where even that is refused.
    pub(super) async fn give_up(self, failed: Failure) -> Failure {
        drop(self.hold);
        match drop_database(&self.admin, &self.name).await {
            Ok(()) => failed,
            Err(error) => {
                let why = format!("{}; database {} stays behind: {}", failed.why, self.name, error.why);
                Failure { why, ..failed }
            }
        }
    }
}

/// Drops databases that killed restores left unfinished. Returns their names.
pub(super) async fn sweep(admin: &mut PgConnection) -> Result<Vec<String>, Failure> {
    let mut dropped = Vec::new();
    for left in server::marked(admin, UNFINISHED).await.map_err(|error| failure(&error))? {
        // Whoever fills it is connected to it. Without `force`, PostgreSQL refuses one that is in use.
        if left.sessions > 0 {
            continue;
        }
        let statement = AssertSqlSafe(format!("drop database if exists {}", ident(&left.name)));
        match sqlx::query(statement).execute(&mut *admin).await {
            Ok(_) => dropped.push(left.name),
            Err(error) => tracing::warn!(%error, "the unfinished database {} cannot be dropped", left.name),
        }
    }
    Ok(dropped)
}

/// What killed restores left, as far as nobody uses it.
pub(super) async fn leftovers(admin: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let left = server::marked(admin, UNFINISHED).await?;
    Ok(left.into_iter().filter(|left| left.sessions == 0).map(|left| left.name).collect())
}

pub(super) async fn comment_on(admin: &mut PgConnection, database: &str, comment: &str) -> Result<(), sqlx::Error> {
    let statement = format!("comment on database {} is {}", ident(database), literal(comment));
    sqlx::query(AssertSqlSafe(statement)).execute(admin).await.map(drop)
}

async fn drop_database(admin: &Login, name: &str) -> Result<(), Failure> {
    let dropping = async {
        let mut connection = admin.connect().await?;
        let statement = AssertSqlSafe(format!("drop database if exists {} with (force)", ident(name)));
        sqlx::query(statement).execute(&mut connection).await?;
        connection.close().await
    };
    match timeout(DROP, dropping).await {
        Ok(dropped) => dropped.map_err(|error| failure(&error)),
        Err(_) => Err(Failure::later(format!("dropping it did not end within {} s", DROP.as_secs()))),
    }
}
