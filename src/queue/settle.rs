//! What becomes of a run when its attempt has ended.
//!
//! One statement settles many attempts after which their runs are over, and moves these to the history; another one those
//! after which they may go on, and puts them back. All or nothing. In the same transaction starts what
//! [follows](super::follow) in their chains; without one that costs nothing.
//! Settling twice is harmless: when the reply of a COMMIT was lost, the second time recognises its own work.

use std::{collections::HashMap, time::Duration};

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    follow::{Over, follow},
    history::{EVER, since},
};
use crate::{
    outcome::Report,
    state::{Final, Live},
};

/// The end of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    /// The run.
    pub run: Uuid,
    /// The attempt's token; a stale one changes nothing.
    pub token: i64,
    /// How it ended, and so what becomes of the run.
    pub ending: &'a Ending,
}

/// How an attempt ended, and so what becomes of the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Done: to the history.
    Done {
        /// Its numbers.
        report: Report,
    },
    /// Nothing to do: to the history.
    Skipped {
        /// Why.
        why: String,
    },
    /// Failed for good: to the history.
    Failed {
        /// What went wrong.
        why: String,
        /// What to do about it.
        help: Option<String>,
        /// The numbers up to there.
        report: Report,
    },
    /// Failed, and another attempt comes after `pause`.
    Retrying {
        /// How long until then.
        pause: Duration,
        /// What went wrong.
        why: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// Not yet: again after `pause`; costs no attempt.
    Snoozed {
        /// How long until then.
        pause: Duration,
    },
    /// Cancelled: to the history.
    Cancelled {
        /// Who asked.
        by: String,
        /// What was being done.
        why: String,
    },
    /// Interrupted, by shutdown or a pause: ready again at once; costs no attempt.
    GivenBack {
        /// What interrupted it.
        why: String,
    },
    /// The worker lost the lease and stopped the attempt, but nobody has taken the run yet: what rescue would do.
    Lost {
        /// How the lease was lost.
        why: String,
    },
}

/// Where a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// To the history.
    Over(Final),
    /// It lives on.
    On(Live),
}

/// What became of one [`Settled`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledRow {
    /// The run.
    pub run: Uuid,
    /// The attempt's token.
    pub token: i64,
    /// Whether it counted.
    pub verdict: Verdict,
    /// Where the run went. A cancel that was asked for wins over another attempt.
    pub goes: Goes,
    /// Who cancelled it, if it went that way.
    pub cancelled_by: Option<String>,
    /// Runs that its end started.
    pub followed: Vec<Uuid>,
}

/// Whether a settling counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, by this statement: facts belong to it.
    Applied,
    /// Yes, by an earlier one whose reply was lost: its facts are recorded already.
    Repeated,
    /// No: the run was taken from this attempt. Nothing changed.
    Stale,
}

/// Settles attempts in the caller's transaction, and starts what follows; gives a row for each, in their order.
pub async fn settle(connection: &mut PgConnection, settled: &[Settled<'_>]) -> Result<Vec<SettledRow>, sqlx::Error> {
    let parts: Vec<Parts<'_>> = settled.iter().map(Parts::of).collect();
    let (over, on): (Vec<&Parts<'_>>, Vec<_>) = parts.iter().partition(|part| part.over);
    let mut rows = settle_over(connection, &over).await?;
    rows.extend(settle_on(connection, &on).await?);
    let ended = ended(connection, &rows).await?;
    let over: Vec<Over> =
        rows.iter().filter_map(|(run, .., chain)| Some(Over { run: *run, chain: (*chain)? })).collect();
    let followed = follow(connection, &over).await?;
    let row = |(run, token, verdict, goes, who, _): Row| {
        let followed = followed.iter().filter(|(parent, _)| *parent == run).map(|(_, next)| *next).collect();
        let verdict = match verdict.as_str() {
            "applied" => Verdict::Applied,
            _ if ended.contains(&(run, token)) => Verdict::Repeated,
            _ => Verdict::Stale,
        };
        SettledRow { followed, ..read(run, token, verdict, &goes, who) }
    };
    let told: HashMap<(Uuid, i64), SettledRow> = rows.into_iter().map(|told| ((told.0, told.1), row(told))).collect();
    // Most are over as they were said to be, and the answer does not name them.
    let plain = |part: &Parts<'_>| match told.get(&(part.run, part.token)) {
        Some(told) => told.clone(),
        None => read(part.run, part.token, Verdict::Applied, part.goes, None),
    };
    Ok(parts.iter().map(plain).collect())
}

type Row = (Uuid, i64, String, String, Option<String>, Option<Uuid>);

async fn settle_over(connection: &mut PgConnection, parts: &[&Parts<'_>]) -> Result<Vec<Row>, sqlx::Error> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(include_str!("../../sql/queue/settle_over.sql"))
        .bind(each(parts, |part| part.run))
        .bind(each(parts, |part| part.token))
        .bind(each(parts, |part| part.goes))
        .bind(each(parts, |part| part.why))
        .bind(each(parts, |part| part.help))
        .bind(each(parts, |part| part.report.map(Json)))
        .fetch_all(connection)
        .await
}

async fn settle_on(connection: &mut PgConnection, parts: &[&Parts<'_>]) -> Result<Vec<Row>, sqlx::Error> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(include_str!("../../sql/queue/settle_on.sql"))
        .bind(each(parts, |part| part.run))
        .bind(each(parts, |part| part.token))
        .bind(each(parts, |part| part.goes))
        .bind(each(parts, |part| part.pause.as_secs_f64()))
        .bind(each(parts, |part| part.why))
        .bind(each(parts, |part| part.help))
        .bind(each(parts, |part| part.who))
        .fetch_all(connection)
        .await
}

fn each<'a, T>(parts: &[&'a Parts<'a>], get: impl Fn(&'a Parts<'a>) -> T) -> Vec<T> {
    parts.iter().map(|part| get(part)).collect()
}

/// Which of the attempts that are not there any more have ended before. Asked only if there are any: no settling pays for
/// a look through the history.
async fn ended(connection: &mut PgConnection, rows: &[Row]) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    let missed = rows.iter().filter(|(.., verdict, _, _, _)| verdict != "applied");
    let mut missed: Vec<(Uuid, i64)> = missed.map(|(run, token, ..)| (*run, *token)).collect();
    let mut ended = Vec::new();
    for since in [since(missed.iter().map(|(run, _)| *run)), EVER] {
        missed.retain(|attempt| !ended.contains(attempt));
        if missed.is_empty() {
            break;
        }
        let found: Vec<(Uuid, i64)> = sqlx::query_as(include_str!("../../sql/queue/settled.sql"))
            .bind(missed.iter().map(|(run, _)| *run).collect::<Vec<_>>())
            .bind(missed.iter().map(|(_, token)| *token).collect::<Vec<_>>())
            .bind(since)
            .fetch_all(&mut *connection)
            .await?;
        ended.extend(found);
    }
    Ok(ended)
}

/// One ending, as the statements take it.
#[derive(Default)]
struct Parts<'a> {
    run: Uuid,
    token: i64,
    /// Whether the run is over, whatever was asked of it meanwhile.
    over: bool,
    goes: &'static str,
    pause: Duration,
    why: Option<&'a str>,
    help: Option<&'a str>,
    who: Option<&'a str>,
    report: Option<&'a Report>,
}

impl<'a> Parts<'a> {
    fn of(settled: &Settled<'a>) -> Self {
        let over = |goes| Self { run: settled.run, token: settled.token, over: true, goes, ..Self::default() };
        let on = |goes| Self { over: false, ..over(goes) };
        match settled.ending {
            Ending::Done { report } => Self { report: Some(report), ..over("done") },
            Ending::Skipped { why } => Self { why: Some(why), ..over("skipped") },
            Ending::Failed { why, help, report } => {
                Self { why: Some(why), help: help.as_deref(), report: Some(report), ..over("failed") }
            }
            Ending::Retrying { pause, why, help } => {
                Self { pause: *pause, why: Some(why), help: help.as_deref(), ..on("retrying") }
            }
            Ending::Snoozed { pause } => Self { pause: *pause, ..on("snoozed") },
            Ending::Cancelled { by, why } => Self { why: Some(why), who: Some(by), ..on("cancelled") },
            Ending::GivenBack { why } => Self { why: Some(why), ..on("given_back") },
            Ending::Lost { why } => Self { why: Some(why), ..on("lost") },
        }
    }
}

fn read(run: Uuid, token: i64, verdict: Verdict, goes: &str, who: Option<String>) -> SettledRow {
    let goes = match goes {
        "done" => Goes::Over(Final::Done),
        "skipped" => Goes::Over(Final::Skipped),
        "cancelled" => Goes::Over(Final::Cancelled),
        "failed" => Goes::Over(Final::Failed),
        "retrying" => Goes::On(Live::Retrying),
        "snoozed" => Goes::On(Live::Waiting),
        "held" => Goes::On(Live::Held),
        _ => Goes::On(Live::Ready),
    };
    let cancelled_by = who.filter(|_| goes == Goes::Over(Final::Cancelled));
    SettledRow { run, token, verdict, goes, cancelled_by, followed: Vec::new() }
}
