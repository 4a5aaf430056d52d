//! Cuts time at pauses and windows.

use chrono::{DateTime, Utc};

use super::Facts;
use crate::{
    catalog::TICK,
    ledger::Decided,
    windows::{Act, Closed},
};

/// A time between watermark and now: `(after, until]`.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) after: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) reach: Reach,
}

/// What may happen in it.
#[derive(Debug, Clone)]
pub(super) enum Reach {
    /// Slots may fire.
    Free,
    /// None may, and all get the same decision.
    Shut { decided: Decided, reason: String },
    /// None may before a window is over, which lies ahead; then one stands for all.
    Deferred { window: String, opens_at: DateTime<Utc> },
}

/// Cuts `(watermark, until]` at the pauses and windows. Of very many windows only the first are cut: then it ends early,
/// and the next look goes on.
pub(super) fn stretches(facts: &Facts<'_>, until: DateTime<Utc>) -> Vec<Stretch> {
    let Facts { watermark, now, pauses, windows, .. } = *facts;
    let free = |cut: &mut Vec<Stretch>, after, until| {
        let pieces = windows.stretches(after, until).into_iter();
        cut.extend(pieces.map(|piece| Stretch {
            after: piece.after,
            until: piece.until,
            reach: reach(piece.closed, now),
        }));
    };
    let mut cut = Vec::new();
    let mut at = watermark;
    for pause in pauses {
        let (from, end) = ((pause.made_at - TICK).max(at), pause.ends_at.map_or(until, |end| (end - TICK).min(until)));
        if end <= from {
            continue;
        }
        free(&mut cut, at, from);
        let reason = format!("paused by {}: {}", pause.author, pause.reason);
        cut.push(Stretch { after: from, until: end, reach: Reach::Shut { decided: Decided::SkippedPaused, reason } });
        at = end;
    }
    free(&mut cut, at, until);
    cut
}

/// What a window makes of a time.
fn reach(closed: Option<Closed<'_>>, now: DateTime<Utc>) -> Reach {
    let Some(Closed { window, act, opens_at }) = closed else { return Reach::Free };
    match (act, opens_at) {
        (Act::Defer, Some(opens_at)) if opens_at > now => Reach::Deferred { window: window.to_owned(), opens_at },
        // It is over, and nobody was there to defer them: they are as late as any other.
        (Act::Defer, Some(_)) => Reach::Free,
        (Act::Defer, None) => skipped(format!("window `{window}` is closed and does not open again")),
        (Act::Skip, _) => skipped(format!("window `{window}` is closed to it")),
    }
}

fn skipped(reason: String) -> Reach {
    Reach::Shut { decided: Decided::SkippedWindow, reason }
}
