//! Which runs a worker gets, and when there will be more.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgExecutor, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::snapshot::{Shared, Snapshot};

/// A run that a worker holds, with the token that every write of this attempt carries.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The run.
    pub id: Uuid,
    /// The fencing token of this attempt.
    pub token: i64,
    /// Its job.
    pub job: String,
    /// The kind's name.
    pub kind: String,
    /// The snapshot: one that cannot be read fails its own attempt and nothing else.
    pub spec: Arc<Snapshot>,
    /// 1 for the first attempt.
    pub attempt: i32,
    /// Attempts in all.
    pub most_attempts: i32,
    /// How long its worker may be silent.
    pub lease: Duration,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// The slot's nominal instant.
    pub nominal_at: Option<DateTime<Utc>>,
    /// Whether the slot was missed and caught up.
    pub caught_up: bool,
    /// The run that it follows.
    pub parent: Option<Uuid>,
    /// The first run of its chain.
    pub chain: Uuid,
    /// Who asked.
    pub requested_by: String,
    /// When this attempt was claimed, by the database's clock.
    pub started_at: DateTime<Utc>,
    /// How long it had been due for a worker: of a retry, since its pause was over.
    pub waited: Duration,
    /// How late it is: counted from when it, or its slot, was first due, whatever retries and catching up came after.
    pub late_by: Duration,
    /// What it needs and is limited by; [`OPEN`](crate::lanes::OPEN) for nothing.
    pub lane: i32,
    /// When this job last succeeded.
    pub previous_success_at: Option<DateTime<Utc>>,
}

/// A claimed run as the database tells it: the shared snapshot only where it is not known yet.
pub(super) struct Row {
    claimed: Claimed,
    rank: DateTime<Utc>,
    spec: Uuid,
    body: Option<Value>,
    own: Option<Value>,
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let started_at: DateTime<Utc> = row.try_get("started_at")?;
        let since = |due: DateTime<Utc>| (started_at - due).to_std().unwrap_or_default();
        let claimed = Claimed {
            id: row.try_get("id")?,
            token: row.try_get("token")?,
            job: row.try_get("job")?,
            kind: row.try_get("kind")?,
            spec: Snapshot::unread(),
            attempt: row.try_get("attempt")?,
            most_attempts: row.try_get("most_attempts")?,
            lease: Duration::try_from_secs_f64(row.try_get("lease")?).unwrap_or(Duration::from_secs(45)),
            schedule: row.try_get("schedule")?,
            nominal_at: row.try_get("nominal_at")?,
            caught_up: row.try_get("caught_up")?,
            parent: row.try_get("parent")?,
            chain: row.try_get("chain")?,
            requested_by: row.try_get("requested_by")?,
            started_at,
            waited: since(row.try_get("due_at")?),
            late_by: since(row.try_get("first_due_at")?),
            lane: row.try_get("lane")?,
            previous_success_at: row.try_get("previous_success_at")?,
        };
        let rank = row.try_get("rank")?;
        Ok(Self { claimed, rank, spec: row.try_get("spec")?, body: row.try_get("body")?, own: row.try_get("own")? })
    }
}

/// How many snapshots a worker remembers.
const KNOWN: usize = 100;

/// For how long a worker goes on from where it was, at most: what has come before that place meanwhile waits so long.
const ONWARD: Duration = Duration::from_secs(1);
/// A look from the beginning comes no sooner than so many times what the quicker of the last two took. It passes every run that was
/// claimed since the last vacuum; while somebody pins an old snapshot, none is swept away, and they may be millions.
const SELDOM: u32 = 20;
/// But no later than so long after it: what was taken from a lost worker lies there, too.
const LATEST: Duration = Duration::from_secs(60);

/// What a worker claims with: its name, the snapshots that it has seen, and how far it is among what is ready.
///
/// A claimed run keeps its place in the index until it has ended, so a claim from the beginning passes all that run; one
/// that goes on from the last passes none.
#[derive(Debug)]
pub struct Claims {
    pub(super) worker: Uuid,
    known: HashMap<Uuid, Arc<Shared>>,
    from: Option<DateTime<Utc>>,
    /// Whether something may be ready before that place.
    owed: bool,
    /// When it last looked from the beginning, and how long that and the time before took.
    began: Instant,
    took: [Duration; 2],
}

impl Claims {
    /// Of a worker that has seen nothing.
    pub fn new(worker: Uuid) -> Self {
        Self { worker, known: HashMap::new(), from: None, owed: true, began: Instant::now(), took: Default::default() }
    }

    /// Something may have come before the place where it is.
    pub fn begin_anew(&mut self) {
        self.owed = true;
    }

    /// When to [`take`](Self::take) again, although fewer came than were asked for: it has yet to look from the beginning.
    pub fn owes_at(&self) -> Option<Instant> {
        // One that was slow alone, or had no answer, was held up by something else.
        let [last, before] = self.took;
        self.owed.then(|| self.began + (last.min(before) * SELDOM).min(LATEST))
    }

    /// Claims up to `slots` ready runs that need nothing and that nothing limits, in the order of their rank;
    /// [`claim_lanes`](super::claim_lanes) takes the others. Each is this worker's alone until it is
    /// settled or its lease is over. Fewer than `slots` are all that there are, unless it [owes](Self::owes_at) a look.
    pub async fn take(&mut self, connection: &mut PgConnection, slots: usize) -> Result<Vec<Claimed>, sqlx::Error> {
        self.owed |= self.from.is_none() || self.began.elapsed() > ONWARD;
        let mut runs = Vec::new();
        if self.from.is_some() && !self.may_begin() {
            let (last, more) = self.ask(&mut *connection, self.from, slots).await?;
            self.from = last.or(self.from);
            self.owed |= more.len() < slots;
            runs = more;
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

    fn may_begin(&self) -> bool {
        self.owes_at().is_some_and(|at| at <= Instant::now())
    }

    /// Claims from a place on, and says where the last of them is.
    async fn ask(
        &mut self,
        database: impl PgExecutor<'_>,
        from: Option<DateTime<Utc>>,
        slots: usize,
    ) -> Result<(Option<DateTime<Utc>>, Vec<Claimed>), sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/queue/claim.sql"))
            .bind(self.worker)
            .bind(i64::try_from(slots).unwrap_or(i64::MAX))
            .bind(self.known())
            .bind(from)
            .fetch_all(database)
            .await?;
        Ok((rows.iter().map(|row| row.rank).max(), self.read(rows)))
    }

    /// The snapshots that need not be sent again.
    pub(super) fn known(&self) -> Vec<Uuid> {
        self.known.keys().copied().collect()
    }

    /// The runs with their snapshots, lowest rank first.
    pub(super) fn read(&mut self, mut rows: Vec<Row>) -> Vec<Claimed> {
        rows.sort_by_key(|row| row.rank);
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let shared = match (self.known.get(&row.spec), row.body) {
                (Some(shared), _) => Arc::clone(shared),
                (None, Some(body)) => Arc::clone(self.known.entry(row.spec).or_insert(Shared::new(body))),
                // Its row is gone: the attempt fails and says so.
                (None, None) => Shared::new(Value::Null),
            };
            runs.push(Claimed { spec: shared.with(row.own), ..row.claimed });
        }
        // Not before: what was known when it was asked is not in the answer.
        if self.known.len() > KNOWN {
            self.known.clear();
        }
        runs
    }
}

/// Claims once; a worker that goes on claiming keeps its [`Claims`].
pub async fn claim(database: impl PgExecutor<'_>, worker: Uuid, slots: usize) -> Result<Vec<Claimed>, sqlx::Error> {
    Claims::new(worker).ask(database, None, slots).await.map(|(_, runs)| runs)
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
