//! Going along time through several windows, from one change of what they say to the next.

use chrono::{DateTime, Utc};

use super::{Act, Window, spell::Spell};

/// Several windows at an instant.
pub(super) struct Walk<'w, 'a> {
    windows: &'w [&'a Window],
    spells: Vec<Spell>,
    /// Where it is.
    pub(super) at: DateTime<Utc>,
    /// How many changes of single windows it may still pass.
    left: usize,
}

/// How a walk went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// It stands where something else holds.
    Changed,
    /// The same holds for ever, or past the limit; it may stand behind that.
    Past,
    /// It has passed all the changes that it may, and the same holds up to where it stands.
    Tired,
}

impl<'w, 'a> Walk<'w, 'a> {
    /// A walk from an instant on, past so many changes.
    pub(super) fn from(windows: &'w [&'a Window], at: DateTime<Utc>, left: usize) -> Self {
        let spells = windows.iter().map(|window| Spell::of(window, at)).collect();
        Self { windows, spells, at, left }
    }

    /// Lets it pass so many more changes.
    pub(super) fn rest(&mut self, left: usize) {
        self.left = left;
    }

    /// Who closes slots here, and how: skipping wins, then the order of the windows.
    pub(super) fn closed(&self) -> Option<(&'a str, Act)> {
        let all =
            || self.windows.iter().zip(&self.spells).filter_map(|(window, spell)| Some((window, spell, window.act()?)));
        // Of several maintenance windows one is enough.
        let kept_out = !all().any(|(window, spell, _)| window.only && spell.inside);
        let closing = || {
            all()
                .filter(|(window, spell, _)| if window.only { kept_out } else { spell.inside })
                .map(|(window, _, act)| (window.name.as_str(), act))
        };
        closing().find(|(_, act)| *act == Act::Skip).or_else(|| closing().next())
    }

    /// Who keeps alerts waiting here.
    pub(super) fn muted(&self) -> Option<&'a str> {
        let mut muting = self.windows.iter().zip(&self.spells).filter(|(window, spell)| window.mute && spell.inside);
        muting.next().map(|(window, _)| window.name.as_str())
    }

    /// Goes to the next instant at which `what` is another.
    pub(super) fn on<T: PartialEq>(&mut self, limit: DateTime<Utc>, what: impl Fn(&Self) -> T) -> Went {
        let now = what(self);
        loop {
            let Some(turn) = self.spells.iter().filter_map(|spell| spell.until).min() else { return Went::Past };
            if turn > limit {
                return Went::Past;
            }
            if self.left == 0 {
                return Went::Tired;
            }
            self.left -= 1;
            self.at = turn;
            for (window, spell) in self.windows.iter().zip(&mut self.spells) {
                if spell.until.is_some_and(|until| until <= turn) {
                    *spell = Spell::of(window, turn);
                }
            }
            if what(self) != now {
                return Went::Changed;
            }
        }
    }
}
