//! A window's entry: when slots are skipped or wait, or alerts do.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use toml::de::{DeTable, DeValue};

use super::{
    Problem,
    calendar::Calendars,
    doc::{self, Doc, Node},
    problem::Severity,
    schedule,
};
use crate::{
    slots::Cron,
    span::Span,
    windows::{self, Slots, When, Window},
};

pub(super) const KEYS: [&str; 12] =
    ["name", "about", "cron", "lasts", "from", "until", "calendar", "zone", "slots", "only", "mute", "everywhere"];
const SHAPE: &str = "[[window]] with name and one of: cron and lasts, from and until, calendar";
/// A year: what is longer is written with its two ends.
const LONGEST: u64 = 366 * 86_400;

/// The windows of all files, and where each is written.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) windows: Vec<Window>,
    /// All that have a name, also those that could not be read.
    pub(super) named: BTreeSet<String>,
    places: BTreeMap<String, Problem>,
}

/// Reads the windows of a file of schedules; what is no TOML is told by whoever reads its schedules.
pub(super) fn read(doc: &mut Doc<'_>, calendars: &Calendars, found: &mut Found) {
    let Ok(table) = DeTable::parse(doc.text) else { return };
    let Some(node) = table.get_ref().get("window") else { return };
    let Some(entries) = node.get_ref().as_array() else {
        let help = "write [[window]], with two brackets".to_owned();
        return doc.error(node.span(), "`window` must be a list of tables".into(), Some(help));
    };
    for node in entries {
        let Some(table) = doc.table(node, SHAPE) else { continue };
        for (key, _) in table.iter().filter(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
            doc.unknown(key, "a window", &KEYS);
        }
        let name = name(doc, node, table, found);
        let window = entry(doc, node, table, calendars, name.as_deref().unwrap_or_default());
        if name.is_some() {
            found.windows.extend(window);
        }
    }
}

/// Its name, which is unique over all files.
fn name(doc: &mut Doc<'_>, entry: &Node<'_>, table: &DeTable<'_>, found: &mut Found) -> Option<String> {
    let Some(node) = table.get("name") else {
        doc.error(entry.span(), "a window needs `name`".into(), Some(format!("write {SHAPE}")));
        return None;
    };
    let name: String = doc.read(node)?;
    super::name_at(doc, &name, "window", node.span());
    let place = Problem::at(doc.file, doc.text, node.span(), String::new(), None);
    if let Some(other) = found.places.get(&name) {
        let message = format!("a second window named `{name}`; the first is in {}", other.file);
        doc.error(node.span(), message, Some("give it another name".into()));
        return None;
    }
    found.named.insert(name.clone());
    found.places.insert(name.clone(), place);
    Some(name)
}

fn entry(doc: &mut Doc<'_>, node: &Node<'_>, table: &DeTable<'_>, calendars: &Calendars, name: &str) -> Option<Window> {
    // Everything is read before the first `?`, so that every problem is told.
    let zone = schedule::zone(doc, table);
    let about = table.get("about").map_or(Some(None), |node| doc.read(node).map(Some));
    let slots = table.get("slots").map_or(Some(Slots::default()), |node| doc.read(node));
    let mut flag = |key| table.get(key).map_or(Some(false), |node: &Node<'_>| doc.read::<bool>(node));
    let (only, mute, everywhere) = (flag("only"), flag("mute"), flag("everywhere"));
    let when = when(doc, node, table, zone.unwrap_or(Tz::UTC), calendars, name);
    let (slots, only, mute) = (slots?, only?, mute?);
    if slots == Slots::Fire && only {
        let at = table.get("only").map_or(node.span(), Node::span);
        let help = "write slots = \"skip\" or \"defer\", or leave `only` out";
        doc.error(at, "slots outside of it are to fire, so `only` says nothing".into(), Some(help.into()));
        return None;
    }
    if slots == Slots::Fire && !mute {
        let at = table.get("slots").map_or(node.span(), Node::span);
        let help = "add mute = true, or let slots be skipped or deferred";
        doc.warning(
            at,
            format!("the window `{name}` changes nothing: slots fire and alerts are told"),
            Some(help.into()),
        );
    }
    let window = Window {
        name: name.to_owned(),
        about: about?,
        when: when?,
        zone: zone?,
        only,
        slots,
        mute,
        everywhere: everywhere?,
    };
    if !window.ends() {
        let at = table.get("lasts").map_or(node.span(), Node::span);
        let help =
            "let it last less long than the time from one to the next; a schedule that is off has enabled = false";
        doc.error(at, "each occurrence lasts until the next one, so it never ends".into(), Some(help.into()));
        return None;
    }
    Some(window)
}

/// When it is: exactly one of the three ways.
fn when(
    doc: &mut Doc<'_>,
    node: &Node<'_>,
    table: &DeTable<'_>,
    zone: Tz,
    calendars: &Calendars,
    name: &str,
) -> Option<When> {
    let has = |key: &str| table.contains_key(key);
    let ways = [has("cron") || has("lasts"), has("from") || has("until"), has("calendar")];
    if ways.iter().filter(|way| **way).count() != 1 {
        let message = if ways.contains(&true) {
            "a window is given in more than one way"
        } else {
            "a window needs to say when it is"
        };
        doc.error(node.span(), message.into(), Some("write one of: cron and lasts, from and until, calendar".into()));
        return None;
    }
    let mut both = |one: &str, other: &str| {
        for missing in [one, other].into_iter().filter(|key| !has(key)) {
            doc.error(
                node.span(),
                format!("a window needs `{missing}`, too"),
                Some(format!("write {one} and {other}")),
            );
        }
        Some((table.get(one)?, table.get(other)?))
    };
    if ways[0] {
        let (cron, lasts) = both("cron", "lasts")?;
        let cron = expression(doc, cron, zone, name);
        let lasts = length(doc, lasts);
        return Some(When::Recurring { cron: cron?, lasts: lasts? });
    }
    if ways[1] {
        let (from, until) = both("from", "until")?;
        let at = until.span();
        let (from, until) = (moment(doc, from), moment(doc, until));
        let instant = |time: Moment| match time {
            Moment::Instant(at) => at,
            Moment::Wall(wall) => windows::instant(zone, wall),
        };
        let (from, until) = (instant(from?), instant(until?));
        return ends_later(doc, at, from < until).then(|| When::listed(vec![from..until]));
    }
    let node = table.get("calendar")?;
    let name: String = doc.read(node)?;
    calendars.find(doc, node, &name).map(|calendar| calendar.when(zone))
}

fn expression(doc: &mut Doc<'_>, node: &Node<'_>, zone: Tz, name: &str) -> Option<Cron> {
    let text: String = doc.read(node)?;
    match Cron::named(&text, name) {
        Ok(cron) if cron.next(zone, DateTime::UNIX_EPOCH).is_some() => Some(cron),
        Ok(_) => {
            let help = "does that day exist in that month, and does the clock show that time on it?";
            doc.error(node.span(), format!("`{text}` is never due"), Some(help.into()));
            None
        }
        Err(error) => {
            doc.error(node.span(), error.why, Some(error.help));
            None
        }
    }
}

fn length(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<TimeDelta> {
    let lasts: Span = doc.read(node)?;
    let seconds = lasts.0.as_secs();
    if !(1..=LONGEST).contains(&seconds) {
        doc.error(node.span(), format!("a window cannot last {lasts}"), Some("write 1s to 366d".into()));
        return None;
    }
    TimeDelta::from_std(lasts.0).ok()
}

/// A time as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// With an offset: it is the same everywhere.
    Instant(DateTime<Utc>),
    /// On the window's clock.
    Wall(NaiveDateTime),
}

/// Reads a TOML date-time.
pub(super) fn moment(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<Moment> {
    if let DeValue::Datetime(date) = node.get_ref() {
        let text = date.to_string();
        if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
            return Some(Moment::Instant(at.to_utc()));
        }
        if let Ok(wall) = text.parse::<NaiveDateTime>() {
            return Some(Moment::Wall(wall));
        }
    }
    let help = "write 2026-12-24T18:00:00Z, or 2026-12-24T18:00:00 for a time on the clock of the window's zone";
    doc.error(node.span(), "must be a date with a time, without quotes".into(), Some(help.into()));
    None
}

/// Whether it does; else says so.
pub(super) fn ends_later(doc: &mut Doc<'_>, at: Range<usize>, later: bool) -> bool {
    if !later {
        doc.error(at, "it ends before it begins".into(), Some("exchange the two".into()));
    }
    later
}

/// Says which of the windows that a schedule names there are not.
pub(super) fn known(doc: &mut Doc<'_>, node: &Node<'_>, named: &BTreeSet<String>) {
    for item in node.get_ref().as_array().into_iter().flatten() {
        if let Some(name) = item.get_ref().as_str().filter(|name| !named.contains(*name)) {
            let near = doc::suggest(name, named.iter().map(String::as_str));
            let help = near.unwrap_or_else(|| format!("add [[window]] with name = \"{name}\" to a file in schedules"));
            doc.error(item.span(), format!("there is no window `{name}`"), Some(help));
        }
    }
}

impl Found {
    /// Windows that no schedule has.
    pub(super) fn unused(&self, used: &BTreeSet<&str>) -> Vec<Problem> {
        let idle = self.windows.iter().filter(|window| !window.everywhere && !used.contains(window.name.as_str()));
        idle.filter_map(|window| {
            Some(Problem {
                severity: Severity::Warning,
                message: format!("no schedule has the window `{}`", window.name),
                help: Some(format!("add windows = [\"{}\"] to a schedule, or everywhere = true here", window.name)),
                ..self.places.get(&window.name)?.clone()
            })
        })
        .collect()
    }

    /// Where each window is written.
    pub(super) fn places(&self) -> BTreeMap<String, Problem> {
        self.places.clone()
    }
}
