//! A schedule's entry: when a job is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde_json::Value;
use toml::de::DeTable;

use super::{
    Job, Policy,
    doc::{self, Doc, Node},
    params, policy,
    then::{self, Next},
    window,
};
use crate::slots::{Cron, Crons, Dst, Passes};

/// When a job is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name, unique over all files.
    pub name: String,
    /// The job.
    pub job: String,
    /// When, in `zone`, with what holds when its clocks are changed.
    pub cron: Cron,
    /// The same as written.
    pub cron_text: String,
    /// Where the clock hangs.
    pub zone: Tz,
    /// How its slots are decided.
    pub policy: Policy,
    /// Windows that it keeps, by name.
    pub windows: Vec<String>,
    /// Whether it is on.
    pub enabled: bool,
    /// Parameters for the job, and for those of `then` that declare them.
    pub params: BTreeMap<String, Value>,
    /// What comes after it: what it names itself, else what its job names.
    pub then: Vec<Next>,
    /// Its file.
    pub file: String,
}

impl Schedule {
    /// When a slot starts: at its nominal instant, or as much later as `splay` and `jitter` say.
    pub fn start(&self, slot: DateTime<Utc>) -> DateTime<Utc> {
        let spread = self.policy.spread();
        if spread.is_none() {
            return slot;
        }
        spread.start(&self.name, slot, self.cron.next(self.zone, slot))
    }

    /// The last instant up to which every slot has started by `now`. Of the slots that are over, only the newest can
    /// still be waiting for its start: each starts before the next one.
    pub fn started_until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let spread = self.policy.spread();
        if spread.is_none() {
            return now;
        }
        let oldest = now.checked_sub_signed(spread.most()).unwrap_or(DateTime::UNIX_EPOCH) - TICK;
        match self.cron.latest(self.zone, oldest, now) {
            Some(newest) if self.start(newest) > now => newest - TICK,
            _ => now,
        }
    }
}

/// The smallest step between instants here: what is before an instant ends this much earlier.
pub const TICK: TimeDelta = TimeDelta::nanoseconds(1);

pub(super) const KEYS: [&str; 9] = ["name", "job", "cron", "zone", "dst", "windows", "enabled", "params", "then"];
const SHAPE: &str = "[[at]] with name, cron and job";

/// What schedules are checked against.
pub(super) struct Known<'a> {
    /// Jobs that could be read.
    pub(super) jobs: &'a BTreeMap<String, Job>,
    /// All jobs that have a file, also those that could not be read.
    pub(super) named: &'a BTreeSet<String>,
    /// All windows that have a name, also those that could not be read.
    pub(super) windows: &'a BTreeSet<String>,
}

/// What the schedules before have had.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Their names, each with its file.
    names: BTreeMap<String, String>,
    /// Their expressions.
    crons: Crons,
}

/// Reads a file of schedules.
pub(super) fn read(doc: &mut Doc<'_>, known: &Known<'_>, seen: &mut Seen) -> Vec<Schedule> {
    let Some(table) = doc.parse() else { return Vec::new() };
    for (key, _) in table.iter().filter(|(key, _)| !matches!(key.get_ref().as_ref(), "at" | "window")) {
        doc.error(
            key.span(),
            format!("`{}` is not a key of a schedule file", key.get_ref()),
            Some(format!("write {SHAPE}, or [[window]]")),
        );
    }
    let Some(node) = table.get("at") else {
        if table.is_empty() {
            doc.warning(0..0, "the file has no schedule".into(), Some(format!("write {SHAPE}, or delete the file")));
        }
        return Vec::new();
    };
    let Some(entries) = node.get_ref().as_array() else {
        doc.error(node.span(), "`at` must be a list of tables".into(), Some("write [[at]], with two brackets".into()));
        return Vec::new();
    };
    entries.iter().filter_map(|node| entry(doc, node, known, seen)).collect()
}

fn entry(doc: &mut Doc<'_>, node: &Node<'_>, known: &Known<'_>, seen: &mut Seen) -> Option<Schedule> {
    let table = doc.table(node, SHAPE)?;
    let keys: Vec<&str> = KEYS.into_iter().chain(policy::KEYS).collect();
    for (key, _) in table.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
        doc.unknown(key, "a schedule", &keys);
    }
    let name = needed(doc, node, table, "name");
    if let Some((name, at)) = &name {
        super::name_at(doc, name, "schedule", at.span());
        if let Some(other) = seen.names.insert(name.clone(), doc.file.to_owned()) {
            let message = format!("a second schedule named `{name}`; the first is in {other}");
            doc.error(at.span(), message, Some("give it another name: the name is how its slots are known".into()));
        }
    }
    let job = needed(doc, node, table, "job");
    if let Some((name, at)) = job.as_ref().filter(|(name, _)| !known.named.contains(name)) {
        let help = doc::suggest(name, known.named.iter().map(String::as_str));
        let help = help.unwrap_or_else(|| format!("make jobs/{name}.toml"));
        doc.error(at.span(), format!("there is no job `{name}`"), Some(help));
    }
    let first = job.as_ref().map(|(name, _)| name.as_str());
    let of_job = || first.and_then(|name| known.jobs.get(name)).map(|job| job.then.clone()).unwrap_or_default();
    let then = then::read(doc, table, first, known.named).unwrap_or_else(of_job);
    let zone = zone(doc, table);
    let cron =
        cron(doc, node, table, zone.unwrap_or(Tz::UTC), name.as_ref().map_or("", |(name, _)| name), &mut seen.crons);
    let chain: Vec<&str> = first.into_iter().chain(then.iter().map(|next| next.job.as_str())).collect();
    let params = table.get("params").map(|node| values(doc, node, &chain, known)).unwrap_or_default();
    all_given(doc, node, table, &chain, known);
    // Everything is read before the first `?`, so that every problem is told.
    let policy = policy::read(doc, table);
    if let Some(node) = table.get("windows") {
        window::known(doc, node, known.windows);
    }
    let windows = table.get("windows").map_or(Some(Vec::new()), |node| doc.read(node));
    let enabled = table.get("enabled").map_or(Some(true), |node| doc.read(node));
    let (cron_text, cron) = cron?;
    Some(Schedule {
        name: name?.0,
        job: job?.0,
        cron,
        cron_text,
        zone: zone?,
        policy: policy?,
        windows: windows?,
        enabled: enabled?,
        params,
        then,
        file: doc.file.to_owned(),
    })
}

fn needed<'n, 'i>(
    doc: &mut Doc<'_>,
    entry: &Node<'i>,
    table: &'n DeTable<'i>,
    key: &str,
) -> Option<(String, &'n Node<'i>)> {
    match table.get(key) {
        Some(node) => doc.read::<String>(node).map(|text| (text, node)),
        None => {
            doc.error(entry.span(), format!("a schedule needs `{key}`"), Some(format!("write {SHAPE}")));
            None
        }
    }
}

pub(super) fn zone(doc: &mut Doc<'_>, table: &DeTable<'_>) -> Option<Tz> {
    let Some(node) = table.get("zone") else { return Some(Tz::UTC) };
    let text: String = doc.read(node)?;
    let zone = text.parse::<Tz>();
    if zone.is_err() {
        let near = doc::suggest(&text, TZ_VARIANTS.iter().map(|zone| zone.name()));
        let help = near.unwrap_or_else(|| "write an IANA name: UTC, Europe/Berlin, America/New_York".into());
        doc.error(node.span(), format!("there is no time zone `{text}`"), Some(help));
    }
    zone.ok()
}

fn cron(
    doc: &mut Doc<'_>,
    entry: &Node<'_>,
    table: &DeTable<'_>,
    zone: Tz,
    name: &str,
    crons: &mut Crons,
) -> Option<(String, Cron)> {
    let dst = table.get("dst").map_or(Some(Dst::default()), |node| doc.read(node));
    let (text, at) = needed(doc, entry, table, "cron")?;
    // The field itself, where the text stands in the file as it is meant.
    let inside = at.span().start + 1..at.span().end.saturating_sub(1);
    let plain = doc.text.get(inside.clone()) == Some(text.as_str());
    let place = |part: &Range<usize>| {
        if plain { inside.start + part.start..inside.start + part.end } else { at.span() }
    };
    let cron = match crons.named(&text, name) {
        Ok(cron) => cron,
        Err(error) => {
            doc.error(place(&error.at), error.why, Some(error.help));
            return None;
        }
    };
    for lint in cron.lints() {
        doc.warning(place(&lint.at), lint.why.clone(), Some(lint.help.clone()));
    }
    let dst = dst?;
    if let Some(node) = table.get("dst") {
        silent_hour(doc, node, dst, &cron);
    }
    let cron = cron.with_dst(dst);
    // Whether it is ever due does not hang on when we ask, so that a check gives the same answer every day.
    if cron.next(zone, DateTime::UNIX_EPOCH).is_none() {
        let help = "does that day exist in that month, and does the clock show that time on it?";
        doc.error(at.span(), format!("`{text}` is never due"), Some(help.into()));
        return None;
    }
    Some((text, cron))
}

/// An interval that is told to sit out one pass of the hour that comes twice is silent for an hour.
fn silent_hour(doc: &mut Doc<'_>, node: &Node<'_>, dst: Dst, cron: &Cron) {
    let pass = match dst.overlap {
        Some(Passes::First) => "second",
        Some(Passes::Last) => "first",
        _ => return,
    };
    if !cron.is_fixed() {
        let why = format!("`{cron}` is an interval, and nothing fires on the {pass} pass of an hour that comes twice");
        let help = "leave `overlap` out, or write \"both\", for one that counts real time";
        doc.warning(node.span(), why, Some(help.into()));
    }
}

/// The schedule's parameters. Each must be declared by a job of the chain and fit every one that declares it.
fn values(doc: &mut Doc<'_>, node: &Node<'_>, chain: &[&str], known: &Known<'_>) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    let Some(table) = doc.table(node, "params = { dry_run = true }") else { return values };
    let jobs: Vec<&Job> = chain.iter().filter_map(|name| known.jobs.get(*name)).collect();
    // With a job that cannot be read, its parameters are not known either.
    let whole = jobs.len() == chain.len();
    for (key, node) in table.iter() {
        let name = key.get_ref().as_ref();
        let takers: Vec<_> = jobs.iter().filter_map(|job| job.params.get(name)).collect();
        if takers.is_empty() && whole {
            let all: BTreeSet<&str> = jobs.iter().flat_map(|job| job.params.keys().map(String::as_str)).collect();
            let help = doc::suggest_or_list(name, all);
            doc.error(key.span(), format!("no job of this schedule has a parameter `{name}`"), Some(help));
        }
        let before = doc.count();
        let mut fits = None;
        for param in takers {
            // Told once, even when several jobs refuse it.
            if doc.count() == before {
                fits = params::value(doc, node, param);
            }
        }
        values.extend(fits.map(|value| (name.to_owned(), value)));
    }
    values
}

/// A parameter without a default must be given.
fn all_given(doc: &mut Doc<'_>, entry: &Node<'_>, table: &DeTable<'_>, chain: &[&str], known: &Known<'_>) {
    let given = table.get("params").and_then(|node| node.get_ref().as_table());
    let mut told = BTreeSet::new();
    for job in chain.iter().filter_map(|name| known.jobs.get(*name)) {
        for (name, _) in job.params.iter().filter(|(_, param)| param.default.is_none()) {
            if given.is_none_or(|given| !given.contains_key(name.as_str())) && told.insert(name) {
                let at = table.get("params").map_or(entry.span(), Node::span);
                let message = format!("the job `{}` needs the parameter `{name}`", job.name);
                doc.error(at, message, Some(format!("add it to params = {{ {name} = … }}")));
            }
        }
    }
}
