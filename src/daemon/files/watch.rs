//! When changed files are read: once they stand still, and later where they look half-written.
//!
//! Values alone: the clock and the fingerprint are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::{Diff, Fingerprint};

use super::Reading;

/// How long changed files must have stood still.
const STILL: Duration = Duration::from_secs(1);
/// The same for a change that loses something or is broken: so does a file that is only half there.
const DOUBTFUL: Duration = Duration::from_secs(5);

/// What the folders looked like when they were last read, and since when they look different.
#[derive(Debug)]
pub(super) struct Watch {
    known: Fingerprint,
    changing: Option<Changing>,
}

#[derive(Debug)]
struct Changing {
    to: Fingerprint,
    since: Instant,
    still: Duration,
}

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing has changed since the last reading.
    Same,
    /// Something has; look again after this.
    Wait(Duration),
    /// They have stood still: read them.
    Read,
}

impl Watch {
    /// Files that were read when they had this fingerprint.
    pub(super) fn new(known: Fingerprint) -> Self {
        Self { known, changing: None }
    }

    /// Takes a look in.
    pub(super) fn look(&mut self, print: Fingerprint, now: Instant) -> Next {
        if print == self.known {
            self.changing = None;
            return Next::Same;
        }
        match &self.changing {
            Some(changing) if changing.to == print => {
                let left = changing.still.saturating_sub(now - changing.since);
                if left.is_zero() { Next::Read } else { Next::Wait(left) }
            }
            before => {
                if before.is_none() {
                    tracing::info!("the files change; they are read once they stand still");
                }
                self.changing = Some(Changing { to: print, since: now, still: STILL });
                Next::Wait(STILL)
            }
        }
    }

    /// What was read is doubtful: whether it must stand still for longer.
    pub(super) fn doubt(&mut self) -> bool {
        match &mut self.changing {
            Some(changing) if changing.still < DOUBTFUL => {
                changing.still = DOUBTFUL;
                true
            }
            _ => false,
        }
    }

    /// They were read when they had this fingerprint.
    pub(super) fn took(&mut self, print: Fingerprint) {
        *self = Self::new(print);
    }
}

/// Whether `now` may be a half-written edit of `before`: an entry or a key is gone, or the end of a line.
pub(super) fn is_doubtful(before: &Reading, now: &Reading, broken: bool) -> bool {
    let open = now.files.0.iter().any(|(path, text)| {
        !text.ends_with('\n') && before.files.get(path).is_none_or(|before| before.ends_with('\n'))
    });
    broken || open || Diff::between(&before.files, &now.files).loses()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Files;

    /// Fingerprints of a folder after one write and another.
    fn prints() -> [Fingerprint; 3] {
        let folder = tempfile::tempdir().expect("a folder");
        ["", "a", "ab"].map(|text| {
            std::fs::write(folder.path().join("s.toml"), text).expect("written");
            Fingerprint::take(folder.path(), folder.path())
        })
    }

    #[test]
    fn a_change_is_read_once_it_stands_still_and_a_doubtful_one_later() {
        let [known, half, whole] = prints();
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut watch = Watch::new(known.clone());
        assert_eq!(watch.look(known.clone(), at(0)), Next::Same);
        assert_eq!(watch.look(half.clone(), at(100)), Next::Wait(STILL));
        assert_eq!(watch.look(half.clone(), at(600)), Next::Wait(Duration::from_millis(500)));
        assert_eq!(watch.look(half.clone(), at(1_100)), Next::Read);
        assert!(watch.doubt());
        assert_eq!(watch.look(half.clone(), at(1_200)), Next::Wait(Duration::from_millis(3_900)));
        assert_eq!(watch.look(whole.clone(), at(4_000)), Next::Wait(STILL));
        assert_eq!(watch.look(whole.clone(), at(5_000)), Next::Read);
        watch.took(whole.clone());
        assert_eq!(watch.look(whole, at(6_000)), Next::Same);
        // A doubtful change that lasts is read all the same.
        assert_eq!(watch.look(half.clone(), at(7_000)), Next::Wait(STILL));
        assert!(watch.doubt() && !watch.doubt());
        assert_eq!(watch.look(half.clone(), at(12_000)), Next::Read);
        // One that was taken back is none.
        watch.took(known.clone());
        assert_eq!(watch.look(half, at(13_000)), Next::Wait(STILL));
        assert_eq!(watch.look(known, at(13_100)), Next::Same);
    }

    #[test]
    fn what_loses_something_is_doubtful() {
        let reading = |text: &str| Reading { files: Files::from_iter([("jobs/j.toml", text)]), problems: Vec::new() };
        let before = reading("a = 1\nb = 2\n");
        let doubtful = |text: &str| is_doubtful(&before, &reading(text), false);
        assert!(doubtful("a = 1\n") && doubtful("a = 1\nb = 2\nc = 1"));
        assert!(!doubtful("a = 1\nb = 3\nc = 1\n"));
        assert!(is_doubtful(&before, &before, true));
    }
}
