//! Sexton rings cron schedules and looks after the data in PostgreSQL: it backs it up, archives it, cleans it up,
//! checks it, and says so when something is wrong.
//!
//! Read the modules in the order below and you follow one backup from its schedule file to its alert.
//! `docs/ARCHITECTURE.md` has the picture; a test holds the floors: a module imports only from the floors under it.

// Floor 0: words, no I/O.
pub mod causes;
pub mod expect;
pub mod fault;
pub mod lanes;
pub mod outcome;
pub mod pulse;
pub mod retry;
pub mod secret;
pub mod skew;
pub mod slots;
pub mod span;
pub mod spec;
pub mod speed;
pub mod state;
pub mod windows;

// Floor 1: tools.
pub mod backups;
pub mod child;
pub mod dataset;
pub mod db;
pub mod embedded;
pub mod kinds;
pub mod memory;
pub mod metrics;
pub mod settings;
pub mod vault;

// Floor 2: shared truths.
pub mod catalog;
pub mod ledger;
pub mod outbox;
pub mod queue;

// Floor 3: stages; they meet only in rows.
pub mod alerts;
pub mod planner;
pub mod worker;

// Between stages and surfaces: what every surface may ask for.
pub mod requests;

// Floor 4: surfaces.
pub mod cli;
pub mod http;

// Floor 5: composition.
pub mod daemon;
