//! Whether this process sends and hears notifications at all.

use std::sync::atomic::{AtomicBool, Ordering};

static ON: AtomicBool = AtomicBool::new(true);

/// Switches them on or off for this process: `[database] notify`. A process has one queue.
pub fn set_notify(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// Whether they are on.
pub fn notifies() -> bool {
    ON.load(Ordering::Relaxed)
}
