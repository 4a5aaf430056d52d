//! Walks the merged settings, noting every problem instead of stopping at the first.

mod load;
mod secrets;

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use config::{Value, ValueKind};
use toml::de::DeTable;

use super::SettingsProblem;

pub(super) use load::{find, load};
pub(super) use secrets::Secrets;

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// What the walk needs to know and what it has found.
pub(super) struct Reader<'a> {
    place: String,
    folder: PathBuf,
    credentials: Option<PathBuf>,
    document: &'a DeTable<'a>,
    text: &'a str,
    secrets: Secrets,
    problems: Vec<SettingsProblem>,
}

/// A table on the way: what has not been read from it yet.
pub(super) struct Table {
    path: String,
    entries: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    /// Whether anybody wrote it.
    pub(super) written: bool,
}

impl Table {
    /// The full name of one of its keys.
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.entries.remove(name).filter(|value| value.kind != ValueKind::Nil)
    }

    /// Whether it has this key; does not read it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Its last name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

impl Reader<'_> {
    /// Notes a problem with `key` of `table` (the table itself when empty).
    pub(super) fn problem(&mut self, table: &Table, key: &str, message: impl Into<String>, help: impl Into<String>) {
        let key = if key.is_empty() { table.path.clone() } else { table.key(key) };
        self.note(key, None, message.into(), Some(help.into()));
    }

    /// Notes a problem with a key by its full name; `origin` is set when a variable said it.
    pub(super) fn note(&mut self, key: String, origin: Option<&str>, message: String, help: Option<String>) {
        let (place, line) = match origin {
            Some(_) => (format!("SEXTON_{}", key.to_uppercase().replace('.', "__")), None),
            None => (self.place.clone(), self.line(&key)),
        };
        self.problems.push(SettingsProblem { place, line, key, message, help });
    }

    /// The line of a key in the file: of its nearest ancestor that is there.
    fn line(&self, key: &str) -> Option<usize> {
        let mut table = self.document;
        let mut at = None;
        for part in key.split('.') {
            let Some((name, value)) = table.get_key_value(part) else { break };
            at = Some(name.span().start);
            let Some(inner) = value.get_ref().as_table() else { break };
            table = inner;
        }
        at.map(|at| line_of(self.text, at))
    }

    /// A table; an absent one is empty and not `written`.
    pub(super) fn table(&mut self, parent: &mut Table, name: &'static str) -> Table {
        let value = parent.take(name);
        let path = parent.key(name);
        self.as_table(path, value)
    }

    fn as_table(&mut self, path: String, value: Option<Value>) -> Table {
        let written = value.is_some();
        let entries = match value.map(|value| (value.origin().map(str::to_owned), value.into_table())) {
            None => BTreeMap::new(),
            Some((_, Ok(entries))) => entries.into_iter().collect(),
            Some((origin, Err(_))) => {
                self.note(path.clone(), origin.as_deref(), "must be a table".into(), Some(format!("write [{path}]")));
                BTreeMap::new()
            }
        };
        Table { path, entries, known: Vec::new(), written }
    }

    /// The tables in a table whose keys are names, such as `[targets.NAME]`.
    pub(super) fn tables(&mut self, parent: &mut Table, name: &'static str) -> Vec<Table> {
        let table = self.table(parent, name);
        let path = table.path;
        table.entries.into_iter().map(|(key, value)| self.as_table(format!("{path}.{key}"), Some(value))).collect()
    }

    /// Says of every key that was not read that it is unknown.
    pub(super) fn end(&mut self, table: Table) {
        for (name, value) in &table.entries {
            let near = table
                .known
                .iter()
                .map(|known| (strsim::normalized_damerau_levenshtein(known, name), known))
                .filter(|(score, _)| *score > 0.6)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let help = match near {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("its keys are: {}", table.known.join(", ")),
            };
            self.note(table.key(name), value.origin(), "is not a setting".into(), Some(help));
        }
    }

    /// A text.
    pub(super) fn text(&mut self, table: &mut Table, name: &'static str) -> Option<String> {
        let value = table.take(name)?;
        let origin = value.origin().map(str::to_owned);
        match value.kind {
            ValueKind::String(text) if !text.trim().is_empty() => Some(text),
            ValueKind::String(_) => {
                self.note(
                    table.key(name),
                    origin.as_deref(),
                    "is empty".into(),
                    Some("write a text or leave it out".into()),
                );
                None
            }
            _ => {
                let help = format!("write {name} = \"…\"");
                self.note(table.key(name), origin.as_deref(), "must be a text".into(), Some(help));
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, table: &mut Table, name: &'static str, example: &str) -> String {
        if !table.has(name) {
            table.known.push(name);
            self.problem(table, "", format!("`{name}` is missing"), format!("write {name} = \"{example}\""));
            return String::new();
        }
        self.text(table, name).unwrap_or_default()
    }

    /// A text that parses into `T`, whose error says what to write.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        table: &mut Table,
        name: &'static str,
    ) -> Option<T> {
        let origin = table.entries.get(name).and_then(Value::origin).map(str::to_owned);
        let text = self.text(table, name)?;
        text.parse()
            .map_err(|error: T::Err| self.note(table.key(name), origin.as_deref(), error.to_string(), None))
            .ok()
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, table: &mut Table, name: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = table.take(name)?;
        let origin = value.origin().map(str::to_owned);
        match value.into_int() {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let message = format!("must be a whole number from {least} to {most}");
                self.note(table.key(name), origin.as_deref(), message, None);
                None
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&mut self, table: &mut Table, name: &'static str) -> Option<bool> {
        let value = table.take(name)?;
        let origin = value.origin().map(str::to_owned);
        value
            .into_bool()
            .map_err(|_| self.note(table.key(name), origin.as_deref(), "must be true or false".into(), None))
            .ok()
    }

    /// A list of texts; from the environment, one text with commas.
    pub(super) fn list(&mut self, table: &mut Table, name: &'static str) -> Option<Vec<String>> {
        let value = table.take(name)?;
        let origin = value.origin().map(str::to_owned);
        let list = match value.kind {
            ValueKind::String(text) if origin.is_some() => {
                Some(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
            }
            ValueKind::Array(values) => values
                .into_iter()
                .map(|value| match value.kind {
                    ValueKind::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if list.is_none() {
            let help = format!("write {name} = [\"…\"]");
            self.note(table.key(name), origin.as_deref(), "must be a list of texts".into(), Some(help));
        }
        list
    }

    /// A path; a relative one starts at the settings file's folder.
    pub(super) fn path(&mut self, table: &mut Table, name: &'static str) -> Option<PathBuf> {
        self.text(table, name).map(|path| self.folder.join(path))
    }

    /// A path with a default.
    pub(super) fn path_or(&mut self, table: &mut Table, name: &'static str, default: &str) -> PathBuf {
        self.path(table, name).unwrap_or_else(|| self.folder.join(default))
    }
}
