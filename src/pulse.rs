//! When something last went well, shared between who does it and who is asked about it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};

/// The moment of the last success; before the first one, it has been silent for ever.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicI64>);

impl Pulse {
    /// It went well at `now`.
    pub fn beat(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_millis(), Ordering::Relaxed);
    }

    /// It is over: silent for ever again.
    pub fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// How long ago the last success was at `now`.
    pub fn silence(&self, now: DateTime<Utc>) -> Duration {
        let millis = now.timestamp_millis().saturating_sub(self.0.load(Ordering::Relaxed));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}
