//! `[validate]`: runs checks, each a query that returns the bad rows, in one read-only snapshot.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Broken, Ctx, Finding, Kind, Uses, database_failure, moving::error};
use crate::{
    expect::Expect,
    outcome::{Failure, Outcome, Report},
    span::Span,
    state::OnLost,
};

/// The longest text of samples that a report carries, in bytes.
const SAMPLES: usize = 4_000;

/// The `[validate]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// The target that is checked.
    pub target: String,
    /// How long one check may take.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
    /// How many bad rows of each check are shown; all are counted.
    #[serde(default = "twenty")]
    pub samples: u16,
    /// The checks.
    pub check: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name; `snake_case`, as it is a report entry too.
    pub name: String,
    /// What a bad row means, for people.
    pub about: Option<String>,
    /// A query that returns the bad rows, best only the columns that name them: they are what samples show.
    pub sql: String,
    /// Tables that must be there (`schema.table`), else the check is skipped.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The count of bad rows that is worth a warning.
    #[serde(default = "any")]
    pub warn: Expect,
    /// The count of bad rows that fails the run.
    pub fail: Option<Expect>,
}

fn five_minutes() -> Span {
    Span::seconds(300)
}

fn twenty() -> u16 {
    20
}

fn any() -> Expect {
    // A constant that parses; a threshold that nothing reaches would hide a mistake in it, so fail loudly.
    "> 0".parse().unwrap_or_else(|_| unreachable!("`> 0` is a threshold"))
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    /// So many bad rows, and some of them.
    Rows { count: u64, samples: Vec<Value> },
    /// A table that it needs is not there.
    Skipped { missing: String },
    /// It could not be run.
    Broken(Failure),
}

impl Kind for Validate {
    const NAME: &'static str = "validate";
    const ABOUT: &'static str = "Counts and shows rows that break a rule";
    const ON_LOST: OnLost = OnLost::Retry;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], ..Uses::default() }
    }

    fn check(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.check.is_empty() {
            found.push(error("check", "there is no check", "add [[validate.check]] with `name` and `sql`"));
        }
        for (at, check) in self.check.iter().enumerate() {
            if self.check[..at].iter().any(|earlier| earlier.name == check.name) {
                found.push(error("check", format!("two checks are called `{}`", check.name), "give each its own name"));
            }
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if check.name.is_empty() || !check.name.chars().all(plain) {
                let message = format!("`{}` is no name for a check", check.name);
                found.push(error("check", message, "use lower-case letters, digits and _"));
            }
            if check.sql.trim().is_empty() {
                found.push(error(
                    "check",
                    format!("`{}` has no SQL", check.name),
                    "write a query that returns bad rows",
                ));
            }
        }
        if self.timeout.0.is_zero() {
            found.push(error("timeout", "a check needs time", "write 5m, say"));
        }
        found
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let target = ctx.target(&self.target)?;
        let mut tx = target.pool().begin_with("begin isolation level repeatable read read only").await?;
        sqlx::query("select set_config('statement_timeout', $1, true), set_config('lock_timeout', '10s', true)")
            .bind(format!("{}ms", self.timeout.0.as_millis()))
            .execute(&mut *tx)
            .await?;
        let mut results = Vec::new();
        for (at, check) in self.check.iter().enumerate() {
            ctx.progress(at as u64, Some(self.check.len() as u64), "checks", Some(&check.name));
            // Two statements, each with the server's own limit; past that the connection is dead.
            let most = self.timeout.0 * 2 + Duration::from_secs(30);
            let found = tokio::select! {
                () = ctx.stop.cancelled() => return Err(Broken::Stopped),
                found = tokio::time::timeout(most, look(&mut tx, check, self.samples)) => found,
            };
            let found = found.map_err(|_| {
                Failure::later(format!(
                    "target `{}` did not answer check `{}` within {} s",
                    self.target,
                    check.name,
                    most.as_secs()
                ))
            })??;
            results.push((check, found));
        }
        tx.rollback().await?;
        ctx.progress(self.check.len() as u64, Some(self.check.len() as u64), "checks", None);
        Ok(judge(&results))
    }
}

/// Runs one check; an error in its SQL leaves the snapshot usable for the next one.
async fn look(conn: &mut PgConnection, check: &Check, samples: u16) -> Result<Found, sqlx::Error> {
    for name in &check.needs {
        let (schema, table) = name.split_once('.').unwrap_or(("public", name));
        let there: bool = sqlx::query_scalar(
            "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relname = $2)",
        )
        .bind(schema)
        .bind(table)
        .fetch_one(&mut *conn)
        .await?;
        if !there {
            return Ok(Found::Skipped { missing: name.clone() });
        }
    }
    sqlx::raw_sql("savepoint look").execute(&mut *conn).await?;
    match count(conn, check, samples).await {
        Ok(found) => {
            sqlx::raw_sql("release savepoint look").execute(conn).await?;
            Ok(found)
        }
        Err(error) if error.as_database_error().is_some() => {
            sqlx::raw_sql("rollback to savepoint look").execute(conn).await?;
            Ok(Found::Broken(database_failure(&error)))
        }
        Err(error) => Err(error),
    }
}

async fn count(conn: &mut PgConnection, check: &Check, samples: u16) -> Result<Found, sqlx::Error> {
    // The query is the ops' own text; the line break keeps a comment at its end from hiding the parenthesis.
    let sql = check.sql.trim().trim_end_matches(';');
    let total: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from (\n{sql}\n) bad")))
        .fetch_one(&mut *conn)
        .await?;
    let samples = if total == 0 {
        Vec::new()
    } else {
        sqlx::query_scalar(AssertSqlSafe(format!("select to_jsonb(bad) from (\n{sql}\n) bad limit $1")))
            .bind(i64::from(samples))
            .fetch_all(conn)
            .await?
    };
    Ok(Found::Rows { count: u64::try_from(total).unwrap_or_default(), samples })
}

/// What the checks' findings mean for the run.
fn judge(results: &[(&Check, Found)]) -> Outcome {
    let mut report = Report::new();
    let mut said = Vec::new();
    let (mut issues, mut warned, mut skipped) = (0, 0, 0);
    let mut failed: Vec<String> = Vec::new();
    let mut again = crate::outcome::Again::Never;
    for (check, found) in results {
        match found {
            Found::Rows { count, samples } => {
                issues += count;
                report.set(format!("check.{}", check.name), *count);
                if *count > 0 {
                    said.push(format!("{}: {}", check.name, shown(samples)));
                }
                let reaches = |threshold: &Expect| threshold.holds(*count as f64);
                if let Some(fail) = check.fail.as_ref().filter(|fail| reaches(fail)) {
                    let about = check.about.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
                    failed.push(format!(
                        "{}: {count} bad rows, fails at {fail}{about}: {}",
                        check.name,
                        shown(&samples[..samples.len().min(3)])
                    ));
                } else if reaches(&check.warn) {
                    warned += 1;
                }
            }
            Found::Skipped { missing } => {
                skipped += 1;
                said.push(format!("{}: skipped, there is no {missing}", check.name));
            }
            Found::Broken(failure) => {
                // One that may pass by itself makes the whole run worth another try.
                if failure.again == crate::outcome::Again::Later {
                    again = crate::outcome::Again::Later;
                }
                failed.push(format!("{} could not be run: {}", check.name, failure.why));
            }
        }
    }
    report.set("issues", issues);
    report.set("checks", results.len());
    report.set("checks_failed", failed.len());
    report.set("checks_warned", warned);
    report.set("checks_skipped", skipped);
    if !said.is_empty() {
        report.set("samples", capped(said.join("\n"), SAMPLES));
    }
    if failed.is_empty() {
        return Outcome::Done(report);
    }
    let why = format!("{} of {} checks failed: {}", failed.len(), results.len(), failed.join("; "));
    let failure = Failure::never(capped(why, SAMPLES)).report(report);
    let failure = Failure { again, ..failure };
    Outcome::Failed(
        failure.help("look at the rows by the keys shown, or correct the check's SQL or thresholds in the job's file"),
    )
}

/// `{id 1, order 2}, {id 3, order 4}`
fn shown(samples: &[Value]) -> String {
    let one = |sample: &Value| match sample {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {text}"),
                    other => format!("{name} {other}"),
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    };
    samples.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn capped(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, fail: Option<&str>) -> Check {
        let fail = fail.map(|text| text.parse().expect("a threshold"));
        Check { name: name.to_owned(), about: None, sql: "select 1".to_owned(), needs: Vec::new(), warn: any(), fail }
    }

    fn rows(count: u64) -> Found {
        Found::Rows { count, samples: vec![serde_json::json!({"id": 7})] }
    }

    #[test]
    fn a_few_bad_rows_warn_and_many_fail() {
        let check = check("ages", Some("> 100"));
        let Outcome::Done(report) = judge(&[(&check, rows(100))]) else { panic!("not done") };
        assert_eq!(report.number("checks_warned"), Some(1.0));
        let Outcome::Failed(failure) = judge(&[(&check, rows(101))]) else { panic!("not failed") };
        assert_eq!(failure.why, "1 of 1 checks failed: ages: 101 bad rows, fails at > 100: {id 7}");
        assert_eq!(failure.again, crate::outcome::Again::Never);
        assert_eq!(failure.report.number("issues"), Some(101.0));
    }

    #[test]
    fn issues_are_the_sum_and_a_skipped_check_is_counted() {
        let (a, b, c) = (check("a", None), check("b", None), check("c", None));
        let skipped = Found::Skipped { missing: "public.x".to_owned() };
        let Outcome::Done(report) = judge(&[(&a, rows(3)), (&b, rows(4)), (&c, skipped)]) else { panic!("not done") };
        assert_eq!((report.number("issues"), report.number("checks_skipped")), (Some(7.0), Some(1.0)));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(capped("äöü".to_owned(), 3), "ä…");
    }
}
