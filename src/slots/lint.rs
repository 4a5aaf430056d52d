//! Expressions that are right, and most likely not what their writer means.

use std::ops::Range;

use super::fields::{DAY, FIELDS, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, Written};

/// Something doubtful in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// What is doubtful.
    pub why: String,
    /// What to write.
    pub help: String,
    /// Where in the text, in bytes.
    pub at: Range<usize>,
}

pub(super) fn lints(fields: &[Written]) -> Vec<Lint> {
    let mut lints: Vec<Lint> = fields.iter().filter_map(uneven).collect();
    lints.extend(either(fields));
    lints
}

/// Steps that do not fit: at the end of the hour, the day, the month one is shorter or longer than the others.
fn uneven(field: &Written) -> Option<Lint> {
    // What a field counts, in what, and a length for `@every`; days are counted anew each month.
    let (unit, around, short) = match field.place {
        SECOND => ("seconds", "a minute", "s"),
        MINUTE => ("minutes", "an hour", "m"),
        HOUR => ("hours", "a day", "h"),
        DAY => ("days", "a month", "d"),
        MONTH => ("months", "a year", ""),
        WEEKDAY => ("days", "a week", "d"),
        _ => return None,
    };
    let of = &FIELDS[field.place];
    let all = format!("{}-{}", of.low, of.high);
    let (part, step) = field.text.split(',').find_map(|part| {
        let (range, step) = part.trim_start_matches('+').split_once('/')?;
        let step = step.parse::<u64>().ok().filter(|step| *step > 1)?;
        let whole = matches!(range, "*" | "?" | "H" | "h") || range == all;
        let fits = field.place != DAY && (of.high - of.low + 1).is_multiple_of(step);
        (whole && !fits).then_some((part, step))
    })?;
    let why = if field.place == DAY {
        format!("`{part}` begins anew on the 1st of each month, so one step in each month has another length")
    } else {
        let count = of.high - of.low + 1;
        format!(
            "`{part}` is uneven: the {count} {unit} of {around} are no multiple of {step}, so one step has another length"
        )
    };
    let help = match field.place {
        MONTH => "write a step that divides 12, or name the months".to_owned(),
        DAY => format!("name the days, or write `@every {step}d`, which counts real time and has no time of day"),
        WEEKDAY => "name the days of the week".to_owned(),
        _ => {
            let count = of.high - of.low + 1;
            format!("write a step that divides {count}, or `@every {step}{short}`, which counts real time")
        }
    };
    Some(Lint { why, help, at: field.at.clone() })
}

/// Day of the month and day of the week: cron fires when either matches, most people think both.
fn either(fields: &[Written]) -> Option<Lint> {
    let limited = |place| {
        let field = fields.iter().find(|field| field.place == place)?;
        (!matches!(field.text.as_str(), "*" | "?" | "+*" | "+?")).then_some(field)
    };
    let (day, weekday) = (limited(DAY)?, limited(WEEKDAY)?);
    if weekday.text.starts_with('+') {
        return None;
    }
    Some(Lint {
        why: format!(
            "fires on every day that is `{}` of the month or `{}` of the week, not only where both hold",
            day.text, weekday.text
        ),
        help: format!(
            "write `+{}` for the days on which both hold; if either is meant, make two schedules",
            weekday.text
        ),
        at: weekday.at.clone(),
    })
}
