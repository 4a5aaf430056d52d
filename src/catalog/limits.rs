//! What jobs are limited by: keys of their own files, and `jobs/limits.toml`, which limits kinds and targets once.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use toml::de::DeTable;

use super::{
    doc::{self, Doc, Node},
    mention::{Mention, What},
};
use crate::{
    kinds::{self, Entry, Uses},
    lanes::{Gate, Rate},
    span::Span,
};

/// The file that limits kinds and targets.
pub(super) const FILE: &str = "jobs/limits.toml";

/// What a job's own file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// How many of its runs may be running.
    pub concurrency: Option<Concurrency>,
    /// How many may start in a time.
    pub rate: Option<Pace>,
    /// The group whose jobs never overlap.
    pub exclusive: Option<String>,
    /// Whether it may overlap what dumps or moves the same data.
    pub overlaps_data: bool,
    /// Labels that a daemon must have.
    pub needs: Vec<String>,
}

/// `concurrency = { key = "tenant", most = 1 }`; a plain number has no key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// A parameter of the job: runs with the same value are counted together.
    pub key: Option<String>,
    /// How many may be running at the same time.
    #[schemars(range(min = 1))]
    pub most: u32,
}

/// `rate = { most = 10, per = "1m" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// A parameter of the job: runs with the same value are counted together.
    pub key: Option<String>,
    /// How many may start; as many at once after a rest, then one by one.
    #[schemars(range(min = 1))]
    pub most: u32,
    /// In how long.
    pub per: Span,
}

/// What `jobs/limits.toml` says: gates by `kind:NAME` and `target:NAME`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shared(BTreeMap<String, Gate>);

const CONCURRENCY: &str = "write concurrency = 3, or concurrency = { key = \"PARAMETER\", most = 1 }";
const RATE: &str = "write rate = { most = 10, per = \"1m\" }";
const EXCLUSIVE: &str =
    "write exclusive = \"GROUP\", whose jobs never overlap; or false, to overlap what dumps or moves the same data";
const FILE_SHAPE: &str =
    "[kind.backup] or [target.NAME], each with concurrency = 2 or rate = { most = 10, per = \"1m\" }";

/// Reads the keys of a job's file. `params` are those that it declares.
pub(super) fn read(doc: &mut Doc<'_>, table: &DeTable<'_>, params: &BTreeSet<String>) -> Limits {
    let mut limits = Limits::default();
    if let Some(node) = table.get("concurrency") {
        limits.concurrency = concurrency(doc, node, Some(params));
    }
    if let Some(node) = table.get("rate") {
        limits.rate = rate(doc, node, Some(params));
    }
    if let Some(node) = table.get("exclusive") {
        match (node.get_ref().as_bool(), node.get_ref().as_str()) {
            (Some(false), _) => limits.overlaps_data = true,
            (_, Some(name)) if is_name(name) => limits.exclusive = Some(name.to_owned()),
            _ => doc.error(node.span(), "must be the name of a group, or false".into(), Some(EXCLUSIVE.into())),
        }
    }
    if let Some(node) = table.get("needs") {
        limits.needs = needs(doc, node);
    }
    limits
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn needs(doc: &mut Doc<'_>, node: &Node<'_>) -> Vec<String> {
    let help = "write needs = [\"region=eu\"], labels of [worker] in some daemon's sexton.toml";
    let Some(items) = node.get_ref().as_array() else {
        doc.error(node.span(), "must be a list of labels".into(), Some(help.into()));
        return Vec::new();
    };
    let mut needs = Vec::new();
    for item in items.iter() {
        let Some(need) = doc.read::<String>(item) else { continue };
        if crate::lanes::is_label(&need) {
            needs.push(need);
        } else {
            doc.error(item.span(), format!("`{need}` is no label"), Some(crate::lanes::LABEL_HELP.into()));
        }
    }
    needs
}

fn concurrency(doc: &mut Doc<'_>, node: &Node<'_>, params: Option<&BTreeSet<String>>) -> Option<Concurrency> {
    let read = if node.get_ref().is_table() {
        doc.read::<Concurrency>(node)?
    } else if node.get_ref().as_integer().is_some() {
        Concurrency { key: None, most: doc.read(node)? }
    } else {
        doc.error(node.span(), "must be a whole number or a table".into(), Some(CONCURRENCY.into()));
        return None;
    };
    let whole = at_least_one(doc, node, read.most, CONCURRENCY) & declared(doc, node, read.key.as_deref(), params);
    whole.then_some(read)
}

fn rate(doc: &mut Doc<'_>, node: &Node<'_>, params: Option<&BTreeSet<String>>) -> Option<Pace> {
    let read = doc.read::<Pace>(node)?;
    let mut whole = at_least_one(doc, node, read.most, RATE) & declared(doc, node, read.key.as_deref(), params);
    if read.per.0.is_zero() {
        let at = node.get_ref().get("per").map_or(node.span(), Node::span);
        doc.error(at, "must be longer than nothing".into(), Some(RATE.into()));
        whole = false;
    }
    whole.then_some(read)
}

/// A limit of none would let nothing run, ever.
fn at_least_one(doc: &mut Doc<'_>, node: &Node<'_>, most: u32, help: &str) -> bool {
    if most == 0 {
        let at = node.get_ref().get("most").map_or(node.span(), Node::span);
        let help = format!("{help}; to let nothing run, pause the job's schedules");
        doc.error(at, "0 would let nothing run, ever".into(), Some(help));
    }
    most > 0
}

/// Whether a key is a parameter of the job; only jobs have parameters.
fn declared(doc: &mut Doc<'_>, node: &Node<'_>, key: Option<&str>, params: Option<&BTreeSet<String>>) -> bool {
    let Some(key) = key else { return true };
    let at = node.get_ref().get("key").map_or(node.span(), Node::span);
    match params {
        Some(params) if params.contains(key) => true,
        Some(params) => {
            let help = doc::suggest(key, params.iter().map(String::as_str));
            let help = help.unwrap_or_else(|| format!("add {key} = {{ type = \"text\" }} to [params]"));
            doc.error(at, format!("`{key}` is no parameter of this job"), Some(help));
            false
        }
        None => {
            doc.error(at, "a kind or a target has no parameters".into(), Some("leave `key` out".into()));
            false
        }
    }
}

/// Reads `jobs/limits.toml`.
pub(super) fn shared(doc: &mut Doc<'_>, mentions: &mut Vec<Mention>) -> Shared {
    let mut shared = Shared::default();
    let Some(table) = doc.parse() else { return shared };
    for (sort, node) in table.iter() {
        if !matches!(sort.get_ref().as_ref(), "kind" | "target") {
            doc.unknown(sort, "limits.toml", &["kind", "target"]);
            continue;
        }
        let Some(names) = doc.table(node, FILE_SHAPE) else { continue };
        for (name, node) in names.iter() {
            if sort.get_ref() == "target" {
                mentions.push(Mention::new(doc, What::Target, name.get_ref(), name.span()));
            } else if kinds::find(name.get_ref()).is_none() {
                let help = doc::suggest_or_list(name.get_ref(), kinds::ALL.iter().map(|kind| kind.name));
                doc.error(name.span(), format!("`{}` is no kind", name.get_ref()), Some(help));
            }
            let Some(table) = doc.table(node, FILE_SHAPE) else { continue };
            for (key, _) in table.iter().filter(|(key, _)| !matches!(key.get_ref().as_ref(), "concurrency" | "rate")) {
                doc.unknown(key, "a limit", &["concurrency", "rate"]);
            }
            let mut gate = Gate::new(format!("{}:{}", sort.get_ref(), name.get_ref()));
            gate.most = table.get("concurrency").and_then(|node| concurrency(doc, node, None)).map(|found| found.most);
            let pace = table.get("rate").and_then(|node| rate(doc, node, None));
            gate.rate = pace.map(|pace| Rate { most: pace.most, per: pace.per });
            if gate.most.is_some() || gate.rate.is_some() {
                shared.0.insert(gate.name.clone(), gate);
            }
        }
    }
    shared
}

/// What a run with these parameters needs of its daemon, and its gates.
pub(super) fn of_run(
    job: &str,
    kind: &Entry,
    limits: &Limits,
    shared: &Shared,
    uses: &Uses,
    params: &BTreeMap<String, Value>,
) -> (Vec<String>, Vec<Gate>) {
    let mut needs: BTreeSet<String> = limits.needs.iter().cloned().collect();
    needs.extend(uses.targets.iter().map(|name| format!("target:{name}")));
    needs.extend(uses.vaults.iter().map(|name| format!("vault:{name}")));

    let mut gates: BTreeMap<String, Gate> = BTreeMap::new();
    let name = |key: &Option<String>| match key {
        None => format!("job:{job}"),
        Some(key) => format!("key:{job}:{}", params.get(key).map(value).unwrap_or_default()),
    };
    if let Some(concurrency) = &limits.concurrency {
        let name = name(&concurrency.key);
        gates.entry(name.clone()).or_insert_with(|| Gate::new(name)).most = Some(concurrency.most);
    }
    if let Some(pace) = &limits.rate {
        let name = name(&pace.key);
        gates.entry(name.clone()).or_insert_with(|| Gate::new(name)).rate =
            Some(Rate { most: pace.most, per: pace.per });
    }
    if let Some(group) = &limits.exclusive {
        let name = format!("exclusive:{group}");
        gates.insert(name.clone(), Gate { most: Some(1), ..Gate::new(name) });
    }
    // The first is what the work is about; others are where a backup is proven.
    if let (Some(side), Some(target), false) = (kind.side, uses.targets.first(), limits.overlaps_data) {
        let name = format!("data:{target}");
        gates.insert(name.clone(), Gate { side: Some(side.to_owned()), ..Gate::new(name) });
    }
    let targets = uses.targets.iter().map(|name| format!("target:{name}"));
    for name in std::iter::once(format!("kind:{}", kind.name)).chain(targets) {
        gates.extend(shared.0.get(&name).map(|gate| (name, gate.clone())));
    }
    (needs.into_iter().collect(), gates.into_values().collect())
}

/// A parameter's value in a gate's name, which is kept short by what tells long ones apart.
fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        // As the database writes it: without an exponent, and without a fraction that is none.
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => (float + 0.0).to_string(),
            None => number.to_string(),
        },
        other => other.to_string(),
    };
    if text.len() <= 80 { text } else { crate::lanes::short(&text) }
}
