//! Looks at the server, and asks the user's own query.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgPool};

use super::{Signals, Throttle, Verdict, decide};
use crate::dataset::{
    error::Error,
    session::{LOCK, LOOK, begin},
};

/// How long a user's own query may take.
const QUERY: Duration = Duration::from_secs(5);

/// Looks at one target for one job.
#[derive(Debug)]
pub struct Brake {
    pool: PgPool,
    limits: Throttle,
    before: Option<Signals>,
    looked: Option<Instant>,
}

impl Brake {
    /// A brake that has not looked yet.
    pub fn new(pool: &PgPool, limits: &Throttle) -> Self {
        Self { pool: pool.clone(), limits: limits.clone(), before: None, looked: None }
    }

    /// Whether the next step may begin. Looks no more often than `every`; between two looks work goes on.
    pub async fn look(&mut self) -> Result<Verdict, Error> {
        if self.looked.is_some_and(|looked| looked.elapsed() < self.limits.every.0) {
            return Ok(Verdict::Go);
        }
        let mut verdict = Verdict::Go;
        if self.limits.looks() {
            let now = self.signals().await?;
            verdict = decide(&now, self.before.as_ref(), &self.limits);
            self.before = Some(now);
        }
        if verdict == Verdict::Go
            && let Some(query) = &self.limits.query
        {
            verdict = self.ask(query).await?;
        }
        // A look that said wait is not one between which work may go on.
        self.looked = (verdict == Verdict::Go).then(Instant::now);
        Ok(verdict)
    }

    async fn signals(&self) -> Result<Signals, Error> {
        let mut tx = begin(&self.pool, "read committed read only", LOCK, LOOK).await?;
        let now: Signals = sqlx::query_as(include_str!("../../../sql/target/pressure.sql")).fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        if self.limits.sees_others() && !now.sees_all {
            return Err(Error::Refused {
                message: format!(
                    "the job's throttle looks at replicas and sessions, which user `{}` may not see in database `{}`",
                    now.who, now.database
                ),
                hint: Some(format!("run on the target: grant pg_monitor to \"{}\";", now.who.replace('"', "\"\""))),
            });
        }
        Ok(now)
    }

    /// Asks a user's own query: read only, and not for long.
    async fn ask(&self, query: &str) -> Result<Verdict, Error> {
        // As a value it must be one column of one row; on a line of its own, so that a comment at its end stays inside.
        let sql = format!("select to_jsonb((\n{}\n))", query.trim().trim_end_matches(';'));
        let mut tx = begin(&self.pool, "read committed read only", LOCK, QUERY).await?;
        let asked: Result<Option<serde_json::Value>, _> =
            sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *tx).await;
        tx.rollback().await?;
        let value = match asked {
            Ok(value) => value,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014") => {
                return Ok(wait(format!("query gave nothing within {} s", QUERY.as_secs())));
            }
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                return Ok(wait("query waits for a lock".to_owned()));
            }
            Err(sqlx::Error::Database(error)) => {
                return Err(Error::Refused {
                    message: format!("the throttle's `query` fails: {}", error.message()),
                    hint: Some("write one select of one number or boolean that the target's user may run".to_owned()),
                });
            }
            Err(error) => return Err(error.into()),
        };
        match answer(value.as_ref()) {
            Some(verdict) => Ok(verdict),
            None => Err(Error::Refused {
                message: format!("the throttle's `query` gave {}", value.unwrap_or_default()),
                hint: Some("let it give a number or a boolean".to_owned()),
            }),
        }
    }
}

pub(super) fn wait(why: String) -> Verdict {
    Verdict::Wait { why }
}

/// What a query's answer means; `None`: it means nothing.
pub(super) fn answer(value: Option<&serde_json::Value>) -> Option<Verdict> {
    use serde_json::Value;
    Some(match value {
        None | Some(Value::Null) => wait("query gave nothing".to_owned()),
        Some(Value::Bool(true)) => wait("query is true".to_owned()),
        Some(Value::Bool(false)) => Verdict::Go,
        Some(Value::Number(number)) if number.as_f64()? > 0.0 => wait(format!("query {number} > 0")),
        Some(Value::Number(_)) => Verdict::Go,
        Some(_) => return None,
    })
}
