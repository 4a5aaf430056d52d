//! `[retention]`: how long the queue's database keeps what is over.

use super::read::{Reader, Table};
use crate::span::Span;

/// How long the queue's database keeps what is over. Daemons that say different things are no harm, but the shortest time wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Runs that were done or skipped.
    pub done: Span,
    /// Runs that failed or were cancelled, which can be retried as long.
    pub failed: Span,
    /// Runs of each job that stay however old they are, beside its last success.
    pub last: u32,
    /// What runs logged.
    pub log: Span,
    /// Decisions of slots, pauses that ended, and schedules that were removed.
    pub slots: Span,
    /// Events with their messages, and how jobs fared that are no more.
    pub events: Span,
    /// Revisions that were replaced.
    pub revisions: Span,
}

impl Default for Retention {
    fn default() -> Self {
        let year = Span::seconds(365 * 86_400);
        Self {
            done: Span::seconds(90 * 86_400),
            failed: year,
            last: 20,
            log: Span::seconds(30 * 86_400),
            slots: year,
            events: year,
            revisions: year,
        }
    }
}

const DAY: Span = Span::seconds(86_400);

pub(super) fn retention(reader: &mut Reader<'_>, root: &mut Table) -> Retention {
    let mut table = reader.table(root, "retention");
    let usual = Retention::default();
    let mut span = |name: &'static str, usual: Span| {
        let given = reader.parsed(&mut table, name).unwrap_or(usual);
        if given < DAY {
            reader.problem(&table, name, "is shorter than a day", format!("write {name} = \"{usual}\""));
        }
        given
    };
    let (done, failed, log) = (span("done", usual.done), span("failed", usual.failed), span("log", usual.log));
    let (slots, events) = (span("slots", usual.slots), span("events", usual.events));
    let revisions = span("revisions", usual.revisions);
    let last = reader.number(&mut table, "last", 1, 10_000).map_or(usual.last, |n| n as u32);
    reader.end(table);
    Retention { done, failed, last, log, slots, events, revisions }
}
