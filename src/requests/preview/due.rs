//! Slots to come, in UTC and on the schedule's clock, each with what changes of that clock do to it.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::touch::Touch;
use crate::{
    catalog::Schedule,
    requests::words::utc,
    slots::{Cron, Shift, TZDB},
};

/// Times left out before one slot, at most: an expression of every second leaves out 3,600 at once.
const MOST: usize = 100;

/// One instant at which something fires.
#[derive(Debug, Clone)]
pub struct Due<'a> {
    /// The instant.
    pub at: DateTime<Utc>,
    /// Of which schedule; none for an expression alone.
    pub schedule: Option<&'a Schedule>,
    /// Its clock.
    pub zone: Tz,
    /// What a change of the clocks did.
    pub mark: Option<Mark>,
    /// What does not fire between the instant before and this one, because the clocks are changed.
    pub left_out: Vec<(DateTime<Utc>, Option<Mark>)>,
    /// When it starts: later than `at` where splay or jitter move it.
    pub starts_at: DateTime<Utc>,
    /// What else touches it.
    pub touched: Vec<Touch>,
}

/// What a change of the clocks did.
#[derive(Debug, Clone)]
pub struct Mark {
    /// What.
    pub shift: Shift,
    /// The time on the clock that it is about: the one that does not exist, or comes twice.
    pub wall: NaiveDateTime,
}

impl Mark {
    fn of(cron: &Cron, zone: Tz, at: DateTime<Utc>) -> Option<Self> {
        let shift = cron.shift(zone, at)?;
        let wall = cron.swallowed(zone, at).unwrap_or_else(|| at.with_timezone(&zone).naive_local());
        Some(Self { shift, wall })
    }

    /// For people.
    pub fn words(&self, fires: bool) -> String {
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
pub fn after<'a>(
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
                starts_at: schedule.map_or(at, |schedule| schedule.start(at)),
                touched: Vec::new(),
            }
        })
        .collect()
}

/// For programs.
pub fn json(due: &[Due<'_>]) -> Value {
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
        shown["starts_at"] = utc(due.starts_at).into();
        shown["touched"] = json!(due.touched);
        shown["schedule"] = json!(due.schedule.map(|schedule| &schedule.name));
        shown["job"] = json!(due.schedule.map(|schedule| &schedule.job));
        shown["then"] = json!(due.schedule.map(|schedule| &schedule.then));
        shown
    });
    all.collect()
}
