//! What people and surfaces see of runs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Linked, Try,
    history::{EVER, first_id, seek, since},
};
use crate::speed;

/// A run, live or final, as the API and the command line show it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Run {
    /// The run.
    pub id: Uuid,
    /// Its job.
    pub job: String,
    /// The kind's name.
    pub kind: String,
    /// A word of [`Live`](crate::state::Live) or [`Final`](crate::state::Final).
    pub state: String,
    /// When it is or was due.
    pub due_at: DateTime<Utc>,
    /// Higher is claimed earlier.
    pub priority: i16,
    /// The job as it was when the run was made.
    pub spec: Value,
    /// Attempts in all.
    pub most_attempts: i32,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// The slot's nominal instant.
    pub nominal_at: Option<DateTime<Utc>>,
    /// Whether the slot was missed and caught up.
    pub caught_up: bool,
    /// The run that it followed.
    pub parent: Option<Uuid>,
    /// The first run of its chain.
    pub chain: Uuid,
    /// Who asked.
    pub requested_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Attempts spent.
    pub spent: i32,
    /// How often its worker was lost.
    pub losses: i32,
    /// The newest attempt's token.
    pub token: Option<i64>,
    /// Who holds or held it.
    pub worker: Option<Uuid>,
    /// When the newest attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; `None` while it lives.
    pub finished_at: Option<DateTime<Utc>>,
    /// What became of each earlier attempt, oldest first. See [`Run::tries`] for all of them.
    pub attempts: Value,
    /// Its numbers.
    pub report: Value,
    /// Why it was skipped, failed or was cancelled.
    pub why: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// When a cancel was asked for, while it lives.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Who asked for the cancel.
    pub cancel_by: Option<String>,
    /// Why they did, while it lives.
    pub cancel_why: Option<String>,
    /// Units done by the running attempt.
    pub progress_done: Option<i64>,
    /// Units in all, where known.
    pub progress_total: Option<i64>,
    /// What is counted.
    pub progress_unit: Option<String>,
    /// What it is at.
    pub progress_note: Option<String>,
    /// When that was written down.
    pub progress_at: Option<DateTime<Utc>>,
    /// Units a second, while it runs.
    pub progress_rate: Option<f64>,
    /// For how many seconds it will go on at that rate.
    #[sqlx(default)]
    pub progress_seconds_left: Option<f64>,
    /// When it was paused, while it is.
    pub pause_requested_at: Option<DateTime<Utc>>,
    /// Who paused it.
    pub pause_by: Option<String>,
    /// Why they did.
    pub pause_why: Option<String>,
    /// Every attempt with its times, oldest first, the newest included, where one run was asked for.
    #[sqlx(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// What it waits for while it is ready, where one run was asked for; see [`why_waits`](super::why_waits()).
    #[sqlx(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// The chain that it belongs to, where one run was asked for; see [`linked`](super::linked()).
    #[sqlx(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Linked>,
}

impl Run {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.finished_at.is_some()
    }

    /// Whether a worker has it.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// How far it is, if it ever said.
    pub(super) fn progressed(&self) -> Option<Progressed> {
        Some(Progressed {
            done: self.progress_done?,
            total: self.progress_total,
            unit: self.progress_unit.clone().unwrap_or_default(),
            note: self.progress_note.clone(),
            rate: self.progress_rate,
            seconds_left: self.progress_seconds_left,
            at: self.progress_at?,
        })
    }

    /// With every attempt and how long it still takes.
    fn whole(mut self) -> Self {
        self.tries = Try::all(&self);
        self.with_forecast()
    }

    /// With how long it still takes.
    pub(super) fn with_forecast(mut self) -> Self {
        if let (Some(done), Some(total), Some(rate)) = (self.progress_done, self.progress_total, self.progress_rate) {
            let left = speed::left(done.unsigned_abs(), total.unsigned_abs(), rate);
            self.progress_seconds_left = left.map(|left| left.as_secs_f64().round());
        }
        self
    }
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progressed {
    /// Units done.
    pub done: i64,
    /// Units in all, where known.
    pub total: Option<i64>,
    /// What is counted.
    pub unit: String,
    /// What it is at.
    pub note: Option<String>,
    /// Units a second, while it runs.
    pub rate: Option<f64>,
    /// For how many seconds it will go on at that rate.
    pub seconds_left: Option<f64>,
    /// When that was written down.
    pub at: DateTime<Utc>,
}

/// Which runs to list; `None` asks for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of this job.
    pub job: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Of this schedule.
    pub schedule: Option<String>,
    /// Of this chain.
    pub chain: Option<Uuid>,
    /// Made before this run: the last one of the page before.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

impl Default for Filter {
    fn default() -> Self {
        Self { job: None, state: None, schedule: None, chain: None, before: None, limit: 50 }
    }
}

/// One run.
pub async fn find(pool: &PgPool, run: Uuid) -> Result<Option<Run>, sqlx::Error> {
    let found = seek(run, |since| async move {
        sqlx::query_as(include_str!("../../sql/queue/find.sql")).bind(run).bind(since).fetch_optional(pool).await
    })
    .await?;
    Ok(found.map(Run::whole))
}

/// Runs, newest first. Looks at the last days first, and farther back only for want of enough.
pub async fn list(pool: &PgPool, filter: &Filter) -> Result<Vec<Run>, sqlx::Error> {
    if let Some(chain) = filter.chain {
        let some = |since| async move {
            let found = list_rare(pool, filter, since).await?;
            Ok(Some(found).filter(|found| !found.is_empty()))
        };
        return Ok(seek(chain, some).await?.unwrap_or_default());
    }
    let newest = filter.before.map_or_else(Utc::now, |before| since([before]));
    // Of some there may be few: they are looked up by what they are, where the last days have not enough of them.
    let rare = filter.job.is_some()
        || filter.schedule.is_some()
        || filter.state.as_deref().is_some_and(|state| !matches!(state, "done" | "skipped"));
    for days in if rare { [2].as_slice() } else { &[2, 30] } {
        let found = list_since(pool, filter, newest - TimeDelta::days(*days)).await?;
        if found.len() as i64 >= filter.limit {
            return Ok(found);
        }
    }
    if rare { list_rare(pool, filter, EVER).await } else { list_since(pool, filter, EVER).await }
}

/// From the newest run on, passing by those that are not asked for.
async fn list_since(pool: &PgPool, filter: &Filter, since: DateTime<Utc>) -> Result<Vec<Run>, sqlx::Error> {
    let since = since.max(EVER);
    let found: Vec<Run> = sqlx::query_as(include_str!("../../sql/queue/list.sql"))
        .bind(&filter.job)
        .bind(&filter.state)
        .bind(&filter.schedule)
        .bind(filter.before)
        .bind(filter.limit)
        .bind(since)
        // Made later than this, it ended later than that, even by a clock that is a day off.
        .bind(if since == EVER { Uuid::nil() } else { first_id(since + TimeDelta::days(1)) })
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(Run::with_forecast).collect())
}

/// All that are asked for, in the right order in the end.
async fn list_rare(pool: &PgPool, filter: &Filter, since: DateTime<Utc>) -> Result<Vec<Run>, sqlx::Error> {
    let found: Vec<Run> = sqlx::query_as(include_str!("../../sql/queue/list_rare.sql"))
        .bind(&filter.job)
        .bind(&filter.state)
        .bind(&filter.schedule)
        .bind(filter.chain)
        .bind(filter.before)
        .bind(filter.limit)
        .bind(since)
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(Run::with_forecast).collect())
}

/// How many runs are live in one state.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Depth {
    /// The state.
    pub state: String,
    /// How many.
    pub runs: i64,
    /// For how many seconds the oldest of them has been due; negative when none is.
    /// Paused runs do not count here.
    pub oldest: f64,
}

/// How many runs are live, by state.
pub async fn depth(pool: &PgPool) -> Result<Vec<Depth>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/depth.sql")).fetch_all(pool).await
}

/// The report of the last run of `job` that has one.
pub async fn previous_report(pool: &PgPool, job: &str) -> Result<Option<Value>, sqlx::Error> {
    for since in [Utc::now() - TimeDelta::days(7), EVER] {
        let previous = sqlx::query_scalar(include_str!("../../sql/queue/previous_report.sql")).bind(job).bind(since);
        if let Some(report) = previous.fetch_optional(pool).await? {
            return Ok(Some(report));
        }
    }
    Ok(None)
}

/// A run that was live at some instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LiveThen {
    /// The run.
    pub id: Uuid,
    /// What became of it until now.
    pub state: String,
    /// Who asked for it.
    pub requested_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ended; `None` while it lives.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Runs of a job that were live at an instant, the oldest first; a few.
pub async fn live_at(pool: &PgPool, job: &str, at: DateTime<Utc>) -> Result<Vec<LiveThen>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/live_at.sql")).bind(job).bind(at).fetch_all(pool).await
}
