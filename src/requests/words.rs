//! Instants and lengths of time in words.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::windows::{Act, Closed, Windows};

/// An instant for programs and logs: `2026-03-29T01:00:00Z`.
pub fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// An instant to the second.
pub fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An instant on both clocks: `2026-03-29T01:00:00Z (Sun 29 Mar 2026 03:00:00 CEST)`.
pub fn clock(at: DateTime<Utc>, zone: Tz) -> String {
    format!("{} ({})", utc(at), at.with_timezone(&zone).format("%a %d %b %Y %H:%M:%S %Z"))
}

/// A length of time in at most two units: `2h 5m`; below a minute to a tenth of a second.
pub fn length(length: TimeDelta) -> String {
    let millis = length.num_milliseconds().max(0);
    if millis < 60_000 {
        return match (millis + 50) / 100 {
            tenths if tenths % 10 == 0 => format!("{}s", tenths / 10),
            tenths => format!("{}.{}s", tenths / 10, tenths % 10),
        };
    }
    let mut rest = millis / 1000;
    let parts = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")].map(|(size, unit)| {
        let count = rest / size;
        rest %= size;
        (count, unit)
    });
    let shown = parts.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// `1 slot`, `2 slots`, `604,800 slots`.
pub fn count(n: u64, what: &str) -> String {
    format!("{} {what}{}", number(n), if n == 1 { "" } else { "s" })
}

/// A number that can be read: `604,800`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The nearest of some names, for whoever misspelt one.
pub fn near<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let far = |known: &&str| strsim::damerau_levenshtein(known, name);
    names.into_iter().filter(|known| far(known) <= 3).min_by_key(far).map(str::to_owned)
}

/// The window that closes a slot, and what becomes of it there.
pub fn closed(windows: &Windows<'_>, at: DateTime<Utc>) -> Option<String> {
    let Closed { window, act, opens_at } = windows.closed(at)?;
    Some(match (act, opens_at) {
        (Act::Defer, Some(opens_at)) => {
            let until = second(opens_at);
            format!("window `{window}` is closed to it: a run that stands for all its slots waits until {until}")
        }
        _ => format!("window `{window}` is closed to it: it is skipped"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_two_units_and_a_number_its_commas() {
        let said = [0, 400, 59_960, 61_000, 3_600_000, 7_500_000, 90_000_000, 172_860_000]
            .map(|millis| length(TimeDelta::milliseconds(millis)));
        assert_eq!(said, ["0s", "0.4s", "60s", "1m 1s", "1h", "2h 5m", "1d 1h", "2d"]);
        assert_eq!([1, 999, 604_800, 1_234_567].map(number), ["1", "999", "604,800", "1,234,567"]);
        assert_eq!((count(1, "slot"), count(1_000, "slot")), ("1 slot".to_owned(), "1,000 slots".to_owned()));
    }

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_mistakes() {
        assert_eq!(near("nightli", ["nightly", "weekly"]), Some("nightly".to_owned()));
        assert_eq!(near("hourly", ["nightly-backup"]), None);
    }
}
