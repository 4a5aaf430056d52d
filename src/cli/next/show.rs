//! How `sexton next` tells slots to people: a line for each, in UTC and on the schedule's clock.

use std::io::{self, Write};

use chrono::{DateTime, Utc};

use crate::{
    requests::{
        preview::due::{Due, Mark},
        words::utc,
    },
    slots::TZDB,
};

/// For people: a line for each instant, and one for each that is left out.
pub(super) fn text(due: &[Due<'_>], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    if due.is_empty() {
        writeln!(out, "nothing is due")?;
    }
    let mut lines: Vec<(DateTime<Utc>, String)> = Vec::new();
    for due in due {
        let clock =
            |at: DateTime<Utc>| format!("{}  {}", utc(at), at.with_timezone(&due.zone).format("%a %d %b %H:%M:%S %Z"));
        let words = |mark: &Option<Mark>, fires| match mark {
            Some(mark) => format!("  ({})", mark.words(fires)),
            None => String::new(),
        };
        for (at, mark) in &due.left_out {
            let name = due.schedule.map(|schedule| format!("{}: ", schedule.name)).unwrap_or_default();
            lines.push((*at, format!("{}  {name}nothing{}", clock(*at), words(mark, false))));
        }
        let mut line = clock(due.at);
        if let Some(schedule) = due.schedule {
            line += &format!("  {}: {}", schedule.name, schedule.job);
            let mut before = &schedule.job;
            for next in &schedule.then {
                line += &format!(", then {}", next.job);
                if !next.is_plain(before) {
                    line += &format!(" ({} of {})", next.on.word(), next.after.join(", "));
                }
                before = &next.job;
            }
        }
        let touched: String = due.touched.iter().map(|touch| format!("  ({})", touch.why)).collect();
        lines.push((due.at, line + &words(&due.mark, true) + &touched));
    }
    lines.sort_by_key(|(at, _)| *at);
    for (_, line) in lines {
        writeln!(out, "{line}")?;
    }
    for note in notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "time zones: tzdb {TZDB}")
}
