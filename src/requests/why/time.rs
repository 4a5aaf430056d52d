//! The time that somebody asks about: an instant, or a time on the schedule's clock.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::slots::gap_turn;

/// One instant that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::requests) struct Asked {
    /// The instant.
    pub(in crate::requests) at: DateTime<Utc>,
    /// The time on the clock that was asked for, where it does not exist; `at` is the first instant after the gap then.
    pub(in crate::requests) missing: Option<NaiveDateTime>,
}

impl Asked {
    /// An instant as such.
    pub(in crate::requests) fn instant(at: DateTime<Utc>) -> Self {
        Self { at, missing: None }
    }
}

/// Reads `2026-03-29T01:00:00Z` or, on the clock of `zone`, `2026-03-29 02:30` and, for the day of `now`, `02:30`.
///
/// A time that comes twice is two instants.
///
/// # Errors
/// What to write instead.
pub(in crate::requests) fn read(text: &str, zone: Tz, now: DateTime<Utc>) -> Result<Vec<Asked>, String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(vec![Asked::instant(at.to_utc())]);
    }
    let today = now.with_timezone(&zone).date_naive();
    let wall = wall(text, today).ok_or_else(|| {
        format!("`{text}` is no time; write 2026-03-29T01:00:00Z, or \"2026-03-29 02:30\" on the clock of {zone}")
    })?;
    let on_clock = zone.from_local_datetime(&wall);
    let mut asked: Vec<_> = [on_clock.earliest(), on_clock.latest()].into_iter().flatten().collect();
    asked.dedup();
    if asked.is_empty() {
        let at = gap_turn(zone, wall).ok_or_else(|| format!("{wall} does not exist in {zone}"))?;
        return Ok(vec![Asked { at, missing: Some(wall) }]);
    }
    Ok(asked.into_iter().map(|at| Asked::instant(at.to_utc())).collect())
}

fn wall(text: &str, today: NaiveDate) -> Option<NaiveDateTime> {
    let clock = ["%H:%M", "%H:%M:%S"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok());
    let whole = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let whole = || whole.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    clock.map(|time| today.and_time(time)).or_else(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in_berlin(text: &str) -> Result<Vec<(String, bool)>, String> {
        let now = "2026-06-01T23:00:00Z".parse().expect("an instant");
        let asked = read(text, Tz::Europe__Berlin, now)?;
        Ok(asked.iter().map(|asked| (format!("{:?}", asked.at), asked.missing.is_some())).collect())
    }

    #[test]
    fn a_time_is_an_instant_or_stands_on_the_schedule_s_clock() {
        let one = |at: &str| Ok(vec![(at.to_owned(), false)]);
        assert_eq!(read_in_berlin("2026-06-01T12:00:00+02:00"), one("2026-06-01T10:00:00Z"));
        assert_eq!(read_in_berlin("2026-06-01 12:00"), one("2026-06-01T10:00:00Z"));
        assert_eq!(read_in_berlin("2026-01-01T12:00:30"), one("2026-01-01T11:00:30Z"));
        // It is the second of June there already.
        assert_eq!(read_in_berlin("12:00"), one("2026-06-02T10:00:00Z"));
    }

    #[test]
    fn a_time_that_comes_twice_is_two_and_one_that_does_not_exist_is_after_the_gap() {
        let twice = vec![("2026-10-25T00:30:00Z".to_owned(), false), ("2026-10-25T01:30:00Z".to_owned(), false)];
        assert_eq!(read_in_berlin("2026-10-25 02:30"), Ok(twice));
        assert_eq!(read_in_berlin("2026-03-29 02:30"), Ok(vec![("2026-03-29T01:00:00Z".to_owned(), true)]));
    }

    #[test]
    fn what_is_no_time_is_told_with_what_to_write() {
        let said = read_in_berlin("yesterday").expect_err("no time");
        assert!(said.contains("`yesterday`") && said.contains("on the clock of Europe/Berlin"), "{said}");
    }
}
