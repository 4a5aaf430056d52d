//! Walks the merged settings, noting every problem instead of stopping at the first.
//!
//! The `config` crate merges file and environment; it does not keep lines and stops at one error, so the walk over
//! its values is our own, and lines come from a second look at the file.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    str::FromStr,
};

use config::{Config, Environment, File, FileFormat, Source, Value, ValueKind};
use toml::de::DeTable;

use super::{Settings, SettingsError, SettingsProblem, USUAL_PLACES, shape};
use crate::secret::{Kept, Secret};

/// Whether secrets are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Open,
    Closed,
}

/// Which file is read.
pub(super) fn find(path: Option<&Path>, env: &HashMap<String, String>) -> Option<PathBuf> {
    let said =
        path.map(Path::to_owned).or_else(|| env.get("SEXTON_CONFIG").filter(|p| !p.is_empty()).map(PathBuf::from));
    said.or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|place| place.exists()))
}

/// Reads file and environment.
pub(super) fn load(
    path: Option<&Path>,
    env: &HashMap<String, String>,
    secrets: Secrets,
) -> Result<Settings, SettingsError> {
    let path = find(path, env);
    let whole = |message: String, help: Option<String>| SettingsError {
        problems: vec![SettingsProblem {
            place: path.as_ref().map_or("settings".to_owned(), |p| p.display().to_string()),
            line: None,
            key: String::new(),
            message,
            help,
        }],
    };
    let text = match &path {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            whole(
                format!("cannot be read: {error}"),
                Some("name the settings file with --config or SEXTON_CONFIG".into()),
            )
        })?,
    };
    let (document, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        let problems = errors.iter().map(|error| SettingsProblem {
            line: error.span().map(|span| line_of(&text, span.start)),
            ..whole(format!("is no TOML: {}", error.message()), None).problems.remove(0)
        });
        return Err(SettingsError { problems: problems.collect() });
    }
    let merged = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(Environment::with_prefix("SEXTON").prefix_separator("_").separator("__").source(Some(ours(env))))
        .build()
        .and_then(|config| config.collect())
        .map_err(|error| whole(error.to_string(), None))?;

    let mut reader = Reader {
        place: path.as_ref().map_or("settings".to_owned(), |p| p.display().to_string()),
        // Whole, since children work in folders of their own.
        folder: path
            .as_deref()
            .and_then(|path| std::path::absolute(path).ok()?.parent().map(Path::to_owned))
            .unwrap_or_default(),
        credentials: env.get("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        document: document.get_ref(),
        text: &text,
        secrets,
        problems: Vec::new(),
    };
    let root = Table { path: String::new(), entries: merged.into_iter().collect(), known: Vec::new(), written: true };
    let settings = shape::settings(&mut reader, root, path.clone());
    reader.problems.sort_by_key(|problem| problem.line);
    if reader.problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems: reader.problems }) }
}

/// The variables that are settings. Others with our prefix (`SEXTON_CONFIG`, `SEXTON_PG_BIN`, …) are for other things.
fn ours(env: &HashMap<String, String>) -> HashMap<String, String> {
    let setting = |key: &str| key.starts_with("SEXTON_") && (key.contains("__") || key == "SEXTON_INSTANCE");
    env.iter().filter(|(key, _)| setting(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

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

    /// A secret: inline, in the file that `file_key` names, or in the credentials folder.
    pub(super) fn secret(&mut self, table: &mut Table, name: &'static str, file_key: &'static str) -> Option<Secret> {
        self.kept(table, name, file_key).map(|kept| kept.secret)
    }

    /// The same, with the file to read it from again.
    pub(super) fn kept(&mut self, table: &mut Table, name: &'static str, file_key: &'static str) -> Option<Kept> {
        let inline = table.has(name).then(|| self.text(table, name));
        table.known.push(name);
        let file = table.has(file_key).then(|| self.path(table, file_key));
        table.known.push(file_key);
        match (inline, file) {
            (Some(_), Some(_)) => {
                let message = format!("`{name}` and `{file_key}` are both set");
                self.problem(table, "", message, "keep one of them");
                None
            }
            (Some(inline), None) => inline.map(Secret::new).map(Kept::inline),
            (None, Some(file)) => file.and_then(|file| self.open(&file, table.key(file_key))),
            (None, None) => {
                let file = self.credentials.as_ref()?.join(table.key(name));
                if file.is_file() { self.open(&file, table.key(name)) } else { None }
            }
        }
    }

    /// A secret that must be there.
    pub(super) fn needed_secret(&mut self, table: &mut Table, name: &'static str, file_key: &'static str) -> Secret {
        self.needed_kept(table, name, file_key).secret
    }

    /// The same, with the file to read it from again.
    pub(super) fn needed_kept(&mut self, table: &mut Table, name: &'static str, file_key: &'static str) -> Kept {
        let before = self.problems.len();
        let secret = self.kept(table, name, file_key);
        if secret.is_none() && before == self.problems.len() {
            // Without secrets there may be no credentials folder either; the daemon's start will tell.
            if self.secrets == Secrets::Open {
                let help = format!(
                    "set `{name}`, or `{file_key}` to a file that holds it, or put it into $CREDENTIALS_DIRECTORY/{}",
                    table.key(name)
                );
                self.problem(table, "", format!("`{name}` is missing"), help);
            }
        }
        secret.unwrap_or_else(|| Kept::inline(Secret::new("")))
    }

    fn open(&mut self, file: &Path, key: String) -> Option<Kept> {
        if self.secrets == Secrets::Closed {
            return Some(Kept::inline(Secret::new("")));
        }
        let problem = match std::fs::read_to_string(file) {
            Ok(text) => match Kept::read(&text) {
                Some(secret) => return Some(Kept { secret, file: Some(file.to_owned()) }),
                None => format!("{} is empty", file.display()),
            },
            Err(error) => format!("{} cannot be read: {error}", file.display()),
        };
        let help = "write the secret into that file and let the daemon's user read it";
        self.note(key, None, problem, Some(help.into()));
        None
    }
}
