//! What a restore would do, for people and programs, before it does. Plain data.

use serde::Serialize;

/// Why it cannot be done as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into() }
    }
}

/// What is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Definitions and rows.
    #[default]
    Full,
    /// Rows, into tables that are there and empty.
    DataOnly,
    /// Definitions.
    SchemaOnly,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// The backup.
    pub backup: String,
    /// Its state: `proven` and the like.
    pub state: &'static str,
    /// The database that it is of.
    pub source: String,
    /// Where it goes: the server without its password.
    pub server: String,
    /// The server's version.
    pub server_version: String,
    /// What is restored.
    pub mode: Mode,
    /// The database that is made, or filled.
    pub database: String,
    /// The database that it takes the name of.
    pub replaces: Option<String>,
    /// What is in the database that is replaced or filled.
    pub there_now: Option<String>,
    /// The tables whose rows are restored, where these are not all.
    pub tables: Option<Vec<String>>,
    /// What happens, in this order.
    pub steps: Vec<String>,
    /// Why it cannot be done as asked; nothing: it can.
    pub problems: Vec<Problem>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// How long the newest proof took to restore it, for as much of it as is restored.
    pub forecast_seconds: Option<f64>,
    /// Bytes that the source's database had: what the server needs.
    pub server_bytes: u64,
    /// Bytes of scratch that are needed on this machine.
    pub scratch_bytes: u64,
    /// Bytes that are free there.
    pub scratch_free: Option<u64>,
}

/// How sure it is that what was restored is what was dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Checked {
    /// Everything that was restored was compared.
    Exact,
    /// Rows were counted; another major version prints values and definitions in its own way.
    Counts,
    /// The backup has no fingerprint to compare with.
    Nothing,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// The database that has it now.
    pub database: String,
    /// How it was compared.
    pub checked: Checked,
    /// Where it is not what was dumped; nothing: it is equal.
    pub differences: Vec<String>,
    /// Tables that were compared.
    pub tables: u64,
    /// Rows that were compared.
    pub rows: i64,
    /// How long it took.
    pub seconds: f64,
    /// The database that was replaced.
    pub replaced: Option<Replaced>,
    /// What is good to know.
    pub notes: Vec<String>,
}

/// A database that another took the name of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replaced {
    /// What it is called now.
    pub database: String,
    /// Until when it is kept.
    pub keep_until: chrono::DateTime<chrono::Utc>,
    /// How many sessions were ended.
    pub sessions_ended: u64,
    /// Statements that go back to it.
    pub undo: Vec<String>,
}
