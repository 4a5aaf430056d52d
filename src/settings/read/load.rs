//! File and environment, merged.
//!
//! The `config` crate merges them; it does not keep lines and stops at one error, so the walk over its values is our own
//! ([`Reader`]), and lines come from a second look at the file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use config::{Config, Environment, File, FileFormat, Source};
use toml::de::DeTable;

use super::{Reader, Secrets, Table, line_of};
use crate::settings::{Settings, SettingsError, SettingsProblem, USUAL_PLACES, shape};

/// Which file is read.
pub(in crate::settings) fn find(path: Option<&Path>, env: &HashMap<String, String>) -> Option<PathBuf> {
    let said =
        path.map(Path::to_owned).or_else(|| env.get("SEXTON_CONFIG").filter(|p| !p.is_empty()).map(PathBuf::from));
    said.or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|place| place.exists()))
}

/// Reads file and environment.
pub(in crate::settings) fn load(
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
