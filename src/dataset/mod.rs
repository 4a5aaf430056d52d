//! What a data set is, and the SQL that moves its rows.
//!
//! Any table becomes a data set by a [`Definition`]. Its SQL is generated here and nowhere else, with every name
//! taken from the target's catalog, so that a job and (later) an installed function take the same step.

mod definition;
pub mod sample;

pub use definition::{ArchiveAt, Children, Definition, DefinitionProblem, Log, Resolved};
