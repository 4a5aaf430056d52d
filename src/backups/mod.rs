//! Backups of databases: taken, kept in a vault, proven, and restored.
//!
//! ```text
//! target ── snapshot ─┬─ pg_dump ── zstd ── age ──▶ vault ── manifest, last
//!                     └─ fingerprint ───────────────────────────┘   │
//!                            ║ equal?                               ▼
//!             copy ── fingerprint ◀── pg_restore ◀── zstd ◀── age ◀── read back
//! ```
//! A backup exists once its manifest does. It counts once a copy was restored from it and equals the fingerprint that
//! was taken in the dump's own snapshot. The vault is the truth about all of it; nothing here needs a queue.

pub mod catalogue;
mod copy;
pub mod drill;
mod dump;
mod fingerprint;
mod globals;
pub mod hold;
pub mod keep;
mod load;
pub mod manifest;
pub mod name;
mod parallel;
mod passfile;
mod pipe;
mod program;
pub mod proof;
pub mod prove;
mod psql;
pub mod ready;
pub mod restore;
pub mod rotate;
mod scratch;
pub mod seal;
pub mod shelf;
pub mod source;
mod subset;
pub mod take;
mod toc;
mod tools;
pub mod work;

pub use fingerprint::Fingerprint;
pub use pipe::Packing;
pub use tools::Tools;
