//! A job's file: common keys, and exactly one table whose name is a kind.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{
    Param,
    doc::{self, Doc, Key, Node},
    limits::{self, Limits},
    mention::{Mention, What},
    params::{self, Declared},
    then::{self, Next},
};
use crate::{
    expect::Expect,
    kinds::{self, Entry, Inspection, ParamsAre},
    retry::Retry,
    span::Span,
    state::OnLost,
};

/// A named, configured use of a kind.
#[derive(Debug, Clone)]
pub struct Job {
    /// The stem of its file.
    pub name: String,
    /// One line for people.
    pub about: Option<String>,
    /// What it does.
    pub kind: &'static Entry,
    /// The kind's table as written, without what `[params]` sets.
    pub table: Value,
    /// What a trigger may set.
    pub params: BTreeMap<String, Param>,
    /// How long one attempt may take.
    pub timeout: Option<Span>,
    /// How often it is tried.
    pub retry: Retry,
    /// Higher is claimed earlier.
    pub priority: i16,
    /// Who is told; `None` means the settings' default.
    pub alert: Option<Vec<String>>,
    /// Thresholds on the report.
    pub expect: BTreeMap<String, Expect>,
    /// Whether a breached threshold fails the run.
    pub fail_on_breach: bool,
    /// What happens when its worker is lost.
    pub on_lost: OnLost,
    /// The data set that it works on.
    pub dataset: Option<String>,
    /// What comes after it, where a schedule names nothing else.
    pub then: Vec<Next>,
    /// What limits it, and what it needs of a daemon.
    pub limits: Limits,
    /// What its table refers to, as far as parameters do not change it.
    pub uses: kinds::Uses,
}

#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnBreach {
    /// People are told; the run is done.
    Tell,
    /// The run fails.
    Fail,
}

pub(super) const COMMON: [&str; 14] = [
    "about",
    "alert",
    "concurrency",
    "exclusive",
    "expect",
    "needs",
    "on_breach",
    "on_lost",
    "params",
    "priority",
    "rate",
    "retry",
    "then",
    "timeout",
];

/// Reads a job's file.
pub(super) fn read(
    doc: &mut Doc<'_>,
    name: &str,
    named: &BTreeSet<String>,
    mentions: &mut Vec<Mention>,
) -> Option<Job> {
    super::name_of(doc, name, "job");
    let table = doc.parse()?;
    let before = doc.count();
    let mut kind_tables: Vec<(&Key<'_>, &Node<'_>, &'static Entry)> = Vec::new();
    for (key, node) in table.iter().filter(|(key, _)| !COMMON.contains(&key.get_ref().as_ref())) {
        match kinds::find(key.get_ref()) {
            Some(kind) => kind_tables.push((key, node, kind)),
            None if node.get_ref().is_table() => {
                let known = kinds::ALL.iter().map(|kind| kind.name);
                let help = doc::suggest(key.get_ref(), known.chain(COMMON)).unwrap_or_else(kinds_help);
                doc.error(key.span(), format!("`{}` is no kind", key.get_ref()), Some(help));
            }
            None => doc.unknown(key, "a job", &COMMON),
        }
    }
    let found_unknown = doc.count() > before;
    kind_tables.sort_by_key(|(key, ..)| key.span().start);
    for (key, _, _) in kind_tables.iter().skip(1) {
        let first = kind_tables[0].2.name;
        let message = format!("a second kind, `{}`, beside `{first}`", key.get_ref());
        doc.error(key.span(), message, Some("a job does one thing: make a second file and name it in `then`".into()));
    }
    let mut job = Common::read(doc, &table, mentions);
    let then = then::read(doc, &table, Some(name), named).unwrap_or_default();
    let Some((key, node, kind)) = kind_tables.first() else {
        if !found_unknown {
            doc.error(
                0..0,
                "the job says nothing to do: it has no table named after a kind".into(),
                Some(kinds_help()),
            );
        }
        return None;
    };
    let declared = table.get("params").map(|node| params::read(doc, node)).unwrap_or_default();
    let limits = limits::read(doc, &table, &declared.keys().cloned().collect());
    if kind.params == ParamsAre::Values {
        reserved(doc, &declared);
    }
    let inner = doc.table(node, &format!("[{}]", kind.name))?;
    let mut inner = inner.clone();
    let written = Value::Object(doc::table_json(&inner));
    if kind.params == ParamsAre::Keys {
        merge(doc, &mut inner, &declared, kind);
    }
    if kind.children && job.timeout.is_none() && !table.contains_key("timeout") {
        let message = format!("a job of kind `{}` needs a `timeout`", kind.name);
        doc.error(
            key.span(),
            message,
            Some("add timeout = \"2h\" to the top of the file: how long one attempt may take".into()),
        );
    }
    let inspection = inspect(doc, key, node.span(), &inner, kind);
    mention(&inspection, &inner, key, doc, mentions);
    sources(&inspection, &inner, key, doc, &declared, mentions);
    binds(doc, key, &inner, &inspection, &declared);
    if doc.count() > before && doc.has_errors() {
        return None;
    }
    Some(Job {
        name: name.to_owned(),
        about: job.about,
        kind,
        table: written,
        params: declared.into_iter().map(|(name, declared)| (name, declared.param)).collect(),
        timeout: job.timeout.take(),
        retry: job.retry,
        priority: job.priority,
        alert: job.alert,
        expect: job.expect,
        fail_on_breach: job.fail_on_breach,
        on_lost: job.on_lost.unwrap_or(kind.on_lost),
        dataset: inspection.uses.dataset.clone(),
        then,
        limits,
        uses: inspection.uses,
    })
}

/// What every run is told has its names; a parameter beside it would be mistaken for it.
fn reserved(doc: &mut Doc<'_>, declared: &BTreeMap<String, Declared<'_>>) {
    for (name, declared) in declared.iter().filter(|(name, _)| kinds::TOLD.contains(&name.as_str())) {
        let message = format!("`{name}` is told to every run and cannot be a parameter");
        let help = "use it without declaring it, or give the parameter another name";
        doc.error(declared.key.span(), message, Some(help.into()));
    }
}

fn kinds_help() -> String {
    let known: Vec<_> = kinds::ALL.iter().map(|kind| format!("[{}]", kind.name)).collect();
    format!("the kinds are: {}", known.join(", "))
}

/// The keys that every job may have.
struct Common {
    about: Option<String>,
    timeout: Option<Span>,
    retry: Retry,
    priority: i16,
    alert: Option<Vec<String>>,
    expect: BTreeMap<String, Expect>,
    fail_on_breach: bool,
    on_lost: Option<OnLost>,
}

impl Common {
    fn read(doc: &mut Doc<'_>, table: &DeTable<'_>, mentions: &mut Vec<Mention>) -> Self {
        Self {
            about: table.get("about").and_then(|node| doc.read(node)),
            timeout: table.get("timeout").and_then(|node| not_zero(doc, node)),
            retry: table.get("retry").and_then(|node| retry(doc, node)).unwrap_or_default(),
            priority: table.get("priority").and_then(|node| priority(doc, node)).unwrap_or(0),
            alert: alert(doc, table, mentions),
            expect: table.get("expect").map(|node| expect(doc, node)).unwrap_or_default(),
            fail_on_breach: table.get("on_breach").and_then(|node| doc.read(node)) == Some(OnBreach::Fail),
            on_lost: table.get("on_lost").and_then(|node| doc.read(node)),
        }
    }
}

/// The queue takes no other.
fn priority(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<i16> {
    let number: i64 = doc.read(node)?;
    let fits = i16::try_from(number).ok().filter(|number| (-100..=100).contains(number));
    if fits.is_none() {
        let help = "a point is worth a minute of waiting: 60 goes before what waits for an hour";
        doc.error(node.span(), format!("`priority` must be -100 to 100, not {number}"), Some(help.into()));
    }
    fits
}

fn not_zero(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<Span> {
    let span: Span = doc.read(node)?;
    if span.0.is_zero() {
        doc.error(node.span(), "must be longer than nothing".into(), None);
        return None;
    }
    Some(span)
}

fn retry(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<Retry> {
    let retry: Retry = doc.read(node)?;
    let wrong = if retry.attempts == 0 {
        Some(("attempts", "`attempts` counts the first one, so it is at least 1"))
    } else if retry.first > retry.most {
        Some(("first", "the first pause is longer than the longest, `most`"))
    } else {
        None
    };
    if let Some((key, wrong)) = wrong {
        let at = node.get_ref().get(key).map_or(node.span(), Node::span);
        doc.error(at, wrong.to_owned(), Some("write retry = { attempts = 3, first = \"1m\", most = \"15m\" }".into()));
    }
    Some(retry)
}

fn alert(doc: &mut Doc<'_>, table: &DeTable<'_>, mentions: &mut Vec<Mention>) -> Option<Vec<String>> {
    let Some(node) = table.get("alert") else {
        mentions.push(Mention::new(doc, What::NoAlert, "", 0..0));
        return None;
    };
    let Some(items) = node.get_ref().as_array() else {
        let help = "write alert = [\"ops\"], the names of channels in sexton.toml; [] for the log only";
        doc.error(node.span(), "must be a list of channels".into(), Some(help.into()));
        return None;
    };
    let mut names = Vec::new();
    for item in items.iter() {
        if let Some(name) = doc.read::<String>(item) {
            mentions.push(Mention::new(doc, What::Channel, &name, item.span()));
            names.push(name);
        }
    }
    Some(names)
}

fn expect(doc: &mut Doc<'_>, node: &Node<'_>) -> BTreeMap<String, Expect> {
    let table = doc.table(node, "expect = { bytes = \">= 1 MiB\" }");
    table
        .into_iter()
        .flat_map(|table| table.iter())
        .filter_map(|(key, node)| Some((key.get_ref().to_string(), doc.read(node)?)))
        .collect()
}

/// Sets every parameter's sample in the kind's table, so that the table is inspected as a run will carry it.
fn merge<'i>(doc: &mut Doc<'_>, table: &mut DeTable<'i>, declared: &BTreeMap<String, Declared<'i>>, kind: &Entry) {
    for (name, declared) in declared {
        if !set(table, name, &declared.key, &declared.sample) {
            let message = format!("`{name}` is set in [{}] too", kind.name);
            let help = format!(
                "a parameter gets its value from [params] alone: move it there as its `default` and delete it from [{}]",
                kind.name
            );
            doc.error(declared.key.span(), message, Some(help));
        }
    }
}

/// Sets a dotted key; false when something is there already.
fn set<'i>(table: &mut DeTable<'i>, name: &str, key: &Key<'i>, value: &Node<'i>) -> bool {
    match name.split_once('.') {
        None => table.insert(Key::new(key.span(), name.to_owned().into()), value.clone()).is_none(),
        Some((first, rest)) => {
            if !table.contains_key(first) {
                let empty = Node::new(key.span(), DeValue::Table(DeTable::new()));
                table.insert(Key::new(key.span(), first.to_owned().into()), empty);
            }
            match table.get_mut(first).map(Node::get_mut) {
                Some(DeValue::Table(inner)) => set(inner, rest, key, value),
                _ => false,
            }
        }
    }
}

/// Has the kind read its table.
fn inspect(doc: &mut Doc<'_>, key: &Key<'_>, header: Range<usize>, table: &DeTable<'_>, kind: &Entry) -> Inspection {
    let (inspection, whole) = doc.whole_table(&format!("[{}]", kind.name), key.span(), header, table, kind.inspect);
    let inspection = inspection.unwrap_or_else(|| Inspection { uses: written_uses(table), ..Inspection::default() });
    if whole {
        findings(doc, key, table, &inspection);
    }
    inspection
}

/// Says of every name that the work refers to and `[params]` does not have.
fn binds(
    doc: &mut Doc<'_>,
    key: &Key<'_>,
    table: &DeTable<'_>,
    inspection: &Inspection,
    declared: &BTreeMap<String, Declared<'_>>,
) {
    let names: BTreeSet<&str> = inspection.binds.iter().map(String::as_str).collect();
    for name in names.into_iter().filter(|name| !declared.contains_key(*name)) {
        let marked = format!(":{name}");
        let within = |node: &&Node<'_>| node.get_ref().as_str().is_some_and(|text| text.contains(&marked));
        let value = table.values().find(within).map(Node::span);
        // In the file the text may be written with escapes; then the whole value is shown.
        let at = value.map(|value| match doc.text[value.clone()].find(&marked) {
            Some(found) => value.start + found..value.start + found + marked.len(),
            None => value,
        });
        let help = doc::suggest(name, declared.keys().map(String::as_str)).unwrap_or_else(|| {
            format!("add {name} = {{ type = \"text\" }} to [params], or write `{name}` without the colon")
        });
        doc.error(at.unwrap_or_else(|| key.span()), format!("`{marked}` is no parameter of this job"), Some(help));
    }
}

/// What a table that could not be read refers to, by the usual keys.
fn written_uses(table: &DeTable<'_>) -> kinds::Uses {
    let text = |what: What| Some(table.get(what.key())?.get_ref().as_str()?.to_owned());
    kinds::Uses {
        targets: text(What::Target).into_iter().collect(),
        vaults: text(What::Vault).into_iter().collect(),
        dataset: text(What::Dataset),
    }
}

fn findings(doc: &mut Doc<'_>, key: &Key<'_>, table: &DeTable<'_>, inspection: &Inspection) {
    for finding in &inspection.findings {
        let at = doc::place(table, &finding.key).unwrap_or_else(|| key.span());
        let message = finding.message.clone();
        if finding.warning {
            doc.warning(at, message, finding.help.clone());
        } else {
            doc.error(at, message, finding.help.clone());
        }
    }
}

/// Notes where the kind's table names a target, a vault or a data set.
fn mention(inspection: &Inspection, table: &DeTable<'_>, key: &Key<'_>, doc: &Doc<'_>, mentions: &mut Vec<Mention>) {
    let uses = &inspection.uses;
    let all = (uses.targets.iter().map(|name| (What::Target, name)))
        .chain(uses.vaults.iter().map(|name| (What::Vault, name)))
        .chain(uses.dataset.iter().map(|name| (What::Dataset, name)));
    for (what, name) in all {
        let at = doc::place(table, what.key())
            .filter(|_| table.get(what.key()).is_some_and(|n| n.get_ref().as_str() == Some(name)));
        let at = at.or_else(|| text_at(table, name)).unwrap_or_else(|| key.span());
        mentions.push(Mention::new(doc, what, name, at));
    }
}

/// Notes where the kind's table names a table that the settings must allow; what only a trigger says, a run finds out.
fn sources(
    inspection: &Inspection,
    table: &DeTable<'_>,
    key: &Key<'_>,
    doc: &Doc<'_>,
    declared: &BTreeMap<String, Declared<'_>>,
    mentions: &mut Vec<Mention>,
) {
    let open = |key: &str| declared.get(key).is_some_and(|declared| declared.param.default.is_none());
    for source in inspection.sources.iter().filter(|source| !open(source.key)) {
        let at = doc::place(table, source.key).unwrap_or_else(|| key.span());
        let mention = Mention::new(doc, What::Source, &source.table, at);
        mentions.push(Mention { of: Some(source.target.clone()), ..mention });
    }
}

/// Where a text is written, anywhere in a table.
fn text_at(table: &DeTable<'_>, text: &str) -> Option<Range<usize>> {
    fn within(node: &Node<'_>, text: &str) -> Option<Range<usize>> {
        match node.get_ref() {
            DeValue::String(found) => (found == text).then(|| node.span()),
            DeValue::Table(inner) => text_at(inner, text),
            DeValue::Array(items) => items.iter().find_map(|item| within(item, text)),
            _ => None,
        }
    }
    table.values().find_map(|node| within(node, text))
}
