//! Names as SQL: the one place where a name becomes part of a statement.
//!
//! A table's name reaches a statement only as the catalog spells it, found with parameters; whatever a name
//! contains, it stays a name.

use std::fmt;

use sqlx::{PgConnection, postgres::types::Oid};

use super::error::{Error, nearest};

/// A table that exists (or is about to), spelled as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl Table {
    /// For a statement.
    pub fn sql(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }
}

impl fmt::Display for Table {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A name, quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names, quoted, with `of.` before each, separated by commas.
pub(super) fn idents<'a>(of: &str, names: impl IntoIterator<Item = &'a String>) -> String {
    let of = if of.is_empty() { String::new() } else { format!("{of}.") };
    names.into_iter().map(|name| format!("{of}{}", ident(name))).collect::<Vec<_>>().join(", ")
}

/// A condition as ops wrote it, made safe to stand between other conditions: a comment at its end stays inside.
pub(super) fn condition(text: &str) -> String {
    format!("({}\n)", text.trim())
}

#[derive(sqlx::FromRow)]
struct Found {
    oid: Oid,
    schema: String,
    name: String,
    kind: String,
}

/// Finds a table by the name that a definition spells: up to the first dot the schema, then the name.
pub(super) async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<(Oid, Table)>, Error> {
    let (schema, plain) = match name.split_once('.') {
        Some((schema, plain)) => (Some(schema), plain),
        None => (None, name),
    };
    find_in(conn, schema, plain).await
}

/// Finds a table in a schema; without one, where the search path finds it.
pub(super) async fn find_in(
    conn: &mut PgConnection,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<(Oid, Table)>, Error> {
    let found: Option<Found> = sqlx::query_as(include_str!("../../sql/target/find_table.sql"))
        .bind(schema)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let what = match found.kind.as_str() {
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        _ => return Ok(Some((found.oid, Table { schema: found.schema, name: found.name }))),
    };
    Err(Error::NoPlainTable { name: name.to_owned(), what })
}

/// Like [`find`], where the table must exist.
pub(super) async fn must_find(conn: &mut PgConnection, name: &str) -> Result<(Oid, Table), Error> {
    if let Some(found) = find(conn, name).await? {
        return Ok(found);
    }
    let names: Vec<String> =
        sqlx::query_scalar(include_str!("../../sql/target/table_names.sql")).fetch_all(&mut *conn).await?;
    Err(Error::NoTable {
        name: name.to_owned(),
        database: database(conn).await?,
        near: nearest(name, names.iter().map(String::as_str)),
    })
}

/// The database's name.
pub(super) async fn database(conn: &mut PgConnection) -> Result<String, Error> {
    Ok(sqlx::query_scalar("select current_database()::text").fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_contains_it_stays_a_name() {
        let table = Table { schema: "public".to_owned(), name: r#"x"; drop table y; --"#.to_owned() };
        assert_eq!(table.sql(), r#""public"."x""; drop table y; --""#);
        assert_eq!(idents("t", &["a".to_owned(), "B c".to_owned()]), r#"t."a", t."B c""#);
    }

    #[test]
    fn a_comment_stays_inside_its_condition() {
        assert_eq!(condition(" a = 1 -- why "), "(a = 1 -- why\n)");
    }
}
