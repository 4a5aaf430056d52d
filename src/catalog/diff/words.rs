//! A diff in words: short for the log, a line for each entry and key for the prompt.

use std::fmt::{self, Display, Write};

use serde_json::Value;

use super::{Change, Diff, How, Key, Noun};

/// How many names of a sort a log line has.
const NAMED: usize = 5;
/// How many characters of a value are shown.
const SHOWN: usize = 60;

impl Noun {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Job => "job",
            Self::Dataset => "data set",
            Self::Window => "window",
            Self::File => "file",
        }
    }
}

impl How {
    fn word(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed { .. } => "changed",
        }
    }
}

impl Diff {
    /// `1 schedule added (nightly), 2 jobs changed (a: timeout, b: sql.target)`: names and keys, never a value.
    pub fn short(&self) -> String {
        let mut groups: Vec<(Noun, &'static str, Vec<&Change>)> = Vec::new();
        for change in &self.0 {
            let word = change.how.word();
            match groups.iter_mut().find(|(what, how, _)| (*what, *how) == (change.what, word)) {
                Some((.., group)) => group.push(change),
                None => groups.push((change.what, word, vec![change])),
            }
        }
        if groups.is_empty() {
            return "no entry changes, only comments, spacing or where entries stand".to_owned();
        }
        let said = groups.iter().map(|(what, how, group)| {
            let plural = if group.len() == 1 { "" } else { "s" };
            let names: Vec<String> = group.iter().take(NAMED).map(|change| brief(change)).collect();
            let more = group.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            format!("{} {}{plural} {how} ({}{more})", group.len(), what.word(), names.join(", "))
        });
        said.collect::<Vec<_>>().join(", ")
    }
}

fn brief(change: &Change) -> String {
    match &change.how {
        How::Changed { keys } => {
            let names: Vec<&str> = keys.iter().take(NAMED).map(|key| key.key.as_str()).collect();
            let more = if keys.len() > NAMED { " …" } else { "" };
            format!("{}: {}{more}", change.name, names.join(" "))
        }
        _ => change.name.clone(),
    }
}

/// A line for each entry, and one for each key under it.
impl Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.0 {
            let (sign, keys) = match &change.how {
                How::Added => ('+', &[][..]),
                How::Removed => ('-', &[][..]),
                How::Changed { keys } => ('~', keys.as_slice()),
            };
            writeln!(f, "{sign} {} {}", change.what.word(), change.name)?;
            for Key { key, from, to } in keys {
                match (from, to) {
                    (None, Some(to)) => writeln!(f, "    {key} = {}", shown(to))?,
                    (Some(from), None) => writeln!(f, "    {key} is gone, was {}", shown(from))?,
                    (from, to) => {
                        let value = |value: &Option<Value>| value.as_ref().map(shown).unwrap_or_default();
                        writeln!(f, "    {key} = {}, was {}", value(to), value(from))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A value on one line, not too long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut short = String::new();
    for c in text.chars().take(SHOWN) {
        short.push(c);
    }
    if short.len() < text.len() {
        let _ = write!(short, "…");
    }
    short
}
