//! The files that ops edit, read and checked as one whole.
