//! Slots held against an oracle that knows no croner: it goes through UTC minute by minute, looks at the clock on the
//! zone's wall, and applies the rule in words.
//!
//! A sample of all zones and of the years 1970 to 2037 is taken in each run. `SEXTON_ALL_ZONES=1` takes them all
//! (with `--release`, minutes), and `SEXTON_SEED=7` another sample and other expressions.

use std::collections::{HashMap, HashSet};

use chrono::{Datelike, Duration, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::TZ_VARIANTS;

use super::*;

/// Random numbers that a seed repeats (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn within(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(u64::from(high - low + 1)) as u32
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A field: its text, the numbers that it means, and whether it has a wildcard or a step.
#[derive(Debug, Clone)]
struct Meant {
    text: String,
    numbers: Vec<u32>,
    wild: bool,
}

impl Meant {
    fn any(low: u32, high: u32) -> Self {
        Self { text: "*".into(), numbers: (low..=high).collect(), wild: true }
    }

    fn random(random: &mut Random, low: u32, high: u32) -> Self {
        // Clocks are changed at night.
        let near = high.min(low + 4);
        let from = if random.below(2) == 0 { random.within(low, near) } else { random.within(low, high) };
        let to = random.within(from, high);
        let step = random.within(2, 7);
        let (text, numbers): (_, Vec<u32>) = match random.below(6) {
            0 => return Self::any(low, high),
            1 => (format!("*/{step}"), (low..=high).step_by(step as usize).collect()),
            2 => (format!("{from}-{to}"), (from..=to).collect()),
            3 if to > from => (format!("{from}-{to}/{step}"), (from..=to).step_by(step as usize).collect()),
            4 if to > from => (format!("{to},{from}"), vec![from, to]),
            _ => (from.to_string(), vec![from]),
        };
        let wild = text.contains(['*', '/']) || numbers.len() as u32 == high - low + 1;
        Self { text, numbers, wild }
    }
}

/// An expression of five fields, and what it means.
#[derive(Debug, Clone)]
struct Expression {
    minute: Meant,
    hour: Meant,
    day: Meant,
    month: Meant,
    weekday: Meant,
}

impl Expression {
    fn random(random: &mut Random) -> Self {
        let mut seldom = |low, high| match random.below(4) {
            0 => Meant::random(random, low, high),
            _ => Meant::any(low, high),
        };
        let (day, month, weekday) = (seldom(1, 28), seldom(1, 12), seldom(0, 6));
        // croner's days go to 31, so what means all of 1-28 here is spelled out there.
        let day = if day.text.starts_with("*/") { Meant { text: day.text.replace('*', "1-28"), ..day } } else { day };
        let day = if day.text == "*" { Meant::any(1, 31) } else { day };
        let minute = match random.below(3) {
            0 => Meant { text: "0,30".into(), numbers: vec![0, 30], wild: false },
            _ => Meant::random(random, 0, 59),
        };
        Self { minute, hour: Meant::random(random, 0, 23), day, month, weekday }
    }

    fn text(&self) -> String {
        let fields = [&self.minute, &self.hour, &self.day, &self.month, &self.weekday];
        fields.map(|field| field.text.as_str()).join(" ")
    }

    /// No wildcard and no step in minute and hour: Vixie's fixed time.
    fn fixed(&self) -> bool {
        !self.minute.wild && !self.hour.wild
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let day = self.day.numbers.contains(&wall.day());
        let weekday = self.weekday.numbers.contains(&wall.weekday().num_days_from_sunday());
        let date = if self.day.text == "*" || self.weekday.text == "*" { day && weekday } else { day || weekday };
        let time = self.minute.numbers.contains(&wall.minute()) && self.hour.numbers.contains(&wall.hour());
        wall.second() == 0 && time && date && self.month.numbers.contains(&wall.month())
    }
}

/// One look at the wall.
struct Minute {
    at: DateTime<Utc>,
    wall: NaiveDateTime,
    /// What the wall would have shown, had the clocks gone on.
    expected: NaiveDateTime,
    first_of_two: bool,
    second_of_two: bool,
}

/// Every minute of a span; every half where a zone is not whole minutes from UTC.
fn minutes(zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> (Vec<Minute>, Duration) {
    let odd = [from, until].iter().any(|at| offset(zone, *at) % 60 != 0);
    let step = Duration::seconds(if odd { 30 } else { 60 });
    let (mut minutes, mut seen): (Vec<Minute>, HashMap<NaiveDateTime, usize>) = (Vec::new(), HashMap::new());
    let mut at = from;
    while at <= until {
        let wall = at.with_timezone(&zone).naive_local();
        let expected = minutes.last().map_or(wall, |before| before.wall + step);
        let before = seen.insert(wall, minutes.len());
        if let Some(before) = before {
            minutes[before].first_of_two = true;
        }
        minutes.push(Minute { at, wall, expected, first_of_two: false, second_of_two: before.is_some() });
        at += step;
    }
    (minutes, step)
}

fn offset(zone: Tz, at: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

/// Whether something fires in a minute, by the rule in words.
fn due(expression: &Expression, dst: Dst, minute: &Minute, step: Duration) -> bool {
    let fixed = expression.fixed();
    let pass_fires = if minute.first_of_two {
        // The first pass, unless the last one alone was asked for.
        matches!(dst.overlap, None | Some(Passes::First | Passes::Both))
    } else if minute.second_of_two {
        // The second, for an interval or where it was asked for.
        dst.overlap.map_or(!fixed, |passes| matches!(passes, Passes::Last | Passes::Both))
    } else {
        true
    };
    if pass_fires && expression.matches(minute.wall) {
        return true;
    }
    // A gap is made up for by a fixed time, or where that was asked for.
    let mut jumped_over = minute.expected;
    while dst.gap.map_or(fixed, |gap| gap == Gap::After) && jumped_over < minute.wall {
        if expression.matches(jumped_over) {
            return true;
        }
        jumped_over += step;
    }
    false
}

/// Compares slots with the oracle in the middle of a span, whose margins are wider than any fold.
fn compare(zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>, random: &mut Random, expressions: usize) {
    let margin = Duration::hours(4);
    let (minutes, step) = minutes(zone, from, until);
    for _ in 0..expressions {
        let expression = Expression::random(random);
        let dst = Dst {
            gap: random.pick(&[None, None, Some(Gap::After), Some(Gap::Skip)]),
            overlap: random.pick(&[None, None, Some(Passes::First), Some(Passes::Last), Some(Passes::Both)]),
        };
        let text = expression.text();
        let Ok(cron) = Cron::parse(&text) else { continue };
        let cron = cron.with_dst(dst);
        assert_eq!(cron.is_fixed(), expression.fixed(), "{text}");
        let expected: Vec<_> = minutes
            .iter()
            .filter(|minute| minute.at > from + margin && minute.at <= until - margin)
            .filter(|minute| due(&expression, dst, minute, step))
            .map(|minute| minute.at)
            .collect();
        let slots = cron.between(zone, from + margin, until - margin, usize::MAX);
        assert_eq!(slots, expected, "{text} with {dst:?} in {zone} from {from} until {until}");
    }
}

/// Where a zone's offset changes in a year, to within six hours.
fn changes(zone: Tz, year: i32) -> Vec<(DateTime<Utc>, i32, i32)> {
    let begin = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a year");
    let quarters = (0..366 * 4).map(|quarter| begin + Duration::hours(6 * quarter));
    let mut before = offset(zone, begin);
    quarters
        .filter_map(|at| {
            let (old, new) = (std::mem::replace(&mut before, offset(zone, at)), offset(zone, at));
            (old != new).then_some((at, old, new))
        })
        .collect()
}

#[test]
fn slots_of_every_zone_are_those_of_a_walk_over_every_minute() {
    let seed = std::env::var("SEXTON_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_26);
    let all = std::env::var_os("SEXTON_ALL_ZONES").is_some();
    let mut random = Random(seed);
    let years = || 1970..=2037;
    let mut places: Vec<(Tz, i32)> = Vec::new();
    if all {
        places.extend(TZ_VARIANTS.iter().flat_map(|zone| years().map(|year| (*zone, year))));
    } else {
        // Changes of whole days, of half an hour, of three hours, below a minute, at midnight, and of Ramadan.
        places.extend([
            (Tz::Pacific__Apia, 2011),
            (Tz::Pacific__Kwajalein, 1993),
            (Tz::Australia__Lord_Howe, 2026),
            (Tz::Antarctica__Troll, 2026),
            (Tz::Antarctica__Casey, 2020),
            (Tz::Africa__Monrovia, 1972),
            (Tz::Africa__Cairo, 2026),
            (Tz::America__Santiago, 2026),
            (Tz::Africa__Casablanca, 2026),
            (Tz::Europe__Dublin, 1971),
        ]);
        places.extend((0..150).map(|_| (random.pick(&TZ_VARIANTS), random.within(1970, 2037) as i32)));
    }
    // Links, and zones that go together, change alike.
    let (mut seen, mut compared) = (HashSet::new(), 0);
    for (zone, year) in places {
        for change in changes(zone, year) {
            if seen.insert(change) {
                let (from, until) = (change.0 - Duration::hours(14), change.0 + Duration::hours(8));
                compare(zone, from, until, &mut random, if all { 6 } else { 4 });
                compared += 1;
            }
        }
        // And some days like any other.
        if random.below(if all { 68 } else { 5 }) == 0 {
            let begin = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a year");
            let from = begin + Duration::hours(random.below(360 * 24) as i64);
            compare(zone, from, from + Duration::hours(72), &mut random, 4);
        }
    }
    assert!(compared > 60, "changes of clocks that were looked at: {compared}");
}
