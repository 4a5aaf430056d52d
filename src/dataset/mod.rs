//! What a data set is, and the SQL that moves its rows.
//!
//! Any table becomes a data set by a [`Definition`]. Its SQL is generated here and nowhere else ([`quote`], [`step`]),
//! with every name taken from the target's catalog, so that a job and (later) an installed function take the same
//! step.

pub mod archive;
mod definition;
mod error;
mod fence;
mod install;
mod log;
mod mover;
pub mod quote;
pub mod sample;
pub mod shape;
pub mod step;

pub use definition::{ArchiveAt, Children, Definition, DefinitionProblem, Log, Resolved};
pub use error::Error;
pub use fence::{Counts, Cursor, End, Fence, Sizes, State, Totals};
pub use install::{Installed, VERSION, install};
pub use log::{LogLine, Operation};
pub use mover::{Mover, Pace, Preview, Stepped, write_log};
pub use step::{Disposal, Order, Select, Side};
