//! How much of an attempt's log is kept: its head as it comes, its tail at the end, and one line for what lies between.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// How much one attempt may log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Lines in all; a fifth of them is the tail.
    lines: usize,
    /// Bytes in all; as the lines.
    bytes: usize,
}

/// What all attempts of a run share.
const RUN: Budget = Budget { lines: 5_000, bytes: 1024 * 1024 };
/// What one attempt has at least, however many there may be.
const LEAST: Budget = Budget { lines: 250, bytes: 64 * 1024 };
/// What a line costs beside its text.
const ROW: usize = 100;
/// Who speaks where the log says something of itself.
const OWN: &str = "log";

impl Budget {
    /// The share of one attempt of a run that has so many.
    pub(super) fn of(attempts: i32) -> Self {
        let attempts = usize::try_from(attempts).unwrap_or(1).max(1);
        Self { lines: (RUN.lines / attempts).max(LEAST.lines), bytes: (RUN.bytes / attempts).max(LEAST.bytes) }
    }
}

/// What was said, before it has its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) at: DateTime<Utc>,
    pub(super) level: &'static str,
    pub(super) target: &'static str,
    pub(super) message: String,
    pub(super) fields: Option<Value>,
    /// The bytes of its message and fields.
    pub(super) size: usize,
}

impl Entry {
    /// What the log says of itself.
    fn own(at: DateTime<Utc>, message: String) -> Self {
        Self { at, level: "warn", target: OWN, size: message.len(), message, fields: None }
    }

    pub(super) fn cost(&self) -> usize {
        self.size + ROW
    }

    /// What counts as held in memory: not the few words of the log's own.
    pub(super) fn held(&self) -> usize {
        if self.target == OWN { 0 } else { self.cost() }
    }
}

/// An entry with its place in the attempt.
pub(super) type Placed = (i32, Entry);

/// What one attempt has logged and the database does not have yet.
#[derive(Debug)]
pub(super) struct Pages {
    head: Budget,
    rest: Budget,
    next: i32,
    pending: Vec<Placed>,
    tail: VecDeque<Placed>,
    tail_bytes: usize,
    left_out: u64,
    dropped: u64,
    full: bool,
    over: bool,
}

impl Pages {
    pub(super) fn new(budget: Budget) -> Self {
        let rest = Budget { lines: budget.lines / 5, bytes: budget.bytes / 5 };
        Self {
            head: Budget { lines: budget.lines - rest.lines, bytes: budget.bytes - rest.bytes },
            rest,
            next: 1,
            pending: Vec::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            left_out: 0,
            dropped: 0,
            full: false,
            over: false,
        }
    }

    /// Takes one in; `room` says whether there is memory for it. Gives by how many bytes more or less are held now.
    pub(super) fn push(&mut self, entry: Entry, room: bool) -> isize {
        if self.over {
            return 0;
        }
        let cost = entry.cost();
        let place = self.place();
        if !self.full && self.head.lines > 0 && self.head.bytes >= cost {
            self.head.lines -= 1;
            self.head.bytes -= cost;
            if !room {
                self.dropped += 1;
                return 0;
            }
            self.pending.push((place, entry));
            return cost as isize;
        }
        let mut held = 0;
        if !self.full {
            self.full = true;
            let told =
                "this is a lot: from here on only the last lines are kept, to be read once the attempt has ended";
            let told = Entry::own(entry.at, told.to_owned());
            self.pending.push((place, told));
        }
        // A line of its own number, since the one before may be taken.
        let place = self.place();
        held += cost as isize;
        self.tail_bytes += cost;
        self.tail.push_back((place, entry));
        while self.tail.len() > self.rest.lines || self.tail_bytes > self.rest.bytes {
            let Some((_, gone)) = self.tail.pop_front() else { break };
            self.tail_bytes -= gone.cost();
            held -= gone.cost() as isize;
            self.left_out += 1;
        }
        held
    }

    /// Whether there is anything to write.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty() || self.dropped > 0
    }

    /// What to write now.
    pub(super) fn take(&mut self, now: DateTime<Utc>) -> Vec<Placed> {
        if self.dropped > 0 {
            let place = self.place();
            let told = format!("{} lines were dropped here: the database did not take them in time", self.dropped);
            self.dropped = 0;
            self.pending.push((place, Entry::own(now, told)));
        }
        std::mem::take(&mut self.pending)
    }

    /// What could not be written is to be written again.
    pub(super) fn put_back(&mut self, mut taken: Vec<Placed>) {
        taken.append(&mut self.pending);
        self.pending = taken;
    }

    /// The attempt is over: its last lines are to be written, too. What comes later is no part of it.
    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if let Some((first, entry)) = self.tail.front().filter(|_| self.left_out > 0) {
            // The last of those that are left out has that number.
            self.pending.push((first - 1, Entry::own(entry.at, format!("{} lines are left out here", self.left_out))));
        }
        self.pending.extend(std::mem::take(&mut self.tail));
    }

    fn place(&mut self) -> i32 {
        let place = self.next;
        self.next = self.next.saturating_add(1);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let message = text.to_owned();
        Entry { at: Utc::now(), level: "info", target: "t", size: message.len(), message, fields: None }
    }

    fn told(placed: &[Placed]) -> Vec<(i32, &str)> {
        placed.iter().map(|(place, entry)| (*place, entry.message.as_str())).collect()
    }

    #[test]
    fn head_and_tail_stay_and_one_line_says_what_is_left_out() {
        let mut pages = Pages::new(Budget { lines: 10, bytes: 100_000 });
        let mut held = 0;
        for n in 1..=100 {
            held += pages.push(entry(&format!("line {n}")), true);
        }
        let head = pages.take(Utc::now());
        assert_eq!((head.len(), told(&head)[7]), (9, (8, "line 8")));
        assert!(told(&head)[8].1.starts_with("this is a lot"), "{head:?}");
        assert!(!pages.is_pending());
        pages.close();
        pages.push(entry("after the end"), true);
        let rest = pages.take(Utc::now());
        let texts: Vec<_> = told(&rest).iter().map(|(_, text)| *text).collect();
        assert_eq!(texts, ["90 lines are left out here", "line 99", "line 100"]);
        let places: Vec<i32> = head.iter().chain(&rest).map(|(place, _)| *place).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        let written: usize = head.iter().chain(&rest).map(|(_, entry)| entry.held()).sum();
        assert_eq!(held as usize, written, "what is held is what is written");
    }

    #[test]
    fn bytes_count_as_well_as_lines() {
        let mut pages = Pages::new(Budget { lines: 1_000, bytes: 10_000 });
        for _ in 0..100 {
            pages.push(entry(&"x".repeat(900)), true);
        }
        pages.close();
        let written: usize = pages.take(Utc::now()).iter().map(|(_, entry)| entry.cost()).sum();
        assert!((9_000..11_000).contains(&written), "{written}");
    }

    #[test]
    fn an_attempt_that_fits_is_written_whole_and_nothing_is_said_of_it() {
        let mut pages = Pages::new(Budget { lines: 10, bytes: 100_000 });
        for n in 1..=10 {
            pages.push(entry(&n.to_string()), true);
        }
        pages.close();
        let written = pages.take(Utc::now());
        assert!(!told(&written).iter().any(|(_, text)| text.contains("left out")), "{written:?}");
        assert_eq!(told(&written).last().map(|(_, text)| *text), Some("10"));
    }

    #[test]
    fn without_room_lines_are_dropped_and_counted() {
        let mut pages = Pages::new(Budget::of(1));
        pages.push(entry("first"), true);
        assert_eq!(pages.push(entry("second"), false), 0);
        let taken = pages.take(Utc::now());
        assert_eq!(told(&taken)[1], (3, "1 lines were dropped here: the database did not take them in time"));
        pages.put_back(taken);
        pages.push(entry("later"), true);
        assert_eq!(pages.take(Utc::now()).len(), 3);
    }

    #[test]
    fn attempts_share_what_a_run_may_log() {
        assert_eq!(Budget::of(1), RUN);
        assert_eq!(Budget::of(5).lines, 1_000);
        assert_eq!(Budget::of(1_000), LEAST);
        assert_eq!(Budget::of(0), RUN);
    }
}
