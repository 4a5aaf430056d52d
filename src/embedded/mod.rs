//! A private PostgreSQL cluster: for the demo, the tests, one node, and the proof of backups.
//!
//! It finds (or fetches) server binaries, keeps its data in a folder, listens on a unix socket only, knows no
//! password, and dies with its owner by a clean shutdown. Production gives a database URL instead.

mod cluster;
mod error;
mod fetch;
mod find;
mod folder;
mod hint;
mod initdb;
mod owner;
mod postmaster;

pub use cluster::{Cluster, Options};
pub use error::EmbeddedError;
pub use find::{Binaries, find, of_major, program_dirs};
pub use folder::default_state_dir;
pub use hint::install_command;
