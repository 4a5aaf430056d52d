//! Which of several servers takes writes.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;
use url::Url;

use super::hosts::address;

/// How long one server may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a server is.
#[derive(Debug)]
pub(super) enum Standing {
    /// It takes writes, on this timeline of the WAL; each promotion begins a higher one.
    Writable(i64),
    /// It follows another.
    Standby,
    /// It takes no writes, by its settings.
    ReadOnly,
    /// It could not be asked.
    Away(sqlx::Error),
}

impl Standing {
    pub(super) fn is_writable(&self) -> bool {
        matches!(self, Self::Writable(_))
    }
}

/// What the server at the other end is.
pub(super) async fn of(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    let (standby, read_only, timeline): (bool, bool, Option<i64>) =
        sqlx::query_as(include_str!("../../sql/queue/standing.sql")).fetch_one(connection).await?;
    Ok(match timeline {
        _ if standby => Standing::Standby,
        _ if read_only => Standing::ReadOnly,
        timeline => Standing::Writable(timeline.unwrap_or_default()),
    })
}

/// Connects and asks.
pub(super) async fn ask(options: PgConnectOptions) -> Standing {
    let asking = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        let standing = of(&mut connection).await?;
        connection.close().await?;
        Ok(standing)
    };
    timeout(PATIENCE, asking).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).unwrap_or_else(Standing::Away)
}

/// The server to write to. Two take writes where an old primary came back by itself: the one that was promoted last
/// has the higher timeline. Of equals, the present one stays.
pub(super) fn pick(present: usize, standings: &[Standing]) -> Option<usize> {
    let writable = |standing: &Standing| match standing {
        Standing::Writable(timeline) => Some(*timeline),
        _ => None,
    };
    let newest = standings.iter().filter_map(writable).max()?;
    let is_newest = |at: &usize| standings.get(*at).and_then(writable) == Some(newest);
    Some(present).filter(is_newest).or_else(|| (0..standings.len()).find(|at| is_newest(at)))
}

/// Why none can be used.
pub(super) fn none(urls: &[Url], mut standings: Vec<Standing>) -> sqlx::Error {
    // A refusal by the only server, or by all of them alike as that of a password, keeps its code.
    let code = |standing: &Standing| match standing {
        Standing::Away(error) => error.as_database_error().and_then(|e| e.code().map(std::borrow::Cow::into_owned)),
        _ => None,
    };
    let alike =
        code(&standings[0]).is_some_and(|first| standings.iter().all(|other| code(other) == Some(first.clone())));
    if alike || (standings.len() == 1 && matches!(standings[0], Standing::Away(_))) {
        // Alike are only those that could not be asked.
        if let Standing::Away(error) = standings.swap_remove(0) {
            return error;
        }
    }
    let each = urls.iter().zip(&standings).map(|(url, standing)| {
        let is = match standing {
            Standing::Writable(_) => "takes writes".to_owned(),
            Standing::Standby => "is a standby".to_owned(),
            Standing::ReadOnly => "is read-only".to_owned(),
            Standing::Away(sqlx::Error::PoolTimedOut) => "does not answer".to_owned(),
            Standing::Away(error) => format!("cannot be used ({error})"),
        };
        format!("{} {is}", address(url))
    });
    let why = format!("no host takes writes: {}", each.collect::<Vec<_>>().join(", "));
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::NotConnected, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_was_promoted_last_is_the_primary() {
        use Standing::*;
        let away = || Away(sqlx::Error::PoolTimedOut);
        assert_eq!(pick(0, &[Writable(1), Standby]), Some(0));
        assert_eq!(pick(0, &[away(), Writable(2)]), Some(1));
        assert_eq!(pick(0, &[ReadOnly, Standby]), None);
        assert_eq!(pick(0, &[Writable(1), Writable(2)]), Some(1), "the old primary came back");
        assert_eq!(pick(1, &[Writable(1), Writable(1)]), Some(1));
        assert_eq!(pick(7, &[Standby, Writable(1)]), Some(1));
        assert_eq!(pick(0, &[]), None);
    }
}
