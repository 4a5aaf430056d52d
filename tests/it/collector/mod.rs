//! Claims about the collector's own schema, as its migrations V1–V14 and V1–V24 leave it, and the eight functions on it;
//! all counted by SQL of the tests' own.

mod chain;
mod eligible;
mod hammer;
mod installed;
mod others;
mod schema;
mod there_and_back;

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, postgres::PgRow};

use crate::support::Database;

/// Which migrations have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V14,
    V24,
}

/// The collector's database.
pub struct Collector {
    pub database: Database,
}

/// The tables of the shipped data set.
pub const TABLES: [&str; 4] = ["interface_exceptions", "retry_attempts", "order_items", "exception_status_changes"];

/// Every row of main and archive together, by table.
pub type Rows = BTreeMap<&'static str, Vec<String>>;

impl Collector {
    /// Its schema, and `rows` exceptions of every status, severity and age with all that belongs to them.
    pub async fn new(version: Version, rows: u32) -> Self {
        let database = Database::empty().await;
        let mut tx = database.pool().begin().await.expect("a transaction");
        let fill = format!("set local sexton.sample_rows = {rows}; {}", include_str!("../../../sql/sample/data.sql"));
        let later = if version == Version::V24 { include_str!("sql/v24.sql") } else { "" };
        for sql in [include_str!("sql/v14.sql"), later, &fill, include_str!("sql/awkward.sql")] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.expect("the collector's schema");
        }
        tx.commit().await.expect("committed");
        Self { database }
    }

    /// The same with the functions that Sexton's replace, which `collector_app` owns and `collector_ops` may call.
    pub async fn with_upstream(version: Version, rows: u32) -> Self {
        let collector = Self::new(version, rows).await;
        collector.run(include_str!("sql/upstream_functions.sql")).await;
        collector.run(include_str!("sql/roles.sql")).await;
        collector
    }

    /// The collector's database with Sexton's functions in it.
    pub async fn installed(version: Version, rows: u32) -> Self {
        let collector = Self::new(version, rows).await;
        collector.install().await;
        collector
    }

    /// What `sexton db install` does.
    pub async fn install(&self) {
        sexton::dataset::install(self.database.pool(), false, &Default::default()).await.expect("installed");
    }

    /// A session with nothing but the database's own defaults, as of psql.
    pub async fn psql(&self) -> PgConnection {
        PgConnection::connect(&self.database.url()).await.expect("a session")
    }

    /// Runs any SQL as one would in psql.
    pub async fn run(&self, sql: &str) {
        let mut psql = self.psql().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut psql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// What SQL that must fail says: its SQLSTATE, its words and what to do.
    pub async fn refused(&self, sql: &str) -> (String, String, String) {
        let mut psql = self.psql().await;
        let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut psql).await else {
            panic!("not refused: {sql}");
        };
        let error = error.into_database_error().expect("an error of the database");
        let hint = error.downcast_ref::<sqlx::postgres::PgDatabaseError>().hint().unwrap_or_default().to_owned();
        (error.code().unwrap_or_default().into_owned(), error.message().to_owned(), hint)
    }

    /// The only row of a query.
    pub async fn one<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(&self, sql: &str) -> T {
        let mut psql = self.psql().await;
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut psql).await.unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// All rows of a query.
    pub async fn all<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(&self, sql: &str) -> Vec<T> {
        let mut psql = self.psql().await;
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut psql).await.unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// A count.
    pub async fn count(&self, sql: &str) -> i64 {
        self.one::<(i64,)>(sql).await.0
    }

    async fn sorted(&self, sql: &str) -> Vec<String> {
        let mut rows: Vec<String> = self.all::<(String,)>(sql).await.into_iter().map(|row| row.0).collect();
        rows.sort();
        rows
    }

    /// Every row of main and archive together, whole, sorted; the archive's own columns apart.
    pub async fn everything(&self) -> Rows {
        let mut all = Rows::new();
        for table in TABLES {
            let mut sql = format!("select to_jsonb(t)::text from public.{table} t");
            if self.count(&format!("select count(to_regclass('public.{table}_archive'))")).await == 1 {
                sql += &format!(
                    " union all select (to_jsonb(t) - '{{archived_at,archived_by,archive_reason}}'::text[])::text
                      from public.{table}_archive t"
                );
            }
            all.insert(table, self.sorted(&sql).await);
        }
        all
    }

    /// Every row of main, whole, sorted.
    pub async fn main_rows(&self) -> Rows {
        let mut all = Rows::new();
        for table in TABLES {
            all.insert(table, self.sorted(&format!("select to_jsonb(t)::text from public.{table} t")).await);
        }
        all
    }

    /// No id is in main and in the archive, and no row is in either without its parent.
    pub async fn assert_whole(&self) {
        for (table, parent) in [
            (TABLES[0], "id"),
            (TABLES[1], "exception_id"),
            (TABLES[2], "interface_exception_id"),
            (TABLES[3], "exception_id"),
        ] {
            if self.count(&format!("select count(to_regclass('public.{table}_archive'))")).await == 0 {
                continue;
            }
            let both = format!("select count(*) from public.{table} join public.{table}_archive using (id)");
            assert_eq!(self.count(&both).await, 0, "{table}: rows in both places");
            let torn = format!(
                "select (select count(*) from public.{table} t where not exists (select from public.interface_exceptions e where e.id = t.{parent}))
                      + (select count(*) from public.{table}_archive t where not exists (select from public.interface_exceptions_archive e where e.id = t.{parent}))"
            );
            assert_eq!(self.count(&torn).await, 0, "{table}: rows apart from their parent");
        }
    }
}

/// Holds all rows against what they were, and shows only where they differ.
#[track_caller]
pub fn assert_same(after: &Rows, before: &Rows) {
    for table in TABLES {
        let (was, is) = (&before[table], &after[table]);
        let lost: Vec<_> = was.iter().filter(|row| is.binary_search(row).is_err()).take(2).collect();
        let new: Vec<_> = is.iter().filter(|row| was.binary_search(row).is_err()).take(2).collect();
        let counts = (was.len(), is.len());
        assert!(
            lost.is_empty() && new.is_empty() && counts.0 == counts.1,
            "{table} {counts:?}: lost {lost:#?}, new {new:#?}"
        );
    }
}
