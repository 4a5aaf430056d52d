//! What is known about a backup, beside its dump: written last, so that a backup without one does not exist.

pub(super) mod stock;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt, time::timeout};
use uuid::Uuid;

use super::{fingerprint::Fingerprint, name::Stem};
use crate::{
    outcome::Failure,
    vault::{Vault, VaultError},
};

/// The format that this binary writes and reads.
pub const FORMAT: u32 = 1;
/// Bytes of a stored object that share one digest in [`Part::blocks`].
pub const BLOCK: usize = 4 * 1024 * 1024;
/// How large a manifest may be that is read back.
const LARGEST: u64 = 64 * 1024 * 1024;
/// How long one may take to arrive.
const ARRIVES: std::time::Duration = std::time::Duration::from_secs(60);

/// A backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which shape this is; see [`FORMAT`].
    pub format: u32,
    /// The backup's name: what is backed up.
    pub name: String,
    /// When the dump was begun.
    pub created_at: DateTime<Utc>,
    /// How to restore it into a new database with stock tools alone.
    pub restore: String,
    /// How to make its roles with stock tools alone, where they are in it.
    #[serde(default)]
    pub restore_globals: Option<String>,
    /// The run that made it.
    pub run: Uuid,
    /// Its job.
    pub job: String,
    /// How long taking it lasted, from its beginning to its last object.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// What was dumped.
    pub source: Source,
    /// What made it.
    pub tools: Tools,
    /// How the dump is stored.
    #[serde(default)]
    pub mode: Mode,
    /// Every object of it.
    pub parts: Vec<Part>,
    /// Entries in the dump's table of contents.
    pub toc_entries: u64,
    /// How many warnings `pg_dump` gave.
    pub warnings: u64,
    /// `zstd` and its level.
    pub compression: String,
    /// Whom it is encrypted for (age recipients); nobody: it is not.
    pub recipients: Vec<String>,
    /// A recipient whose identity was kept in memory until the first proof had ended, and nowhere else.
    #[serde(default)]
    pub ephemeral_recipient: Option<String>,
    /// Tables whose rows are not in it, as `pg_dump` patterns.
    pub without_rows_of: Vec<String>,
    /// What a restored copy must equal; backups taken without one cannot be proven.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

/// How a dump is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `pg_dump --format=custom`: one object, dumped by one connection.
    #[default]
    Single,
    /// `pg_dump --format=directory`: an object a file, dumped by several connections.
    Parallel,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub database: String,
    /// Its server.
    pub host: String,
    /// The server's version, as it says it.
    pub server_version: String,
    /// Of the cluster, where the target's user may read it.
    pub system_identifier: Option<String>,
    /// Its size when the dump was begun.
    pub database_bytes: u64,
    /// What a database must be made with to hold the same.
    #[serde(default)]
    pub locale: Option<Locale>,
    /// `ALTER DATABASE … SET` of it, as `name=value`, of everybody and of single roles.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// Its extensions, with their versions.
    #[serde(default)]
    pub extensions: Vec<Extension>,
}

/// Encoding and collation of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// `UTF8` and the like.
    pub encoding: String,
    /// `libc`, `icu` or `builtin`.
    pub provider: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// ICU's or the built-in provider's locale.
    pub locale: Option<String>,
}

/// One `SET` that goes with a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Setting {
    /// Whom it is for; nobody: for all.
    pub role: Option<String>,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Versions of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Of this program.
    pub sexton: String,
    /// As `pg_dump --version` says it.
    pub pg_dump: String,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its key in the vault.
    pub key: String,
    /// What it is.
    #[serde(default)]
    pub role: Role,
    /// As it is stored.
    pub bytes: u64,
    /// Of the bytes as they are stored.
    pub sha256: String,
    /// Before compression and encryption.
    pub dump_bytes: u64,
    /// The first eight bytes of the SHA-256 of each 4 MiB as they are stored, in hex: they tell where it is bad.
    #[serde(default)]
    pub blocks: Vec<String>,
}

/// What an object of a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The dump in custom format.
    #[default]
    Dump,
    /// One file of a dump in directory format, by its name.
    File(String),
    /// Roles and other globals, as SQL.
    Globals,
}

impl Manifest {
    /// The backup's name.
    pub fn stem(&self) -> Stem {
        Stem::new(&self.name, self.created_at, self.run)
    }

    /// The bytes of all its objects.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The bytes of its dump before compression.
    pub fn dump_bytes(&self) -> u64 {
        self.parts.iter().filter(|part| part.role != Role::Globals).map(|part| part.dump_bytes).sum()
    }

    /// The object with the globals, if it has them.
    pub fn globals(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == Role::Globals)
    }

    /// The major version of the server that it is of.
    pub fn major(&self) -> Option<u32> {
        let number = self.source.server_version.split(|c: char| !c.is_ascii_digit()).next()?;
        number.parse().ok()
    }

    /// Whether all its objects are in the vault with the sizes that it says.
    pub async fn is_whole(&self, vault: &Vault) -> Result<bool, VaultError> {
        for part in &self.parts {
            if vault.head(&part.key).await?.is_none_or(|object| object.bytes != part.bytes) {
                return Ok(false);
            }
        }
        Ok(!self.parts.is_empty())
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it cannot be read, is none, or is of a newer format.
    pub async fn read(vault: &Vault, stem: &Stem) -> Result<Self, Failure> {
        let key = stem.manifest();
        let bad = |why: String| Failure::never(format!("vault `{}`: {key}: {why}", vault.name()));
        let manifest: Self = serde_json::from_slice(&small(vault, &key).await?)
            .map_err(|error| bad(format!("is no manifest: {error}")))?;
        if manifest.format > FORMAT {
            let why = format!("has format {}, and this version reads up to {FORMAT}", manifest.format);
            return Err(bad(why).help("install a newer version of sexton"));
        }
        Ok(manifest)
    }
}

/// Reads a small object whole.
pub(in crate::backups) async fn small(vault: &Vault, key: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let body = vault.get(key).await?;
    match timeout(ARRIVES, body.take(LARGEST).read_to_end(&mut bytes)).await {
        Ok(Ok(_)) => Ok(bytes),
        Ok(Err(error)) => Err(Failure::later(format!("vault `{}`: reading {key}: {error}", vault.name()))),
        Err(_) => {
            let why = format!("did not arrive within {} s", ARRIVES.as_secs());
            Err(Failure::later(format!("vault `{}`: {key} {why}", vault.name())))
        }
    }
}
