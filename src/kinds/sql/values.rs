//! What a parameter becomes in a statement: PostgreSQL says which type it wants, and reads the value as that.
//!
//! A value travels as text and is cast on the server, so that every type works (intervals, dates, enums, arrays)
//! and nothing is ever pasted into the statement.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Either, Executor, PgConnection, SqlSafeStr, Statement as _, postgres::types::Oid};

use super::lex::Statement;

/// The type that a place in a statement wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted(String);

impl Wanted {
    /// How the parameter is written in the statement.
    pub(super) fn cast(&self, number: usize) -> String {
        format!("(${number}::text::{})", self.0)
    }

    /// The value as PostgreSQL reads this type; `None` is NULL.
    pub(super) fn text(&self, value: &Value) -> Option<String> {
        match value {
            Value::Null => None,
            Value::String(text) if !self.is_json() => Some(text.clone()),
            Value::Array(items) if self.0.ends_with("[]") => Some(array(items)),
            other => Some(other.to_string()),
        }
    }

    fn is_json(&self) -> bool {
        matches!(self.0.as_str(), "json" | "jsonb")
    }
}

/// Asks which type each parameter of `statement` has.
pub(super) async fn types(statement: &Statement, to: &mut PgConnection) -> Result<Vec<Wanted>, sqlx::Error> {
    if statement.names.is_empty() {
        return Ok(Vec::new());
    }
    let bare = statement.text(|place| format!("${}", place + 1));
    let prepared = (&mut *to).prepare(AssertSqlSafe(bare).into_sql_str()).await?;
    let oids: Vec<Oid> = match prepared.parameters() {
        Some(Either::Left(types)) => types.iter().filter_map(sqlx::postgres::PgTypeInfo::oid).collect(),
        _ => Vec::new(),
    };
    let names: Vec<String> = sqlx::query_scalar(
        "select format_type(oid, null) from unnest($1::oid[]) with ordinality as t (oid, place) order by place",
    )
    .bind(oids)
    .fetch_all(to)
    .await?;
    let mut wanted: Vec<Wanted> = names.into_iter().map(Wanted).collect();
    // A place without a known type is text, as PostgreSQL itself has it.
    wanted.resize(statement.names.len(), Wanted("text".to_owned()));
    Ok(wanted)
}

/// A list as PostgreSQL writes arrays.
fn array(items: &[Value]) -> String {
    let item = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Array(inner) => array(inner),
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        other => format!("\"{}\"", other.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
    };
    format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_as_its_type_reads_it() {
        let text = |kind: &str, value: Value| Wanted(kind.into()).text(&value);
        assert_eq!(text("interval", json!("2 days")).as_deref(), Some("2 days"));
        assert_eq!(text("integer", json!(30)).as_deref(), Some("30"));
        assert_eq!(text("boolean", json!(true)).as_deref(), Some("true"));
        assert_eq!(text("jsonb", json!("a")).as_deref(), Some("\"a\""));
        assert_eq!(text("text[]", json!(["a\"b", null, "c\\"])).as_deref(), Some(r#"{"a\"b",null,"c\\"}"#));
        assert_eq!(text("text", Value::Null), None);
    }
}
