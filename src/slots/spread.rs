//! Splay and jitter: many schedules of one minute that do not all start at once.
//!
//! Both are made from the name, so that every daemon and every version finds the same instant. Splay is the first 8
//! bytes of SHA-256 of `NAME splay`, big-endian, modulo its length in milliseconds; jitter is the same of `NAME jitter
//! SLOT`, with the slot as in `2026-03-29T01:00:00Z`. Where the next slot is nearer than their length, it counts
//! instead: a slot always starts before the next one.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::hash::number;

/// How far the starts of a schedule may be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    /// The same for every slot.
    pub splay: Duration,
    /// For each slot its own.
    pub jitter: Duration,
}

impl Spread {
    /// Whether every slot starts at its own instant.
    pub fn is_none(&self) -> bool {
        self.most() == TimeDelta::zero()
    }

    /// How far a start may be moved at most.
    pub fn most(&self) -> TimeDelta {
        TimeDelta::from_std(self.splay.saturating_add(self.jitter)).unwrap_or(TimeDelta::MAX)
    }

    /// When a slot of the schedule of this name starts, if `next` is the slot after it.
    pub fn start(&self, name: &str, slot: DateTime<Utc>, next: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let gap = next.map_or(i64::MAX, |next| (next - slot).num_milliseconds());
        let part = |length: Duration, room: i64, text: String| {
            let room = u64::try_from(room.min(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))).unwrap_or(0);
            if room == 0 { 0 } else { (number(&text) % room) as i64 }
        };
        let splay = part(self.splay, gap, format!("{name} splay"));
        let instant = slot.to_rfc3339_opts(SecondsFormat::Secs, true);
        let jitter = part(self.jitter, gap - splay, format!("{name} jitter {instant}"));
        slot + TimeDelta::milliseconds(splay + jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn a_start_is_what_anybody_can_compute() {
        // printf 'nightly splay' | sha256sum: its first 16 hex digits, modulo 600000.
        let spread = Spread { splay: Duration::from_secs(600), jitter: Duration::ZERO };
        let moved = spread.start("nightly", at(0), None) - at(0);
        let expected = u64::from_str_radix("f7d3da5a6867e67c", 16).expect("hex") % 600_000;
        assert_eq!(moved.num_milliseconds() as u64, expected);
        assert_eq!(spread.start("nightly", at(86_400), Some(at(172_800))) - at(86_400), moved, "the same each day");
    }

    #[test]
    fn a_slot_starts_before_the_next_one() {
        for number in 0..20_000_i64 {
            let (splay, jitter, gap) = (number * 7 % 10_000, number * 31 % 10_000, 1 + number * 13 % 5_000);
            let spread =
                Spread { splay: Duration::from_secs(splay as u64), jitter: Duration::from_millis(jitter as u64) };
            let slot = at(number * 86_413);
            let start = spread.start(&format!("s{number}"), slot, Some(slot + TimeDelta::seconds(gap)));
            assert!(start >= slot && start < slot + TimeDelta::seconds(gap), "{spread:?} {gap}");
            assert!(start - slot <= spread.most(), "{spread:?} {gap}");
        }
    }
}
