//! A week as one picture: days by hours, then the minutes in which most starts together.

use chrono::{DateTime, NaiveDate, Timelike, Utc};

use crate::requests::{
    preview::heat::{Clash, Heat},
    words::{count, second},
};

/// How an hour is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Darker for more: for eyes.
    Shades,
    /// How many, in plain ASCII: for files and pipes.
    Numbers,
}

/// From nothing to the fullest hours.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// The picture.
pub(super) fn drawn(heat: &Heat, ink: Ink) -> String {
    let mut text = format!(
        "{} of {} in the week after {}, by the hour ({})\n\n",
        count(heat.slots, "slot"),
        count(heat.schedules as u64, "schedule"),
        second(heat.from),
        heat.zone.name()
    );
    let most = heat.hours.iter().map(|hour| hour.slots).max().unwrap_or(0);
    let width = match ink {
        Ink::Shades => 2,
        Ink::Numbers => short(most).len().max(2) + 1,
    };
    text += &" ".repeat(if ink == Ink::Shades { 11 } else { 10 });
    for hour in 0..24 {
        text += &match ink {
            // The picture stays narrow: every second hour has its number.
            Ink::Shades if hour % 2 == 0 => format!("{hour:02}  "),
            Ink::Shades => String::new(),
            Ink::Numbers => format!("{hour:>width$.2}", hour = format!("{hour:02}")),
        };
    }
    text += "       all\n";
    for (day, hours) in days(heat) {
        text += &day.format("%a %d %b").to_string();
        if ink == Ink::Shades {
            text.push(' ');
        }
        for slots in &hours {
            text += &match (slots, ink) {
                (None, _) => " ".repeat(width),
                (Some(slots), Ink::Shades) => String::from(shade(*slots, most)).repeat(width),
                (Some(0), Ink::Numbers) => format!("{:>width$}", "."),
                (Some(slots), Ink::Numbers) => format!("{:>width$}", short(*slots)),
            };
        }
        text += &format!("  {:>8}\n", short(hours.iter().flatten().sum()));
    }
    if ink == Ink::Shades && most > 0 {
        text += &format!("\n           {}\n", legend(most));
    }
    text += &clashes(heat);
    text
}

/// Hours by the day of the clock. One that comes twice is one; one outside the week, or that is left out, is none.
fn days(heat: &Heat) -> Vec<(NaiveDate, [Option<u64>; 24])> {
    let mut days: Vec<(NaiveDate, [Option<u64>; 24])> = Vec::new();
    for hour in &heat.hours {
        let wall = hour.at.with_timezone(&heat.zone);
        if days.last().is_none_or(|(day, _)| *day != wall.date_naive()) {
            days.push((wall.date_naive(), [None; 24]));
        }
        if let Some((_, hours)) = days.last_mut() {
            *hours[wall.hour() as usize].get_or_insert(0) += hour.slots;
        }
    }
    days
}

/// The upper edges of the three lighter shades: fourth roots tell few from many however much the fullest hour has.
fn edges(most: u64) -> [u64; 3] {
    let step = |part: f64| ((most as f64).powf(part / 4.0).round() as u64).clamp(1, most.max(1));
    [step(1.0), step(2.0), step(3.0)]
}

fn shade(slots: u64, most: u64) -> char {
    match slots {
        0 => SHADES[0],
        n => SHADES[1 + edges(most).iter().filter(|edge| n > **edge).count()],
    }
}

/// What each shade means, where there are hours of it.
fn legend(most: u64) -> String {
    let [few, some, many] = edges(most);
    let ranges = [(1, few), (few + 1, some), (some + 1, many), (many + 1, most)];
    let told = ranges.iter().zip(&SHADES[1..]).filter(|((from, to), _)| from <= to).map(|((from, to), shade)| {
        let range = if from == to { short(*from) } else { format!("{}-{}", short(*from), short(*to)) };
        format!("{shade}{shade} {range}")
    });
    let told: Vec<_> = told.collect();
    format!("{} slots an hour", told.join("   "))
}

fn clashes(heat: &Heat) -> String {
    if heat.worst.is_empty() {
        return "\nno two schedules start in the same minute\n".to_owned();
    }
    let line = |clash: &Clash| {
        let names = clash.schedules.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
        let more = u64::from(clash.count).saturating_sub(clash.schedules.len().min(6) as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let again = match clash.minutes {
            1 => String::new(),
            n => format!(" (first of {} in which they do)", count(n as u64, "minute")),
        };
        format!("{}  {} start: {names}{more}{again}", minute(heat, clash.at), count(clash.count.into(), "schedule"))
    };
    let mut text = "\nmost at once\n".to_owned();
    for clash in &heat.worst {
        text += &format!("  {}\n", line(clash));
    }
    // Where all jobs work on one target, a second list would only repeat the first.
    if let Some(target) = only_target(heat) {
        return text + &format!("all of these work on the target `{target}`\n");
    }
    text += if heat.targets.is_empty() {
        "no two jobs of one target start in the same minute\n"
    } else {
        "on the same target at once\n"
    };
    for clash in &heat.targets {
        text += &format!("  {}: {}\n", clash.target.as_deref().unwrap_or_default(), line(clash));
    }
    text
}

/// The target of all that starts at once, if it is one.
fn only_target(heat: &Heat) -> Option<&str> {
    let same = heat.targets.len() == heat.worst.len();
    let same =
        same && heat.targets.iter().zip(&heat.worst).all(|(one, any)| (one.at, one.count) == (any.at, any.count));
    heat.targets.first().filter(|_| same)?.target.as_deref()
}

fn minute(heat: &Heat, at: DateTime<Utc>) -> String {
    at.with_timezone(&heat.zone).format("%a %d %b %H:%M").to_string()
}

/// A number in few digits: `999`, `3.6k`, `605k`.
fn short(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..10_000 if n % 1_000 >= 50 => format!("{:.1}k", n as f64 / 1e3),
        1_000..1_000_000 => format!("{:.0}k", n as f64 / 1e3),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::requests::preview::heat::Hour;

    #[test]
    fn shades_say_it_in_one_look() {
        let begin: DateTime<Utc> = "2026-06-01T22:00:00Z".parse().expect("an instant");
        let slots = |n: i64| match n % 24 {
            5 => 81,
            6..10 => 5,
            _ => u64::from(n == 100),
        };
        let hour = |n| Hour { at: begin + TimeDelta::hours(n), slots: slots(n) };
        let heat = Heat {
            from: begin,
            until: begin + TimeDelta::hours(168),
            zone: chrono_tz::Tz::UTC,
            schedules: 9,
            slots: 708,
            hours: (0..168).map(hour).collect(),
            worst: Vec::new(),
            targets: Vec::new(),
        };
        insta::assert_snapshot!(drawn(&heat, Ink::Shades), @r#"
            708 slots of 9 schedules in the week after 2026-06-01T22:00:00Z, by the hour (UTC)

                       00  02  04  06  08  10  12  14  16  18  20  22         all
            Mon 01 Jun                                             ····         0
            Tue 02 Jun ······██▒▒▒▒▒▒▒▒································       101
            Wed 03 Jun ······██▒▒▒▒▒▒▒▒································       101
            Thu 04 Jun ······██▒▒▒▒▒▒▒▒································       101
            Fri 05 Jun ······██▒▒▒▒▒▒▒▒································       101
            Sat 06 Jun ····░░██▒▒▒▒▒▒▒▒································       102
            Sun 07 Jun ······██▒▒▒▒▒▒▒▒································       101
            Mon 08 Jun ······██▒▒▒▒▒▒▒▒····························           101

                       ░░ 1-3   ▒▒ 4-9   ▓▓ 10-27   ██ 28-81 slots an hour

            no two schedules start in the same minute
        "#);
    }

    #[test]
    fn few_and_many_have_shades_of_their_own() {
        assert_eq!([0, 1, 2, 4, 9, 20, 81].map(|slots| shade(slots, 81)), ['·', '░', '░', '▒', '▒', '▓', '█']);
        assert_eq!(legend(81), "░░ 1-3   ▒▒ 4-9   ▓▓ 10-27   ██ 28-81 slots an hour");
        assert_eq!([0, 1].map(|slots| shade(slots, 1)), ['·', '░']);
        assert_eq!(legend(1), "░░ 1 slots an hour");
    }

    #[test]
    fn numbers_stay_short() {
        let said = [0, 999, 1_000, 3_600, 60_000, 604_800, 1_814_400_000].map(short);
        assert_eq!(said, ["0", "999", "1k", "3.6k", "60k", "605k", "1814.4M"]);
    }
}
