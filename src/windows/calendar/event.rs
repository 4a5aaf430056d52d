//! One event: from its lines to the stretches of time that it takes.

use std::ops::Range;

use chrono::{Days, NaiveDateTime, TimeDelta};

use super::{
    Busy, Unclear,
    lines::Line,
    repeat,
    stamp::{self, Length, Stamp},
};

/// An event as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// Where it begins.
    at: Range<usize>,
    uid: Option<String>,
    start: Option<(Stamp, Line)>,
    end: Option<(Stamp, Line)>,
    length: Option<(Length, Line)>,
    rule: Option<Line>,
    more: Vec<Stamp>,
    less: Vec<Stamp>,
    /// The occurrence of the event of the same id that this one stands for.
    instead_of: Option<Stamp>,
    cancelled: bool,
    /// A line of it could not be read, which is told already.
    broken: bool,
}

impl Event {
    pub(super) fn new(begin: &Line) -> Self {
        Self { at: begin.at.clone(), ..Self::default() }
    }

    /// Takes a line of it. What says nothing about time is of no interest, and neither is whether a calendar shows the
    /// event as busy: published holidays are all "free".
    pub(super) fn take(&mut self, line: Line) -> Result<(), Unclear> {
        self.read(line).inspect_err(|_| self.broken = true)
    }

    fn read(&mut self, line: Line) -> Result<(), Unclear> {
        match line.name.as_str() {
            "UID" => self.uid = Some(line.value),
            "DTSTART" => self.start = Some((stamp::one(&line)?, line)),
            "DTEND" => self.end = Some((stamp::one(&line)?, line)),
            "DURATION" => self.length = Some((stamp::length(&line)?, line)),
            "RRULE" if self.rule.is_some() => {
                return Err(line.unclear("a second RRULE in one event", "make two events of it"));
            }
            "RRULE" => self.rule = Some(line),
            "EXRULE" => return Err(line.unclear("EXRULE is not read", "write the days that are left out as EXDATE")),
            "RDATE" => self.more.extend(stamp::many(&line)?),
            "EXDATE" => self.less.extend(stamp::many(&line)?),
            "RECURRENCE-ID" if line.param("RANGE").is_some() => {
                let help = "end the event with UNTIL there, and write a new one";
                return Err(line.unclear("a change of this and all later occurrences is not read", help));
            }
            "RECURRENCE-ID" => self.instead_of = Some(stamp::one(&line)?),
            "STATUS" => self.cancelled = line.value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
        Ok(())
    }

    /// The occurrence of another event that this one replaces.
    pub(super) fn replaces(&self) -> Option<(&str, Stamp)> {
        Some((self.uid.as_deref()?, self.instead_of?))
    }

    /// What it takes, without the occurrences that others replace; at most `most` of them.
    pub(super) fn busy(&self, replaced: &[(&str, Stamp)], most: usize) -> Result<Vec<Busy>, Unclear> {
        if self.broken {
            return Ok(Vec::new());
        }
        let Some((start, line)) = &self.start else {
            let help = "write when it begins, as DTSTART;VALUE=DATE:20261225";
            return Err(Unclear { why: "an event without DTSTART".into(), help: help.into(), at: self.at.clone() });
        };
        let takes = self.takes(*start, line)?;
        if self.cancelled {
            return Ok(Vec::new());
        }
        let mut times = vec![start.wall()];
        if let Some(rule) = &self.rule {
            // One more than is allowed, so that the caller sees that it is too many.
            times.extend(repeat::parse(rule, *start)?.times(start.wall(), most.saturating_add(1)));
        }
        times.extend(self.more.iter().map(|stamp| stamp.seen_from(*start)));
        times.sort();
        times.dedup();
        let mine = |(uid, stamp): &(&str, Stamp)| (self.uid.as_deref() == Some(*uid)).then_some(*stamp);
        let replaced = replaced.iter().filter(|_| self.instead_of.is_none()).filter_map(mine);
        let less: Vec<Stamp> = self.less.iter().copied().chain(replaced).collect();
        let stays = |wall: &NaiveDateTime| !less.iter().any(|stamp| stamp.names(start.with_wall(*wall)));
        let all = times.into_iter().filter(stays).filter_map(|wall| takes.begun_at(start.with_wall(wall)));
        Ok(all.filter(Busy::lasts).collect())
    }

    /// How much time each occurrence takes.
    fn takes(&self, start: Stamp, line: &Line) -> Result<Length, Unclear> {
        let day = matches!(start, Stamp::Day(_));
        if let Some((length, line)) = &self.length {
            if day && !length.rest.is_zero() {
                return Err(
                    line.unclear("an event of whole days lasts whole days", "write P1D, or a DTSTART with a time")
                );
            }
            return Ok(*length);
        }
        let Some((end, end_line)) = &self.end else {
            return Ok(Length { days: i64::from(day), rest: TimeDelta::zero() });
        };
        if day != matches!(end, Stamp::Day(_)) {
            let help = "both are days, or both are times";
            return Err(end_line.unclear("DTSTART and DTEND are not of one sort", help));
        }
        let real = match (start.instant(), end.instant()) {
            (Some(start), Some(end)) => end - start,
            (None, None) => end.wall() - start.wall(),
            _ => {
                let help = "give both a TZID, or `Z`, or neither";
                return Err(end_line.unclear("one of DTSTART and DTEND has a time zone, the other has none", help));
            }
        };
        if real < TimeDelta::zero() {
            let why = format!("the event ends before it begins, at {}", line.value);
            return Err(end_line.unclear(why, "exchange DTSTART and DTEND"));
        }
        // Some programs write the same day as start and end of one day.
        let days = if day { real.num_days().max(1) } else { 0 };
        Ok(Length { days, rest: if day { TimeDelta::zero() } else { real } })
    }
}

impl Length {
    /// What an occurrence takes that begins there; nothing past the end of all time.
    fn begun_at(self, start: Stamp) -> Option<Busy> {
        let days = Days::new(u64::try_from(self.days).ok()?);
        let wall = start.wall().checked_add_days(days)?;
        Some(match start {
            Stamp::Day(date) => Busy::Days(date..wall.date()),
            Stamp::Floating(begin) => Busy::Local(begin..wall.checked_add_signed(self.rest)?),
            Stamp::Zoned(..) => {
                let end = start.with_wall(wall).instant()?.checked_add_signed(self.rest)?;
                Busy::Fixed(start.instant()?..end)
            }
        })
    }
}
