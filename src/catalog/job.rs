//! A job's file: common keys, and exactly one table whose name is a kind.

mod common;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::common::Common;
use super::{
    Param,
    doc::{self, Doc, Key, Node},
    limits::{self, Limits},
    mention::Mention,
    params::{self, Declared},
    then::{self, Next},
};
use crate::{
    expect::Expect,
    kinds::{self, Entry, ParamsAre},
    retry::Retry,
    span::Span,
    state::OnLost,
};

pub(super) use self::common::{COMMON, OnBreach};

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

/// Reads a job's file.
pub(super) fn read(
    doc: &mut Doc<'_>,
    name: &str,
    named: &BTreeSet<String>,
    mentions: &mut Vec<Mention>,
) -> Option<Job> {
    super::name_of(doc, name, "job");
    let file = doc.parse()?;
    let before = doc.count();
    let mut kind_tables: Vec<(&Key<'_>, &Node<'_>, &'static Entry)> = Vec::new();
    for (key, node) in file.iter().filter(|(key, _)| !COMMON.contains(&key.get_ref().as_ref())) {
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
    let mut job = Common::read(doc, &file, mentions);
    let then = then::read(doc, &file, Some(name), named).unwrap_or_default();
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
    let declared = file.get("params").map(|node| params::read(doc, node)).unwrap_or_default();
    let limits = limits::read(doc, &file, &declared.keys().cloned().collect());
    if kind.params == ParamsAre::Values {
        reserved(doc, &declared);
    }
    let inner = doc.table(node, &format!("[{}]", kind.name))?;
    let mut inner = inner.clone();
    let written = Value::Object(doc::table_json(&inner));
    if kind.params == ParamsAre::Keys {
        table::merge(doc, &mut inner, &declared, kind);
    }
    if kind.children && job.timeout.is_none() && !file.contains_key("timeout") {
        let message = format!("a job of kind `{}` needs a `timeout`", kind.name);
        doc.error(
            key.span(),
            message,
            Some("add timeout = \"2h\" to the top of the file: how long one attempt may take".into()),
        );
    }
    let inspection = table::inspect(doc, key, node.span(), &inner, kind);
    table::mention(&inspection, &inner, key, doc, mentions);
    table::sources(&inspection, &inner, key, doc, &declared, mentions);
    table::binds(doc, key, &inner, &inspection, &declared);
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
