//! Cuts time at pauses and windows.

use chrono::{DateTime, Utc};

use crate::{
    catalog::{Schedule, TICK},
    ledger::{Decided, Pause},
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
}

/// Cuts `(watermark, until]` at the pauses, of which all that reach beyond it are still open.
pub(super) fn stretches(
    _schedule: &Schedule,
    watermark: DateTime<Utc>,
    until: DateTime<Utc>,
    pauses: &[Pause],
) -> Vec<Stretch> {
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

fn free(cut: &mut Vec<Stretch>, after: DateTime<Utc>, until: DateTime<Utc>) {
    if until > after {
        cut.push(Stretch { after, until, reach: Reach::Free });
    }
}
