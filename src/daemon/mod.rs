//! What `run`, `once` and `demo` do.
