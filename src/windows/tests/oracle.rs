//! Random windows against one that looks at every minute: the same is closed, by the same window, until the same time.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::super::{Act, Slots, When, Window, Windows};
use super::{at, recurring, window};

/// A small stable generator, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }

    fn window(&mut self, number: usize, start: DateTime<Utc>) -> Window {
        let when = if self.roll(2) == 0 {
            let cron = self.one_of(&["0 22 * * *", "*/30 8-17 * * *", "0 0 * * 1-5", "15 2 * * *", "0 */6 * * *"]);
            recurring(cron, self.one_of(&[10, 30, 90, 600, 1440]))
        } else {
            let pieces = (0..self.roll(5)).map(|_| {
                let from = start + TimeDelta::minutes(self.roll(4 * 1440) as i64);
                from..from + TimeDelta::minutes(self.roll(600) as i64)
            });
            When::listed(pieces.collect())
        };
        Window {
            only: self.roll(3) == 0,
            mute: self.roll(2) == 0,
            zone: self.one_of(&[Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York]),
            ..window(&format!("w{number}"), when, self.one_of(&[Slots::Skip, Slots::Defer, Slots::Fire]))
        }
    }
}

/// A window, and the stretches that it has around three days, one for each occurrence.
struct Plain<'a> {
    window: &'a Window,
    stretches: Vec<Range<DateTime<Utc>>>,
}

impl<'a> Plain<'a> {
    fn of(window: &'a Window, start: DateTime<Utc>) -> Self {
        let stretches = match &window.when {
            When::Listed(stretches) => stretches.clone(),
            When::Recurring { cron, lasts } => {
                let begun = cron.between(window.zone, start - TimeDelta::days(2), start + TimeDelta::days(4), 10_000);
                begun.into_iter().map(|begin| begin..begin + *lasts).collect()
            }
        };
        Self { window, stretches }
    }

    fn inside(&self, at: DateTime<Utc>) -> bool {
        self.stretches.iter().any(|stretch| stretch.contains(&at))
    }
}

fn closing<'a>(windows: &[Plain<'a>], at: DateTime<Utc>) -> Option<(&'a str, Act)> {
    let inside: Vec<_> = windows.iter().map(|one| (one.window, one.inside(at))).collect();
    let outside_of_all = !inside.iter().any(|(one, inside)| one.only && one.slots != Slots::Fire && *inside);
    let closing = |slots| {
        let mut closing = inside.iter().filter(|(one, inside)| if one.only { outside_of_all } else { *inside });
        closing.find(|(one, _)| one.slots == slots).map(|(one, _)| one.name.as_str())
    };
    let skips = closing(Slots::Skip).map(|name| (name, Act::Skip));
    skips.or_else(|| closing(Slots::Defer).map(|name| (name, Act::Defer)))
}

#[test]
fn every_minute_is_closed_as_a_look_at_every_window_says() {
    let minute = TimeDelta::minutes(1);
    for seed in 0..30 {
        let mut dice = Dice(seed * 7_919 + 1);
        // Both changes of the clocks, and a plain week.
        let start = at(dice.one_of(&["2026-03-27T00:00:00Z", "2026-10-24T00:00:00Z", "2026-06-01T00:00:00Z"]));
        let owned: Vec<Window> = (0..=dice.roll(3) as usize).map(|number| dice.window(number, start)).collect();
        let windows = Windows(owned.iter().collect());
        let minutes: Vec<_> = (0..3 * 1440).map(|number| start + minute * number).collect();
        let plain: Vec<_> = owned.iter().map(|window| Plain::of(window, start)).collect();
        let expected: Vec<_> = minutes.iter().map(|at| closing(&plain, *at)).collect();
        let pieces = windows.stretches(start - TimeDelta::seconds(1), start + minute * (3 * 1440 - 1));
        assert_eq!(pieces.last().map(|last| last.until), minutes.last().copied());
        let mut piece = pieces.iter().peekable();
        for (number, at) in minutes.iter().enumerate() {
            while piece.peek().is_some_and(|one| one.until < *at) {
                piece.next();
            }
            let here = piece.peek().expect("a piece");
            assert!(here.after < *at && *at <= here.until, "seed {seed}: {at} {here:?}");
            let said = here.closed.map(|closed| (closed.window, closed.act));
            assert_eq!(said, expected[number], "seed {seed}: {at} {owned:?}");
            // Asked alone, an instant gives the same; a few are enough.
            if number % 997 == 0 {
                let alone = windows.closed(*at);
                assert_eq!(alone, here.closed, "seed {seed}: {at}");
                let opens = minutes[number..].iter().zip(&expected[number..]).find(|(_, closed)| closed.is_none());
                if let (Some(alone), Some((opens, _))) = (alone, opens) {
                    assert_eq!(alone.opens_at, Some(*opens), "seed {seed}: {at} {owned:?}");
                }
            }
        }
        assert!(pieces.windows(2).all(|two| two[0].closed != two[1].closed), "seed {seed}: {pieces:?}");
    }
}
