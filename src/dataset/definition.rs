//! What ops write about a data set: `jobs/datasets/*.toml`.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use super::check::Check;

/// A parent table, its key and age, what must stay, its children and its archive.
///
/// Predicates are SQL conditions on the parent's columns. A row for which one is unknown (null) is treated as if
/// it were critical or open: it stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The parent table, `schema.table`, spelled as the catalog has it.
    pub table: String,
    /// The columns that name a row; a unique, non-null key of the parent table.
    pub key: Vec<String>,
    /// The column that tells a row's age: `timestamptz`, `timestamp` (read as UTC) or `date`.
    pub age: String,
    /// Which rows are critical; they stay unless a job says `keep_critical = false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<String>,
    /// Which rows are still in use; they stay unless a job says `keep_open = false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// Which rows must neither move nor go, whoever asks (a legal hold); single rows are held by `sexton.hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// The column by which people name a row, when one is brought back or held; the key, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_by: Option<String>,
    /// Which rows are settled, and since when; what `select = "resolved"` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// The tables whose rows belong to a parent row and move with it.
    #[serde(default)]
    pub children: Children,
    /// Where rows go that leave the main tables.
    pub archive: ArchiveAt,
    /// Log tables of the application's own that are written for each operation, where they exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// How rows of a legacy table become rows of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate: Option<Mapping>,
    /// Sets of accepted values, by name, for checks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Vec<String>>,
    /// What must be true of its rows; jobs of kind `validate` run them by suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<Check>,
}

/// How rows of a legacy table become rows of the parent table.
///
/// The expressions see the source's columns by the parent's names and in its types, null where the source has none.
/// Columns without an expression are carried where both tables have them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The columns that a source must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The parent's columns with an SQL expression each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// Rows that the table would take, but that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refuse: Vec<Refusal>,
}

/// A sort of rows that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// An SQL condition on the parent's columns, as a row would have them.
    pub when: String,
    /// What people are told.
    pub why: String,
}

/// Which rows are settled, and the column that says since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// An SQL condition: `status in ('RESOLVED', 'CLOSED')`.
    pub when: String,
    /// The column with the time; rows without one are never taken.
    pub at: String,
}

/// Which tables move with their parent rows: `"foreign keys"` or a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Children {
    /// Every table that references it, all levels down.
    #[default]
    ForeignKeys,
    /// These (`schema.table`), each of which references the parent or another one of them.
    These(Vec<String>),
}

impl Serialize for Children {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::ForeignKeys => serializer.serialize_str("foreign keys"),
            Self::These(tables) => tables.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Children {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, because serde's untagged enums do not say what they expected.
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Children;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"foreign keys\" or a list of tables")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Children, E> {
                if text == "foreign keys" {
                    return Ok(Children::ForeignKeys);
                }
                Err(E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, tables: A) -> Result<Children, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(tables)).map(Children::These)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Children {
    fn schema_name() -> Cow<'static, str> {
        "Children".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`foreign keys`: every table that references it, all levels down; or a list of tables.",
            "anyOf": [{ "const": "foreign keys" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

/// Where the archive tables are: `{ suffix = "_archive" }` or `{ schema = "archive" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ArchiveAt {
    /// Beside each table, its name with this added.
    Suffix(String),
    /// In this schema, under the same name.
    Schema(String),
}

/// Log tables of the application's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Written by archive jobs; has the columns of `data_archive_log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Written by cleanup jobs; has the columns of `data_cleanup_log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<String>,
    /// Written by migrate jobs; has the columns of `data_migration_log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    /// What the rows are called in the log's type: `EXCEPTIONS` gives `OLD_EXCEPTIONS`, `RESOLVED_EXCEPTIONS`.
    pub noun: String,
}

/// Something wrong in a definition beyond its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionProblem {
    /// The key that it is about.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Definition {
    /// What is wrong with it that can be seen without a database.
    pub fn problems(&self) -> Vec<DefinitionProblem> {
        let mut found = Vec::new();
        let mut say = |key, message: String| found.push(DefinitionProblem { key, message });
        if self.table.trim().is_empty() {
            say("table", "no table is named; write schema.table".to_owned());
        }
        if self.key.is_empty() {
            say("key", "a row must be named by at least one column; list the primary key's".to_owned());
        }
        for (index, column) in self.key.iter().enumerate() {
            if self.key[..index].contains(column) {
                say("key", format!("`{column}` is listed twice"));
            }
        }
        if self.age.trim().is_empty() {
            say("age", "no column is named; name the one that tells how old a row is".to_owned());
        }
        let predicates =
            [("critical", self.critical.as_ref()), ("open", self.open.as_ref()), ("hold", self.hold.as_ref())];
        let resolved = ("resolved", self.resolved.as_ref().map(|resolved| &resolved.when));
        for (key, predicate) in predicates.into_iter().chain([resolved]) {
            if predicate.is_some_and(|text| text.trim().is_empty()) {
                say(key, "the condition is empty; write an SQL condition or leave the key out".to_owned());
            }
        }
        let mapping = self.migrate.iter();
        let expressions = mapping.clone().flat_map(|mapping| mapping.columns.values());
        let refusals = mapping.flat_map(|mapping| &mapping.refuse).flat_map(|refusal| [&refusal.when, &refusal.why]);
        if expressions.chain(refusals).any(|text| text.trim().is_empty()) {
            say("migrate", "an expression, condition or reason is empty; write one or leave it out".to_owned());
        }
        let (ArchiveAt::Suffix(place) | ArchiveAt::Schema(place)) = &self.archive;
        if place.trim().is_empty() {
            say("archive", "an archive table must differ from its main table; write a suffix or a schema".to_owned());
        }
        for (index, check) in self.check.iter().enumerate() {
            if self.check[..index].iter().any(|earlier| earlier.name == check.name) {
                say("check", format!("two checks are called `{}`; give each its own name", check.name));
            }
            for problem in check.problems(Some(self)) {
                say("check", problem);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        table    = "public.interface_exceptions"
        key      = ["id"]
        age      = "processed_at"
        critical = "severity = 'CRITICAL'"
        open     = "status not in ('RESOLVED', 'CLOSED')"
        resolved = { when = "status in ('RESOLVED', 'CLOSED')", at = "resolved_at" }
        children = "foreign keys"
        archive  = { suffix = "_archive" }
        log      = { archive = "public.data_archive_log", cleanup = "public.data_cleanup_log", noun = "EXCEPTIONS" }
    "#;

    #[test]
    fn a_definition_survives_the_way_into_a_run_and_back() {
        let written: Definition = toml::from_str(EXAMPLE).expect("a definition");
        assert_eq!(written.children, Children::ForeignKeys);
        assert_eq!(written.archive, ArchiveAt::Suffix("_archive".to_owned()));
        assert_eq!(written.problems(), []);
        let carried = serde_json::to_value(&written).expect("JSON");
        assert_eq!(carried["children"], "foreign keys");
        assert_eq!(serde_json::from_value::<Definition>(carried).expect("a definition"), written);
    }

    #[test]
    fn children_are_foreign_keys_or_a_list() {
        let listed = EXAMPLE.replace("\"foreign keys\"", "[\"public.retry_attempts\"]");
        let listed: Definition = toml::from_str(&listed).expect("a definition");
        assert_eq!(listed.children, Children::These(vec!["public.retry_attempts".to_owned()]));
        assert!(toml::from_str::<Definition>(&EXAMPLE.replace("\"foreign keys\"", "\"all\"")).is_err());
        let error = serde_json::from_str::<Children>("\"all\"").expect_err("no such word");
        assert!(error.to_string().contains("\"foreign keys\" or a list of tables"), "{error}");
    }

    #[test]
    fn a_misspelled_key_and_an_empty_value_are_found() {
        assert!(toml::from_str::<Definition>(&EXAMPLE.replace("critical", "critcal")).is_err());
        let empty =
            EXAMPLE.replace("[\"id\"]", "[]").replace("_archive\" }", "\" }").replace("severity = 'CRITICAL'", "");
        let keys: Vec<_> =
            toml::from_str::<Definition>(&empty).expect("a shape").problems().iter().map(|p| p.key).collect();
        assert_eq!(keys, ["key", "critical", "archive"]);
    }
}
