//! The forms of checks, as ops write them. A table that is left out is the data set's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::span::Span;

/// A check's form.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// See [`Reference`].
    Reference(&'a Reference),
    /// See [`Unique`].
    Unique(&'a Unique),
    /// See [`NotNull`].
    NotNull(&'a NotNull),
    /// See [`Accepted`].
    Accepted(&'a Accepted),
    /// See [`Range`].
    Range(&'a Range),
    /// See [`Freshness`].
    Freshness(&'a Freshness),
    /// See [`Volume`].
    Volume(&'a Volume),
    /// See [`ArchiveConsistency`].
    ArchiveConsistency(&'a ArchiveConsistency),
    /// A query that returns the bad rows.
    Sql(&'a str),
}

/// `reference = { from = "public.retry_attempts", along = ["exception_id"] }`: a row that refers to nothing is bad; one
/// whose columns are not all there refers to nothing by intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The table whose rows refer.
    pub from: String,
    /// Its columns.
    pub along: Vec<String>,
    /// The table that is referred to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Its columns; its primary key (for the data set's table its `key`), if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Which rows of `from` are looked at: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// `unique = { columns = ["transaction_id"] }`: values that more than one row has are bad; as in PostgreSQL, rows
/// without a value never clash. What is counted is the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The columns, taken together.
    pub columns: Vec<String>,
    /// Which rows are looked at: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// `not_null = { columns = ["timestamp"] }`: a row that lacks one of the columns is bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotNull {
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The columns.
    pub columns: Vec<String>,
    /// Whether a text of nothing but spaces counts as missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blank: bool,
    /// Which rows are looked at: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// `accepted = { column = "status", values = "status" }`: another value is bad; none at all is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The column.
    pub column: String,
    /// The values; what the catalog says (CHECK constraints of the column alone, its enum type), if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    /// Which rows are looked at: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// Where accepted values are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list of values, or the name of one in the data set's [values]")]
pub enum Values {
    /// In the data set's `[values]`, under this name.
    Named(String),
    /// Here.
    These(Vec<String>),
}

/// `range = { columns = ["timestamp"], max = "now" }`: a value outside is bad; none at all is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The columns, each for itself.
    pub columns: Vec<String>,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Bound>,
    /// The largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Bound>,
    /// Which rows are looked at: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// A bound: a number, a text that the column's type reads (`"2020-01-01"`), or `"now"`, `"now - 1d"`, `"now + 5m"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number, a time such as \"2020-01-01\", or \"now\", \"now - 1d\"")]
pub enum Bound {
    /// A number.
    Number(Number),
    /// Anything else.
    Text(String),
}

/// `freshness = { column = "processed_at", within = "1d" }`: bad when the newest value is older, or there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The column.
    pub column: String,
    /// How old the newest value may be.
    pub within: Span,
    /// Which rows are looked at: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// `volume = { min = 1, max = 1_000_000 }`: bad when there are fewer rows, or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The least count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The largest count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Which rows are counted: an SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// `archive_consistency = { find = "rows in both" }`: what main and archive disagree on. Skipped while there is no
/// archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveConsistency {
    /// What is looked for.
    pub find: Fault,
    /// Only this child table; every one, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
    /// For `"wrong counts"`: the parent's column that says how many rows `child` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// For `"too young"`: how old a row must be to be archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Span>,
}

/// What main and archive can disagree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Fault {
    /// A key that a main table and its archive both have; of the parent and of each child.
    #[serde(rename = "rows in both")]
    RowsInBoth,
    /// A name (`known_by`) that the parent table and its archive both have.
    #[serde(rename = "names in both")]
    NamesInBoth,
    /// An archived child whose parent is not archived.
    #[serde(rename = "orphans")]
    Orphans,
    /// A child in main whose parent is in the archive.
    #[serde(rename = "left behind")]
    LeftBehind,
    /// An archived parent whose count differs from its archived children.
    #[serde(rename = "wrong counts")]
    WrongCounts,
    /// A row that was archived before its age.
    #[serde(rename = "too young")]
    TooYoung,
    /// A column that the archive lacks or has with another type.
    #[serde(rename = "columns")]
    Columns,
}
