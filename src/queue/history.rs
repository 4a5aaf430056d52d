//! The history's partitions: by what became of a run, then by days; made ahead, and dropped whole when they are old.
//!
//! `docs/decisions/0013-history-partitions.md` says why they are as many as they are, and how a run is found in them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgPool, PgTransaction};
use uuid::Uuid;

use super::{forget::Keep, log::Upkept};
use crate::{db::forget::turn, state::Final};

/// One part of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    table: &'static str,
    pub(super) states: [Final; 2],
    pub(super) keep: Duration,
    last: u32,
}

/// Both parts. What failed goes first: what was done before it goes after it.
pub(super) fn parts(keep: Keep) -> [Part; 2] {
    let last = keep.last.max(1);
    [
        Part { table: "history_failed", states: [Final::Failed, Final::Cancelled], keep: keep.failed, last },
        Part { table: "history_done", states: [Final::Done, Final::Skipped], keep: keep.done, last },
    ]
}

/// How many partitions a part has, about: what is looked for in all of them opens every one with its indexes.
const MOST: u64 = 31;
const DAY: TimeDelta = TimeDelta::days(1);

/// How many days a partition of what is kept for so long holds.
fn days(keep: Duration) -> TimeDelta {
    let days = keep.as_secs().div_ceil(86_400).div_ceil(MOST).max(1);
    DAY * i32::try_from(days).unwrap_or(i32::MAX)
}

/// The days that get a partition so that tomorrow has one: after the last that there is, and not before today.
fn ahead(now: DateTime<Utc>, last: Option<DateTime<Utc>>, keep: Duration) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let today = now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let mut starts = last.map_or(today, |last| last.max(today));
    let mut made = Vec::new();
    while starts <= now + DAY {
        made.push((starts, starts + days(keep)));
        starts += days(keep);
    }
    made
}

/// A partition and the days that it holds.
struct Shelf {
    name: String,
    starts: DateTime<Utc>,
    ends: DateTime<Utc>,
}

/// Makes the partitions of today and tomorrow, and drops those whose last run is older than its part is kept; what must
/// stay of them is moved into the default partition. Waits for no lock longer than a quarter of a second; what that
/// leaves undone is told and done by the next one. Does nothing while another daemon forgets.
///
/// # Errors
/// The database's, when it did not answer.
pub(super) async fn upkeep(pool: &PgPool, keep: Keep, upkept: &mut Upkept) -> Result<(), sqlx::Error> {
    for part in parts(keep) {
        let (now, shelves) = look(pool, part).await?;
        let mut last = shelves.iter().map(|shelf| shelf.ends).max();
        for (starts, ends) in ahead(now, last, part.keep) {
            let opened = open(pool, part, starts, ends).await;
            if noted(opened, upkept, part.table, |upkept, name| upkept.made.push(name))? {
                last = Some(ends);
            }
        }
        // Today's could not be made, with what lies in the default partition: tomorrow's can.
        if last.is_none_or(|last| last <= now)
            && let Some((starts, ends)) = ahead(now + DAY, None, part.keep).first().copied()
        {
            let opened = open(pool, part, starts, ends).await;
            noted(opened, upkept, part.table, |upkept, name| upkept.made.push(name))?;
        }
        let old = now - TimeDelta::from_std(part.keep).unwrap_or(TimeDelta::MAX);
        for shelf in shelves.iter().filter(|shelf| shelf.ends <= old) {
            let closed = close(pool, part, shelf).await;
            noted(closed, upkept, &shelf.name, |upkept, ()| upkept.dropped.push(shelf.name.clone()))?;
        }
    }
    Ok(())
}

/// Takes in what was done; what the database refused is left for the next time.
fn noted<T>(
    done: Result<Option<T>, sqlx::Error>,
    upkept: &mut Upkept,
    what: &str,
    take: impl FnOnce(&mut Upkept, T),
) -> Result<bool, sqlx::Error> {
    match done {
        Ok(Some(done)) => take(upkept, done),
        Ok(None) => return Ok(false),
        Err(error) => {
            let Some(said) = error.as_database_error() else { return Err(error) };
            upkept.left.push(format!("{what}: {said}"));
            return Ok(false);
        }
    }
    Ok(true)
}

async fn look(pool: &PgPool, part: Part) -> Result<(DateTime<Utc>, Vec<Shelf>), sqlx::Error> {
    type Row = (DateTime<Utc>, Vec<String>, Vec<DateTime<Utc>>, Vec<DateTime<Utc>>);
    let (now, names, starts, ends): Row =
        sqlx::query_as(include_str!("../../sql/queue/history_parts.sql")).bind(part.table).fetch_one(pool).await?;
    let shelves = names.into_iter().zip(starts).zip(ends);
    Ok((now, shelves.map(|((name, starts), ends)| Shelf { name, starts, ends }).collect()))
}

async fn open(
    pool: &PgPool,
    part: Part,
    starts: DateTime<Utc>,
    ends: DateTime<Utc>,
) -> Result<Option<String>, sqlx::Error> {
    let Some(mut transaction) = turn(pool).await? else { return Ok(None) };
    let name = sqlx::query_scalar(include_str!("../../sql/queue/history_open.sql"))
        .bind(part.table)
        .bind(starts)
        .bind(ends)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(name))
}

async fn close(pool: &PgPool, part: Part, shelf: &Shelf) -> Result<Option<()>, sqlx::Error> {
    // In a transaction of its own: it may take a while, and nobody else writes into so old days but a retry, after which
    // no more has to stay.
    let Some(mut transaction) = turn(pool).await? else { return Ok(None) };
    let kept = kept(&mut transaction, part, shelf).await?;
    transaction.commit().await?;
    let Some(mut transaction) = turn(pool).await? else { return Ok(None) };
    sqlx::query(include_str!("../../sql/queue/history_close.sql"))
        .bind(part.table)
        .bind(&shelf.name)
        .bind(kept)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(()))
}

async fn kept(transaction: &mut PgTransaction<'_>, part: Part, shelf: &Shelf) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../sql/queue/history_kept.sql"))
        .bind(part.states.map(Final::word).as_slice())
        .bind(shelf.starts)
        .bind(shelf.ends)
        .bind(i64::from(part.last))
        .fetch_all(&mut **transaction)
        .await
}

/// When no run was over yet.
pub(super) const EVER: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Since when the end of one of these runs can be in the history: an id begins with the time at which it was made. A day
/// is for clocks that are wrong; where one is more so, whoever does not find the run looks again, since [`EVER`].
pub(super) fn since(runs: impl IntoIterator<Item = Uuid>) -> DateTime<Utc> {
    let made = runs.into_iter().map(|run| {
        let (seconds, nanos) = run.get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    });
    // A null is less than any time, and an id without a time says nothing.
    made.min().flatten().map_or(EVER, |first| first - DAY)
}

/// Both, in which order one looks.
pub(super) fn sinces(run: Uuid) -> impl Iterator<Item = DateTime<Utc>> {
    let first = since([run]);
    [first, EVER].into_iter().take(if first == EVER { 1 } else { 2 })
}

/// What the first of these looks gives that gives anything.
pub(super) async fn seek<T, Looking: Future<Output = Result<Option<T>, sqlx::Error>>>(
    run: Uuid,
    look: impl Fn(DateTime<Utc>) -> Looking,
) -> Result<Option<T>, sqlx::Error> {
    for since in sinces(run) {
        if let Some(found) = look(since).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The least id that a run made at this time can have.
pub(super) fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn partitions_hold_as_many_days_as_keep_them_few() {
        let of = |days: u64| super::days(Duration::from_secs(days * 86_400)).num_days();
        assert_eq!((of(1), of(31), of(32), of(90), of(365)), (1, 1, 2, 3, 12));
    }

    #[test]
    fn tomorrow_has_a_partition_and_none_begins_before_today() {
        let now = at("2026-11-29T13:00:00Z");
        let keep = Duration::from_secs(90 * 86_400);
        let span = |starts: &str, ends: &str| (at(starts), at(ends));
        let first = span("2026-11-29T00:00:00Z", "2026-12-02T00:00:00Z");
        assert_eq!(ahead(now, None, keep), [first]);
        assert_eq!(ahead(now, Some(at("2026-10-01T00:00:00Z")), keep), [first]);
        assert_eq!(ahead(now, Some(first.1), keep), []);
        let next = span("2026-11-30T00:00:00Z", "2026-12-03T00:00:00Z");
        assert_eq!(ahead(now, Some(next.0), keep), [next]);
        let day = Duration::from_secs(86_400);
        assert_eq!(ahead(now, None, day).len(), 2);
    }

    #[test]
    fn an_id_says_since_when_its_end_can_be_there() {
        let made = at("2026-11-29T13:00:00.123Z");
        let run = first_id(made);
        assert_eq!(since([run]), made - DAY);
        assert_eq!(since([first_id(made + DAY), run]), made - DAY);
        assert_eq!(since([run, Uuid::from_u128(7)]), EVER);
        assert!(Uuid::now_v7() > first_id(Utc::now() - DAY) && Uuid::now_v7() < first_id(Utc::now() + DAY));
    }
}
