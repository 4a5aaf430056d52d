//! What a restored copy must equal: rows and an order-free checksum of every table, large objects, sequences, and a
//! digest of every definition, all of the dump's own snapshot.
//!
//! A checksum is the sum of `hashtextextended` over the rows' text. It is the same on servers of one major version
//! with the settings of `fingerprint_session.sql`; another major may print a value in another way.

mod compare;
mod pattern;
mod snapshot;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub(super) use compare::{Leave, differences};
pub(super) use snapshot::{Snapshot, session};

use crate::db::Login;

/// What a database held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of every table by its quoted name; those whose rows are left out have none.
    pub tables: BTreeMap<String, Rows>,
    /// Tables whose rows are left out.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Of every sequence. They are of no snapshot, so two looks enclose the dump.
    pub sequences: BTreeMap<String, Between>,
    /// Of all large objects, a mebibyte of one as a row.
    pub large_objects: Rows,
    /// Digests of definitions, by object and aspect.
    pub objects: BTreeMap<String, BTreeMap<String, String>>,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, sqlx::FromRow)]
pub struct Rows {
    /// How many.
    pub rows: i64,
    /// The sum of their hashes.
    pub sum: String,
}

/// The last value of a sequence before and after the dump; none while it was never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between {
    /// Before the snapshot was taken.
    pub first: Option<i64>,
    /// After the dump had ended.
    pub last: Option<i64>,
}

impl Fingerprint {
    /// Rows of all tables.
    pub fn rows(&self) -> i64 {
        self.tables.values().map(|rows| rows.rows).sum()
    }
}

/// Which tables there are, which of their rows count, and in how many connections they are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    /// Tables whose rows are left out, as `pg_dump` patterns.
    pub(super) left_out: &'a [String],
    /// Only these tables are read, where it says so; the rest is counted as left out.
    pub(super) only: Option<&'a [String]>,
    /// How many tables are read at a time.
    pub(super) connections: usize,
}

/// Takes a fingerprint: in this snapshot, or of a database that nobody else uses. Tells `seen` each table when it is
/// done.
pub(super) async fn fingerprint(
    login: &Login,
    snapshot: Option<&str>,
    scope: &Scope<'_>,
    seen: impl Fn(&str),
) -> Result<Fingerprint, sqlx::Error> {
    let begun = Instant::now();
    let mut connection = session(login, snapshot).await?;
    let (schemas, names): (Vec<_>, Vec<_>) = scope.left_out.iter().map(|p| pattern::regexes(p)).unzip();
    let all: Vec<(String, bool)> = sqlx::query_as(include_str!("../../../sql/target/fingerprint_tables.sql"))
        .bind(schemas)
        .bind(names)
        .fetch_all(&mut connection)
        .await?;
    snapshot::pin(&mut connection).await?;
    let wanted = |name: &String, out: bool| !out && scope.only.is_none_or(|only| only.contains(name));
    let (inside, outside): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, out)| wanted(name, *out));
    let work = Mutex::new(inside.into_iter().map(|(name, _)| name).collect::<VecDeque<_>>());
    let mut found = Fingerprint { left_out: outside.into_iter().map(|(name, _)| name).collect(), ..Default::default() };
    // The first connection reads definitions, then helps with the tables.
    let first = async {
        let objects = objects(&mut connection).await?;
        let large_objects = sqlx::query_as(include_str!("../../../sql/target/fingerprint_large_objects.sql"))
            .fetch_one(&mut connection)
            .await?;
        let tables = tables(&mut connection, &work, &seen).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>((objects, large_objects, tables))
    };
    let others = (1..scope.connections).map(|_| async {
        let mut connection = session(login, snapshot).await?;
        snapshot::pin(&mut connection).await?;
        let tables = tables(&mut connection, &work, &seen).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(tables)
    });
    let ((objects, large_objects, tables), others) = futures::try_join!(first, futures::future::try_join_all(others))?;
    (found.objects, found.large_objects) = (objects, large_objects);
    found.tables.extend(tables);
    found.tables.extend(others.into_iter().flatten());
    found.seconds = (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    Ok(found)
}

async fn objects(connection: &mut PgConnection) -> Result<BTreeMap<String, BTreeMap<String, String>>, sqlx::Error> {
    let digests: Vec<(String, String, String)> =
        sqlx::query_as(include_str!("../../../sql/target/fingerprint_schema.sql")).fetch_all(connection).await?;
    let mut objects: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (object, aspect, digest) in digests {
        objects.entry(object).or_default().insert(aspect, digest);
    }
    Ok(objects)
}

async fn tables(
    connection: &mut PgConnection,
    work: &Mutex<VecDeque<String>>,
    seen: &impl Fn(&str),
) -> Result<Vec<(String, Rows)>, sqlx::Error> {
    let mut found = Vec::new();
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(name) = next else { return Ok(found) };
        // The server has quoted the name; `r.*` is the row even where a column is called like the table.
        let statement = format!(
            "select count(*) as rows, \
             coalesce(sum(pg_catalog.hashtextextended((r.*)::text collate \"C\", 0)), 0)::text as sum \
             from only {name} as r"
        );
        let rows = sqlx::query_as(AssertSqlSafe(statement)).fetch_one(&mut *connection).await?;
        seen(&name);
        found.push((name, rows));
    }
}

/// The last value of every sequence, as it is now.
pub(super) async fn sequences(login: &Login) -> Result<BTreeMap<String, Option<i64>>, sqlx::Error> {
    let mut connection = session(login, None).await?;
    let rows: Vec<(String, Option<i64>, i64)> =
        sqlx::query_as(include_str!("../../../sql/target/fingerprint_sequences.sql"))
            .fetch_all(&mut connection)
            .await?;
    connection.close().await?;
    Ok(rows.into_iter().map(|(name, last, _)| (name, last)).collect())
}

/// Puts two looks at the sequences together; one that came or went in between is left out.
pub(super) fn between(
    first: &BTreeMap<String, Option<i64>>,
    last: &BTreeMap<String, Option<i64>>,
) -> BTreeMap<String, Between> {
    let both = first.iter().filter_map(|(name, first)| Some((name.clone(), *first, *last.get(name)?)));
    both.map(|(name, first, last)| (name, Between { first, last })).collect()
}
