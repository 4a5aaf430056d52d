//! The one door to revisions, schedules and slots.
//!
//! A revision is one whole set of files; the newest is the one that all daemons follow. A schedule has a watermark:
//! every slot at or before it has its decision. Both move only in transactions that start here, so that two, three
//! or ten daemons decide every slot once. A pause stops a schedule, or all; the instance says whose queue this is.

mod call;
mod decide;
pub mod forget;
mod instance;
mod jobs;
mod look;
mod pause;
mod record;
mod revision;
mod stations;

pub use call::CHANNEL;
pub use decide::{Decided, Slot, UnknownDecision, decide, hold};
pub use instance::{claim_instance, instance, set_instance};
pub use jobs::{Published, default_alert, publish};
pub use look::{Glance, KnownSchedule, Look, RecentSlot, Watermark, clock, glance, look, schedules, slots};
pub use pause::{Pause, open_pauses, pause, pause_failing, pauses, resume};
pub use record::{
    Daemon, Planning, backfill_turn, covering, daemons, decided_in, fired_after, first_naming, known, planning,
    revision, revision_at,
};
pub use revision::{Entry, Revision, apply, current, freeze, lock_files, revisions, seen};
pub use stations::{FilesState, KnownStation, Pulse, Station, forget_station, pulse, save_station, stations};
