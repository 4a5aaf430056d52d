//! What a cron expression may look like, and what to say to the person who wrote one that may not.
//!
//! croner decides what is right. Its messages do not say which field they mean, so the field is found by trying
//! each one alone.

use std::ops::Range;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use croner::parser::{CronParser, Seconds, Year};

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {help}")]
pub struct CronError {
    /// What is wrong.
    pub why: String,
    /// What to write.
    pub help: String,
    /// Where in the text, in bytes.
    pub at: Range<usize>,
}

const SHAPE: &str = "write `minute hour day-of-month month day-of-week`, as in `30 2 * * sun`, \
                     with a second before them and a year after them where you need one";

/// A field: its name, and what it takes.
type Field = (&'static str, &'static str);
const SECOND: Field = ("second", "0-59, lists `0,30`, ranges `0-29`, steps `*/10`");
const MINUTE: Field = ("minute", "0-59, lists `0,30`, ranges `0-29`, steps `*/10`");
const HOUR: Field = ("hour", "0-23, lists `2,14`, ranges `8-17`, steps `*/6`");
const DAY: Field = ("day of the month", "1-31, `L` for the last one, `15W` for the weekday nearest to the 15th");
const MONTH: Field = ("month", "1-12 or jan-dec");
const WEEKDAY: Field =
    ("day of the week", "0-7 or sun-sat (0 and 7 are Sunday), `fri#2` for the second Friday, `friL` for the last");
const YEAR: Field = ("year", "1-5000");
const FIELDS: [Field; 7] = [SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR];

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// The expression for croner, and whether it is a fixed-time one.
pub(super) fn parse(text: &str) -> Result<(croner::Cron, bool), CronError> {
    let trimmed = text.trim();
    let start = text.len() - text.trim_start().len();
    let whole = start..start + trimmed.len();
    let fail = |why: String, help: &str, at: Range<usize>| CronError { why, help: help.to_owned(), at };
    if trimmed.is_empty() {
        return Err(fail("the cron expression is empty".to_owned(), SHAPE, whole));
    }
    let expression = match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(trimmed)) {
        Some((_, expression)) => expression,
        None if trimmed.starts_with('@') => {
            let help = "write @hourly, @daily, @weekly, @monthly, @yearly, or five fields";
            return Err(fail(format!("`{trimmed}` is no nickname that cron knows"), help, whole));
        }
        None => text,
    };
    let fields = split(expression);
    if !(5..=7).contains(&fields.len()) {
        let count = if fields.len() == 1 { "1 field".to_owned() } else { format!("{} fields", fields.len()) };
        return Err(fail(format!("`{trimmed}` has {count}, not 5, 6 or 7"), SHAPE, whole));
    }
    let skipped = usize::from(fields.len() == 5);
    for (number, (field, at)) in fields.iter().enumerate() {
        let place = number + skipped;
        let (name, takes) = FIELDS[place];
        if let Err(error) = alone(place, field) {
            let help = rewrite(field).unwrap_or_else(|| format!("write {takes}"));
            return Err(fail(format!("`{field}` is no {name}: {error}"), &help, at.clone()));
        }
    }
    let cron = read(expression).map_err(|error| fail(reason(&error), SHAPE, whole))?;
    if cron.find_next_occurrence(&EPOCH, true).is_err() {
        let why = format!("`{trimmed}` never fires: no year has such a day");
        let (_, at) = &fields[3 - skipped];
        return Err(fail(why, "write a day that one of its months has; `L` is the last day of any month", at.clone()));
    }
    let times = &fields[..3 - skipped];
    let spelled = times.iter().all(|(field, _)| !field.contains(['*', '?', '/']));
    Ok((cron.clone(), spelled && !takes_all(&cron)))
}

/// Searches for a first firing start here: a leap year, so that 29 February is found at once.
const EPOCH: NaiveDateTime = NaiveDateTime::new(
    match NaiveDate::from_ymd_opt(2000, 1, 1) {
        Some(date) => date,
        None => NaiveDate::MIN,
    },
    NaiveTime::MIN,
);

fn read(expression: &str) -> Result<croner::Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Optional).build().parse(expression)
}

/// The fields and where they stand.
fn split(text: &str) -> Vec<(String, Range<usize>)> {
    text.split_whitespace()
        .map(|field| {
            // Every field is a slice of the text, so its distance from the text's start is its place.
            let start = field.as_ptr() as usize - text.as_ptr() as usize;
            (field.to_owned(), start..start + field.len())
        })
        .collect()
}

/// Whether a field is right when every other one is.
fn alone(place: usize, field: &str) -> Result<(), String> {
    let (month, weekday) = (place == 4, place == 5);
    if field.contains(char::is_alphabetic) && !month && !weekday && place != 3 {
        return Err("it has a letter in it".to_owned());
    }
    if field.split(',').any(str::is_empty) {
        return Err("a part of its list is empty".to_owned());
    }
    let mut fields = ["*"; 7];
    fields[place] = field;
    read(&fields.join(" ")).map(drop).map_err(|error| reason(&error))
}

/// What to write instead, where the intention is plain.
fn rewrite(field: &str) -> Option<String> {
    let number = |text: &str| text.parse::<u16>().ok();
    if let Some((from, step)) = field.split_once('/') {
        let (from, step) = (number(from)?, number(step)?);
        return (step > 0).then(|| format!("write a step over a range, as in `{from}-59/{step}` or `*/{step}`"));
    }
    let (from, to) = field.split_once('-')?;
    let (from, to) = (number(from)?, number(to)?);
    (from > to).then(|| {
        format!("write a range that goes over the end as two: from {from} to the last, and from the first to {to}")
    })
}

/// croner's reason as a part of a sentence.
fn reason(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError as E;
    let text = match error {
        E::InvalidPattern(text) | E::IllegalCharacters(text) | E::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.');
    match text.split_once("illegal character ") {
        Some((_, rest)) => format!("it may not contain {}", rest.split(" in part").next().unwrap_or(rest)),
        None => text[..1].to_lowercase() + &text[1..],
    }
}

/// Whether a time field is a wildcard in other words (`0-59`).
fn takes_all(cron: &croner::Cron) -> bool {
    let pattern = &cron.pattern;
    pattern.seconds.values().len() == 60 || pattern.minutes.values().len() == 60 || pattern.hours.values().len() == 24
}
