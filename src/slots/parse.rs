//! What a cron expression may look like, and what to say to the person who wrote one that may not.
//!
//! croner decides what is right. Its messages do not say which field they mean, so the field is found by trying
//! each one alone.

use std::{collections::HashMap, ops::Range, sync::Arc};

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use croner::parser::{CronParser, Seconds, Year};

use super::{
    When,
    every::Every,
    fields::{self, DAY, FIELDS, HOUR, MONTH, WEEKDAY, Written},
    hash::{self, Unclear},
    lint::{self, Lint},
    wall::Wall,
};

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

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Expressions that were found to be right, by their fields: what croner keeps of one is large, and equal ones share it.
pub(super) type Known = HashMap<String, Arc<croner::Cron>>;

/// What the text says, and what is doubtful in it. The name is what `H` is made from.
pub(super) fn parse(text: &str, name: Option<&str>, known: &mut Known) -> Result<(When, Vec<Lint>), CronError> {
    let trimmed = text.trim();
    let start = text.len() - text.trim_start().len();
    let whole = start..start + trimmed.len();
    let fail = |why: String, help: &str, at: Range<usize>| CronError { why, help: help.to_owned(), at };
    if trimmed.is_empty() {
        return Err(fail("the cron expression is empty".to_owned(), SHAPE, whole));
    }
    if let Some((word, length)) = trimmed.split_once(char::is_whitespace)
        && word.eq_ignore_ascii_case("@every")
    {
        let length = length.trim();
        return Every::parse(length).map(|every| (When::Every(every), Vec::new())).ok_or_else(|| {
            let help = "write whole seconds, 1s to 366d, as in `@every 90s` or `@every 1h30m`";
            fail(format!("`{length}` is no length of time between slots"), help, whole)
        });
    }
    let expression = match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(trimmed)) {
        Some((_, expression)) => expression,
        None if trimmed.starts_with('@') => {
            let help = "write @hourly, @daily, @weekly, @monthly, @yearly, `@every 90s`, or five fields";
            return Err(fail(format!("`{trimmed}` is no nickname that cron knows"), help, whole));
        }
        None => text,
    };
    let written = fields::split(expression);
    if !(5..=7).contains(&written.len()) {
        let count = if written.len() == 1 { "1 field".to_owned() } else { format!("{} fields", written.len()) };
        return Err(fail(format!("`{trimmed}` has {count}, not 5, 6 or 7"), SHAPE, whole));
    }
    let filled = written.iter().map(|field| fill(field, name)).collect::<Result<Vec<_>, _>>()?;
    let fields = filled.join(" ");
    let cron = match known.get(&fields) {
        Some(cron) => Arc::clone(cron),
        None => {
            for (field, meant) in written.iter().zip(&filled) {
                if let Err(error) = alone(field.place, meant) {
                    let Written { text, at, place } = field;
                    let help = rewrite(text).unwrap_or_else(|| format!("write {}", FIELDS[*place].takes));
                    return Err(fail(format!("`{text}` is no {}: {error}", FIELDS[*place].name), &help, at.clone()));
                }
            }
            let cron = read(&fields).map_err(|error| fail(reason(&error), SHAPE, whole.clone()))?;
            if cron.find_next_occurrence(&EPOCH, true).is_err() {
                let why = format!("`{trimmed}` never fires: no year has such a day");
                let at = written.iter().find(|field| field.place == DAY).map_or(whole, |field| field.at.clone());
                return Err(fail(why, "write a day that one of its months has; `L` is the last day of any month", at));
            }
            let cron = Arc::new(cron);
            known.insert(fields, Arc::clone(&cron));
            cron
        }
    };
    let mut times = written.iter().zip(&filled).filter(|(field, _)| field.place <= HOUR);
    let spelled = times.all(|(_, meant)| !meant.contains(['*', '?', '/']));
    let fixed = spelled && !takes_all(&cron);
    Ok((When::Wall(Box::new(Wall::new(cron, fixed))), lint::lints(&written)))
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

/// A field with its `H` as a number.
fn fill(field: &Written, name: Option<&str>) -> Result<String, CronError> {
    let Written { text, at, place } = field;
    let of = &FIELDS[*place];
    hash::fill(text, of, name).map_err(|unclear| {
        let (why, help) = match unclear {
            Unclear::Nameless => (
                format!("`{text}` is made from the schedule's name, and there is none"),
                "give the name, or write a number".to_owned(),
            ),
            Unclear::Shape => (
                format!("`{text}` is no {}", of.name),
                match of.hashed {
                    Some((low, high)) => format!("write `H`, `H({low}-{high})`, `H/5` or `H({low}-{high})/5`"),
                    None => format!("write {}", of.takes),
                },
            ),
        };
        CronError { why, help, at: at.clone() }
    })
}

/// Whether a field is right when every other one is.
fn alone(place: usize, field: &str) -> Result<(), String> {
    if field.contains(char::is_alphabetic) && ![DAY, MONTH, WEEKDAY].contains(&place) {
        return Err("it has a letter in it".to_owned());
    }
    if field.split(',').any(str::is_empty) {
        return Err("a part of its list is empty".to_owned());
    }
    if place == WEEKDAY && field.split(',').any(|part| part.eq_ignore_ascii_case("l")) {
        return Err("`L` needs a day before it".to_owned());
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
