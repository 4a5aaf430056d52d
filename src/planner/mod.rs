//! Gives every slot its one decision.
//!
//! ```text
//! glance (now, revision) ── agenda: whose slot is due ── hold schedules, lock jobs ── plan ── runs + slots + watermarks
//!                                                        └────────────── one transaction for many ──────────────┘ nudge
//! ```
//! Any number of planners do this side by side. Whoever holds a schedule's row decides, by the watermark that it finds
//! there; the others come back and find it moved. All time is the database's.

mod agenda;
mod alarm;
mod fire;
mod plan;
mod run;

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    catalog::{Catalog, Files},
    db::Ear,
    fault,
    ledger::{self, Decided, Glance, Look, Watermark},
    metrics::{NEXT_SLOT, SLOTS},
    outbox,
    pulse::Pulse,
    queue::{self, EnqueueError},
};

use agenda::Agenda;
use fire::{Fired, Moment};

pub use plan::{Decision, Facts, Instead, Launch, plan};
pub use run::run;

/// The longest sleep: how long a new revision may go unseen when nobody pokes.
const LONGEST: Duration = Duration::from_secs(5);
/// The same while notifications of new revisions arrive.
const LONGEST_HEARD: Duration = Duration::from_secs(10);
/// When to come back to a schedule that another planner holds, or that could not be decided.
const LOST: TimeDelta = TimeDelta::seconds(1);
/// How many schedules one transaction decides at most: whoever pauses one of them waits for it.
const MOST: usize = 500;
/// With more schedules than this, none has a time series of its own.
const SERIES: usize = 1000;

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
    /// Hears of new revisions and of pauses.
    pub ear: Ear,
}

impl Options {
    /// For a planner of its own, with the usual patience and nobody to tell.
    pub fn new() -> Self {
        Self {
            me: Uuid::now_v7(),
            default_alert: Vec::new(),
            pulse: Pulse::default(),
            patience: Duration::from_secs(10),
            ear: Ear::default(),
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
    agenda: Agenda,
    /// The pauses that the agenda was made under.
    pauses: String,
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
        Self { pool, options, connection: None, known: None, agenda: Agenda::default(), pauses: String::new() }
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
        if matches!(&tick, Err(error) if error.is_of_the_wire()) {
            // What was being decided is not on the agenda any more.
            self.known = None;
        } else {
            self.connection = Some(connection);
        }
        tick
    }

    async fn tick_on(&mut self, connection: &mut PgConnection) -> Result<Tick, PlanError> {
        let patience = self.options.patience;
        let Glance { mut now, revision, pauses } = within(patience, ledger::glance(connection)).await?;
        let mut tick = Tick { revision, decisions: Vec::new(), sleep: self.longest() };
        let Some(revision) = revision else { return Ok(tick) };
        let known = self.know(connection, revision, &pauses).await?;
        let mut failed = None;
        loop {
            let due = self.agenda.take(now, MOST);
            if due.is_empty() {
                break;
            }
            match self.decide(connection, &known, &due, now, &mut tick).await {
                Ok(later) => now = later,
                Err(error) if error.is_of_the_wire() => return Err(error),
                // One of them may be to blame; the others are decided without it.
                Err(error) if due.len() == 1 => failed = Some(self.put_off(now, &due, error)),
                Err(_) => {
                    for one in due {
                        match self.decide(connection, &known, &[one], now, &mut tick).await {
                            Ok(_) => {}
                            Err(error) if error.is_of_the_wire() => return Err(error),
                            Err(error) => failed = Some(self.put_off(now, &[one], error)),
                        }
                    }
                }
            }
        }
        if let Some(next) = self.agenda.next() {
            tick.sleep = tick.sleep.min((next - now).to_std().unwrap_or_default());
        }
        if tick.decisions.iter().any(|(_, decision)| decision.launch.is_some()) {
            queue::nudge(&self.pool).await;
        }
        failed.map_or(Ok(tick), Err)
    }

    fn longest(&self) -> Duration {
        if self.options.ear.is_on() { LONGEST_HEARD } else { LONGEST }
    }

    /// Comes back to schedules that could not be decided.
    fn put_off(&mut self, now: DateTime<Utc>, schedules: &[usize], error: PlanError) -> PlanError {
        for schedule in schedules {
            self.agenda.add(now + LOST, *schedule);
        }
        error
    }

    /// Decides what is due of some schedules, in one transaction; gives the database's time of it. What another planner
    /// holds or changed is left to it.
    async fn decide(
        &mut self,
        connection: &mut PgConnection,
        known: &Known,
        due: &[usize],
        now: DateTime<Utc>,
        tick: &mut Tick,
    ) -> Result<DateTime<Utc>, PlanError> {
        let names: Vec<&str> = due.iter().map(|place| known.catalog.schedules[*place].name.as_str()).collect();
        let me = self.options.me;
        let whole = async {
            let mut transaction = connection.begin().await?;
            let (at, held) = ledger::hold(&mut transaction, &names, known.revision).await?;
            let now = now.max(at);
            let moment = Moment { now, closing: false, me };
            let Some(fired) = fire::fire(&mut transaction, &known.catalog, &held, moment).await? else {
                return Ok((now, Vec::new(), Fired::default()));
            };
            outbox::record(&mut transaction, &fired.facts).await?;
            fault::point("plan.decided").await.map_err(sqlx::Error::from)?;
            transaction.commit().await?;
            fault::point("plan.committed").await.map_err(sqlx::Error::from)?;
            Ok((now, held, fired))
        };
        let patience = self.options.patience;
        let (now, held, fired) =
            tokio::time::timeout(patience, whole).await.map_err(|_| PlanError::Silent(patience))?.map_err(|error| {
                PlanError::Fire { schedule: names.first().copied().unwrap_or_default().to_owned(), error }
            })?;
        self.come_back(known, due, &held, &fired, now);
        for (schedule, decision) in &fired.decisions {
            note(schedule, decision);
        }
        if fired.stops {
            queue::tell_cancel(&self.pool).await;
        }
        tick.decisions.extend(fired.decisions);
        Ok(now)
    }

    /// Notes when to look at each of these schedules again.
    fn come_back(&mut self, known: &Known, due: &[usize], held: &[Watermark], fired: &Fired, now: DateTime<Utc>) {
        let decided: HashMap<&str, DateTime<Utc>> =
            fired.decisions.iter().map(|(schedule, decision)| (schedule.as_str(), decision.until)).collect();
        let held: HashMap<&str, DateTime<Utc>> = held.iter().map(|mark| (mark.schedule.as_str(), mark.at)).collect();
        for place in due {
            let name = known.catalog.schedules[*place].name.as_str();
            match (decided.get(name), held.get(name)) {
                (Some(until), _) => self.expect(known, *place, *until, None),
                // Another planner was faster, or it is paused.
                (None, Some(watermark)) => self.expect(known, *place, *watermark, Some(now)),
                (None, None) => self.agenda.add(now + LOST, *place),
            }
        }
    }

    /// Notes when the first slot after a watermark starts; one that was to start, but could not by `tried`, some time later.
    fn expect(&mut self, known: &Known, place: usize, watermark: DateTime<Utc>, tried: Option<DateTime<Utc>>) {
        let schedule = &known.catalog.schedules[place];
        let Some(slot) = schedule.cron.next(schedule.zone, watermark) else { return };
        let start = schedule.start(slot);
        if known.catalog.schedules.len() <= SERIES {
            metrics::gauge!(NEXT_SLOT, "schedule" => schedule.name.clone()).set(slot.timestamp() as f64);
        }
        let again = tried.filter(|tried| start <= *tried).map(|tried| tried + LONGEST);
        self.agenda.add(again.unwrap_or(start), place);
    }

    /// The files of the current revision, with an agenda that was made since the last pause began or ended.
    async fn know(&mut self, connection: &mut PgConnection, revision: i64, pauses: &str) -> Result<Known, PlanError> {
        if let Some(known) = self.known.clone().filter(|known| known.revision == revision) {
            if self.pauses != pauses {
                self.start_agenda(connection, &known, pauses).await?;
            }
            return Ok(known);
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
        let known = Known { revision: current.id, catalog };
        self.start_agenda(connection, &known, pauses).await?;
        Ok(self.known.insert(known).clone())
    }

    /// Notes when each schedule is to be looked at, from its watermark.
    async fn start_agenda(
        &mut self,
        connection: &mut PgConnection,
        known: &Known,
        pauses: &str,
    ) -> Result<(), PlanError> {
        let look = within(self.options.patience, ledger::look(connection)).await?;
        let places: HashMap<&str, usize> = known
            .catalog
            .schedules
            .iter()
            .enumerate()
            .map(|(place, schedule)| (schedule.name.as_str(), place))
            .collect();
        self.agenda = Agenda::default();
        for mark in look.watermarks.iter().filter(|mark| mark.revision == known.revision) {
            if let Some(place) = places.get(mark.schedule.as_str()) {
                self.expect(known, *place, mark.at, None);
            }
        }
        pauses.clone_into(&mut self.pauses);
        Ok(())
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
    let moment = Moment { now: look.now, closing: true, me };
    let ours: Vec<Watermark> = look.watermarks.iter().filter(|mark| mark.revision == revision).cloned().collect();
    let mut facts = Vec::new();
    for some in ours.chunks(MOST) {
        let Some(fired) = fire::fire(connection, catalog, some, moment).await? else { return Ok(false) };
        for (schedule, decision) in &fired.decisions {
            note(schedule, decision);
        }
        facts.extend(fired.facts);
    }
    outbox::record(connection, &facts).await?;
    Ok(true)
}

fn note(schedule: &str, decision: &Decision) {
    metrics::counter!(SLOTS, "decision" => decision.decided.word()).increment(decision.slots);
    let (word, slots, reason) = (decision.decided.word(), decision.slots, decision.reason.as_str());
    match decision.decided {
        Decided::Fired => tracing::debug!(schedule, nominal_at = %decision.from, "{schedule} fired: {reason}"),
        _ => tracing::info!(
            schedule, from = %decision.from, until = %decision.until, slots, decision = word,
            "{schedule}: {slots} slot(s) {word}: {reason}"
        ),
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
