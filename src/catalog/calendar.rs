//! Calendars: files in `schedules/calendars`, iCalendar's or TOML.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use toml::de::{DeTable, DeValue};

use super::{
    Files, Problem,
    doc::{self, Doc, Node},
    window::{Moment, ends_later, moment},
};
use crate::windows::{Busy, Calendar};

/// The folder.
pub(super) const FOLDER: &str = "schedules/calendars/";
const KEYS: [&str; 6] = ["date", "first", "last", "from", "until", "name"];
const SHAPE: &str = "[[day]] with one of: date, first and last, from and until";

/// All calendars; `None` for one that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Calendars(BTreeMap<String, Option<Calendar>>);

impl Calendars {
    /// Reads those of a set of files.
    pub(super) fn read(files: &Files, problems: &mut Vec<Problem>) -> Self {
        let mut calendars = Self::default();
        for (path, text) in files.0.iter().filter(|(path, _)| path.starts_with(FOLDER)) {
            let Some((name, ending)) = path.trim_start_matches(FOLDER).rsplit_once('.') else { continue };
            let mut doc = Doc::new(path, text);
            super::name_of(&mut doc, name, "calendar");
            let calendar = if ending == "ics" { ics(&mut doc) } else { days(&mut doc) };
            if calendars.0.insert(name.to_owned(), calendar).is_some() {
                let message = format!("a second calendar named `{name}`");
                doc.error(0..0, message, Some(format!("keep {name}.ics or {name}.toml, or rename one")));
            }
            problems.extend(doc.problems());
        }
        calendars
    }

    /// The calendar that a window names; one that there is not is told at its place.
    pub(super) fn find(&self, doc: &mut Doc<'_>, node: &Node<'_>, name: &str) -> Option<&Calendar> {
        if let Some(known) = self.0.get(name) {
            return known.as_ref();
        }
        let near = doc::suggest(name, self.0.keys().map(String::as_str));
        let help = near.unwrap_or_else(|| format!("make {FOLDER}{name}.ics or {FOLDER}{name}.toml"));
        doc.error(node.span(), format!("there is no calendar `{name}`"), Some(help));
        None
    }
}

fn ics(doc: &mut Doc<'_>) -> Option<Calendar> {
    match Calendar::ics(doc.text) {
        Ok(calendar) => Some(calendar),
        Err(unclear) => {
            for one in unclear {
                doc.error(one.at, one.why, Some(one.help));
            }
            None
        }
    }
}

fn days(doc: &mut Doc<'_>) -> Option<Calendar> {
    let table = doc.parse()?;
    for (key, _) in table.iter().filter(|(key, _)| key.get_ref() != "day") {
        let message = format!("`{}` is not a key of a calendar", key.get_ref());
        doc.error(key.span(), message, Some(format!("write {SHAPE}")));
    }
    let entries = match table.get("day").map(|node| (node, node.get_ref().as_array())) {
        Some((_, Some(entries))) => entries.iter().collect(),
        Some((node, None)) => {
            let help = "write [[day]], with two brackets".to_owned();
            doc.error(node.span(), "`day` must be a list of tables".into(), Some(help));
            return None;
        }
        None => {
            doc.warning(0..0, "the calendar has no day".into(), Some(format!("write {SHAPE}")));
            Vec::new()
        }
    };
    let busy: Vec<_> = entries.into_iter().map(|node| entry(doc, node)).collect();
    busy.into_iter().collect::<Option<_>>().map(|busy| Calendar { busy })
}

fn entry(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<Busy> {
    let table = doc.table(node, SHAPE)?;
    for (key, _) in table.iter().filter(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
        doc.unknown(key, "a day", &KEYS);
    }
    if let Some(name) = table.get("name") {
        doc.read::<String>(name)?;
    }
    let given: Vec<&str> = KEYS[..5].iter().copied().filter(|key| table.contains_key(*key)).collect();
    let part = |key| table.get(key);
    match given.as_slice() {
        ["date"] => {
            let date = day(doc, part("date")?)?;
            Some(Busy::Days(date..date.succ_opt()?))
        }
        ["first", "last"] => {
            let (first, last) = (day(doc, part("first")?)?, day(doc, part("last")?)?);
            ends_later(doc, part("last")?.span(), first <= last).then_some(())?;
            Some(Busy::Days(first..last.succ_opt()?))
        }
        ["from", "until"] => times(doc, table),
        _ => {
            doc.error(
                node.span(),
                "a day is given by exactly one of: date, first and last, from and until".into(),
                None,
            );
            None
        }
    }
}

fn times(doc: &mut Doc<'_>, table: &DeTable<'_>) -> Option<Busy> {
    let (from_node, until_node) = (table.get("from")?, table.get("until")?);
    let whole = |node: &Node<'_>| matches!(node.get_ref(), DeValue::Datetime(date) if date.time.is_none());
    if whole(from_node) && whole(until_node) {
        let help = "for whole days write first and last, both of which count";
        doc.error(from_node.span(), "from and until are times, and these are days".into(), Some(help.into()));
        return None;
    }
    let (from, until) = (moment(doc, from_node), moment(doc, until_node));
    let at = until_node.span();
    match (from?, until?) {
        (Moment::Instant(from), Moment::Instant(until)) => {
            ends_later(doc, at, from < until).then_some(Busy::Fixed(from..until))
        }
        (Moment::Wall(from), Moment::Wall(until)) => {
            ends_later(doc, at, from < until).then_some(Busy::Local(from..until))
        }
        _ => {
            let help = "give both an offset (or Z), or neither";
            doc.error(at, "one of from and until has an offset, the other has none".into(), Some(help.into()));
            None
        }
    }
}

fn day(doc: &mut Doc<'_>, node: &Node<'_>) -> Option<NaiveDate> {
    let date = match node.get_ref() {
        DeValue::Datetime(date) => date.to_string().parse().ok(),
        _ => None,
    };
    if date.is_none() {
        doc.error(node.span(), "must be a date without quotes".into(), Some("write 2026-12-25".into()));
    }
    date
}
