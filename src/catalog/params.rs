//! What a trigger may set: the `[params]` of a job, and whether a value fits.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::doc::{self, Doc, Node};
use crate::span::Span;

/// One parameter of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Param {
    /// What sort of value it takes.
    #[serde(rename = "type")]
    pub sort: Sort,
    /// Its value when nobody sets it; without one, each trigger must set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// The only values there are; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    /// Who may set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// What sort of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A text.
    Text,
    /// A length of time: `90s`, `365d`.
    Duration,
    /// A list of texts; one text stands for a list too, its items separated by commas.
    Strings,
}

/// Who may set a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who may look.
    Viewer,
    /// Who may trigger.
    Operator,
    /// Who may do everything.
    Admin,
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Duration => "a length of time such as `90s`, `15m` or `365d`",
            Self::Strings => "a list of texts",
        })
    }
}

impl Param {
    /// The value as this parameter keeps it, or what is wrong with it. A text such as `false` or `12` stands for the
    /// value itself, because a command line has only texts.
    pub fn accept(&self, value: &Value) -> Result<Value, String> {
        let value = self.sort.accept(value).ok_or_else(|| format!("must be {}, not {value}", self.sort))?;
        for (bound, wrong, word) in [(&self.min, Ordering::Less, "at least"), (&self.max, Ordering::Greater, "at most")]
        {
            if let Some(bound) = bound
                && order(&value, bound) == Some(wrong)
            {
                return Err(format!("must be {word} {}, not {}", plain(bound), plain(&value)));
            }
        }
        // Each item of a list is one of them.
        let fits = |value: &Value| match value {
            Value::Array(items) => items.iter().all(|item| self.one_of.contains(item)),
            one => self.one_of.contains(one),
        };
        if !self.one_of.is_empty() && !fits(&value) {
            let all: Vec<_> = self.one_of.iter().map(plain).collect();
            return Err(format!("must be one of {}, not {}", all.join(", "), plain(&value)));
        }
        Ok(value)
    }
}

impl Sort {
    fn accept(self, value: &Value) -> Option<Value> {
        let text = value.as_str();
        match self {
            Self::Boolean => value.as_bool().or_else(|| text?.parse().ok()).map(Value::Bool),
            Self::Integer => value.as_i64().or_else(|| text?.parse().ok()).map(Value::from),
            Self::Number => value.as_f64().or_else(|| text?.parse().ok()).filter(|n| n.is_finite()).map(Value::from),
            Self::Text => text.map(Value::from),
            Self::Duration => text?.parse::<Span>().ok().map(|span| Value::String(span.to_string())),
            Self::Strings => strings(value),
        }
    }
}

/// A list of texts, from one or from texts between commas. A command line reads `12` as a number, so numbers are taken
/// by their digits.
fn strings(value: &Value) -> Option<Value> {
    match value {
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(Value::from)).collect::<Option<_>>().map(Value::Array)
        }
        Value::String(text) => {
            Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
        }
        Value::Number(number) => Some(Value::Array(vec![Value::String(number.to_string())])),
        _ => None,
    }
}

/// Compares two values of one sort.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => Some(a.parse::<Span>().ok()?.cmp(&b.parse::<Span>().ok()?)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A declared parameter on its way: with what the kind's table gets while it is inspected.
pub(super) struct Declared<'i> {
    pub(super) param: Param,
    pub(super) key: doc::Key<'i>,
    pub(super) sample: Node<'i>,
}

pub(super) const KEYS: [&str; 7] = ["type", "default", "min", "max", "one_of", "role", "about"];
const SHAPE: &str = "{ type = \"boolean\", default = true }";

/// Reads `[params]`.
pub(super) fn read<'i>(doc: &mut Doc<'i>, node: &Node<'i>) -> BTreeMap<String, Declared<'i>> {
    let mut all = BTreeMap::new();
    let Some(table) = doc.table(node, &format!("[params] with lines such as dry_run = {SHAPE}")) else { return all };
    for (key, node) in table.iter() {
        let before = doc.count();
        let Some(table) = doc.table(node, &format!("{} = {SHAPE}", key.get_ref())) else { continue };
        for (inner, _) in table.iter().filter(|(inner, _)| !KEYS.contains(&inner.get_ref().as_ref())) {
            doc.unknown(inner, "a parameter", &KEYS);
        }
        let Some(sort) = table.get("type") else {
            let help = "add type = \"boolean\", \"integer\", \"number\", \"text\", \"duration\" or \"strings\"";
            doc.error(key.span(), format!("the parameter `{}` has no type", key.get_ref()), Some(help.to_owned()));
            continue;
        };
        let Some(sort) = doc.read::<Sort>(sort) else { continue };
        let param = one(doc, table, sort);
        if doc.count() == before {
            let sample = sample(table, sort, key);
            all.insert(key.get_ref().to_string(), Declared { param, key: key.clone(), sample });
        }
    }
    all
}

fn one(doc: &mut Doc<'_>, table: &DeTable<'_>, sort: Sort) -> Param {
    let mut param = Param {
        sort,
        default: None,
        min: None,
        max: None,
        one_of: Vec::new(),
        role: table.get("role").and_then(|node| doc.read(node)),
        about: table.get("about").and_then(|node| doc.read(node)),
    };
    if let Some(node) = table.get("one_of") {
        match node.get_ref().as_array().filter(|items| !items.is_empty()) {
            Some(items) => {
                // What a list may hold is texts.
                let item_sort = if sort == Sort::Strings { Sort::Text } else { sort };
                let of = Param { sort: item_sort, ..param.clone() };
                param.one_of = items.iter().filter_map(|item| value(doc, item, &of)).collect();
            }
            None => doc.error(node.span(), "must be a list with something in it".to_owned(), None),
        }
    }
    for (name, bound) in [("min", table.get("min")), ("max", table.get("max"))] {
        let Some(node) = bound else { continue };
        if matches!(sort, Sort::Boolean | Sort::Text | Sort::Strings) {
            doc.error(
                node.span(),
                format!("`{name}` makes no sense for {sort}"),
                Some("use one_of, or leave it out".to_owned()),
            );
            continue;
        }
        // Against the bounds so far, so that a `max` under `min` is told.
        let bound = value(doc, node, &Param { one_of: Vec::new(), ..param.clone() });
        if name == "min" { param.min = bound } else { param.max = bound }
    }
    param.default = table.get("default").and_then(|node| value(doc, node, &param));
    param
}

/// A value that `param` takes, else a problem at its place. Files have types, so texts stand for themselves here.
pub(super) fn value(doc: &mut Doc<'_>, node: &Node<'_>, param: &Param) -> Option<Value> {
    let json = doc::json(node.get_ref());
    let typed = match param.sort {
        Sort::Strings => json.is_array(),
        sort => matches!(sort, Sort::Text | Sort::Duration) == json.is_string(),
    };
    let fits = if typed { param.accept(&json) } else { Err(format!("must be {}, not {json}", param.sort)) };
    fits.map_err(|wrong| doc.error(node.span(), wrong, None)).ok()
}

/// What stands for the parameter while the kind's table is inspected: its default, else any value that it takes.
fn sample<'i>(table: &DeTable<'i>, sort: Sort, key: &doc::Key<'i>) -> Node<'i> {
    let choice = table.get("one_of").and_then(|node| node.get_ref().as_array()?.first());
    if let Some(node) = table.get("default").or(choice).or(table.get("min")).or(table.get("max")) {
        return node.clone();
    }
    let any = match sort {
        Sort::Boolean => DeValue::Boolean(true),
        Sort::Integer => DeValue::parse("1").map_or(DeValue::Boolean(true), Node::into_inner),
        Sort::Number => DeValue::parse("1.0").map_or(DeValue::Boolean(true), Node::into_inner),
        Sort::Text => DeValue::String("value".into()),
        Sort::Duration => DeValue::String("1h".into()),
        Sort::Strings => DeValue::parse("['value']").map_or(DeValue::Boolean(true), Node::into_inner),
    };
    Node::new(key.span(), any)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_texts_comes_as_a_list_or_between_commas() {
        let param = |one_of: Vec<Value>| Param {
            sort: Sort::Strings,
            default: None,
            min: None,
            max: None,
            one_of,
            role: None,
            about: None,
        };
        assert_eq!(param(Vec::new()).accept(&json!("TX-1, TX-2")), Ok(json!(["TX-1", "TX-2"])));
        assert_eq!(param(Vec::new()).accept(&json!(["a,b"])), Ok(json!(["a,b"])));
        assert_eq!(param(Vec::new()).accept(&json!(12)), Ok(json!(["12"])));
        assert!(param(Vec::new()).accept(&json!([1])).is_err());
        let few = param(vec![json!("a"), json!("b")]);
        assert!(few.accept(&json!("a,b")).is_ok() && few.accept(&json!("a,c")).is_err());
    }
}
