//! Days, weeks, months and years on the clock of a zone, as numbers without gaps.

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// A sort of stretch of which the newest backup counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// From midnight to midnight.
    Day,
    /// From Monday, as ISO 8601 counts them.
    Week,
    /// Of the calendar.
    Month,
    /// Of the calendar.
    Year,
}

impl Sort {
    pub(super) const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// The number of the one that an instant lies in.
    pub(super) fn of(self, at: DateTime<Utc>, zone: Tz) -> i32 {
        let date = at.with_timezone(&zone).date_naive();
        match self {
            Self::Day => date.num_days_from_ce(),
            // The first day of the calendar is a Monday.
            Self::Week => (date.num_days_from_ce() - 1).div_euclid(7),
            Self::Month => date.year() * 12 + date.month0() as i32,
            Self::Year => date.year(),
        }
    }

    /// Its first day.
    fn first_day(self, number: i32) -> NaiveDate {
        let date = match self {
            Self::Day => NaiveDate::from_num_days_from_ce_opt(number),
            Self::Week => number.checked_mul(7).and_then(|days| NaiveDate::from_num_days_from_ce_opt(days + 1)),
            Self::Month => NaiveDate::from_ymd_opt(number.div_euclid(12), number.rem_euclid(12) as u32 + 1, 1),
            Self::Year => NaiveDate::from_ymd_opt(number, 1, 1),
        };
        // Zones and databases know no years past these.
        let last = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX);
        date.map_or(last, |date| date.min(last))
    }

    /// The instant at which it begins; the later one where the clock shows that midnight twice.
    pub(super) fn begins(self, number: i32, zone: Tz) -> DateTime<Utc> {
        let midnight = self.first_day(number).and_time(NaiveTime::MIN);
        match zone.from_local_datetime(&midnight) {
            MappedLocalTime::Single(at) => at.to_utc(),
            MappedLocalTime::Ambiguous(one, other) => one.max(other).to_utc(),
            // The clocks are put forward at midnight: the day begins where they go on.
            MappedLocalTime::None => GapInfo::new(&midnight, &zone)
                .and_then(|gap| gap.end)
                .map_or_else(|| midnight.and_utc(), |end| end.to_utc()),
        }
    }

    /// What people call it: `2026-01-02`, `2026-W53`, `2026-01`, `2026`.
    pub(super) fn label(self, number: i32) -> String {
        let day = self.first_day(number);
        match self {
            Self::Day => day.format("%Y-%m-%d").to_string(),
            Self::Week => day.format("week %G-W%V").to_string(),
            Self::Month => day.format("%Y-%m").to_string(),
            Self::Year => day.format("%Y").to_string(),
        }
    }

    /// Its name.
    pub(super) fn word(self, count: u32) -> &'static str {
        match (self, count) {
            (Self::Day, 1) => "day",
            (Self::Day, _) => "days",
            (Self::Week, 1) => "week",
            (Self::Week, _) => "weeks",
            (Self::Month, 1) => "month",
            (Self::Month, _) => "months",
            (Self::Year, 1) => "year",
            (Self::Year, _) => "years",
        }
    }
}
