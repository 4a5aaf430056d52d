//! One database takes another's name, in one transaction: both are renamed, or none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use super::{database::comment_on, place::beside, preview::Replaced, replaced, server};
use crate::{
    backups::name::Stem,
    dataset::quote::ident,
    db::{Login, failure},
    outcome::Failure,
};

/// How often sessions that come back are ended while the names are changed.
const AGAIN: Duration = Duration::from_millis(50);
/// How long it may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Gives `made` the name `taken`; what has that name is kept under another until its time is over.
pub(super) async fn swap(
    login: &Login,
    made: &str,
    taken: &str,
    keep: Duration,
    stem: &Stem,
) -> Result<(Replaced, Vec<String>), Failure> {
    let (there, mut admin) = server::admin(login, &[made, taken]).await?;
    let mut notes = Vec::new();
    for statement in rights(&mut admin, taken, made).await.map_err(|error| failure(&error))? {
        if let Err(error) = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut admin).await {
            let why = error.as_database_error().map_or(error.to_string(), |error| error.message().to_owned());
            notes.push(format!("`{statement}` was refused: {why}"));
        }
    }
    let now: DateTime<Utc> =
        sqlx::query_scalar("select now()").fetch_one(&mut admin).await.map_err(|error| failure(&error))?;
    let until = now + chrono::TimeDelta::from_std(keep).unwrap_or(chrono::TimeDelta::MAX);
    let at =
        server::free(&mut admin, now, |at| beside(taken, "replaced", at)).await.map_err(|error| failure(&error))?;
    let kept = beside(taken, "replaced", at);
    let mut ender = there.connect().await.map_err(|error| failure(&error))?;
    let both = vec![made.to_owned(), taken.to_owned()];
    let renaming = async {
        let mut change = admin.begin().await?;
        // While it waits for the sessions of a database to end, PostgreSQL lets no new ones in.
        rename(&mut change, taken, &kept).await?;
        rename(&mut change, made, taken).await?;
        comment_on(&mut change, &kept, &replaced::comment(&stem.to_string(), now, until)).await?;
        change.commit().await
    };
    let mut ended = 0;
    let ending = async {
        loop {
            let these: i64 = sqlx::query_scalar(include_str!("../../../sql/target/restore_sessions.sql"))
                .bind(&both)
                .fetch_one(&mut ender)
                .await?;
            ended = ended.max(these);
            tokio::time::sleep(AGAIN).await;
        }
        #[allow(unreachable_code)]
        Ok::<(), sqlx::Error>(())
    };
    let swapped = tokio::select! {
        renamed = timeout(LIMIT, renaming) => match renamed {
            Ok(renamed) => renamed.map_err(|error| failure(&error)),
            Err(_) => Err(Failure::later(format!("it did not end within {} s", LIMIT.as_secs()))),
        },
        Err(error) = ending => Err(failure(&error)),
    };
    swapped.map_err(|failed| Failure {
        why: format!(
            "database {taken} is as it was, and the restored one is {made}: the names could not be changed: {}",
            failed.why
        ),
        ..failed
    })?;
    let _ = timeout(LIMIT, ender.close()).await;
    let undo = vec![
        format!("alter database {} rename to {}", ident(taken), ident(made)),
        format!("alter database {} rename to {}", ident(&kept), ident(taken)),
    ];
    let replaced = Replaced { database: kept, keep_until: until, sessions_ended: ended.unsigned_abs(), undo };
    Ok((replaced, notes))
}

async fn rights(admin: &mut PgConnection, from: &str, to: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../../sql/target/restore_rights.sql"))
        .bind(from)
        .bind(to)
        .fetch_all(admin)
        .await
}

async fn rename(connection: &mut PgConnection, from: &str, to: &str) -> Result<(), sqlx::Error> {
    let statement = format!("alter database {} rename to {}", ident(from), ident(to));
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}
