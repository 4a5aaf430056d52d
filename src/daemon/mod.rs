//! What `run`, `once` and `demo` do.
pub mod reload;
