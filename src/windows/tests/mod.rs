//! Claims about windows: what is inside, what closes a slot and until when, and that work is bounded.

mod oracle;

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Act, Closed, Muted, Slots, Stretch, When, Window, Windows};
use crate::slots::Cron;

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

pub(super) fn window(name: &str, when: When, slots: Slots) -> Window {
    let (about, zone) = (None, Tz::UTC);
    Window { name: name.into(), about, when, zone, only: false, slots, mute: false, everywhere: false }
}

pub(super) fn recurring(cron: &str, minutes: i64) -> When {
    When::Recurring { cron: Cron::parse(cron).expect("an expression"), lasts: TimeDelta::minutes(minutes) }
}

fn once(from: &str, until: &str) -> When {
    When::listed(vec![at(from)..at(until)])
}

#[test]
fn a_window_contains_its_start_and_not_its_end() {
    for when in [once("2026-12-24T18:00:00Z", "2026-12-24T20:00:00Z"), recurring("0 18 24 12 *", 120)] {
        let window = window("w", when, Slots::Skip);
        let inside = ["18:00:00", "19:59:59.999999"].map(|time| window.contains(at(&format!("2026-12-24T{time}Z"))));
        let outside = ["17:59:59.999999", "20:00:00"].map(|time| window.contains(at(&format!("2026-12-24T{time}Z"))));
        assert_eq!((inside, outside), ([true; 2], [false; 2]), "{window:?}");
    }
}

#[test]
fn occurrences_that_meet_are_one() {
    // Monday to Friday, around the clock: one window a week, from Monday's midnight to Saturday's.
    let week = window("week", recurring("0 0 * * 1-5", 24 * 60), Slots::Defer);
    let closed = Windows(vec![&week]).closed(at("2026-11-24T12:00:00Z")).map(|closed| closed.opens_at);
    assert_eq!(closed, Some(Some(at("2026-11-28T00:00:00Z"))));
    // Those that overlap, and far more of them than are put together at once.
    let day = window("day", recurring("* 8-17 * * *", 5), Slots::Defer);
    let closed = Windows(vec![&day]).closed(at("2026-11-24T08:00:00Z")).map(|closed| closed.opens_at);
    assert_eq!(closed, Some(Some(at("2026-11-24T18:04:00Z"))));
}

#[test]
fn a_window_keeps_to_the_clock_of_its_zone() {
    let mut night = window("night", recurring("0 22 * * *", 8 * 60), Slots::Skip);
    night.zone = Tz::Europe__Berlin;
    assert!(!night.contains(at("2026-07-01T19:59:59Z")) && night.contains(at("2026-07-01T20:00:00Z")));
    assert!(!night.contains(at("2026-12-01T20:59:59Z")) && night.contains(at("2026-12-01T21:00:00Z")));
}

#[test]
fn skipping_wins_over_deferring_and_opening_waits_for_both() {
    let defer = window("defer", once("2026-11-01T10:00:00Z", "2026-11-01T14:00:00Z"), Slots::Defer);
    let skip = window("skip", once("2026-11-01T12:00:00Z", "2026-11-01T16:00:00Z"), Slots::Skip);
    let told = window("told", once("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"), Slots::Fire);
    let windows = Windows(vec![&told, &defer, &skip]);
    let closed = |time: &str| windows.closed(at(&format!("2026-11-01T{time}:00Z")));
    let opens_at = Some(at("2026-11-01T16:00:00Z"));
    assert_eq!(closed("09:59"), None);
    assert_eq!(closed("11:00"), Some(Closed { window: "defer", act: Act::Defer, opens_at }));
    assert_eq!(closed("13:00"), Some(Closed { window: "skip", act: Act::Skip, opens_at }));
    assert_eq!(closed("15:00"), Some(Closed { window: "skip", act: Act::Skip, opens_at }));
    assert_eq!(closed("16:00"), None);
}

#[test]
fn outside_of_a_maintenance_window_it_is_closed_and_of_several_one_is_enough() {
    let only = |name, cron| Window { only: true, ..window(name, recurring(cron, 60), Slots::Defer) };
    let (saturday, sunday) = (only("saturday", "0 3 * * 6"), only("sunday", "0 3 * * 7"));
    let windows = Windows(vec![&saturday, &sunday]);
    // 2026-11-28 is a Saturday.
    let opens_at = |time: &str| windows.closed(at(time)).map(|closed| (closed.window.to_owned(), closed.opens_at));
    assert_eq!(opens_at("2026-11-27T12:00:00Z"), Some(("saturday".into(), Some(at("2026-11-28T03:00:00Z")))));
    assert_eq!(opens_at("2026-11-28T03:59:59Z"), None);
    assert_eq!(opens_at("2026-11-28T04:00:00Z"), Some(("saturday".into(), Some(at("2026-11-29T03:00:00Z")))));
    // A blackout within it closes it, too.
    let black = window("black", once("2026-11-29T03:00:00Z", "2026-11-29T03:30:00Z"), Slots::Skip);
    let windows = Windows(vec![&saturday, &sunday, &black]);
    let closed = windows.closed(at("2026-11-29T03:00:00Z"));
    let opens_at = Some(at("2026-11-29T03:30:00Z"));
    assert_eq!(closed, Some(Closed { window: "black", act: Act::Skip, opens_at }));
}

#[test]
fn what_never_opens_again_says_so() {
    let over =
        Window { only: true, ..window("over", once("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"), Slots::Defer) };
    let closed = Windows(vec![&over]).closed(at("2026-11-24T00:00:00Z"));
    assert_eq!(closed, Some(Closed { window: "over", act: Act::Defer, opens_at: None }));
    let always = window("always", recurring("* * * * *", 1), Slots::Skip);
    let closed = Windows(vec![&always]).closed(at("2026-11-24T00:00:00Z"));
    assert_eq!(closed, Some(Closed { window: "always", act: Act::Skip, opens_at: None }));
}

#[test]
fn time_is_cut_where_it_opens_and_closes() {
    let night = window("night", recurring("0 22 * * *", 8 * 60), Slots::Defer);
    let windows = Windows(vec![&night]);
    let (after, until) = (at("2026-11-24T21:00:00Z"), at("2026-11-25T22:00:00Z"));
    let edge = |time: &str| at(time) - TimeDelta::nanoseconds(1);
    let (closes, opens) = (edge("2026-11-24T22:00:00Z"), edge("2026-11-25T06:00:00Z"));
    let closes_again = edge("2026-11-25T22:00:00Z");
    let closed = |opens_at: &str| Some(Closed { window: "night", act: Act::Defer, opens_at: Some(at(opens_at)) });
    assert_eq!(
        windows.stretches(after, until),
        [
            Stretch { after, until: closes, closed: None },
            Stretch { after: closes, until: opens, closed: closed("2026-11-25T06:00:00Z") },
            Stretch { after: opens, until: closes_again, closed: None },
            // The last instant is the first of the next night.
            Stretch { after: closes_again, until, closed: closed("2026-11-26T06:00:00Z") },
        ]
    );
    assert_eq!(windows.stretches(until, until), []);
    let none = Windows::default();
    assert_eq!(none.stretches(after, until), [Stretch { after, until, closed: None }]);
}

#[test]
fn windows_of_every_minute_over_years_cost_little_and_the_rest_is_there_for_the_asking() {
    let half = window(
        "half",
        When::Recurring { cron: Cron::parse("* * * * *").expect("cron"), lasts: TimeDelta::seconds(30) },
        Slots::Skip,
    );
    let always = window("always", recurring("* * * * *", 1), Slots::Defer);
    let (after, until) = (at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
    for (windows, most) in
        [(Windows(vec![&half]), 1_001), (Windows(vec![&always]), 1), (Windows(vec![&half, &always]), 1_001)]
    {
        let begun = Instant::now();
        let (mut from, mut pieces) = (after, 0);
        for _ in 0..3 {
            let cut = windows.stretches(from, until);
            assert!(!cut.is_empty() && cut.len() <= most, "{}", cut.len());
            assert!(cut.windows(2).all(|two| two[0].until == two[1].after && two[0].closed != two[1].closed));
            assert_eq!(cut[0].after, from);
            let end = cut[cut.len() - 1].until;
            assert!(end > from);
            (from, pieces) = (end, pieces + cut.len());
        }
        assert!(pieces <= 3 * most);
        // Six years of minutes would take minutes.
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }
}

#[test]
fn alerts_wait_until_every_window_that_mutes_is_over() {
    let mute = |name, from, until| Window { mute: true, ..window(name, once(from, until), Slots::Fire) };
    let first = mute("first", "2026-11-01T10:00:00Z", "2026-11-01T12:00:00Z");
    let second = mute("second", "2026-11-01T12:00:00Z", "2026-11-01T13:00:00Z");
    let loud = window("loud", once("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"), Slots::Skip);
    let windows = Windows(vec![&loud, &first, &second]);
    let muted = windows.muted(at("2026-11-01T10:00:00Z"));
    assert_eq!(muted, Some(Muted { window: "first", until: at("2026-11-01T13:00:00Z") }));
    assert_eq!(windows.muted(at("2026-11-01T13:00:00Z")), None);
    // Inside of a maintenance window, not outside.
    let only = Window { only: true, slots: Slots::Skip, ..first.clone() };
    let windows = Windows(vec![&only]);
    assert!(windows.muted(at("2026-11-01T11:00:00Z")).is_some() && windows.muted(at("2026-11-02T00:00:00Z")).is_none());
    // No alert waits for ever.
    let always = Window { mute: true, ..window("always", recurring("* * * * *", 1), Slots::Fire) };
    let now = at("2026-11-01T00:00:00Z");
    let windows = Windows(vec![&always]);
    assert!(windows.muted(now).is_some_and(|muted| muted.until > now));
    let long = mute("long", "2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z");
    assert!(
        Windows(vec![&long])
            .muted(now)
            .is_some_and(|muted| muted.until > now && muted.until < at("2037-01-01T00:00:00Z"))
    );
}
