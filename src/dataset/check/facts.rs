//! What the target's catalog says about the tables that checks are about. Reads only, so that it works on a replica.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use super::{Check, Form, text::Cannot};
use crate::dataset::{Definition, Error};

/// The catalog's facts for a list of checks.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    tables: BTreeMap<String, Table>,
    /// What `sql/target/shape.sql` gives, where a check is about the archive.
    pub(super) shape: Option<Value>,
}

/// A table that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// For a statement.
    pub(super) sql: String,
    /// By name.
    pub(super) columns: BTreeMap<String, Column>,
    /// Its primary key; may be empty.
    pub(super) key: Vec<String>,
}

/// A column of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Column {
    /// Its type.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The values of its enum type.
    pub(super) labels: Option<Vec<String>>,
    /// CHECK constraints that look at nothing else.
    pub(super) conditions: Option<Vec<String>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    sql: String,
    columns: Json<BTreeMap<String, Column>>,
    key: Json<Vec<String>>,
}

impl Facts {
    /// Looks up everything that `checks` name.
    pub async fn read(conn: &mut PgConnection, dataset: Option<&Definition>, checks: &[&Check]) -> Result<Self, Error> {
        let mut names: Vec<&str> = dataset.iter().map(|set| set.table.as_str()).collect();
        let mut archive = false;
        for check in checks {
            for need in &check.needs {
                names.push(need);
                // It may be a column's.
                names.extend(need.rsplit_once('.').map(|(table, _)| table));
            }
            names.extend(check.of.as_deref());
            match check.form() {
                Some(Form::Reference(one)) => {
                    names.push(&one.from);
                    names.extend(one.to.as_deref());
                }
                Some(Form::Unique(one)) => names.extend(one.table.as_deref()),
                Some(Form::NotNull(one)) => names.extend(one.table.as_deref()),
                Some(Form::Accepted(one)) => names.extend(one.table.as_deref()),
                Some(Form::Range(one)) => names.extend(one.table.as_deref()),
                Some(Form::Freshness(one)) => names.extend(one.table.as_deref()),
                Some(Form::Volume(one)) => names.extend(one.table.as_deref()),
                Some(Form::ArchiveConsistency(_)) => archive = true,
                Some(Form::Sql(_)) | None => {}
            }
        }
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../../sql/target/check_tables.sql"))
            .bind(names)
            .fetch_all(&mut *conn)
            .await?;
        let tables = rows
            .into_iter()
            .map(|row| (row.name, Table { sql: row.sql, columns: row.columns.0, key: row.key.0 }))
            .collect();
        let shape = match dataset.filter(|_| archive) {
            None => None,
            Some(set) => {
                let shape: Json<Value> = sqlx::query_scalar(include_str!("../../../sql/target/shape.sql"))
                    .bind(Json(set))
                    .fetch_one(conn)
                    .await?;
                Some(shape.0)
            }
        };
        Ok(Self { tables, shape })
    }

    /// A table that must be there, else the check is skipped.
    pub(super) fn table(&self, name: &str) -> Result<&Table, Cannot> {
        self.tables.get(name).ok_or_else(|| Cannot::Missing(name.to_owned()))
    }

    /// Whether a check's `needs` are met.
    pub(super) fn has(&self, need: &str) -> bool {
        let column = |(table, column): (&str, &str)| {
            self.tables.get(table).is_some_and(|table| table.columns.contains_key(column))
        };
        self.tables.contains_key(need) || need.rsplit_once('.').is_some_and(column)
    }
}

impl Table {
    /// A column that must be there, else the check cannot be run.
    pub(super) fn column(&self, name: &str) -> Result<&Column, Cannot> {
        self.columns.get(name).ok_or_else(|| {
            let near: Vec<&str> = self.columns.keys().map(String::as_str).collect();
            Cannot::Wrong {
                why: format!("{} has no column `{name}`", self.sql),
                help: format!(
                    "correct the name, or add \"schema.table.{name}\" to the check's `needs` to skip it where there is no \
                     such column; there are: {}",
                    near.join(", ")
                ),
            }
        })
    }
}
