//! When moving work waits for the rest of the database.
//!
//! A [`Brake`] looks between steps; what was seen and what is allowed are values, and [`decide()`] says `Go` or `Wait`.
//! Nobody can overrule it: what cannot be known counts as a reason to wait.

mod brake;
mod bytes;
mod decide;
mod limits;

pub use brake::Brake;
pub use bytes::Bytes;
pub use decide::{Replica, Signals, Slot, Verdict, decide};
pub use limits::{Throttle, ThrottleProblem};

#[cfg(test)]
mod tests;
