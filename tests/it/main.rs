//! The integration tests, one binary: claims about Sexton, held against real parts.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, missing_docs)]

mod support;

mod alerts;
mod backfill;
mod backups;
mod bench;
mod benchmark;
mod campaign;
mod chaos;
mod collector;
mod daemon;
mod damaged_files;
mod data;
mod embedded;
mod enqueue;
mod example_kind;
mod faults;
mod files;
mod forget;
mod kinds;
mod limits;
mod next;
mod outbox;
mod planner;
mod queue;
mod runlog;
mod schema;
mod shipped;
mod then;
mod tidy;
mod vault;
mod vectors;
mod why;
mod windows;
mod worker;
