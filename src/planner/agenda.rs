//! When each schedule is to be looked at next.
//!
//! It only saves looking: what is due is found again from the watermarks of the schedules that are held, so an entry
//! that is wrong costs a look, never a slot.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

/// Schedules, by their place in the catalog, in the order of their instants.
#[derive(Debug, Clone, Default)]
pub(super) struct Agenda(BTreeSet<(DateTime<Utc>, usize)>);

impl Agenda {
    pub(super) fn add(&mut self, at: DateTime<Utc>, schedule: usize) {
        self.0.insert((at, schedule));
    }

    /// Takes up to `most` that are due out of it, the earliest first.
    pub(super) fn take(&mut self, now: DateTime<Utc>, most: usize) -> Vec<usize> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some((at, schedule)) = self.0.first().copied()
            && at <= now
        {
            self.0.pop_first();
            due.push(schedule);
        }
        due
    }

    /// The earliest instant in it.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.0.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
        let mut agenda = Agenda::default();
        for (seconds, schedule) in [(3, 0), (1, 1), (2, 2), (1, 3), (9, 4)] {
            agenda.add(at(seconds), schedule);
        }
        assert_eq!(agenda.take(at(2), 2), [1, 3]);
        assert_eq!(agenda.take(at(2), 2), [2]);
        assert_eq!(agenda.take(at(2), 2), [0_usize; 0]);
        assert_eq!(agenda.next(), Some(at(3)));
    }
}
