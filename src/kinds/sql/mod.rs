//! `[sql]`: statements of somebody else's, run on a target in one transaction.
//!
//! Parameters are bound, never pasted into the text. A statement that returns a single row puts its numbers into
//! the report, so that `select count(*) as main_rows …` can be asserted on.

pub(super) mod lex;
mod numbers;
mod values;

use std::{fmt, time::Duration};

use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection, Either, Executor, PgConnection, postgres::PgRow};
use tokio::time::timeout;

use self::lex::Statement;
use super::{Broken, Ctx, Finding, Kind, ParamsAre, TOLD, Uses, database_failure};
use crate::{
    outcome::{Failure, Outcome, Report},
    span::Span,
    state::OnLost,
};

/// Statements on a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The database, by its name in `sexton.toml`.
    pub target: String,
    /// One statement or several, separated by `;`. Parameters, and what the run is told, are written `:name`.
    pub sql: String,
    /// Whether PostgreSQL refuses to change anything.
    #[serde(default)]
    pub read_only: bool,
    /// Whether all statements commit together. `vacuum` and its like need `false`.
    #[serde(default = "yes")]
    pub transaction: bool,
    /// How long one statement may take; without it, only the job's `timeout` ends it.
    #[serde(default)]
    pub statement_timeout: Option<Span>,
    /// How long a statement waits for a lock.
    #[serde(default = "half_a_minute")]
    pub lock_timeout: Span,
}

fn yes() -> bool {
    true
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}

/// Statements that PostgreSQL refuses inside a transaction, by their first word.
const ALONE: [&str; 1] = ["vacuum"];
/// Statements that would end the job's own transaction.
const CONTROL: [&str; 7] = ["begin", "start", "commit", "end", "rollback", "abort", "prepare"];

impl Kind for Sql {
    const NAME: &'static str = "sql";
    const ABOUT: &'static str = "runs SQL statements on a target";
    const ON_LOST: OnLost = OnLost::Hold;
    const PARAMS: ParamsAre = ParamsAre::Values;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], ..Uses::default() }
    }

    fn check(&self) -> Vec<Finding> {
        let finding = |key: &str, message: String, help: Option<&str>| Finding {
            key: key.to_owned(),
            message,
            help: help.map(str::to_owned),
            warning: false,
        };
        let statements = match lex::split(&self.sql) {
            Ok(statements) => statements,
            Err(error) => return vec![finding("sql", error.to_string(), None)],
        };
        let mut findings = Vec::new();
        if statements.is_empty() {
            findings.push(finding("sql", "has no statement".to_owned(), Some("write sql = \"analyze my_table\"")));
        }
        for verb in statements.iter().map(Statement::verb) {
            if CONTROL.contains(&verb.as_str()) {
                let help = "leave it out: the statements are one transaction, or none with `transaction = false`";
                findings.push(finding("sql", format!("has a `{verb}` of its own"), Some(help)));
            } else if self.transaction && ALONE.contains(&verb.as_str()) {
                let help = "add `transaction = false`";
                findings.push(finding("sql", format!("`{verb}` cannot run in a transaction"), Some(help)));
            }
        }
        if self.read_only && !self.transaction {
            let help = "remove one of the two: PostgreSQL guards a transaction, not a session";
            findings.push(finding("read_only", "needs a transaction".to_owned(), Some(help)));
        }
        findings
    }

    fn binds(&self) -> Vec<String> {
        let names = lex::split(&self.sql).into_iter().flatten().flat_map(|statement| statement.names);
        names.filter(|name| !TOLD.contains(&name.as_str())).collect()
    }

    async fn run(self, mut ctx: Ctx) -> Result<Outcome, Broken> {
        ctx.params = ctx.values();
        let statements = lex::split(&self.sql).map_err(|error| Failure::never(format!("the job's SQL: {error}")))?;
        for name in statements.iter().flat_map(|statement| &statement.names) {
            if !ctx.params.contains_key(name) {
                let known = ctx.params.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let help = format!("declare it in the job's [params] ({known}); an array slice is written `a[1 : n]`");
                return Err(Failure::never(format!("`:{name}` in the job's SQL is no parameter")).help(help).into());
            }
        }
        let target = ctx.target(&self.target)?;
        let near = |error: &sqlx::Error| near(format_args!("target `{}`", self.target), error);
        // A connection of its own, closed at the end: what the statements set in the session ends with them.
        let mut connection = target.pool().acquire().await.map_err(|error| near(&error))?.detach();
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| near(&error))?;
        let report = {
            let work = self.all(&ctx, &statements, &mut connection);
            tokio::pin!(work);
            tokio::select! {
                ended = &mut work => ended?,
                () = ctx.stop.cancelled() => {
                    // Dropping the connection would leave the statement running on the server.
                    let cancel = sqlx::query("select pg_cancel_backend($1)").bind(backend).execute(target.pool());
                    let _ = timeout(Duration::from_secs(5), cancel).await;
                    match timeout(Duration::from_secs(5), work).await {
                        // The commit was quicker than the stop.
                        Ok(Ok(report)) => report,
                        _ => return Err(Broken::Stopped),
                    }
                }
            }
        };
        // The work is committed; a goodbye that fails changes nothing.
        let _ = timeout(Duration::from_secs(5), connection.close()).await;
        Ok(Outcome::Done(report))
    }
}

impl Sql {
    /// All statements, in one transaction or one by one.
    async fn all(&self, ctx: &Ctx, statements: &[Statement], to: &mut PgConnection) -> Result<Report, Broken> {
        let near = |error: &sqlx::Error| near(format_args!("target `{}`", self.target), error);
        let mut report = Report::new();
        if self.transaction {
            let mut transaction = Connection::begin(to).await.map_err(|error| near(&error))?;
            if self.read_only {
                let read_only = sqlx::query("set transaction read only").execute(&mut *transaction).await;
                read_only.map_err(|error| near(&error))?;
            }
            self.each(ctx, statements, &mut transaction, &mut report).await?;
            transaction.commit().await.map_err(|error| near(&error))?;
        } else {
            self.each(ctx, statements, to, &mut report).await?;
        }
        Ok(report)
    }

    async fn each(
        &self,
        ctx: &Ctx,
        statements: &[Statement],
        to: &mut PgConnection,
        report: &mut Report,
    ) -> Result<(), Broken> {
        let millis = |span: Span| span.0.as_millis().to_string();
        sqlx::query("select set_config('statement_timeout', $1, $3), set_config('lock_timeout', $2, $3)")
            .bind(self.statement_timeout.map_or_else(|| "0".to_owned(), millis))
            .bind(millis(self.lock_timeout))
            .bind(self.transaction)
            .execute(&mut *to)
            .await
            .map_err(|error| near(format_args!("target `{}`", self.target), &error))?;
        let mut counted = Counted::default();
        let all = statements.len();
        for (place, statement) in statements.iter().enumerate() {
            ctx.go_on()?;
            ctx.progress(place as u64, Some(all as u64), "statements", None);
            one(ctx, statement, to, &mut counted, report).await.map_err(|error| {
                let place = place + 1;
                near(
                    format_args!("target `{}`, statement {place} of {all} (`{}`)", self.target, brief(statement)),
                    &error,
                )
            })?;
        }
        ctx.progress(all as u64, Some(all as u64), "statements", None);
        report.set("statements", all).set("rows_affected", counted.affected).set("rows_returned", counted.returned);
        Ok(())
    }
}

#[derive(Default)]
struct Counted {
    affected: u64,
    returned: u64,
}

/// Runs one statement to its end; keeps at most one row in memory.
async fn one(
    ctx: &Ctx,
    statement: &Statement,
    to: &mut PgConnection,
    counted: &mut Counted,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let types = values::types(statement, to).await?;
    let text = statement.text(|place| types[place].cast(place + 1));
    let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false);
    for (name, kind) in statement.names.iter().zip(&types) {
        query = query.bind(ctx.params.get(name).and_then(|value| kind.text(value)));
    }
    let (mut only, mut returned, mut affected) = (None::<PgRow>, 0_u64, 0);
    let mut answers = to.fetch_many(query);
    while let Some(answer) = answers.try_next().await? {
        match answer {
            Either::Left(done) => affected += done.rows_affected(),
            Either::Right(row) => {
                returned += 1;
                only = (returned == 1).then_some(row);
            }
        }
    }
    counted.returned += returned;
    // PostgreSQL counts the rows of a SELECT as affected, too.
    if returned == 0 || !matches!(statement.verb().as_str(), "select" | "with" | "values" | "table" | "show" | "") {
        counted.affected += affected;
    }
    for (name, number) in only.iter().flat_map(numbers::of) {
        report.set(name, number);
    }
    Ok(())
}

/// The beginning of a statement, in one line.
fn brief(statement: &Statement) -> String {
    let text = statement.text(|place| format!(":{}", statement.names[place]));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > 80 { words.chars().take(79).chain(['…']).collect() } else { words }
}

/// A database error with the place where it happened.
fn near(place: fmt::Arguments<'_>, error: &sqlx::Error) -> Broken {
    let mut failure = database_failure(error);
    failure.why = format!("{place}: {}", failure.why);
    failure.into()
}
