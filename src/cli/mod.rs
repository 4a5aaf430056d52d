//! The command line: parses and asks.

pub mod check;
pub mod next;
