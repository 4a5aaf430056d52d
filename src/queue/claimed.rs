//! A run that a worker holds, and how it is read.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, value::RawValue};
use sqlx::{
    Decode, FromRow, PgConnection, Postgres, Row as _, Type,
    postgres::{PgRow, types::PgInterval},
    types::Json,
};
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

/// A claimed run as the statements give it: without what others have as well.
pub(super) struct Row {
    claimed: Claimed,
    pub(super) rank: DateTime<Utc>,
    spec: Uuid,
    own: Option<Json<Box<RawValue>>>,
}

/// What the statements that claim give, in this order: looking for a column by its name would be a good part of reading a row.
#[cfg(test)]
const COLUMNS: [&str; 20] = [
    "id",
    "token",
    "job",
    "kind",
    "spec",
    "own",
    "spent",
    "most_attempts",
    "lease",
    "schedule",
    "nominal_at",
    "caught_up",
    "parent",
    "chain",
    "requested_by",
    "due_at",
    "first_due_at",
    "started_at",
    "rank",
    "lane",
];

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let mut row = Columns { row, next: 0 };
        let (id, token, job, kind) = (row.next()?, row.next()?, row.next()?, row.next()?);
        let (spec, own, attempt, most_attempts) = (row.next()?, row.next()?, row.next()?, row.next()?);
        let lease = span(&row.next()?);
        let (schedule, nominal_at, caught_up) = (row.next()?, row.next()?, row.next()?);
        let (parent, chain, requested_by) = (row.next()?, row.next()?, row.next()?);
        let (due_at, first_due_at) = (row.next()?, row.next()?);
        let started_at: DateTime<Utc> = row.next()?;
        let (rank, lane) = (row.next()?, row.next()?);
        let since = |due: DateTime<Utc>| (started_at - due).to_std().unwrap_or_default();
        let claimed = Claimed {
            id,
            token,
            job,
            kind,
            spec: Snapshot::unread(),
            attempt,
            most_attempts,
            lease,
            schedule,
            nominal_at,
            caught_up,
            parent,
            chain,
            requested_by,
            started_at,
            waited: since(due_at),
            late_by: since(first_due_at),
            lane,
            previous_success_at: None,
        };
        Ok(Self { claimed, rank, spec, own })
    }
}

/// The columns of a row, one after the other.
struct Columns<'a> {
    row: &'a PgRow,
    next: usize,
}

impl<'a> Columns<'a> {
    fn next<T: Decode<'a, Postgres> + Type<Postgres>>(&mut self) -> Result<T, sqlx::Error> {
        self.next += 1;
        self.row.try_get(self.next - 1)
    }
}

/// As `extract(epoch from …)` counts it, which would be a good part of a claim.
fn span(interval: &PgInterval) -> Duration {
    let days = 30 * i64::from(interval.months) + i64::from(interval.days);
    let micros = days.saturating_mul(86_400_000_000).saturating_add(interval.microseconds);
    Duration::from_micros(micros.max(0).unsigned_abs())
}

/// How many snapshots a worker remembers.
const KNOWN: usize = 100;

/// The snapshots that a worker has seen.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Uuid, Arc<Shared>>);

impl Known {
    /// The runs, lowest rank first, with their snapshots and what else they need of the database.
    pub(super) async fn read(
        &mut self,
        connection: &mut PgConnection,
        mut rows: Vec<Row>,
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        rows.sort_by_key(|row| row.rank);
        let succeeded = self.ask(connection, &rows).await?;
        let mut runs = Vec::with_capacity(rows.len());
        for Row { claimed, spec, own, .. } in rows {
            let own = own.map(|own| own.0);
            let spec = match self.0.get(&spec) {
                Some(shared) => shared.with(own),
                // Its row is gone: the attempt fails and says so.
                None => Shared::new(Value::Null).with(own),
            };
            let previous_success_at = succeeded.get(&claimed.job).copied();
            runs.push(Claimed { spec, previous_success_at, ..claimed });
        }
        if self.0.len() > KNOWN {
            self.0.clear();
        }
        Ok(runs)
    }

    /// Gets the snapshots that are new, and when the jobs last succeeded.
    async fn ask(
        &mut self,
        connection: &mut PgConnection,
        rows: &[Row],
    ) -> Result<HashMap<String, DateTime<Utc>>, sqlx::Error> {
        type More = (Option<String>, Option<DateTime<Utc>>, Option<Uuid>, Option<Value>);
        let jobs: BTreeSet<&str> = rows.iter().map(|row| row.claimed.job.as_str()).collect();
        let new: BTreeSet<Uuid> = rows.iter().map(|row| row.spec).filter(|spec| !self.0.contains_key(spec)).collect();
        let more: Vec<More> = sqlx::query_as(include_str!("../../sql/queue/claim_more.sql"))
            .bind(jobs.into_iter().collect::<Vec<_>>())
            .bind(new.into_iter().collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
        let mut succeeded = HashMap::new();
        for (job, at, spec, body) in more {
            self.0.extend(spec.zip(body).map(|(spec, body)| (spec, Shared::new(body))));
            succeeded.extend(job.zip(at));
        }
        Ok(succeeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_as_long_as_the_database_says() {
        let interval = |months, days, microseconds| PgInterval { months, days, microseconds };
        assert_eq!(span(&interval(0, 0, 45_500_000)), Duration::from_millis(45_500));
        assert_eq!(span(&interval(1, 2, 1)), Duration::from_secs(32 * 86_400) + Duration::from_micros(1));
        assert_eq!(span(&interval(0, 0, -5)), Duration::ZERO);
    }

    #[test]
    fn the_statements_that_claim_give_the_columns_in_the_order_in_which_they_are_read() {
        for statement in [
            include_str!("../../sql/queue/claim.sql"),
            include_str!("../../sql/queue/claim_these.sql"),
            include_str!("../../sql/queue/enqueue_leased.sql"),
        ] {
            let (_, list) = statement.rsplit_once("returning ").expect("it gives what it claimed");
            let given: Vec<&str> = list.split(',').map(str::trim).collect();
            assert_eq!(given, COLUMNS, "{statement}");
        }
    }
}
