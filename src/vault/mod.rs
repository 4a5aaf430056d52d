//! Where backups live: an S3 bucket or a directory.
//!
//! Both promise the same: an object is there whole or not at all, whatever happens to its writer, and every call
//! ends in bounded time with an error that says what was tried, where, and what to do.

mod dir;
mod error;
mod s3;
mod upload;

use std::{collections::BTreeMap, fmt, path::PathBuf, pin::Pin, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::io::AsyncRead;

pub use error::{Kind, VaultError};
pub use s3::S3Options;
pub use upload::{Stored, Upload};

/// The bytes of an object, as they come.
pub type Body = Pin<Box<dyn AsyncRead + Send>>;

/// One named place for objects. Keys are relative paths with `/`; they say nothing of the vault's own prefix.
#[derive(Debug)]
pub struct Vault {
    name: String,
    place: Place,
}

/// Where a vault is.
#[derive(Debug, Clone)]
pub enum Options {
    /// A folder that exists. It is never created: an unmounted disk must not look like an empty vault.
    Dir(PathBuf),
    /// A bucket.
    S3(S3Options),
}

#[derive(Debug)]
enum Place {
    Dir(dir::Dir),
    S3(Box<s3::S3>),
}

/// An object in a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Option<DateTime<Utc>>,
}

impl Vault {
    /// A vault; nothing is connected or looked at yet.
    pub fn new(name: impl Into<String>, options: Options) -> Self {
        let name = name.into();
        let place = match options {
            Options::Dir(root) => Place::Dir(dir::Dir::new(name.clone(), root)),
            Options::S3(options) => Place::S3(Box::new(s3::S3::new(name.clone(), options))),
        };
        Self { name, place }
    }

    /// Its name in `sexton.toml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins an object that is seen once [`Upload::finish`] returns. `estimate` is its probable size in bytes.
    pub async fn create(&self, key: &str, estimate: u64) -> Result<Upload, VaultError> {
        Ok(Upload::new(match &self.place {
            Place::Dir(dir) => upload::Way::Dir(dir.create(key).await?),
            Place::S3(s3) => upload::Way::S3(s3.create(key, estimate).await?),
        }))
    }

    /// Writes a small object whole, unless there is one: then the error is of kind [`Kind::Exists`].
    pub async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.put_new(key, bytes).await,
            Place::S3(s3) => s3.put_new(key, bytes).await,
        }
    }

    /// Opens an object for reading.
    pub async fn get(&self, key: &str) -> Result<Body, VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.get(key).await,
            Place::S3(s3) => s3.get(key).await,
        }
    }

    /// Looks at an object; `None` if there is none.
    pub async fn head(&self, key: &str) -> Result<Option<Object>, VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.head(key).await,
            Place::S3(s3) => s3.head(key).await,
        }
    }

    /// All whole objects whose key starts with `prefix`, by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, VaultError> {
        let mut objects = match &self.place {
            Place::Dir(dir) => dir.list(prefix).await?,
            Place::S3(s3) => s3.list(prefix).await?,
        };
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// Removes an object; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<(), VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.delete(key).await,
            Place::S3(s3) => s3.delete(key).await,
        }
    }

    /// Removes what a killed writer left of objects whose key starts with `prefix` and contains `mark`: unfinished
    /// uploads, which no listing shows. Returns how many there were.
    pub async fn sweep(&self, prefix: &str, mark: &str) -> Result<u64, VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.sweep(prefix, mark).await,
            Place::S3(s3) => s3.sweep(prefix, mark).await,
        }
    }

    /// Whether an object could be written now: begins one and gives it up.
    pub async fn reachable(&self) -> Result<(), VaultError> {
        self.create(&format!(".probe-{}", uuid::Uuid::now_v7().simple()), 0).await?.abort().await
    }

    /// The shell command that writes an object to its standard output with stock tools.
    pub fn read_command(&self, key: &str) -> String {
        match &self.place {
            Place::Dir(dir) => dir.read_command(key),
            Place::S3(s3) => s3.read_command(key),
        }
    }

    /// The shell command that copies all objects below a prefix into a new folder with stock tools.
    pub fn copy_command(&self, prefix: &str, into: &str) -> String {
        match &self.place {
            Place::Dir(dir) => dir.copy_command(prefix, into),
            Place::S3(s3) => s3.copy_command(prefix, into),
        }
    }
}

impl fmt::Display for Vault {
    /// Where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Dir(dir) => dir.fmt(f),
            Place::S3(s3) => s3.fmt(f),
        }
    }
}

/// All vaults that the settings name.
#[derive(Debug, Clone, Default)]
pub struct Vaults(Arc<BTreeMap<String, Arc<Vault>>>);

/// A name that the settings do not have.
#[derive(Debug, thiserror::Error)]
#[error("no vault `{name}` in the settings of this daemon; it has: {known}")]
pub struct UnknownVault {
    name: String,
    known: String,
}

impl Vaults {
    /// Collects vaults by their names.
    pub fn new(vaults: impl IntoIterator<Item = Vault>) -> Self {
        Self(Arc::new(vaults.into_iter().map(|vault| (vault.name.clone(), Arc::new(vault))).collect()))
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Result<&Arc<Vault>, UnknownVault> {
        self.0.get(name).ok_or_else(|| UnknownVault {
            name: name.to_owned(),
            known: if self.0.is_empty() {
                "none".to_owned()
            } else {
                self.0.keys().cloned().collect::<Vec<_>>().join(", ")
            },
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vault>> {
        self.0.values()
    }
}

/// Quotes a word for a POSIX shell, where it needs it.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
