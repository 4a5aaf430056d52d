//! The keys that every job may have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::de::DeTable;

use crate::{
    catalog::{
        doc::{Doc, Node},
        mention::{Mention, What},
    },
    expect::Expect,
    retry::Retry,
    span::Span,
    state::OnLost,
};

pub(in crate::catalog) const COMMON: [&str; 14] = [
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

#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(in crate::catalog) enum OnBreach {
    /// People are told; the run is done.
    Tell,
    /// The run fails.
    Fail,
}

/// The keys that every job may have.
pub(super) struct Common {
    pub(super) about: Option<String>,
    pub(super) timeout: Option<Span>,
    pub(super) retry: Retry,
    pub(super) priority: i16,
    pub(super) alert: Option<Vec<String>>,
    pub(super) expect: BTreeMap<String, Expect>,
    pub(super) fail_on_breach: bool,
    pub(super) on_lost: Option<OnLost>,
}

impl Common {
    pub(super) fn read(doc: &mut Doc<'_>, table: &DeTable<'_>, mentions: &mut Vec<Mention>) -> Self {
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
