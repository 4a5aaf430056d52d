//! The names and meanings of all metrics.
