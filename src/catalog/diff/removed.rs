//! Whether one edit takes away more schedules than anybody means to.

use std::collections::BTreeMap;

use super::{Noun, entries::entries};
use crate::{
    catalog::{Files, Problem},
    settings::Share,
};

/// How many names a message has.
const NAMED: usize = 20;

/// Says when more than `most` of the schedules in `old` are gone in `new`. One that is gone while a new one fires the
/// same job was renamed.
pub fn too_many_removed(old: &Files, new: &Files, most: Share) -> Option<Problem> {
    let (old, new) = (schedules(old), schedules(new));
    let mut fresh: Vec<&str> =
        new.iter().filter(|(name, _)| !old.contains_key(*name)).map(|(_, job)| job.as_str()).collect();
    let mut gone = Vec::new();
    for (name, job) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        match fresh.iter().position(|other| other == job) {
            Some(at) => drop(fresh.swap_remove(at)),
            None => gone.push(name.as_str()),
        }
    }
    if !most.is_less_than(gone.len(), old.len()) {
        return None;
    }
    let what = match (gone.len(), old.len()) {
        (1, 1) => "the active revision's only schedule is".to_owned(),
        (all, of) if all == of => format!("all {of} schedules of the active revision are"),
        (some, of) => format!("{some} of the {of} schedules of the active revision are"),
    };
    let more = gone.len().saturating_sub(NAMED);
    let names = gone[..gone.len() - more].join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("{what} gone, and no more than {most} may go at once: {names}{more}");
    let help = "bring them back; if it is meant, `sexton apply --allow-removals` removes them";
    Some(Problem::whole("schedules", message, Some(help.to_owned())))
}

/// Jobs by the names of their schedules.
fn schedules(files: &Files) -> BTreeMap<String, String> {
    let schedules = entries(files).into_iter().filter(|((what, _), _)| *what == Noun::Schedule);
    schedules
        .map(|((_, name), keys)| (name, keys.get("job").and_then(|job| job.as_str()).unwrap_or_default().to_owned()))
        .collect()
}
