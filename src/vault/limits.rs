//! How long a vault waits, and how often it tries.

use std::time::Duration;

/// The patience of a vault. Whatever it waits for, it waits in these bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For one try of a small call; a network mount can hang for ever, too.
    pub attempt: Duration,
    /// For a small call with all its tries.
    pub call: Duration,
    /// How long a transfer may stand still.
    pub stall: Duration,
    /// For the sync of a whole object in a directory.
    pub sync: Duration,
    /// How often a call is tried, and how often in a row a broken read is taken up again.
    pub tries: u32,
    /// Between the first two tries; later pauses are longer.
    pub pause: Duration,
    /// The slowest upload that is waited for, in bytes a second.
    pub slowest: u64,
    /// The size of the smallest part of an upload to S3.
    pub part: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            attempt: Duration::from_secs(60),
            call: Duration::from_secs(240),
            stall: Duration::from_secs(60),
            sync: Duration::from_secs(600),
            tries: 4,
            pause: Duration::from_secs(1),
            slowest: 256 * 1024,
            part: 8 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The pause after the `failed`th try in a row.
    pub(super) fn pause_after(&self, failed: u32) -> Duration {
        self.pause.saturating_mul(1 << failed.saturating_sub(1).min(5)).min(Duration::from_secs(30))
    }
}
