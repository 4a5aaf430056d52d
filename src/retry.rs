//! Whether and when a failed attempt is followed by another.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{outcome::Again, span::Span};

/// How often a run is tried and how long it waits in between. `attempts` counts the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all; 1 means no retry.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub first: Span,
    /// The longest pause.
    pub most: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, first: Span::seconds(15), most: Span::seconds(3600) }
    }
}

impl Retry {
    /// The pause before the next attempt after `spent` of them, or `None` when it was the last.
    ///
    /// `chance` is uniform in `0.0..1.0` and spreads the pause by ±10 %, so that runs which failed together do
    /// not come back together.
    pub fn pause(&self, spent: u32, again: Again, chance: f64) -> Option<Duration> {
        if again == Again::Never || spent >= self.attempts {
            return None;
        }
        let doubled = self.first.0.saturating_mul(1_u32 << spent.saturating_sub(1).min(20));
        Some(doubled.min(self.most.0).mul_f64(0.9 + 0.2 * chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_the_most() {
        let retry = Retry { attempts: 9, first: Span::seconds(10), most: Span::seconds(60) };
        let pauses: Vec<_> = (1..=9).map(|n| retry.pause(n, Again::Later, 0.5).map(|d| d.as_secs())).collect();
        assert_eq!(pauses[..4], [Some(10), Some(20), Some(40), Some(60)]);
        assert_eq!(pauses[7..], [Some(60), None]);
    }

    #[test]
    fn what_cannot_be_cured_is_not_tried_again() {
        assert_eq!(Retry::default().pause(1, Again::Never, 0.5), None);
    }
}
