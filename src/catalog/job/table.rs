//! The table that a kind reads: with what parameters set, and what it refers to.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use toml::de::{DeTable, DeValue};

use crate::{
    catalog::{
        doc::{self, Doc, Key, Node},
        mention::{Mention, What},
        params::Declared,
    },
    kinds::{self, Entry, Inspection},
};

/// Sets every parameter's sample in the kind's table, so that the table is inspected as a run will carry it.
pub(super) fn merge<'i>(
    doc: &mut Doc<'_>,
    table: &mut DeTable<'i>,
    declared: &BTreeMap<String, Declared<'i>>,
    kind: &Entry,
) {
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
pub(super) fn inspect(
    doc: &mut Doc<'_>,
    key: &Key<'_>,
    header: Range<usize>,
    table: &DeTable<'_>,
    kind: &Entry,
) -> Inspection {
    let (inspection, whole) = doc.whole_table(&format!("[{}]", kind.name), key.span(), header, table, kind.inspect);
    let inspection = inspection.unwrap_or_else(|| Inspection { uses: written_uses(table), ..Inspection::default() });
    if whole {
        findings(doc, key, table, &inspection);
    }
    inspection
}

/// Says of every name that the work refers to and `[params]` does not have.
pub(super) fn binds(
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
pub(super) fn mention(
    inspection: &Inspection,
    table: &DeTable<'_>,
    key: &Key<'_>,
    doc: &Doc<'_>,
    mentions: &mut Vec<Mention>,
) {
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
pub(super) fn sources(
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
