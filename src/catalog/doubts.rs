//! What only somebody who knows the time can find doubtful in windows: those that are over, and schedules that never
//! fire because of them.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Catalog, Problem, Schedule, problem::Severity};
use crate::windows::{Act, When, Window, Windows};

/// How far ahead is looked.
const YEAR: TimeDelta = TimeDelta::days(366);
/// In how many pieces, each of a thousand changes of windows; what needs more is not judged.
const LOOKS: usize = 10;

impl Catalog {
    /// A window of the files, by name.
    pub fn window(&self, name: &str) -> Option<&Window> {
        let at = self.windows.binary_search_by(|window| window.name.as_str().cmp(name)).ok()?;
        self.windows.get(at)
    }

    /// The windows that a schedule has: those that it names, then those that are everywhere.
    pub fn windows_of(&self, schedule: &Schedule) -> Windows<'_> {
        let named = schedule.windows.iter().filter_map(|name| self.window(name));
        let all = self.windows.iter().filter(|window| window.everywhere && !schedule.windows.contains(&window.name));
        Windows(named.chain(all).collect())
    }

    /// What is doubtful in the windows at this time.
    pub fn doubts(&self, now: DateTime<Utc>) -> Vec<Problem> {
        let over = self.windows.iter().filter_map(|window| self.over(window, now));
        let silent = self.schedules.iter().filter(|schedule| self.never_fires(schedule, now)).map(|schedule| {
            let message =
                format!("schedule `{}` never fires in the coming year: its windows skip every slot", schedule.name);
            let help = Some("change its `cron` or its windows; an `everywhere` window counts, too".to_owned());
            Problem { severity: Severity::Warning, ..Problem::whole(schedule.file.clone(), message, help) }
        });
        over.chain(silent).collect()
    }

    fn over(&self, window: &Window, now: DateTime<Utc>) -> Option<Problem> {
        let When::Listed(stretches) = &window.when else { return None };
        let last = stretches.last().map(|stretch| stretch.end);
        if last.is_some_and(|end| end > now) {
            return None;
        }
        let since = last.map_or("it has no time at all".to_owned(), |end| {
            format!("its end was {}", end.format("%Y-%m-%d %H:%M UTC"))
        });
        Some(Problem {
            severity: Severity::Warning,
            message: format!("the window `{}` is over: {since}", window.name),
            help: Some("give it times to come, or delete it".into()),
            ..self.window_places.get(&window.name)?.clone()
        })
    }

    /// Whether it has slots in the coming year, and windows skip all of them.
    fn never_fires(&self, schedule: &Schedule, now: DateTime<Utc>) -> bool {
        let windows = self.windows_of(schedule);
        let end = now + YEAR;
        let due = |after, until| schedule.cron.next(schedule.zone, after).is_some_and(|slot| slot <= until);
        if !schedule.enabled || windows.0.is_empty() || !due(now, end) {
            return false;
        }
        let mut from = now;
        for _ in 0..LOOKS {
            let pieces = windows.stretches(from, end);
            let fires = pieces.iter().any(|piece| {
                let skipped = piece.closed.is_some_and(|closed| closed.act == Act::Skip || closed.opens_at.is_none());
                !skipped && due(piece.after, piece.until)
            });
            match pieces.last() {
                _ if fires => return false,
                Some(last) if last.until < end => from = last.until,
                _ => return true,
            }
        }
        false
    }
}
