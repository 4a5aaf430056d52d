//! Rules by which an event repeats (`RRULE`): by days, weeks, months and years, as calendars of holidays and of
//! maintenance have them. What is rarer is refused by name, never left out.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, Weekday};

use super::{
    LAST_YEAR, Unclear,
    lines::Line,
    stamp::{self, Stamp},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Each {
    Day,
    Week,
    Month,
    Year,
}

/// A rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    each: Each,
    interval: u32,
    count: usize,
    until: Option<NaiveDateTime>,
    months: Vec<i32>,
    month_days: Vec<i32>,
    /// With their number in the month or year, from its end where negative; 0 for every one.
    weekdays: Vec<(i32, Weekday)>,
    positions: Vec<i32>,
    week_start: Weekday,
}

const HELP: &str = "write its days out (RDATE), or make it a window with `cron` and `lasts`";

/// Reads the rule of an event that starts at `start`.
pub(super) fn parse(line: &Line, start: Stamp) -> Result<Rule, Unclear> {
    let mut each = None;
    let mut rule = Rule {
        each: Each::Day,
        interval: 1,
        count: usize::MAX,
        until: None,
        months: Vec::new(),
        month_days: Vec::new(),
        weekdays: Vec::new(),
        positions: Vec::new(),
        week_start: Weekday::Mon,
    };
    for part in line.value.split(';').filter(|part| !part.is_empty()) {
        let unclear = || line.unclear(format!("`{part}` cannot be read in a rule"), HELP);
        let (name, value) = part.split_once('=').ok_or_else(unclear)?;
        let numbers = |low: i32, high: i32| -> Result<Vec<i32>, Unclear> {
            let number =
                |text: &str| text.parse().ok().filter(|number: &i32| *number != 0 && (low..=high).contains(number));
            value.split(',').map(number).collect::<Option<_>>().ok_or_else(unclear)
        };
        match name.to_ascii_uppercase().as_str() {
            "FREQ" => {
                each = Some(match value.to_ascii_uppercase().as_str() {
                    "DAILY" => Each::Day,
                    "WEEKLY" => Each::Week,
                    "MONTHLY" => Each::Month,
                    "YEARLY" => Each::Year,
                    _ => return Err(unclear()),
                });
            }
            "INTERVAL" => {
                rule.interval = value.parse().ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(unclear)?
            }
            "COUNT" => rule.count = value.parse().ok().filter(|count| *count > 0).ok_or_else(unclear)?,
            "UNTIL" => rule.until = Some(stamp::until(line, value, start)?),
            "BYMONTH" => rule.months = numbers(1, 12)?,
            "BYMONTHDAY" => rule.month_days = numbers(-31, 31)?,
            "BYSETPOS" => rule.positions = numbers(-366, 366)?,
            "BYDAY" => rule.weekdays = value.split(',').map(weekday).collect::<Option<_>>().ok_or_else(unclear)?,
            "WKST" => rule.week_start = weekday(value).filter(|(n, _)| *n == 0).ok_or_else(unclear)?.1,
            _ => return Err(unclear()),
        }
    }
    rule.each = each.ok_or_else(|| line.unclear("the rule has no FREQ", HELP))?;
    let counted = rule.weekdays.iter().any(|(number, _)| *number != 0);
    match rule.each {
        Each::Day | Each::Week if counted => Err(line.unclear("days with a number need FREQ=MONTHLY or YEARLY", HELP)),
        Each::Week if !rule.month_days.is_empty() => Err(line.unclear("BYMONTHDAY has no meaning in a week", HELP)),
        _ => Ok(rule),
    }
}

/// `MO`, `-1FR`, `2TU`.
fn weekday(text: &str) -> Option<(i32, Weekday)> {
    let (number, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let day = match day.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    };
    let number =
        if number.is_empty() { 0 } else { number.parse().ok().filter(|n| *n != 0 && (-53..=53).contains(n))? };
    Some((number, day))
}

impl Rule {
    /// The times at which it repeats, from `first` on, up to the end of [`LAST_YEAR`], and at most `most` of them.
    pub(super) fn times(&self, first: NaiveDateTime, most: usize) -> Vec<NaiveDateTime> {
        let mut times = Vec::new();
        let most = most.min(self.count);
        for number in 0.. {
            let Some(days) = self.period(first.date(), number) else { break };
            let mut days: Vec<NaiveDate> = days.filter(|day| self.takes(*day, first.date())).collect();
            if !self.positions.is_empty() {
                days = self.picked(&days);
            }
            for time in days.into_iter().map(|day| day.and_time(first.time())).filter(|time| *time >= first) {
                if times.len() == most || self.until.is_some_and(|until| time > until) {
                    return times;
                }
                times.push(time);
            }
        }
        times
    }

    /// The days of its period of this number; none past the last year.
    fn period(&self, first: NaiveDate, number: u32) -> Option<impl Iterator<Item = NaiveDate> + use<>> {
        let steps = number.checked_mul(self.interval)?;
        let (from, to) = match self.each {
            Each::Day => {
                let day = first.checked_add_days(Days::new(steps.into()))?;
                (day, day.succ_opt()?)
            }
            Each::Week => {
                let from = first.week(self.week_start).checked_first_day()?;
                let from = from.checked_add_days(Days::new(u64::from(steps) * 7))?;
                (from, from.checked_add_days(Days::new(7))?)
            }
            Each::Month => {
                let from = first.with_day(1)?.checked_add_months(Months::new(steps))?;
                (from, from.checked_add_months(Months::new(1))?)
            }
            Each::Year => {
                let from = NaiveDate::from_yo_opt(first.year().checked_add_unsigned(steps)?, 1)?;
                (from, NaiveDate::from_yo_opt(from.year() + 1, 1)?)
            }
        };
        (from.year() <= LAST_YEAR).then(|| from.iter_days().take_while(move |day| *day < to))
    }

    /// Whether a day is one of its own, positions aside.
    fn takes(&self, day: NaiveDate, first: NaiveDate) -> bool {
        let month = self.months.is_empty() || self.months.contains(&(day.month() as i32));
        let from_end = day.day() as i32 - i32::from(day.num_days_in_month()) - 1;
        let in_month = |number: &i32| *number == day.day() as i32 || *number == from_end;
        let month_day = self.month_days.is_empty() || self.month_days.iter().any(in_month);
        let weekday = self.weekdays.is_empty() || self.weekdays.iter().any(|one| self.is_weekday(*one, day));
        // What the rule leaves open is as in its first occurrence.
        let chosen = !self.month_days.is_empty() || !self.weekdays.is_empty();
        let like_first = chosen
            || match self.each {
                Each::Day => true,
                Each::Week => day.weekday() == first.weekday(),
                Each::Month => day.day() == first.day(),
                Each::Year => day.day() == first.day() && (!self.months.is_empty() || day.month() == first.month()),
            };
        month && month_day && weekday && like_first
    }

    fn is_weekday(&self, (number, weekday): (i32, Weekday), day: NaiveDate) -> bool {
        let in_year = self.each == Each::Year && self.months.is_empty();
        let (place, length) = if in_year {
            (day.ordinal0() as i32, if day.leap_year() { 366 } else { 365 })
        } else {
            (day.day0() as i32, i32::from(day.num_days_in_month()))
        };
        day.weekday() == weekday
            && match number {
                0 => true,
                1.. => place / 7 + 1 == number,
                _ => (length - 1 - place) / 7 + 1 == -number,
            }
    }

    /// The days at its positions, in order.
    fn picked(&self, days: &[NaiveDate]) -> Vec<NaiveDate> {
        let index = |position: &i32| match position {
            1.. => usize::try_from(position - 1).ok(),
            _ => days.len().checked_sub(position.unsigned_abs() as usize),
        };
        let mut picked: Vec<_> =
            self.positions.iter().filter_map(index).filter_map(|at| days.get(at).copied()).collect();
        picked.sort();
        picked.dedup();
        picked
    }
}
