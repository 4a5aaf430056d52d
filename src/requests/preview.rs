//! What is to come: slots with all that touches them, and a week's collisions.

pub mod due;
pub mod heat;
pub mod touch;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::why::before;
use crate::catalog::{Catalog, Schedule};
pub use due::Due;
pub use touch::Known;

/// The next `count` slots of some schedules together, in order, without what touches them.
pub fn upcoming<'a>(
    schedules: impl IntoIterator<Item = &'a Schedule>,
    from: DateTime<Utc>,
    count: usize,
) -> Vec<Due<'a>> {
    // Whose first slot is not among the first so many has none among them at all.
    let first = |schedule: &'a Schedule| Some((schedule.cron.next(schedule.zone, from)?, schedule));
    let mut firsts: Vec<_> = schedules.into_iter().filter_map(first).collect();
    firsts.sort_by(|(one, a), (other, b)| (one, &a.name).cmp(&(other, &b.name)));
    firsts.truncate(count);
    let mut due: Vec<_> = firsts
        .into_iter()
        .flat_map(|(_, schedule)| due::after(&schedule.cron, schedule.zone, Some(schedule), from, count))
        .collect();
    // Those of one instant keep the order of their names.
    due.sort_by(|one, other| {
        let name = |due: &Due<'a>| due.schedule.map(|schedule| &schedule.name);
        (one.at, name(one)).cmp(&(other.at, name(other)))
    });
    due.truncate(count);
    due
}

/// The jobs of these slots, each once.
pub fn jobs(due: &[Due<'_>]) -> Vec<String> {
    let jobs: BTreeSet<_> = due.iter().filter_map(|due| due.schedule).map(|schedule| schedule.job.clone()).collect();
    jobs.into_iter().collect()
}

/// Adds what touches each slot; `known` is what the queue's database says, where it could be asked.
pub fn touch(catalog: &Catalog, due: &mut [Due<'_>], known: Option<&Known>) {
    for due in due {
        let Some(schedule) = due.schedule else { continue };
        let earlier = before(schedule, due.at);
        due.touched = touch::touches(
            schedule,
            catalog.jobs.get(&schedule.job),
            &catalog.windows_of(schedule),
            due.at,
            earlier,
            known,
        );
    }
}

/// What else is worth knowing of the schedules of these slots.
pub fn notes(due: &[Due<'_>], known: Option<&Known>) -> Vec<String> {
    let mut told = BTreeSet::new();
    let schedules = due.iter().filter_map(|due| due.schedule);
    schedules
        .filter(|schedule| told.insert(&schedule.name))
        .flat_map(|schedule| touch::notes(schedule, known))
        .collect()
}
