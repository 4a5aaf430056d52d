//! The one door to runs.
//!
//! The run row is the queue entry: it is enqueued, claimed under a lease and a fencing token, settled into the
//! history, or rescued when its worker fell silent. One question is one file here and its statements are in
//! `sql/queue`. States and who changes them: [`state`](crate::state).

mod bell;
mod chain;
mod claim;
mod claimed;
mod crowd;
mod enqueue;
mod follow;
pub mod forget;
mod history;
mod key;
mod lanes;
mod lease;
mod linked;
pub mod log;
mod look;
mod people;
mod progress;
mod rescue;
mod settle;
mod slots;
mod snapshot;
mod story;
mod tries;

pub use bell::nudge;
pub use claim::{Claims, Found, Promoted, claim, look_before, promote};
pub use claimed::Claimed;
pub use crowd::{Crowd, Others, advance, cancel_others, crowds, deferred, lock_jobs, replace};
pub use enqueue::{EnqueueError, NewRun, enqueue, enqueue_all, enqueue_leased, most_attempts, on_lost};
pub use key::{Kept, LONGEST, find_key, take_key};
pub use lanes::{LaneLook, Stranded, claim_lanes, equip, lanes_ready, stranded, why_waits};
pub use lease::{Held, Neighbour, WorkerInfo, beat, bury, depart, held, held_in_all, neighbours, register};
pub use linked::{Linked, linked};
pub use look::{Depth, Filter, LiveThen, Progressed, Run, depth, find, list, live_at, previous_report};
pub use people::{Cancel, Pause, Resume, Retried, cancel, cancel_in, pause, resume, retry, tell_cancel, told};
pub use progress::{Far, progress};
pub use rescue::{Fate, Rescued, rescue};
pub use settle::{Ending, Goes, Settled, SettledRow, Verdict, settle};
pub use slots::{SlotRun, of_slots, usual};
pub use snapshot::{Brief, Snapshot};
pub use story::{Follow, News, State};
pub use tries::Try;

/// The channel that wakes workers; see [`nudge`].
pub const CHANNEL: &str = "sexton_run";
/// What a notification says when a cancel or a pause was asked for.
pub const CANCEL: &str = "cancel";
