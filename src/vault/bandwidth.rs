//! How fast a vault may be written: one allowance that all its uploads in this process share.

use std::{sync::Mutex, time::Duration};

use tokio::time::{Instant, sleep};

/// How far ahead of its rate an allowance lets anybody run.
const BURST: Duration = Duration::from_millis(250);

/// A token bucket. Who takes more than is there waits for just as long as it takes to fill, in the order of asking.
#[derive(Debug)]
pub(super) struct Bandwidth {
    begun: Instant,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Bytes a second.
    rate: u64,
    /// When everything that was taken so far will have been earned.
    earned_at: Duration,
}

impl Bandwidth {
    /// At most `rate` bytes a second.
    pub(super) fn new(rate: u64) -> Self {
        let bucket = Bucket { rate: rate.max(1), earned_at: Duration::ZERO };
        Self { begun: Instant::now(), bucket: Mutex::new(bucket) }
    }

    /// Waits until `bytes` more may be sent.
    pub(super) async fn take(&self, bytes: usize) {
        let pause = {
            let mut bucket = self.bucket.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            bucket.take(self.begun.elapsed(), bytes)
        };
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
}

impl Bucket {
    /// Takes `bytes` at `now`, and says for how long to wait first.
    fn take(&mut self, now: Duration, bytes: usize) -> Duration {
        let from = self.earned_at.max(now);
        self.earned_at = from.saturating_add(Duration::from_secs_f64(bytes as f64 / self.rate as f64));
        from.saturating_sub(now).saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn over_time_nobody_gets_more_than_the_rate_and_a_short_burst() {
        let mut bucket = Bucket { rate: 1_000, earned_at: Duration::ZERO };
        let (mut now, mut sent) = (Duration::ZERO, 0);
        for _ in 0..100 {
            now += bucket.take(now, 100);
            sent += 100;
            assert!(sent as f64 <= 1_000.0 * (now + BURST).as_secs_f64() + 100.0, "{sent} bytes after {now:?}");
        }
        assert!((ms(9_500)..ms(10_000)).contains(&now), "10,000 bytes took {now:?}");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut bucket = Bucket { rate: 1_000, earned_at: Duration::ZERO };
        bucket.take(Duration::ZERO, 10);
        assert_eq!(bucket.take(ms(60_000), 500), Duration::ZERO);
        assert_eq!(bucket.take(ms(60_000), 500), ms(250));
    }

    #[test]
    fn those_who_ask_at_once_share_it() {
        let mut bucket = Bucket { rate: 1_000, earned_at: Duration::ZERO };
        let pauses: Vec<_> = (0..3).map(|_| bucket.take(Duration::ZERO, 1_000)).collect();
        assert_eq!(pauses, [ms(0), ms(750), ms(1_750)]);
    }
}
