//! Gives every slot its one decision.
//!
//! ```text
//! look (watermarks, now) ── plan ── hold schedule, lock job ── runs + slots + watermark, one transaction ── nudge
//! ```
//! Any number of planners do this side by side. Whoever holds the schedule's row decides; for the others the
//! watermark has moved when they look again. All time is the database's.

mod alarm;
mod fire;
mod plan;
mod run;

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    catalog::{Catalog, Files},
    ledger::{self, Look, Watermark},
    metrics::{NEXT_SLOT, SLOTS},
    outbox,
    pulse::Pulse,
    queue::{self, EnqueueError},
};

pub use plan::{Decision, Facts, GRACE, plan};
pub use run::run;

/// The longest sleep: how long a new revision may go unseen when nobody pokes.
const LONGEST: Duration = Duration::from_secs(5);
/// How long to wait for what another planner began.
const LOST: Duration = Duration::from_secs(1);

/// What a planner is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who decides, in the slots' rows.
    pub me: Uuid,
    /// Channels of jobs that name none.
    pub default_alert: Vec<String>,
    /// When planning last went well.
    pub pulse: Pulse,
    /// How long one exchange with the database may take.
    pub patience: Duration,
}

impl Options {
    /// For a planner of its own, with the usual patience and nobody to tell.
    pub fn new() -> Self {
        Self {
            me: Uuid::now_v7(),
            default_alert: Vec::new(),
            pulse: Pulse::default(),
            patience: Duration::from_secs(10),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a tick decided less than was due. Nothing is lost: the next one looks again.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The database refused or was not there.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The database did not answer.
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
    /// A run could not be made.
    #[error("schedule {schedule}: {error}")]
    Fire {
        /// Whose slot it was.
        schedule: String,
        /// Why.
        error: EnqueueError,
    },
    /// The current revision means nothing to this binary.
    #[error(
        "this sexton cannot read revision {revision} of the files, so it plans nothing: {problem} \
         (is another daemon newer than this one?)"
    )]
    Files {
        /// The revision.
        revision: i64,
        /// The first thing that is wrong.
        problem: String,
    },
}

/// What a tick did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// The revision whose words were followed; `None` before the first.
    pub revision: Option<i64>,
    /// Decisions that this planner wrote, by schedule.
    pub decisions: Vec<(String, Decision)>,
    /// How long until there is something to do.
    pub sleep: Duration,
}

/// A planner, between two ticks.
pub struct Planner {
    pool: PgPool,
    options: Options,
    connection: Option<PgConnection>,
    known: Option<Known>,
}

/// A revision in this planner's hands.
#[derive(Clone)]
struct Known {
    revision: i64,
    catalog: Arc<Catalog>,
}

impl Planner {
    /// One that has not looked yet.
    pub fn new(pool: PgPool, options: Options) -> Self {
        Self { pool, options, connection: None, known: None }
    }

    /// Looks once and decides all that is due.
    ///
    /// # Errors
    /// Where the database fails, what was decided before stays decided. An error of one schedule alone does not keep
    /// the others from being decided.
    pub async fn tick(&mut self) -> Result<Tick, PlanError> {
        // A connection of one's own: one that fails is dropped, and no half-open one blocks the pool.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => within(self.options.patience, connect(&self.pool)).await?,
        };
        let tick = self.tick_on(&mut connection).await;
        if !matches!(&tick, Err(error) if error.is_of_the_wire()) {
            self.connection = Some(connection);
        }
        tick
    }

    async fn tick_on(&mut self, connection: &mut PgConnection) -> Result<Tick, PlanError> {
        let look = within(self.options.patience, ledger::look(connection)).await?;
        let mut tick = Tick { revision: look.revision, decisions: Vec::new(), sleep: LONGEST };
        let Some(revision) = look.revision else { return Ok(tick) };
        let known = self.know(connection, revision).await?;
        let mut failed = None;
        for (schedule, watermark) in ours(&known.catalog, known.revision, &look.watermarks) {
            let next = |after| schedule.cron.next(schedule.zone, after);
            if !watermark.paused && next(watermark.at).is_some_and(|due| due <= look.now) {
                match self.decide(connection, &known, watermark, look.now).await {
                    Ok(Some(decisions)) => {
                        note(&schedule.name, &decisions);
                        tick.decisions.extend(decisions.into_iter().map(|decision| (schedule.name.clone(), decision)));
                    }
                    Ok(None) => tick.sleep = tick.sleep.min(LOST),
                    Err(error) if error.is_of_the_wire() => return Err(error),
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(due) = next(look.now) {
                metrics::gauge!(NEXT_SLOT, "schedule" => schedule.name.clone()).set(due.timestamp() as f64);
                tick.sleep = tick.sleep.min((due - look.now).to_std().unwrap_or_default());
            }
        }
        if tick.decisions.iter().any(|(_, decision)| decision.decided == ledger::Decided::Fired) {
            queue::nudge(&self.pool).await;
        }
        failed.map_or(Ok(tick), Err)
    }

    /// Decides what is due of one schedule, in one transaction; `None` when another planner does or did.
    async fn decide(
        &self,
        connection: &mut PgConnection,
        known: &Known,
        watermark: &Watermark,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<Decision>>, PlanError> {
        let Some(schedule) = known.catalog.schedule(&watermark.schedule) else { return Ok(None) };
        let whole = async {
            let mut transaction = connection.begin().await?;
            if !ledger::hold(&mut transaction, watermark).await? {
                return Ok(None);
            }
            let fired =
                fire::fire(&mut transaction, &known.catalog, schedule, watermark, now, false, self.options.me).await?;
            let Some(fired) = fired else { return Ok(None) };
            outbox::record(&mut transaction, &fired.facts).await?;
            transaction.commit().await?;
            Ok(Some(fired.decisions))
        };
        tokio::time::timeout(self.options.patience, whole)
            .await
            .map_err(|_| PlanError::Silent(self.options.patience))?
            .map_err(|error| PlanError::Fire { schedule: schedule.name.clone(), error })
    }

    /// The files of the current revision.
    async fn know(&mut self, connection: &mut PgConnection, revision: i64) -> Result<Known, PlanError> {
        if let Some(known) = self.known.as_ref().filter(|known| known.revision == revision) {
            return Ok(known.clone());
        }
        let Some(current) = within(self.options.patience, ledger::current(connection)).await? else {
            return Err(PlanError::Database(sqlx::Error::RowNotFound));
        };
        let parsed = Catalog::parse(&Files(current.files));
        let catalog = parsed.catalog.ok_or_else(|| PlanError::Files {
            revision: current.id,
            problem: parsed
                .problems
                .iter()
                .find(|problem| problem.is_error())
                .map(ToString::to_string)
                .unwrap_or_default(),
        })?;
        let catalog = Arc::new(catalog.with_default_alert(self.options.default_alert.clone()));
        tracing::info!(
            revision = current.id,
            schedules = catalog.schedules.len(),
            jobs = catalog.jobs.len(),
            "following revision {} of the files, applied by {}",
            current.id,
            current.applied_by
        );
        Ok(self.known.insert(Known { revision: current.id, catalog }).clone())
    }
}

impl PlanError {
    /// Whether the connection is of no use any more.
    fn is_of_the_wire(&self) -> bool {
        match self {
            Self::Database(error) | Self::Fire { error: EnqueueError::Database(error), .. } => {
                error.as_database_error().is_none()
            }
            Self::Silent(_) => true,
            Self::Fire { .. } | Self::Files { .. } => false,
        }
    }
}

/// Decides everything that is due under a revision, in the caller's transaction, which has frozen the schedules:
/// the last act of that revision. `false`, and the caller must roll back, when a schedule is not as we saw it.
///
/// # Errors
/// The database's, or that a slot has its run already.
pub async fn close(
    connection: &mut PgConnection,
    catalog: &Catalog,
    look: &Look,
    me: Uuid,
) -> Result<bool, EnqueueError> {
    let Some(revision) = look.revision else { return Ok(true) };
    let mut facts = Vec::new();
    for (schedule, watermark) in ours(catalog, revision, &look.watermarks) {
        let Some(fired) = fire::fire(connection, catalog, schedule, watermark, look.now, true, me).await? else {
            return Ok(false);
        };
        note(&schedule.name, &fired.decisions);
        facts.extend(fired.facts);
    }
    outbox::record(connection, &facts).await?;
    Ok(true)
}

/// The schedules that this revision's words decide.
fn ours<'a>(
    catalog: &'a Catalog,
    revision: i64,
    watermarks: &'a [Watermark],
) -> impl Iterator<Item = (&'a crate::catalog::Schedule, &'a Watermark)> {
    let held = watermarks.iter().filter(move |watermark| watermark.revision == revision);
    held.filter_map(|watermark| Some((catalog.schedule(&watermark.schedule)?, watermark)))
}

fn note(schedule: &str, decisions: &[Decision]) {
    for decision in decisions {
        metrics::counter!(SLOTS, "decision" => decision.decided.word()).increment(decision.slots);
        let (word, slots, reason) = (decision.decided.word(), decision.slots, decision.reason.as_str());
        match decision.decided {
            ledger::Decided::Fired => {
                tracing::debug!(schedule, nominal_at = %decision.from, "{schedule} fired: {reason}");
            }
            _ => tracing::info!(
                schedule, from = %decision.from, until = %decision.until, slots, decision = word,
                "{schedule}: {slots} slot(s) {word}: {reason}"
            ),
        }
    }
}

async fn within<T>(patience: Duration, exchange: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, PlanError> {
    Ok(tokio::time::timeout(patience, exchange).await.map_err(|_| PlanError::Silent(patience))??)
}

async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    // Should we vanish inside a transaction, our schedule is free for the others soon.
    connection
        .execute(
            "set statement_timeout = '8s'; set lock_timeout = '5s'; set idle_in_transaction_session_timeout = '8s'",
        )
        .await?;
    Ok(connection)
}
