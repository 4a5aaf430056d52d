//! What a data set is, and how its rows move.
//!
//! Any table becomes a data set by a [`Definition`]. What moves its rows are functions in the target
//! (`sql/functions`), which read the definition and the catalog at each call, so that a job and a person with psql
//! take the same step; Rust says when ([`Mover`]).

pub mod check;
mod definition;
mod error;
mod explain;
mod fence;
mod functions;
mod holds;
mod install;
mod log;
mod migration;
mod mover;
mod order;
mod pace;
mod partition;
pub mod quote;
mod restore;
pub mod sample;
mod session;
mod throttle;
mod vacuum;

pub use definition::{ArchiveAt, Children, Definition, DefinitionProblem, Log, Mapping, Refusal, Resolved};
pub use error::Error;
pub use explain::{Explained, Table, explain};
pub use fence::{Counts, Cursor, End, Fence, Sizes, State, Stuck, Totals};
pub use holds::{Hold, Statistics, Survey, TableSize, hold, holds, release, survey};
pub use install::{Installed, Known, VERSION, Wanted, install};
pub use log::{LogLine, Operation};
pub use migration::{Migrating, Migration, MigrationLine, Migrator, Sample, find_source, log_migration};
pub use mover::{Mover, Preview, Stepped, write_log};
pub use order::{Disposal, Order, Select, Side};
pub use pace::Pace;
pub use restore::{Restorer, Restoring};
pub use throttle::{Brake, Bytes, Replica, Signals, Slot, Throttle, ThrottleProblem, Verdict, decide};
pub use vacuum::{Vacuum, Vacuumed, vacuum};
