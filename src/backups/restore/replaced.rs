//! Databases that were replaced and are kept for a while.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use super::server;
use crate::{
    dataset::quote::ident,
    db::{Login, failure},
    outcome::Failure,
};

/// How their comments begin.
const REPLACED: &str = "sexton: replaced";
/// What stands before the time in them.
const UNTIL: &str = "keep until ";

/// A database that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Old {
    /// Its name.
    pub database: String,
    /// Until when it is kept; none where its comment was changed so that nobody can tell: it stays.
    pub keep_until: Option<DateTime<Utc>>,
    /// Whether its time is over, by the server's clock.
    pub over: bool,
    /// How many sessions use it.
    pub sessions: i64,
    /// Whether it was dropped now.
    pub dropped: bool,
    /// Why it was not, though its time is over.
    pub why: Option<String>,
}

pub(super) fn comment(backup: &str, at: DateTime<Utc>, until: DateTime<Utc>) -> String {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{REPLACED} at {} by a restore of {backup}, {UNTIL}{}", time(at), time(until))
}

/// The databases on a server that were replaced; changes nothing.
///
/// # Errors
/// When the server cannot be asked.
pub async fn replaced(login: &Login) -> Result<Vec<Old>, Failure> {
    let (_, mut admin) = server::admin(login, &[]).await?;
    look(&mut admin).await
}

/// Drops those whose time is over and that nobody uses.
///
/// # Errors
/// When the server cannot be asked. What is refused is told of each.
pub async fn drop_replaced(login: &Login) -> Result<Vec<Old>, Failure> {
    let (_, mut admin) = server::admin(login, &[]).await?;
    let mut all = look(&mut admin).await?;
    for old in all.iter_mut().filter(|old| old.over) {
        if old.sessions > 0 {
            old.why = Some(format!("{} sessions use it", old.sessions));
            continue;
        }
        let statement = AssertSqlSafe(format!("drop database {}", ident(&old.database)));
        match sqlx::query(statement).execute(&mut admin).await {
            Ok(_) => old.dropped = true,
            Err(error) => old.why = Some(failure(&error).why),
        }
    }
    Ok(all)
}

async fn look(admin: &mut PgConnection) -> Result<Vec<Old>, Failure> {
    let marked = server::marked(admin, REPLACED).await.map_err(|error| failure(&error))?;
    Ok(marked
        .into_iter()
        .map(|marked| {
            let keep_until = until(&marked.comment);
            Old {
                over: keep_until.is_some_and(|until| until <= marked.now),
                database: marked.name,
                keep_until,
                sessions: marked.sessions,
                dropped: false,
                why: None,
            }
        })
        .collect())
}

fn until(comment: &str) -> Option<DateTime<Utc>> {
    let (_, time) = comment.rsplit_once(UNTIL)?;
    DateTime::parse_from_rfc3339(time.trim()).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_read_back_from_a_comment() {
        let at = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let text = comment("shop_backup_20260102_030405_0a1b", at, at);
        assert!(text.starts_with(REPLACED), "{text}");
        assert_eq!(until(&text), Some(at));
        assert_eq!(until("sexton: replaced, keep for ever"), None);
    }
}
