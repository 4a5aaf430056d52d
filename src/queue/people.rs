//! What a person may do to a run: cancel it, pause and resume it, or have a dead one tried again.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    CANCEL,
    bell::tell,
    follow::{Over, follow},
    history::{seek, sinces},
    nudge,
};

/// What a cancel did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancel {
    /// It did not run, so it is cancelled.
    Ended,
    /// It runs; its worker was told and will end it.
    Asked,
    /// It was over already, in this state.
    Over(String),
    /// There is no such run.
    Unknown,
}

/// Cancels a run: one that does not run moves to the history, one that runs is asked to end.
pub async fn cancel(pool: &PgPool, run: Uuid, by: &str, why: &str) -> Result<Cancel, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let cancelled = cancel_in(&mut transaction, run, by, why).await?;
    transaction.commit().await?;
    told(pool, &cancelled).await;
    Ok(cancelled)
}

/// The same in a transaction of the caller's, who [tells the workers](told) after its commit. What follows on the end
/// of a run that does not run starts in it, too.
pub async fn cancel_in(connection: &mut PgConnection, run: Uuid, by: &str, why: &str) -> Result<Cancel, sqlx::Error> {
    let (cancelled, over) = cancel_row(connection, run, by, why).await?;
    if let Some(over) = over {
        follow(connection, &[over]).await?;
    }
    Ok(cancelled)
}

/// The same but for what follows, which is for the caller to [start](follow).
pub(super) async fn cancel_row(
    connection: &mut PgConnection,
    run: Uuid,
    by: &str,
    why: &str,
) -> Result<(Cancel, Option<Over>), sqlx::Error> {
    let mut answer = (None, None);
    for since in sinces(run) {
        let cancel =
            sqlx::query_as(include_str!("../../sql/queue/cancel.sql")).bind(run).bind(by).bind(why).bind(since);
        answer = cancel.fetch_one(&mut *connection).await?;
        if answer.0.is_some() {
            break;
        }
    }
    let (Some(said), chain): (Option<String>, Option<Uuid>) = answer else { return Ok((Cancel::Unknown, None)) };
    let cancelled = match said.as_str() {
        "ended" => Cancel::Ended,
        "asked" => Cancel::Asked,
        _ => Cancel::Over(said),
    };
    Ok((cancelled, chain.map(|chain| Over { run, chain })))
}

/// Tells workers what a cancel means for them: a hint, after the commit.
pub async fn told(pool: &PgPool, cancelled: &Cancel) {
    match cancelled {
        Cancel::Asked => tell_cancel(pool).await,
        // What follows on it may be ready.
        Cancel::Ended => nudge(pool).await,
        Cancel::Over(_) | Cancel::Unknown => {}
    }
}

/// Tells workers to look for runs that are to be cancelled or paused: a hint, after the commit.
pub async fn tell_cancel(pool: &PgPool) {
    tell(pool, CANCEL).await;
}

/// What a pause did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// It does not run, and nobody starts it until it is resumed.
    Kept,
    /// It runs; its worker was told and gives it back after its step.
    Asked,
    /// It is paused already.
    Already,
    /// It was over already, in this state.
    Over(String),
    /// There is no such run.
    Unknown,
}

/// Pauses a run: nobody claims it until it is resumed, and a worker that has it is asked to give it back.
pub async fn pause(pool: &PgPool, run: Uuid, by: &str, why: &str) -> Result<Pause, sqlx::Error> {
    let said: Option<String> = seek(run, |since| async move {
        let pause =
            sqlx::query_scalar(include_str!("../../sql/queue/pause.sql")).bind(run).bind(by).bind(why).bind(since);
        pause.fetch_one(pool).await
    })
    .await?;
    Ok(match said.as_deref() {
        None => Pause::Unknown,
        Some("already") => Pause::Already,
        Some("kept") => Pause::Kept,
        Some("asked") => {
            tell_cancel(pool).await;
            Pause::Asked
        }
        Some(state) => Pause::Over(state.to_owned()),
    })
}

/// What a resume did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// It may be claimed again.
    Resumed,
    /// It was not paused.
    Unpaused,
    /// It was over already, in this state.
    Over(String),
    /// There is no such run.
    Unknown,
}

/// Lets a paused run go on.
pub async fn resume(pool: &PgPool, run: Uuid, by: &str) -> Result<Resume, sqlx::Error> {
    let said: Option<String> = seek(run, |since| async move {
        let resume = sqlx::query_scalar(include_str!("../../sql/queue/resume.sql")).bind(run).bind(by).bind(since);
        resume.fetch_one(pool).await
    })
    .await?;
    Ok(match said.as_deref() {
        None => Resume::Unknown,
        Some("resumed") => {
            nudge(pool).await;
            Resume::Resumed
        }
        Some("unpaused") => Resume::Unpaused,
        Some(state) => Resume::Over(state.to_owned()),
    })
}

/// What a retry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// It is ready again, with all its earlier attempts.
    Ready,
    /// It cannot be retried in this state.
    Not(String),
    /// There is no such run.
    Unknown,
}

/// Has a failed, cancelled or held run tried again, with its full count of attempts; one that backs off is due now.
pub async fn retry(pool: &PgPool, run: Uuid, by: &str) -> Result<Retried, sqlx::Error> {
    let answer = seek(run, |since| async move {
        let retry = sqlx::query_as(include_str!("../../sql/queue/retry.sql")).bind(run).bind(by).bind(since);
        let (state, retried): (Option<String>, bool) = retry.fetch_one(pool).await?;
        Ok(state.map(|state| (state, retried)))
    })
    .await?;
    Ok(match answer {
        Some((_, true)) => {
            nudge(pool).await;
            Retried::Ready
        }
        Some((state, false)) => Retried::Not(state),
        None => Retried::Unknown,
    })
}
