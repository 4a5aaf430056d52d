//! The one door to revisions, schedules and slots.
//!
//! A revision is one whole set of files; the newest is the one that all daemons follow. A schedule has a watermark:
//! every slot at or before it has its decision. Both move only in transactions that start here, so that two, three
//! or ten daemons decide every slot once.

mod decide;
mod look;
mod revision;

pub use decide::{Decided, Slot, UnknownDecision, decide, hold};
pub use look::{KnownSchedule, Look, RecentSlot, Watermark, look, schedules, slots};
pub use revision::{Entry, Revision, apply, current, freeze, lock_files, revisions, seen};
