//! `sexton runs log`: what a run logged, attempt after attempt.

use std::io::Write;

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{AskError, exit, unknown};
use crate::queue::{
    self,
    log::{self, Line, Place},
};

/// How many lines are read at a time.
const PAGE: i64 = 1_000;

/// Prints all lines; as JSON an object a line, so that no log is too long for it.
pub(super) async fn run(
    pool: &PgPool,
    id: Uuid,
    attempt: Option<i32>,
    json: bool,
    out: &mut dyn Write,
) -> Result<u8, AskError> {
    let run = queue::find(pool, id).await?;
    let mut place = Place::default();
    loop {
        let lines = log::page(pool, id, place, attempt, PAGE).await?;
        let Some(last) = lines.last().map(Line::place) else { break };
        for line in &lines {
            if json {
                writeln!(out, "{}", serde_json::to_string(line)?)?;
            } else {
                writeln!(out, "{}", text(line))?;
            }
        }
        if (lines.len() as i64) < PAGE {
            return Ok(exit::DONE);
        }
        place = last;
    }
    // A log may outlive its run in the history, but nobody should take a mistyped id for a silent run.
    if place == Place::default() && run.is_none() {
        return Err(unknown(id));
    }
    Ok(exit::DONE)
}

/// `2026-11-28 02:00:01.123Z #1 INFO  stdout: what was said (rows=12)`.
pub(super) fn text(line: &Line) -> String {
    let at = line.at.format("%F %T%.3fZ");
    let fields = line.fields.as_ref().and_then(Value::as_object).into_iter().flatten();
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={}", plain(value))).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(" ")) };
    let level = line.level.to_uppercase();
    shown(&format!("{at} #{} {level:5} {}: {}{fields}", line.attempt, line.target, line.message))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Without what a terminal would obey: a program that a run started may have printed anything.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_for_people_and_no_terminal_obeys_it() {
        let line = Line {
            token: 1,
            line: 3,
            attempt: 2,
            at: "2026-11-28T02:00:01.123456Z".parse().expect("a time"),
            level: "info".to_owned(),
            target: "stdout".to_owned(),
            message: "\u{1b}[31mred".to_owned(),
            fields: Some(serde_json::json!({ "rows": 12, "what": "x" })),
        };
        assert_eq!(text(&line), "2026-11-28 02:00:01.123Z #2 INFO  stdout: \u{fffd}[31mred (rows=12 what=x)");
    }
}
