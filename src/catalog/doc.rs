//! One file on its way into the catalog: its TOML with the place of every key and value, and a list for what is wrong.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, ValueDeserializer},
};

use super::{Problem, problem::Severity};

/// A value with its place.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;
/// A key with its place.
pub(super) type Key<'i> = Spanned<DeString<'i>>;

/// A file being read.
pub(super) struct Doc<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Doc<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new() }
    }

    /// Its top table. `None` when it is no TOML: what recovery guesses would only raise false alarms.
    pub(super) fn parse(&mut self) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(self.text.len()..self.text.len());
            self.error(span, error.message().to_owned(), None);
        }
        errors.is_empty().then(|| table.into_inner())
    }

    pub(super) fn error(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(Problem::at(self.file, self.text, span, message, help));
    }

    pub(super) fn warning(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.error(span, message, help);
        if let Some(last) = self.problems.last_mut() {
            last.severity = Severity::Warning;
        }
    }

    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Whether there is an error so far.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// A value as a `T`; what does not fit is a problem at its place.
    pub(super) fn read<T: DeserializeOwned>(&mut self, node: &Node<'_>) -> Option<T> {
        match T::deserialize(ValueDeserializer::from(node.clone())) {
            Ok(value) => Some(value),
            Err(error) => {
                let said = Said::new(error.message());
                self.error(error.span().unwrap_or(node.span()), said.message, said.help);
                None
            }
        }
    }

    /// A whole table as a `T`. Serde stops at the first error; the entry that it stopped at is set aside and the rest
    /// is read again, so that people see all of them at once. The flag says whether nothing was set aside.
    pub(super) fn whole_table<'i, T>(
        &mut self,
        name: &str,
        at: Range<usize>,
        header: Range<usize>,
        table: &DeTable<'i>,
        read: impl Fn(ValueDeserializer<'i>) -> Result<T, toml::de::Error>,
    ) -> (Option<T>, bool) {
        let mut rest = table.clone();
        let mut aside: Vec<String> = Vec::new();
        loop {
            let node = Node::new(header.clone(), DeValue::Table(rest.clone()));
            let error = match read(ValueDeserializer::from(node)) {
                Ok(value) => return (Some(value), aside.is_empty()),
                Err(error) => error,
            };
            let said = Said::new(error.message());
            let span = error.span().filter(|span| *span != header);
            match (said.missing, span.as_ref().and_then(|span| entry_at(&rest, span))) {
                (Some(missing), None) => {
                    if !aside.contains(&missing) {
                        self.error(at, format!("{name} needs `{missing}`"), said.help);
                    }
                    return (None, false);
                }
                (_, Some(entry)) => {
                    self.error(span.unwrap_or_else(|| at.clone()), said.message, said.help);
                    rest.remove(entry.as_str());
                    aside.push(entry);
                }
                (None, None) => {
                    self.error(at, format!("{name}: {}", said.message), said.help);
                    return (None, false);
                }
            }
        }
    }

    /// A value as a table.
    pub(super) fn table<'n, 'i>(&mut self, node: &'n Node<'i>, example: &str) -> Option<&'n DeTable<'i>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            let found = node.get_ref().type_str();
            self.error(node.span(), format!("must be a table, not a {found}"), Some(format!("write {example}")));
        }
        table
    }

    /// Says that a key is not one of `known`.
    pub(super) fn unknown(&mut self, key: &Key<'_>, of: &str, known: &[&str]) {
        let name = key.get_ref();
        let help =
            suggest(name, known.iter().copied()).unwrap_or_else(|| format!("its keys are: {}", known.join(", ")));
        self.error(key.span(), format!("`{name}` is not a key of {of}"), Some(help));
    }
}

/// The entry that a span lies in.
fn entry_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let within = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    fn parts<'n, 'i>(node: &'n Node<'i>) -> Vec<&'n DeTable<'i>> {
        match node.get_ref() {
            DeValue::Table(inner) => vec![inner],
            DeValue::Array(items) => items.iter().flat_map(parts).collect(),
            _ => Vec::new(),
        }
    }
    // A table's own span is its header's alone, so what lies under the header is looked at too.
    let nested = |node: &Node<'_>| parts(node).iter().any(|inner| entry_at(inner, span).is_some());
    table
        .iter()
        .find(|(key, node)| within(key.span()) || within(node.span()) || nested(node))
        .map(|(key, _)| key.get_ref().to_string())
}

/// Where the value of a dotted key is.
pub(super) fn place(table: &DeTable<'_>, dotted: &str) -> Option<Range<usize>> {
    if let Some(node) = table.get(dotted) {
        return Some(node.span());
    }
    let (first, rest) = dotted.split_once('.')?;
    let node = table.get(first)?;
    node.get_ref().as_table().and_then(|inner| place(inner, rest)).or(Some(node.span()))
}

/// `did you mean …?`, where one of `known` is near.
pub(super) fn suggest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&known.to_lowercase(), &lower), known))
        .filter(|(score, _)| *score > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| format!("did you mean `{known}`?"))
}

/// `did you mean …?`, else what there is.
pub(super) fn suggest_or_list<'k>(name: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    suggest(name, known.clone()).unwrap_or_else(|| {
        let all: Vec<_> = known.into_iter().collect();
        if all.is_empty() { "there is none".to_owned() } else { format!("there are: {}", all.join(", ")) }
    })
}

/// What serde says, in our words.
pub(super) struct Said {
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// The key that is missing, if that is what it says.
    pub(super) missing: Option<String>,
}

impl Said {
    pub(super) fn new(said: &str) -> Self {
        let first = said.lines().next().unwrap_or_default();
        let quoted: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
        let (mut message, mut help, mut missing) = (said.to_owned(), None, None);
        match (quoted.first(), quoted.get(1..)) {
            (Some(name), Some(known)) if first.starts_with("unknown field") => {
                message = format!("`{name}` is not a key here");
                help = Some(if known.is_empty() {
                    "leave it out".to_owned()
                } else {
                    suggest(name, known.iter().copied())
                        .unwrap_or_else(|| format!("the keys are: {}", known.join(", ")))
                });
            }
            (Some(name), Some(known)) if first.starts_with("unknown variant") => {
                message = format!("`{name}` is not one of the words that it can be");
                help = Some(
                    suggest(name, known.iter().copied())
                        .unwrap_or_else(|| format!("write one of: {}", known.join(", "))),
                );
            }
            (Some(name), _) if first.starts_with("missing field") => {
                message = format!("`{name}` is missing");
                missing = Some((*name).to_owned());
            }
            _ if first.starts_with("invalid type: ") => {
                message = wrong_type(first);
            }
            _ => {}
        }
        Self { message, help, missing }
    }
}

/// `invalid type: integer `3`, expected a string` without Rust's names of types.
fn wrong_type(said: &str) -> String {
    let said = said.trim_start_matches("invalid type: ");
    let (found, expected) = said.split_once(", expected ").unwrap_or((said, "something else"));
    let expected = match expected {
        "i16" | "i32" | "i64" => "a whole number",
        "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        "f64" => "a number",
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        other => other,
    };
    let words =
        [("floating point ", "the number "), ("integer ", "the number "), ("string ", "the text "), ("boolean ", "")];
    let found = words
        .iter()
        .find_map(|(theirs, ours)| found.strip_prefix(theirs).map(|value| format!("{ours}{value}")))
        .unwrap_or_else(|| match found {
            "sequence" => "a list".to_owned(),
            "map" => "a table".to_owned(),
            other => other.to_owned(),
        });
    format!("must be {expected}, not {found}")
}

/// A TOML value as JSON; dates become texts.
pub(super) fn json(node: &DeValue<'_>) -> Value {
    match node {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(table_json(table)),
    }
}

/// A TOML table as a JSON object.
pub(super) fn table_json(table: &DeTable<'_>) -> serde_json::Map<String, Value> {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
}
