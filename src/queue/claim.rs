//! Which runs a worker gets, and when there will be more.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{Acquire, PgConnection, PgExecutor, Postgres};
use uuid::Uuid;

use super::claimed::{Claimed, Known, Row};

/// For how long a worker goes on from where it was, at most: what has come before that place meanwhile waits so long.
const ONWARD: Duration = Duration::from_secs(1);
/// A look from the beginning comes no sooner than so many times what the quicker of the last two took. It passes every run that was
/// claimed since the last vacuum; while somebody pins an old snapshot, none is swept away, and they may be millions.
const SELDOM: u32 = 20;
/// But no later than so long after it: what was taken from a lost worker lies there, too.
const LATEST: Duration = Duration::from_secs(60);
/// A look that takes longer goes on beside the claims, so that they need not wait for it.
const BESIDE: Duration = Duration::from_millis(50);
/// The earliest moment that PostgreSQL knows.
const BEGINNING: DateTime<Utc> = DateTime::from_timestamp(-210_866_803_200, 0).expect("a moment");
/// How many runs such a look finds at most. Where there are more, the claims go back to the first.
const FOUND: usize = 10_000;

/// What a worker claims with: its name, the snapshots that it has seen, and how far it is among what is ready.
///
/// A claimed run keeps its place in the index until it has ended, so a claim from the beginning passes all that run; one
/// that goes on from the last passes none.
#[derive(Debug)]
pub struct Claims {
    pub(super) worker: Uuid,
    pub(super) known: Known,
    from: Option<DateTime<Utc>>,
    /// Whether something may be ready before that place.
    owed: bool,
    /// When it last looked from the beginning, and how long that and the time before took.
    began: Instant,
    took: [Duration; 2],
    /// Whether a look goes on beside, and what the last one found, the first to be claimed last.
    beside: bool,
    found: Vec<Uuid>,
}

/// A run that was ready when a look [before](look_before) a place passed it, and its own place.
pub type Found = (Uuid, DateTime<Utc>);

impl Claims {
    /// Of a worker that has seen nothing.
    pub fn new(worker: Uuid) -> Self {
        Self {
            worker,
            known: Known::default(),
            from: None,
            owed: true,
            began: Instant::now(),
            took: Default::default(),
            beside: false,
            found: Vec::new(),
        }
    }

    /// Something may have come before the place where it is.
    pub fn begin_anew(&mut self) {
        self.owed = true;
    }

    /// When to [`take`](Self::take) or to [look beside](Self::look_beside) again, although fewer came than were asked for: it has
    /// yet to look from the beginning.
    pub fn owes_at(&self) -> Option<Instant> {
        (self.owed && !self.beside).then(|| self.began + (self.takes() * SELDOM).min(LATEST))
    }

    /// How long a look from the beginning takes. One that was slow alone, or had no answer, was held up by something else.
    fn takes(&self) -> Duration {
        let [last, before] = self.took;
        last.min(before)
    }

    /// Whether looks from the beginning take long, so that [`take`](Self::take) does none: somebody pins an old snapshot.
    pub fn is_slow(&self) -> bool {
        self.from.is_some() && self.takes() > BESIDE
    }

    /// The place to [look before](look_before) now, on another connection, if it is time to and that takes long. The claims go on
    /// meanwhile; [`looked`](Self::looked) is to be told what came of it.
    pub fn look_beside(&mut self) -> Option<DateTime<Utc>> {
        let from = self.from.filter(|_| self.is_slow() && self.is_due())?;
        (self.beside, self.owed, self.began) = (true, false, Instant::now());
        Some(from)
    }

    /// A look beside the claims is over and found these, or failed.
    pub fn looked(&mut self, found: Option<Vec<Found>>) {
        self.beside = false;
        let Some(found) = found else {
            self.owed = true;
            return;
        };
        self.took = [self.began.elapsed(), self.took[0]];
        if found.len() < FOUND {
            self.found = found.into_iter().rev().map(|(run, _)| run).collect();
        } else {
            self.from = found.first().map(|(_, rank)| *rank);
        }
    }

    /// Claims up to `slots` ready runs that need nothing and that nothing limits, in the order of their rank;
    /// [`claim_lanes`](super::claim_lanes) takes the others. Each is this worker's alone until it is
    /// settled or its lease is over. Fewer than `slots` are all that there are, unless it [owes](Self::owes_at) a look.
    pub async fn take(&mut self, connection: &mut PgConnection, slots: usize) -> Result<Vec<Claimed>, sqlx::Error> {
        self.owed |= self.from.is_none() || self.began.elapsed() > ONWARD;
        let mut runs = self.take_found(connection, slots).await?;
        if runs.len() < slots && self.from.is_some() && !self.may_begin() {
            let (last, more) = self.ask(connection, self.from, slots - runs.len()).await?;
            self.from = last.or(self.from);
            runs.extend(more);
            self.owed |= runs.len() < slots;
        }
        if runs.len() < slots && self.may_begin() {
            let slots = slots - runs.len();
            self.began = Instant::now();
            let (last, more) = self.ask(connection, None, slots).await?;
            (self.owed, self.took) = (false, [self.began.elapsed(), self.took[0]]);
            // If that was all, the place where it was is not behind any that is left.
            self.from = if more.len() < slots { last.max(self.from) } else { last };
            runs.extend(more);
        }
        Ok(runs)
    }

    fn is_due(&self) -> bool {
        self.owes_at().is_some_and(|at| at <= Instant::now())
    }

    fn may_begin(&self) -> bool {
        self.is_due() && !self.is_slow()
    }

    /// Claims what a look beside has found and nobody has taken since.
    async fn take_found(&mut self, connection: &mut PgConnection, slots: usize) -> Result<Vec<Claimed>, sqlx::Error> {
        let mut runs = Vec::new();
        while runs.len() < slots && !self.found.is_empty() {
            let these = self.found.split_off(self.found.len().saturating_sub(slots - runs.len()));
            let rows = sqlx::query_as(include_str!("../../sql/queue/claim_these.sql"))
                .bind(self.worker)
                .bind(these)
                .fetch_all(&mut *connection)
                .await?;
            runs.extend(self.known.read(connection, rows).await?);
        }
        Ok(runs)
    }

    /// Claims from a place on, and says where the last of them is.
    async fn ask(
        &mut self,
        connection: &mut PgConnection,
        from: Option<DateTime<Utc>>,
        slots: usize,
    ) -> Result<(Option<DateTime<Utc>>, Vec<Claimed>), sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/queue/claim.sql"))
            .bind(self.worker)
            .bind(i64::try_from(slots).unwrap_or(i64::MAX))
            .bind(from.unwrap_or(BEGINNING))
            .fetch_all(&mut *connection)
            .await?;
        let last = rows.iter().map(|row| row.rank).max();
        Ok((last, self.known.read(connection, rows).await?))
    }
}

/// The first runs before a place that are ready, need nothing and are not limited, in the order of their rank, for
/// [`Claims::looked`]. It reads only, and passes every run that was claimed since the last vacuum.
pub async fn look_before(connection: &mut PgConnection, place: DateTime<Utc>) -> Result<Vec<Found>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/queue/ready_before.sql"))
        .bind(place)
        .bind(FOUND as i64)
        .fetch_all(connection)
        .await
}

/// Claims once; a worker that goes on claiming keeps its [`Claims`].
pub async fn claim<'a>(
    database: impl Acquire<'a, Database = Postgres>,
    worker: Uuid,
    slots: usize,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let mut connection = database.acquire().await?;
    Claims::new(worker).ask(&mut connection, None, slots).await.map(|(_, runs)| runs)
}

/// What promotion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// How many runs are ready now that were not.
    pub ready: u64,
    /// Whether runs wait behind others of their job, so that an ending may let one [advance](super::advance).
    pub behind: bool,
    /// Whether runs that need nothing and that nothing limits may be ready, for [`claim`].
    pub open: bool,
    /// Whether runs behind gates are ready, for [`claim_lanes`](super::claim_lanes).
    pub gated: bool,
    /// How long until the next one is due, by the database's clock.
    pub next_in: Option<Duration>,
}

/// How many runs one promotion makes ready at most; there may be more when it was as many.
const PROMOTE: i64 = 1000;

/// Makes ready what waited or backed off until now, and says what there is to claim. Whoever was `idle` asks whether there is
/// anything at all, so that it need not try; whoever works tries.
pub async fn promote(database: impl PgExecutor<'_>, idle: bool) -> Result<Promoted, sqlx::Error> {
    let (ready, behind, open, gated, next_in): (i64, bool, bool, bool, Option<f64>) =
        sqlx::query_as(include_str!("../../sql/queue/promote.sql"))
            .bind(PROMOTE)
            .bind(idle)
            .fetch_one(database)
            .await?;
    let next_in = if ready >= PROMOTE { Some(0.0) } else { next_in };
    Ok(Promoted {
        ready: ready.unsigned_abs(),
        behind,
        open,
        gated,
        next_in: next_in.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
    })
}
