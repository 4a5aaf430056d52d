//! The checkpoint of a run in its target, and the fence that keeps an attempt that lost its lease from committing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

use super::error::Error;

/// Which attempt wants to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The run.
    pub run: Uuid,
    /// The attempt's token.
    pub token: i64,
}

/// Where a run is, as the target has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Where it goes on.
    pub cursor: Cursor,
    /// What it has done.
    pub counts: Counts,
}

/// Where a run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// Rows must be older than this; drawn once, so that a resumed run means the same rows.
    pub cutoff: DateTime<Utc>,
    /// When its first attempt began.
    pub begun_at: DateTime<Utc>,
    /// What was there then.
    pub found: Totals,
    /// The age and key of the last row of the last step, as text.
    pub after: Option<Vec<String>>,
    /// Whether whole partitions have been taken, where that can be done.
    #[serde(default)]
    pub partitions_taken: bool,
    /// 1, then one more each time that skipped rows are revisited.
    pub pass: u32,
    /// How many rows the next step takes.
    pub batch: u64,
    /// Set once all is done: how it ended.
    pub end: Option<End>,
}

/// What a run has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Parent rows that left.
    pub rows: u64,
    /// Rows of each child that left with them, by label.
    pub children: BTreeMap<String, u64>,
    /// Steps committed.
    pub steps: u64,
    /// Rows that a pass left behind because somebody else held them, and that were looked at again.
    pub revisited: u64,
    /// Partitions that changed hands whole.
    #[serde(default)]
    pub partitions: u64,
    /// Rows of this pass that the other side refused; they stay where they are.
    #[serde(default)]
    pub stuck: u64,
    /// The first of them.
    #[serde(default)]
    pub stuck_samples: Vec<Stuck>,
}

/// A row that cannot go where it should: it stays, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stuck {
    /// Its key.
    pub key: String,
    /// What PostgreSQL said.
    pub why: String,
}

impl Counts {
    /// How many rows that cannot move are told by name.
    const SAMPLES: usize = 10;

    pub(super) fn add_stuck(&mut self, stuck: Vec<Stuck>) {
        self.stuck += stuck.len() as u64;
        let room = Self::SAMPLES - self.stuck_samples.len();
        self.stuck_samples.extend(stuck.into_iter().take(room));
    }

    pub(super) fn forget_stuck(&mut self) {
        self.stuck = 0;
        self.stuck_samples.clear();
    }
}

/// What is there before anything moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Parent rows that go.
    pub eligible: u64,
    /// Past the cutoff, but held (a legal hold).
    #[serde(default)]
    pub kept_held: u64,
    /// Past the cutoff, but critical.
    pub kept_critical: u64,
    /// Past the cutoff and not critical, but open.
    pub kept_open: u64,
    /// All parent rows in main and in the archive.
    pub sizes: Sizes,
}

/// How many parent rows there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// In main.
    pub main: u64,
    /// In the archive.
    pub archive: u64,
    /// Bytes of all tables with their indexes, in main.
    #[serde(default)]
    pub main_bytes: u64,
    /// Likewise, in the archive.
    #[serde(default)]
    pub archive_bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// All parent rows afterwards.
    pub sizes: Sizes,
    /// Eligible rows that stayed because somebody else held them.
    pub skipped_locked: u64,
    /// When.
    pub at: DateTime<Utc>,
}

impl Fence {
    /// Whether the run has a checkpoint.
    pub(super) async fn has_begun(self, conn: &mut PgConnection) -> Result<bool, Error> {
        Ok(sqlx::query_scalar("select exists (select from sexton.step where run = $1)")
            .bind(self.run)
            .fetch_one(conn)
            .await?)
    }

    /// Takes over the run: from here on no older attempt can commit. Gives the checkpoint and the counts, `first` and
    /// none if there are none yet.
    pub(super) async fn begin<C, N>(self, conn: &mut PgConnection, first: &C) -> Result<(C, N), Error>
    where
        C: Serialize + DeserializeOwned + Sync,
        N: DeserializeOwned + Default,
    {
        let row: Option<(Value, Value)> = sqlx::query_as(include_str!("../../sql/target/begin_attempt.sql"))
            .bind(self.run)
            .bind(self.token)
            .bind(Json(first))
            .fetch_optional(conn)
            .await?;
        let (cursor, counts) = row.ok_or(Error::Superseded)?;
        // `{}` until the first step.
        let counts = match counts.as_object() {
            Some(object) if object.is_empty() => N::default(),
            _ => serde_json::from_value(counts)?,
        };
        Ok((serde_json::from_value(cursor)?, counts))
    }

    /// Writes the checkpoint within the step's transaction; fails if a newer attempt has begun.
    pub(super) async fn advance<C, N>(self, conn: &mut PgConnection, cursor: &C, counts: &N) -> Result<(), Error>
    where
        C: Serialize + Sync,
        N: Serialize + Sync,
    {
        let done = sqlx::query(include_str!("../../sql/target/commit_step.sql"))
            .bind(self.run)
            .bind(self.token)
            .bind(Json(cursor))
            .bind(Json(counts))
            .execute(conn)
            .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Superseded) }
    }
}
