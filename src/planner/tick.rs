//! One look: what is due is decided, some schedules a transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor, PgConnection, PgPool};

use super::{
    Decision, LONGEST, MOST, Options, PlanError,
    error::within,
    fire::{self, Fired, Moment},
    follow::{Following, Known},
    note,
};
use crate::{
    fault,
    ledger::{self, Glance},
    outbox, queue,
};

/// The longest sleep while notifications of new revisions arrive.
const LONGEST_HEARD: Duration = Duration::from_secs(10);

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
    following: Following,
}

impl Planner {
    /// One that has not looked yet.
    pub fn new(pool: PgPool, options: Options) -> Self {
        Self { pool, options, connection: None, following: Following::default() }
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
            self.following.forget();
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
        let known = self.following.know(connection, revision, &pauses, &self.options).await?;
        let mut failed = None;
        loop {
            let due = self.following.agenda.take(now, MOST);
            if due.is_empty() {
                break;
            }
            match self.decide(connection, &known, &due, now, &mut tick).await {
                Ok(later) => now = later,
                Err(error) if error.is_of_the_wire() => return Err(error),
                // One of them may be to blame; the others are decided without it.
                Err(error) if due.len() == 1 => {
                    self.following.put_off(now, &due);
                    failed = Some(error);
                }
                Err(_) => {
                    for one in due {
                        match self.decide(connection, &known, &[one], now, &mut tick).await {
                            Ok(_) => {}
                            Err(error) if error.is_of_the_wire() => return Err(error),
                            Err(error) => {
                                self.following.put_off(now, &[one]);
                                failed = Some(error);
                            }
                        }
                    }
                }
            }
        }
        if let Some(next) = self.following.agenda.next() {
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
        self.following.come_back(known, due, &held, &fired, now);
        for (schedule, decision) in &fired.decisions {
            note(schedule, decision);
        }
        if fired.stops {
            queue::tell_cancel(&self.pool).await;
        }
        tick.decisions.extend(fired.decisions);
        Ok(now)
    }
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
