//! Whether an instant lies in a window, and for how long that stays so.

use chrono::{DateTime, Utc};

use super::{When, Window};

/// How many occurrences that meet are put together at once. Where more do, a spell says how far it looked, and who
/// asks again from there learns that it goes on.
const MET: usize = 8;

/// What is so from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spell {
    /// Whether the window is on.
    pub(super) inside: bool,
    /// Until when at least, later than the instant that was asked for; `None` means for ever.
    pub(super) until: Option<DateTime<Utc>>,
}

impl Spell {
    /// The spell of a window that an instant lies in.
    pub(super) fn of(window: &Window, at: DateTime<Utc>) -> Self {
        match &window.when {
            When::Listed(stretches) => {
                let next = stretches.partition_point(|stretch| stretch.end <= at);
                match stretches.get(next) {
                    Some(stretch) if stretch.start <= at => Self { inside: true, until: Some(stretch.end) },
                    Some(stretch) => Self { inside: false, until: Some(stretch.start) },
                    None => Self { inside: false, until: None },
                }
            }
            When::Recurring { cron, lasts } => {
                let zone = window.zone;
                let begun = at.checked_sub_signed(*lasts).and_then(|from| cron.latest(zone, from, at));
                let Some(mut last) = begun else { return Self { inside: false, until: cron.next(zone, at) } };
                let mut end = last + *lasts;
                for _ in 0..MET {
                    let Some(next) = cron.latest(zone, last, end) else { break };
                    (last, end) = (next, next + *lasts);
                }
                Self { inside: true, until: Some(end) }
            }
        }
    }
}
