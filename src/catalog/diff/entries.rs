//! The entries of a set of files, each with its keys, from the texts alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::{super::doc, Noun};
use crate::catalog::{Files, job_of, stem};

/// Values by dotted key.
pub(super) type Keys = BTreeMap<String, Value>;

/// Every entry by sort and name.
pub(super) fn entries(files: &Files) -> BTreeMap<(Noun, String), Keys> {
    let mut found = BTreeMap::new();
    for (path, text) in &files.0 {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() || !path.ends_with(".toml") {
            found.insert((Noun::File, path.clone()), opaque(text));
            continue;
        }
        let mut table = doc::table_json(&table.into_inner());
        if let Some(name) = stem(path, "jobs/datasets/") {
            found.insert((Noun::Dataset, name.to_owned()), flat(table));
        } else if let Some(name) = job_of(path) {
            found.insert((Noun::Job, name.to_owned()), flat(table));
        } else {
            for (list, what) in [("at", Noun::Schedule), ("window", Noun::Window)] {
                found.extend(named(table.remove(list)).map(|(name, keys)| ((what, name), keys)));
            }
            if !table.is_empty() {
                found.insert((Noun::File, path.clone()), flat(table));
            }
        }
    }
    found
}

/// The tables of a list that have a name.
fn named(list: Option<Value>) -> impl Iterator<Item = (String, Keys)> {
    let items = match list {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    items.into_iter().filter_map(|item| {
        let Value::Object(mut table) = item else { return None };
        let Some(Value::String(name)) = table.remove("name") else { return None };
        Some((name, flat(table)))
    })
}

/// Tables in tables as dotted keys.
fn flat(table: Map<String, Value>) -> Keys {
    let mut keys = Keys::new();
    for (key, value) in table {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                keys.extend(flat(inner).into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => {
                keys.insert(key, value);
            }
        }
    }
    keys
}

/// A text without keys of its own.
fn opaque(text: &str) -> Keys {
    let digest: String = Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    BTreeMap::from([("text".to_owned(), Value::String(digest))])
}
