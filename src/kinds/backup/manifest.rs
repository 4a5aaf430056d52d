//! What is known about a backup, beside its dump: written last, so that a backup without one does not exist.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The format that this binary writes and reads.
pub(super) const FORMAT: u32 = 1;

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Which shape this is; see [`FORMAT`].
    pub(super) format: u32,
    /// The backup's name: what is backed up.
    pub(super) name: String,
    /// When the dump was begun.
    pub(super) created_at: DateTime<Utc>,
    /// How to restore it into a new database with stock tools alone.
    pub(super) restore: String,
    /// The run that made it.
    pub(super) run: Uuid,
    /// Its job.
    pub(super) job: String,
    /// What was dumped.
    pub(super) source: Source,
    /// What made it.
    pub(super) tools: Tools,
    /// The dump, in the order of its parts.
    pub(super) parts: Vec<Part>,
    /// Entries in the dump's table of contents.
    pub(super) toc_entries: u64,
    /// How many warnings `pg_dump` gave.
    pub(super) warnings: u64,
    /// `zstd` and its level.
    pub(super) compression: String,
    /// Whom it is encrypted for; nobody: it is not.
    pub(super) recipients: Vec<String>,
    /// Tables whose rows are not in it, as `pg_dump` patterns.
    pub(super) without_rows_of: Vec<String>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) database: String,
    pub(super) host: String,
    pub(super) server_version: String,
    /// Of the cluster, where the target's user may read it.
    pub(super) system_identifier: Option<String>,
    /// Its size when the dump was begun.
    pub(super) database_bytes: u64,
}

/// Versions of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tools {
    pub(super) sexton: String,
    pub(super) pg_dump: String,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) key: String,
    /// As it is stored.
    pub(super) bytes: u64,
    /// Of the bytes as they are stored.
    pub(super) sha256: String,
    /// Before compression.
    pub(super) dump_bytes: u64,
}

/// The end of every key of a run, so that names never collide.
pub(super) fn suffix(run: Uuid) -> String {
    // The first half of a UUIDv7 is its time, which the key has already.
    run.simple().to_string()[20..].to_owned()
}

/// `NAME_backup_YYYYMMDD_HHMMSS_RUN`: what a backup is called.
pub(super) fn stem(name: &str, at: DateTime<Utc>, run: Uuid) -> String {
    format!("{name}_backup_{}_{}", at.format("%Y%m%d_%H%M%S"), suffix(run))
}

/// The key of a backup's dump.
pub(super) fn dump_key(stem: &str) -> String {
    format!("{stem}.dump.zst")
}

/// The key of a backup's manifest.
pub(super) fn manifest_key(stem: &str) -> String {
    format!("metadata/{stem}.manifest.json")
}

/// The command for a new database: `read` writes the stored bytes to its standard output.
pub(super) fn restore_command(read: &str, database: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let into: String = database.chars().map(plain).chain("_restored".chars()).collect();
    format!("createdb --template=template0 {into} && {read} | zstd -dc | pg_restore --exit-on-error --dbname={into}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_called_by_name_time_and_run() {
        let run = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").expect("a UUID");
        let at = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let stem = stem("shop", at, run);
        assert_eq!(dump_key(&stem), "shop_backup_20231114_221320_b302099a8057.dump.zst");
        assert_eq!(super::super::plan::taken_at(&dump_key(&stem), "shop"), Some(at));
    }
}
