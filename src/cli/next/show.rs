//! How `sexton next` shows instants: in UTC and on the schedule's clock, with what changes of that clock do to them.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::{
    catalog::Schedule,
    slots::{Cron, Shift, TZDB},
};

/// Times left out before one slot, at most: an expression of every second leaves out 3,600 at once.
const MOST: usize = 100;

/// One instant at which something fires.
pub(super) struct Due<'a> {
    pub(super) at: DateTime<Utc>,
    pub(super) schedule: Option<&'a Schedule>,
    zone: Tz,
    mark: Option<Mark>,
    /// What does not fire between the instant before and this one, because the clocks are changed.
    left_out: Vec<(DateTime<Utc>, Option<Mark>)>,
}

/// What a change of the clocks did.
struct Mark {
    shift: Shift,
    /// The time on the clock that it is about: the one that does not exist, or comes twice.
    wall: chrono::NaiveDateTime,
}

impl Mark {
    fn of(cron: &Cron, zone: Tz, at: DateTime<Utc>) -> Option<Self> {
        let shift = cron.shift(zone, at)?;
        let wall = cron.swallowed(zone, at).unwrap_or_else(|| at.with_timezone(&zone).naive_local());
        Some(Self { shift, wall })
    }

    /// For people.
    fn words(&self, fires: bool) -> String {
        let wall = self.wall.format("%H:%M");
        match self.shift {
            Shift::AfterGap => {
                let instead = if fires { ": it fires after the gap" } else { "" };
                format!("{wall} does not exist on {}{instead}", self.wall.format("%d %b"))
            }
            Shift::FirstPass => format!("{wall} comes twice: the first"),
            Shift::SecondPass => format!("{wall} comes twice: the second"),
        }
    }
}

/// The slots of an expression after an instant, each with its marks.
pub(super) fn after<'a>(
    cron: &Cron,
    zone: Tz,
    schedule: Option<&'a Schedule>,
    from: DateTime<Utc>,
    count: usize,
) -> Vec<Due<'a>> {
    let all = cron.with_all_passes();
    let slots = std::iter::successors(cron.next(zone, from), |at| cron.next(zone, *at)).take(count);
    let mut before = from;
    slots
        .map(|at| {
            let left_out = all.between(zone, std::mem::replace(&mut before, at), at, MOST);
            let left_out = left_out.into_iter().filter(|other| *other < at);
            Due {
                at,
                schedule,
                zone,
                mark: Mark::of(cron, zone, at),
                left_out: left_out.map(|at| (at, Mark::of(&all, zone, at))).collect(),
            }
        })
        .collect()
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// For programs.
pub(super) fn json(due: &[Due<'_>]) -> Value {
    let instant = |at: DateTime<Utc>, zone: Tz, mark: &Option<Mark>| {
        let gap = mark.as_ref().filter(|mark| mark.shift == Shift::AfterGap);
        json!({
            "at": utc(at),
            "local": at.with_timezone(&zone).to_rfc3339(),
            "dst": mark.as_ref().map(|mark| mark.shift),
            "stands_for": gap.map(|mark| mark.wall.format("%Y-%m-%dT%H:%M:%S").to_string()),
        })
    };
    let all = due.iter().map(|due| {
        let mut shown = instant(due.at, due.zone, &due.mark);
        let left_out: Vec<_> = due.left_out.iter().map(|(at, mark)| instant(*at, due.zone, mark)).collect();
        shown["left_out"] = left_out.into();
        shown["zone"] = due.zone.name().into();
        shown["tzdb"] = TZDB.into();
        shown["schedule"] = json!(due.schedule.map(|schedule| &schedule.name));
        shown["job"] = json!(due.schedule.map(|schedule| &schedule.job));
        shown["then"] = json!(due.schedule.map(|schedule| &schedule.then));
        shown
    });
    all.collect()
}

/// For people: a line for each instant, and one for each that is left out.
pub(super) fn text(due: &[Due<'_>], out: &mut dyn Write) -> io::Result<()> {
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
            for job in &schedule.then {
                line += &format!(", then {job}");
            }
        }
        lines.push((due.at, line + &words(&due.mark, true)));
    }
    lines.sort_by_key(|(at, _)| *at);
    for (_, line) in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "time zones: tzdb {TZDB}")
}
