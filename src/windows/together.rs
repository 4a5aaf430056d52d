//! The windows of one schedule, together: what they close, until when, and whether alerts wait.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Act, Window,
    walk::{Walk, Went},
};

/// How many changes of windows one question looks past. It is the bound on the work of a question, whatever the
/// windows are.
const CHANGES: usize = 1_000;
/// How far ahead an opening is looked for: ten years.
const HORIZON: TimeDelta = TimeDelta::days(3_660);
/// The smallest step of time: what lies before an instant ends so much earlier.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

/// The windows that a schedule has, in the order in which they are told.
#[derive(Debug, Clone, Default)]
pub struct Windows<'a>(pub Vec<&'a Window>);

/// A closed instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<'a> {
    /// The window that closes it; of several one that skips, then the first.
    pub window: &'a str,
    /// What becomes of a slot here.
    pub act: Act,
    /// The first instant after it that no window closes; `None` where there is none within ten years, or within a
    /// thousand changes of the windows.
    pub opens_at: Option<DateTime<Utc>>,
}

/// A stretch of time in which the same holds for every slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// It begins after this instant.
    pub after: DateTime<Utc>,
    /// Its last instant.
    pub until: DateTime<Utc>,
    /// What closes it; `None` where it is open.
    pub closed: Option<Closed<'a>>,
}

/// An instant whose alerts wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Muted<'a> {
    /// The window that they wait for: the first one.
    pub window: &'a str,
    /// When all windows that mute are over.
    pub until: DateTime<Utc>,
}

impl<'a> Windows<'a> {
    /// What closes an instant, if anything.
    pub fn closed(&self, at: DateTime<Utc>) -> Option<Closed<'a>> {
        let mut walk = Walk::from(&self.0, at, CHANGES);
        let (window, act) = walk.closed()?;
        Some(Closed { window, act, opens_at: opening(&mut walk, at) })
    }

    /// Cuts `(after, until]` where what holds for slots changes: pieces in order that meet and are as long as can be.
    ///
    /// After a thousand changes of the windows the last piece ends early; ask again from its `until` for the rest. The
    /// first piece always gets beyond `after`, so asking again comes to an end.
    pub fn stretches(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Stretch<'a>> {
        let mut pieces: Vec<Stretch<'a>> = Vec::new();
        if after >= until {
            return pieces;
        }
        let mut walk = Walk::from(&self.0, after + TICK, CHANGES);
        let mut begin = after;
        loop {
            let closed = walk.closed().map(|(window, act)| Closed { window, act, opens_at: None });
            let went = walk.on(until, Walk::closed);
            let end = if went == Went::Past { until } else { walk.at - TICK };
            if end > begin {
                pieces.push(Stretch { after: begin, until: end, closed });
            }
            begin = end;
            if went != Went::Changed {
                break;
            }
        }
        // The opening of the last piece lies ahead; each other one is the beginning of the next that is open.
        let mut opens_at = pieces.last().filter(|last| last.closed.is_some()).and_then(|last| {
            walk.rest(CHANGES);
            opening(&mut walk, last.until)
        });
        for piece in pieces.iter_mut().rev() {
            match &mut piece.closed {
                Some(closed) => closed.opens_at = opens_at,
                None => opens_at = Some(piece.after + TICK),
            }
        }
        pieces
    }

    /// Whether the alerts of an instant wait, and until when: the end of every window that mutes and meets it. Where a
    /// thousand of them follow one another, until the end of the last of these, and at most ten years: an alert never waits for ever.
    pub fn muted(&self, at: DateTime<Utc>) -> Option<Muted<'a>> {
        let mut walk = Walk::from(&self.0, at, CHANGES);
        let window = walk.muted()?;
        let limit = horizon(at);
        let went = walk.on(limit, |walk| walk.muted().is_some());
        Some(Muted { window, until: if went == Went::Past { limit } else { walk.at } })
    }
}

/// The first instant that is open, from where a walk stands.
fn opening(walk: &mut Walk<'_, '_>, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let went = walk.on(horizon(from), |walk| walk.closed().is_some());
    (went == Went::Changed).then_some(walk.at)
}

fn horizon(from: DateTime<Utc>) -> DateTime<Utc> {
    from.checked_add_signed(HORIZON).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
