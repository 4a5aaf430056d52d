//! How big steps are, and what an error says about that.

use std::time::Duration;

use super::error::Error;

/// How big steps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rows of the first step; later ones adapt, up to twenty times as many.
    pub rows: u64,
    /// How long a step should take.
    pub target: Duration,
}

/// By what a step is divided after an error that fewer rows may avoid; `None` for any other error.
pub(super) fn contention(error: &Error) -> Option<u64> {
    let Error::Sql(error) = error else { return None };
    match error.as_database_error()?.code()?.as_ref() {
        // Serialization, deadlock, lock not available.
        "40001" | "40P01" | "55P03" => Some(2),
        // The statement took too long.
        "57014" => Some(4),
        _ => None,
    }
}

/// The next step's size: half when steps are slow; while they are quick and full, a quarter of the first more, and
/// twice as much as long as they take less than a third of what they may.
pub(super) fn adapt(batch: u64, full: bool, took: Duration, pace: Pace) -> u64 {
    if took > pace.target {
        (batch / 2).max(1)
    } else if full && took < pace.target.mul_f64(0.8) {
        let more = if took < pace.target / 3 { batch } else { (pace.rows / 4).max(1) };
        (batch + more).min(pace.rows.saturating_mul(20))
    } else {
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_while_they_are_quick_and_shrink_fast() {
        let pace = Pace { rows: 1_000, target: Duration::from_millis(500) };
        let after = |batch, full, ms| adapt(batch, full, Duration::from_millis(ms), pace);
        assert_eq!(after(1_000, true, 100), 2_000);
        assert_eq!(after(1_000, true, 200), 1_250);
        assert_eq!(after(1_000, false, 100), 1_000);
        assert_eq!(after(1_000, true, 450), 1_000);
        assert_eq!(after(1_000, true, 501), 500);
        assert_eq!(after(1, true, 900), 1);
        assert_eq!(after(20_000, true, 10), 20_000);
    }
}
