//! `then`: what comes after a job, as a schedule or a job names it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use toml::de::DeTable;

use super::{
    Job,
    doc::{self, Doc, Node},
};
use crate::spec::On;

/// A link of a chain. It is known by its job, so a job comes once in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The job.
    pub job: String,
    /// Jobs of the chain that must be over first.
    pub after: Vec<String>,
    /// How they must have ended.
    pub on: On,
}

impl Next {
    /// Whether it comes once the entry `before` is done, as a plain name says.
    pub fn is_plain(&self, before: &str) -> bool {
        self.on == On::Success && self.after == [before]
    }
}

pub(super) const KEYS: [&str; 3] = ["job", "after", "on"];
const SHAPE: &str = "write then = [\"JOB\", { job = \"JOB\", after = [\"JOB\"], on = \"failure\" }]";

/// An entry with its places.
struct Entry<'n, 'i> {
    job: String,
    at: &'n Node<'i>,
    after: Option<(Vec<String>, &'n Node<'i>)>,
    on: On,
}

/// Reads the key `then` of a table, where it is there. `first` is the job that the chain begins with.
pub(super) fn read(
    doc: &mut Doc<'_>,
    table: &DeTable<'_>,
    first: Option<&str>,
    named: &BTreeSet<String>,
) -> Option<Vec<Next>> {
    let node = table.get("then")?;
    let Some(items) = node.get_ref().as_array() else {
        doc.error(node.span(), "`then` must be a list of jobs".into(), Some(SHAPE.into()));
        return Some(Vec::new());
    };
    let entries: Vec<Entry<'_, '_>> = items.iter().filter_map(|item| entry(doc, item)).collect();
    jobs(doc, &entries, first, named);
    let next = resolve(doc, &entries, first);
    circles(doc, &entries, &next, first);
    Some(next)
}

fn entry<'n, 'i>(doc: &mut Doc<'_>, node: &'n Node<'i>) -> Option<Entry<'n, 'i>> {
    if node.get_ref().as_str().is_some() {
        return Some(Entry { job: doc.read(node)?, at: node, after: None, on: On::default() });
    }
    let Some(table) = node.get_ref().as_table() else {
        doc.error(node.span(), "must be the name of a job, or a table".into(), Some(SHAPE.into()));
        return None;
    };
    for (key, _) in table.iter().filter(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
        doc.unknown(key, "an entry of `then`", &KEYS);
    }
    let on = table.get("on").map_or(Some(On::default()), |node| doc.read(node));
    let after = table.get("after").map(|node| (names(doc, node), node));
    let Some(at) = table.get("job") else {
        doc.error(node.span(), "an entry of `then` needs `job`".into(), Some(SHAPE.into()));
        return None;
    };
    Some(Entry { job: doc.read(at)?, at, after, on: on.unwrap_or_default() })
}

fn names(doc: &mut Doc<'_>, node: &Node<'_>) -> Vec<String> {
    match node.get_ref().as_array() {
        Some(items) if !items.is_empty() => items.iter().filter_map(|item| doc.read(item)).collect(),
        Some(_) => {
            let help = "leave it out for the entry before, or name jobs of the chain";
            doc.error(node.span(), "`after` names nothing".into(), Some(help.into()));
            Vec::new()
        }
        None => {
            doc.error(node.span(), "`after` must be a list of jobs".into(), Some("write after = [\"JOB\"]".into()));
            Vec::new()
        }
    }
}

/// Says which jobs there are not, and which come twice.
fn jobs(doc: &mut Doc<'_>, entries: &[Entry<'_, '_>], first: Option<&str>, named: &BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    for entry in entries {
        let job = entry.job.as_str();
        if !named.contains(job) {
            let help = doc::suggest(job, named.iter().map(String::as_str));
            let help = help.unwrap_or_else(|| format!("make jobs/{job}.toml"));
            doc.error(entry.at.span(), format!("there is no job `{job}`"), Some(help));
        } else if first == Some(job) {
            doc.error(entry.at.span(), format!("`{job}` would follow itself"), Some("take it out of `then`".into()));
        } else if !seen.insert(job) {
            let help = "a link is known by its job: make a second file for it, under another name";
            doc.error(entry.at.span(), format!("`{job}` comes twice in this chain"), Some(help.into()));
        }
    }
}

/// The links, each with what it comes after: what it says, else the entry before, else the job that begins the chain.
fn resolve(doc: &mut Doc<'_>, entries: &[Entry<'_, '_>], first: Option<&str>) -> Vec<Next> {
    let mut before = first.unwrap_or_default();
    let mut next = Vec::with_capacity(entries.len());
    for entry in entries {
        let after = match &entry.after {
            None => vec![before.to_owned()],
            Some((names, node)) => known(doc, entry, names, node, entries, first),
        };
        next.push(Next { job: entry.job.clone(), after, on: entry.on });
        before = &entry.job;
    }
    next
}

/// What `after` names and the chain has; the rest is told.
fn known(
    doc: &mut Doc<'_>,
    entry: &Entry<'_, '_>,
    names: &[String],
    node: &Node<'_>,
    entries: &[Entry<'_, '_>],
    first: Option<&str>,
) -> Vec<String> {
    let others: BTreeSet<&str> = first
        .into_iter()
        .chain(entries.iter().map(|entry| entry.job.as_str()))
        .filter(|job| *job != entry.job)
        .collect();
    let mut known: Vec<String> = Vec::new();
    for name in names {
        let mut items = node.get_ref().as_array().into_iter().flat_map(|items| items.iter());
        let at = items.rfind(|item| item.get_ref().as_str() == Some(name)).map_or(node.span(), Node::span);
        if *name == entry.job {
            let help = "take it out of its own `after`";
            doc.error(at, format!("`{name}` would wait for itself"), Some(help.into()));
        } else if !others.contains(name.as_str()) && first.is_some() {
            let help = doc::suggest_or_list(name, others.iter().copied());
            doc.error(at, format!("`{name}` is not in this chain"), Some(help));
        } else if known.contains(name) {
            doc.error(at, format!("`{name}` is named twice"), Some("once is enough".into()));
        } else {
            known.push(name.clone());
        }
    }
    known
}

/// Says which links wait for one another in a circle, each circle once.
fn circles(doc: &mut Doc<'_>, entries: &[Entry<'_, '_>], next: &[Next], first: Option<&str>) {
    let mut left: BTreeMap<&str, &Next> = BTreeMap::new();
    // A job that comes twice, or follows itself, was told already.
    for next in next.iter().filter(|next| first != Some(next.job.as_str())) {
        left.entry(&next.job).or_insert(next);
    }
    loop {
        // What waits for nothing that is left is in no circle.
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, next)| !next.after.iter().any(|job| left.contains_key(job.as_str())))
            .map(|(job, _)| *job)
            .collect();
        if free.iter().map(|job| left.remove(job)).count() > 0 {
            continue;
        }
        let Some(mut at) = next.iter().map(|next| next.job.as_str()).find(|job| left.contains_key(job)) else { return };
        let mut path: Vec<&str> = Vec::new();
        while !path.contains(&at) {
            path.push(at);
            let before = left.get(at).and_then(|next| next.after.iter().find(|job| left.contains_key(job.as_str())));
            at = before.map_or(at, String::as_str);
        }
        path.drain(..path.iter().position(|job| *job == at).unwrap_or(0));
        let place = entries.iter().find(|entry| entry.job == at);
        let waits: Vec<String> = path.iter().skip(1).chain([&at]).map(|job| format!("`{job}`")).collect();
        let message = format!("`{at}` waits for {}: none of them would ever start", waits.join(", which waits for "));
        let span = place.map_or(0..0, |entry| entry.after.as_ref().map_or(entry.at.span(), |(_, node)| node.span()));
        doc.error(span, message, Some("take one of them out of the `after` of another".into()));
        for job in path {
            left.remove(job);
        }
    }
}

/// Says which jobs of a job's own chain need a parameter that nothing gives: a trigger gives what the first declares,
/// and what has a default there may be left out.
pub(super) fn given(doc: &mut Doc<'_>, job: &Job, jobs: &BTreeMap<String, Job>) {
    let Some(at) = doc.parse().and_then(|table| Some(table.get("then")?.span())) else { return };
    for link in job.then.iter().filter_map(|next| jobs.get(&next.job)) {
        for (name, _) in link.params.iter().filter(|(_, param)| param.default.is_none()) {
            if job.params.get(name).is_none_or(|param| param.default.is_some()) {
                let message =
                    format!("`{}` needs the parameter `{name}`, and `{}` does not ask for it", link.name, job.name);
                let help = format!(
                    "declare `{name}` without a default in the [params] of `{}`, or give it one in jobs/{}.toml",
                    job.name, link.name
                );
                doc.error(at.clone(), message, Some(help));
            }
        }
    }
}

#[cfg(test)]
#[path = "then/tests.rs"]
mod tests;
