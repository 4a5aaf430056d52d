//! Runs one check's query: the true count, some rows to show, and which of them are new.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    super::database_failure,
    known::{Known, MOST, New},
};
use crate::{
    dataset::{
        check::{Cannot, Check, Query, Seen, Threshold},
        quote::ident,
    },
    outcome::Failure,
};

/// How a check is looked at.
pub(super) struct Look<'a> {
    /// How many bad rows are shown.
    pub(super) samples: u16,
    /// What the last run knew.
    pub(super) before: Option<&'a Known>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// Bad rows, or none.
    Rows(Rows),
    /// Something that it needs is not there.
    Skipped { missing: String },
    /// It could not be run.
    Broken(Failure),
}

/// The bad rows of a check.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rows {
    /// How many.
    pub(super) count: u64,
    /// Some of them.
    pub(super) samples: Vec<Value>,
    /// The rows looked at, where a threshold asks.
    pub(super) looked: Option<u64>,
    /// How many the last run had not, where it knew.
    pub(super) new: Option<New>,
    /// For the next run.
    pub(super) known: Known,
}

impl Rows {
    /// For thresholds.
    pub(super) fn seen(&self) -> Seen {
        Seen { bad: self.count, looked: self.looked, new: self.new.map(|new| new.count) }
    }
}

impl Look<'_> {
    /// Runs it; an error in its SQL leaves the snapshot usable for the next one.
    pub(super) async fn at(
        &self,
        conn: &mut PgConnection,
        check: &Check,
        query: Result<Query, Cannot>,
    ) -> Result<Found, sqlx::Error> {
        let query = match query {
            Ok(query) => query,
            Err(Cannot::Missing(missing)) => return Ok(Found::Skipped { missing }),
            Err(Cannot::Wrong { why, help }) => return Ok(Found::Broken(Failure::never(why).help(help))),
        };
        sqlx::raw_sql("savepoint look").execute(&mut *conn).await?;
        match self.rows(conn, check, &query).await {
            Ok(rows) => {
                sqlx::raw_sql("release savepoint look").execute(conn).await?;
                Ok(Found::Rows(rows))
            }
            Err(error) if error.as_database_error().is_some() => {
                sqlx::raw_sql("rollback to savepoint look").execute(conn).await?;
                Ok(Found::Broken(database_failure(&error)))
            }
            Err(error) => Err(error),
        }
    }

    async fn rows(&self, conn: &mut PgConnection, check: &Check, query: &Query) -> Result<Rows, sqlx::Error> {
        // The query may be the ops' own text; the line break keeps a comment at its end from hiding the parenthesis.
        let bad = format!("(\n{}\n) bad", query.rows);
        let share = [check.warns_at(), check.fails_at()].iter().flatten().any(Threshold::is_share);
        let looked = match query.looked.as_ref().filter(|_| share) {
            Some(sql) => Some(number(conn, sql.clone()).await?),
            None => None,
        };
        let count = number(conn, format!("select count(*) from {bad}")).await?;
        let (mut samples, mut hashes) = (Vec::new(), Vec::new());
        let hash = hash(query);
        if count > 0 {
            samples = sqlx::query_scalar(AssertSqlSafe(format!("select to_jsonb(bad) from {bad} limit $1")))
                .bind(i64::from(self.samples))
                .fetch_all(&mut *conn)
                .await?;
            let sql = format!("select distinct {hash} as hash from {bad} order by hash limit $1");
            let found: Vec<i64> =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(MOST as i64).fetch_all(&mut *conn).await?;
            hashes = found.into_iter().map(i64::cast_unsigned).collect();
        }
        let known = Known::new(count, &query.rows, &hashes);
        let mut new = None;
        if let Some(before) = self.before.filter(|before| before.is_of(&query.rows)) {
            // More than can be listed are held against the last run's list in the database.
            let beyond = match count > MOST as u64 && before.count <= MOST as u64 {
                false => None,
                true => {
                    let old: Vec<i64> = before.hashes().into_iter().map(u64::cast_signed).collect();
                    let sql = format!(
                        "select count(*) from (select {hash} as hash from {bad}) now \
                         where not exists (select from unnest($1::bigint[]) old (hash) where old.hash = now.hash)"
                    );
                    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).bind(old).fetch_one(&mut *conn).await?;
                    Some(count.unsigned_abs())
                }
            };
            new = Some(known.new_since(before, beyond));
        }
        Ok(Rows { count, samples, looked, new, known })
    }
}

/// The key of a bad row as a number of 48 bits.
fn hash(query: &Query) -> String {
    let key = match &query.key {
        None => "to_json(bad)".to_owned(),
        Some(columns) => {
            let list: Vec<_> = columns.iter().map(|name| format!("bad.{}", ident(name))).collect();
            format!("json_build_array({})", list.join(", "))
        }
    };
    format!("(hashtextextended({key}::text, 0) & 281474976710655)")
}

async fn number(conn: &mut PgConnection, sql: String) -> Result<u64, sqlx::Error> {
    let number: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(conn).await?;
    Ok(number.unsigned_abs())
}
