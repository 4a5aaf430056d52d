//! Archive, cleanup and validation on real tables: nothing is lost, doubled or half moved.

mod any_table;
mod crowd;
mod drift;
mod explain;
mod guide;
mod holds;
mod install;
mod locks;
mod migrate;
mod moves;
mod pacing;
mod partitions;
mod resume;
mod rights;
mod validate;

use std::collections::BTreeMap;

use sexton::{
    dataset::{self, sample},
    kinds::{Archive, Broken, Cleanup, Ctx, Kind, Migrate},
    outcome::{Failure, Outcome, Report},
    vault::Vaults,
};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::{self, Database};

/// The collector's tables with sample rows, on a target of their own.
pub struct Site {
    pub database: Database,
    pub definition: serde_json::Value,
}

/// The archive's own columns.
const OWN: &str = "- 'archived_at' - 'archived_by' - 'archive_reason'";

/// The tables of the shipped data set.
const TABLES: [&str; 4] = ["interface_exceptions", "retry_attempts", "order_items", "exception_status_changes"];

impl Site {
    pub async fn new(rows: u32) -> Self {
        let database = Database::empty().await;
        assert!(sample::load(database.pool(), rows).await.expect("the sample"));
        dataset::install(database.pool(), false, &Default::default()).await.expect("the step table");
        let text = include_str!("../../../jobs/datasets/interface_exceptions.toml");
        Self { database, definition: toml::from_str(text).expect("the shipped data set") }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A first attempt on this target.
    pub fn ctx(&self) -> Ctx {
        let mut ctx = support::ctx([self.database.target("collector")], Vaults::default());
        ctx.dataset = Some(self.definition.clone());
        ctx
    }

    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(self.pool()).await.expect(sql)
    }

    pub async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.pool()).await.expect(sql);
    }

    /// Every row of main and archive together, whole, as one sorted list for each table.
    pub async fn everything(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in TABLES {
            let archived = self.count(&format!("select count(to_regclass('{table}_archive'))")).await == 1;
            let archive = match archived {
                true => format!("union all select (to_jsonb(a) {OWN})::text from {table}_archive a"),
                false => String::new(),
            };
            let sql = format!("select to_jsonb(t)::text from {table} t {archive} order by 1");
            let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(self.pool()).await.expect("rows");
            all.insert(table, rows);
        }
        all
    }

    /// Every row of main.
    pub async fn main_rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in TABLES {
            let sql = format!("select to_jsonb(t)::text from {table} t order by 1");
            all.insert(table, sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(self.pool()).await.expect("rows"));
        }
        all
    }
}

/// Holds two lists of rows against each other and shows only where they differ.
#[track_caller]
pub fn assert_same(after: &BTreeMap<&'static str, Vec<String>>, before: &BTreeMap<&'static str, Vec<String>>) {
    for (table, rows) in before {
        let lost: Vec<_> = rows.iter().filter(|row| !after[table].contains(row)).take(2).collect();
        let new: Vec<_> = after[table].iter().filter(|row| !rows.contains(row)).take(2).collect();
        let counts = (rows.len(), after[table].len());
        assert!(
            lost.is_empty() && new.is_empty() && counts.0 == counts.1,
            "{table} {counts:?}: lost {lost:#?}, new {new:#?}"
        );
    }
}

/// Runs an `[archive]` table.
pub async fn archive(ctx: Ctx, table: &str) -> Result<Outcome, Broken> {
    let table = format!("target = 'collector'\ndataset = 'd'\n{table}");
    toml::from_str::<Archive>(&table).expect("an [archive] table").run(ctx).await
}

/// Runs a `[cleanup]` table.
pub async fn cleanup(ctx: Ctx, table: &str) -> Result<Outcome, Broken> {
    let table = format!("target = 'collector'\ndataset = 'd'\n{table}");
    toml::from_str::<Cleanup>(&table).expect("a [cleanup] table").run(ctx).await
}

pub fn done(result: Result<Outcome, Broken>) -> Report {
    match result {
        Ok(Outcome::Done(report)) => report,
        other => panic!("not done: {other:?}"),
    }
}

pub fn failed(result: Result<Outcome, Broken>) -> Failure {
    match result {
        Ok(Outcome::Failed(failure)) | Err(Broken::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

/// A number of a report.
pub fn number(report: &Report, name: &str) -> i64 {
    report.number(name).unwrap_or_else(|| panic!("no {name} in {report:?}")) as i64
}
