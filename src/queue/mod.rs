//! The one door to runs.
