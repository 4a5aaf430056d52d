//! How fast work goes, and how long it still takes.

use std::{collections::VecDeque, time::Duration};

/// How far back it is looked. Steps come in lumps; half a minute smooths them and still follows a change.
const WINDOW: Duration = Duration::from_secs(30);

/// What was seen of one piece of work, newest last. Time is an argument: any clock that only goes forward.
#[derive(Debug, Clone, Default)]
pub struct Speed(VecDeque<(Duration, u64)>);

impl Speed {
    /// Takes in that `done` units were done at `at`.
    pub fn see(&mut self, at: Duration, done: u64) {
        // Fewer than before: it began anew, and what was seen tells nothing any more.
        if self.0.back().is_some_and(|(_, before)| done < *before) {
            self.0.clear();
        }
        self.0.push_back((at, done));
        // The oldest one that is kept is the last one outside the window, so that the window is always full.
        while self.0.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// Units a second; `None` until there are two looks.
    pub fn rate(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.0.front()?, self.0.back()?);
        let seconds = to.saturating_sub(*from).as_secs_f64();
        (seconds > 0.0).then(|| (after - before) as f64 / seconds)
    }
}

/// How long the rest takes at this rate; `None` while it stands still.
pub fn left(done: u64, total: u64, rate: f64) -> Option<Duration> {
    let rest = total.saturating_sub(done) as f64;
    if rest == 0.0 {
        return Some(Duration::ZERO);
    }
    // Longer than a century is no forecast.
    (rate > 0.0).then(|| rest / rate).filter(|seconds| *seconds < 3.2e9).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_look_tells_no_rate_and_two_do() {
        let mut speed = Speed::default();
        speed.see(s(5), 1_000);
        assert_eq!(speed.rate(), None);
        speed.see(s(7), 1_500);
        assert_eq!(speed.rate(), Some(250.0));
    }

    #[test]
    fn the_rate_follows_the_last_half_minute_and_falls_to_nothing_when_work_stands_still() {
        let mut speed = Speed::default();
        for second in 0..=60 {
            speed.see(s(second), second * 100);
        }
        assert_eq!(speed.rate(), Some(100.0));
        for second in 61..=75 {
            speed.see(s(second), 6_000);
        }
        assert_eq!(speed.rate(), Some(50.0));
        for second in 76..=95 {
            speed.see(s(second), 6_000);
        }
        assert_eq!(speed.rate(), Some(0.0));
    }

    #[test]
    fn work_that_begins_anew_is_measured_anew() {
        let mut speed = Speed::default();
        speed.see(s(0), 900);
        speed.see(s(1), 10);
        assert_eq!(speed.rate(), None);
    }

    #[test]
    fn what_is_left_follows_from_the_rate() {
        assert_eq!(left(400, 1_000, 50.0), Some(s(12)));
        assert_eq!(left(1_000, 1_000, 0.0), Some(Duration::ZERO));
        assert_eq!(left(1_200, 1_000, 10.0), Some(Duration::ZERO));
        assert_eq!(left(0, 1_000, 0.0), None);
        assert_eq!(left(0, u64::MAX, 1e-9), None);
    }
}
