//! Dates, times and lengths as iCalendar writes them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Unclear, instant, lines::Line, zones};

/// A value of `DTSTART` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `20261225`.
    Day(NaiveDate),
    /// `20261225T180000`: on whatever clock.
    Floating(NaiveDateTime),
    /// `20261225T180000Z`, or with a `TZID`.
    Zoned(NaiveDateTime, Tz),
}

impl Stamp {
    /// What the clock shows; a day begins at midnight.
    pub(super) fn wall(self) -> NaiveDateTime {
        match self {
            Self::Day(date) => date.and_time(NaiveTime::MIN),
            Self::Floating(wall) | Self::Zoned(wall, _) => wall,
        }
    }

    /// The same sort of value at another time.
    pub(super) fn with_wall(self, wall: NaiveDateTime) -> Self {
        match self {
            Self::Day(_) => Self::Day(wall.date()),
            Self::Floating(_) => Self::Floating(wall),
            Self::Zoned(_, zone) => Self::Zoned(wall, zone),
        }
    }

    /// The instant of one with a zone.
    pub(super) fn instant(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Zoned(wall, zone) => Some(instant(zone, wall)),
            _ => None,
        }
    }

    /// What this one is on the clock of another.
    pub(super) fn seen_from(self, other: Self) -> NaiveDateTime {
        match (self.instant(), other) {
            (Some(at), Self::Zoned(_, zone)) => at.with_timezone(&zone).naive_local(),
            _ => self.wall(),
        }
    }

    /// Whether an exception of this value takes the occurrence `other` away; a day takes all of its times.
    pub(super) fn names(self, other: Self) -> bool {
        match self {
            Self::Day(date) => other.wall().date() == date,
            _ => self.seen_from(other) == other.wall(),
        }
    }
}

/// The one value of a line.
pub(super) fn one(line: &Line) -> Result<Stamp, Unclear> {
    read(line, &line.value)
}

/// The values of a line that has a list of them.
pub(super) fn many(line: &Line) -> Result<Vec<Stamp>, Unclear> {
    line.value.split(',').map(|value| read(line, value)).collect()
}

fn read(line: &Line, value: &str) -> Result<Stamp, Unclear> {
    let help = "write a day as 20261225, or a time as 20261225T180000 or, in UTC, 20261225T180000Z";
    let unclear = || line.unclear(format!("`{value}` is no date and no time"), help);
    let value = value.trim();
    if value.contains('/') {
        return Err(line.unclear(format!("`{value}` is a period, and {} takes only starts here", line.name), help));
    }
    if let Some(date) = digits(value, 8).and_then(|text| NaiveDate::parse_from_str(text, "%Y%m%d").ok()) {
        return Ok(Stamp::Day(date));
    }
    let (plain, utc) = value.strip_suffix('Z').map_or((value, false), |plain| (plain, true));
    let (date, time) = plain.split_once('T').ok_or_else(unclear)?;
    let date = digits(date, 8).and_then(|text| NaiveDate::parse_from_str(text, "%Y%m%d").ok()).ok_or_else(unclear)?;
    let time = digits(time, 6).and_then(|text| NaiveTime::parse_from_str(text, "%H%M%S").ok()).ok_or_else(unclear)?;
    let wall = date.and_time(time);
    match line.param("TZID") {
        _ if utc => Ok(Stamp::Zoned(wall, Tz::UTC)),
        None => Ok(Stamp::Floating(wall)),
        Some(name) => match zones::zone(name) {
            Some(zone) => Ok(Stamp::Zoned(wall, zone)),
            None => Err(line.unclear(
                format!("there is no time zone `{name}`"),
                "replace it by an IANA name: Europe/Berlin, America/New_York",
            )),
        },
    }
}

fn digits(text: &str, count: usize) -> Option<&str> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// `UNTIL` of a rule, on the clock of the event that it belongs to; a day lets all of its times pass.
pub(super) fn until(line: &Line, value: &str, start: Stamp) -> Result<NaiveDateTime, Unclear> {
    Ok(match read(line, value)? {
        Stamp::Day(date) => date.and_hms_opt(23, 59, 59).unwrap_or_else(|| date.and_time(NaiveTime::MIN)),
        // Without a zone of the event's, the time is read as it is written.
        stamp @ Stamp::Zoned(..) if value.ends_with('Z') => stamp.seen_from(start),
        stamp => stamp.wall(),
    })
}

/// A length: days, which follow the clock, and a rest of real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) days: i64,
    pub(super) rest: TimeDelta,
}

/// `P1D`, `PT8H30M`, `P2W`.
pub(super) fn length(line: &Line) -> Result<Length, Unclear> {
    let text = line.value.trim_start_matches('+');
    let unclear = || line.unclear(format!("`{text}` is no length of time"), "write P1D, P1W, PT8H or P1DT12H30M");
    let mut rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or_else(unclear)?;
    let mut length = Length { days: 0, rest: TimeDelta::zero() };
    let mut time = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T').filter(|after| !time && !after.is_empty()) {
            (time, rest) = (true, after);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(unclear)?;
        let number = rest[..end].parse::<u32>().ok().filter(|number| *number <= 1_000_000).ok_or_else(unclear)?;
        let number = i64::from(number);
        match (&rest[end..=end], time) {
            ("W", false) => length.days += 7 * number,
            ("D", false) => length.days += number,
            ("H", true) => length.rest += TimeDelta::hours(number),
            ("M", true) => length.rest += TimeDelta::minutes(number),
            ("S", true) => length.rest += TimeDelta::seconds(number),
            _ => return Err(unclear()),
        }
        rest = &rest[end + 1..];
    }
    Ok(length)
}
