//! Where backups live: an S3 bucket or a directory.
//!
//! Both promise the same: an object is there whole or not at all, whatever happens to its writer, and every call
//! ends in bounded time with an error that says what was tried, where, and what to do.

mod bandwidth;
mod dir;
mod error;
mod hashing;
mod limits;
mod named;
mod s3;
mod upload;

use std::{fmt, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::io::AsyncRead;

use bandwidth::Bandwidth;
pub use error::{Kind, VaultError};
pub use limits::Limits;
pub use named::{UnknownVault, Vaults};
pub use s3::{Checksums, S3Options};
pub use upload::{Stored, Upload};

/// The bytes of an object, as they come: all of them, or an error, which carries a [`VaultError`].
pub type Body = Pin<Box<dyn AsyncRead + Send>>;

/// One named place for objects. Keys are relative paths with `/`; they say nothing of the vault's own prefix.
#[derive(Debug)]
pub struct Vault {
    name: String,
    place: Place,
    budget: Option<u64>,
    bandwidth: Option<Arc<Bandwidth>>,
}

/// Who may lift a lock before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// A person with a permission of their own.
    Governance,
    /// Nobody.
    Compliance,
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
        Self { name, place, budget: None, bandwidth: None }
    }

    /// The same vault with this patience.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        match &mut self.place {
            Place::Dir(dir) => dir.limits = limits,
            Place::S3(s3) => s3.limits = limits,
        }
        self
    }

    /// The same vault, meant to hold at most this many bytes. Nothing is refused: whoever watches it asks for this.
    #[must_use]
    pub fn with_budget(mut self, bytes: Option<u64>) -> Self {
        self.budget = bytes;
        self
    }

    /// The same vault, to which all uploads of this process together send at most this many bytes a second.
    #[must_use]
    pub fn with_bandwidth(mut self, bytes: Option<u64>) -> Self {
        self.bandwidth = bytes.map(|rate| Arc::new(Bandwidth::new(rate)));
        self
    }

    /// How many bytes it is meant to hold at most.
    pub fn budget(&self) -> Option<u64> {
        self.budget
    }

    /// Its name in `sexton.toml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins an object that is seen once [`Upload::finish`] returns, and that is not there yet: else the error is of kind
    /// [`Kind::Exists`]. `estimate` is its probable size in bytes.
    pub async fn create(&self, key: &str, estimate: u64) -> Result<Upload, VaultError> {
        let way = match &self.place {
            Place::Dir(dir) => upload::Way::Dir(Box::new(dir.create(key).await?)),
            Place::S3(s3) => upload::Way::S3(Box::new(s3.create(key, estimate).await?)),
        };
        Ok(Upload::new(&self.name, key, way, self.bandwidth.clone()))
    }

    /// Writes a small object whole, unless there is one: then the error is of kind [`Kind::Exists`].
    pub async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.put_new(key, bytes).await,
            Place::S3(s3) => s3.put_new(key, bytes).await,
        }
    }

    /// Opens an object for reading. A connection that breaks is taken up again where it broke, as long as the object is
    /// the same.
    pub async fn get(&self, key: &str) -> Result<Body, VaultError> {
        self.open_at(key, 0).await
    }

    /// Opens an object for reading from its byte `at` on.
    pub async fn open_at(&self, key: &str, at: u64) -> Result<Body, VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.open_at(key, at).await,
            Place::S3(s3) => s3.open_at(key, at).await,
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

    /// Removes an object; one that is not there is fine. A bucket that keeps versions still has its bytes: see
    /// [`Vault::erase`].
    pub async fn delete(&self, key: &str) -> Result<(), VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.delete(key).await,
            Place::S3(s3) => s3.delete(key).await,
        }
    }

    /// Removes an object so that it is gone: with all its versions and delete markers, where the bucket keeps them, and with
    /// its unfinished uploads; looks afterwards that nothing is there. If a lock protects any of it, nothing is removed, and
    /// the error is of kind [`Kind::Locked`]. One that is not there is fine.
    pub async fn erase(&self, key: &str) -> Result<(), VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.erase(key).await,
            Place::S3(s3) => s3.erase(key).await,
        }
    }

    /// Whether objects can be locked: the bucket has object lock.
    pub async fn can_lock(&self) -> Result<bool, VaultError> {
        match &self.place {
            Place::Dir(_) => Ok(false),
            Place::S3(s3) => s3.can_lock().await,
        }
    }

    /// Locks an object until then. A lock that is longer or stricter stays as it is.
    pub async fn lock(&self, key: &str, mode: LockMode, until: DateTime<Utc>) -> Result<(), VaultError> {
        match &self.place {
            Place::Dir(dir) => Err(dir.cannot_lock(key)),
            Place::S3(s3) => s3.lock(key, mode, until).await,
        }
    }

    /// Until when an object is locked, also where that is past; [`DateTime::MAX_UTC`] for a legal hold.
    pub async fn locked_until(&self, key: &str) -> Result<Option<DateTime<Utc>>, VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.head(key).await?.map(|_| None).ok_or_else(|| dir.missing(key)),
            Place::S3(s3) => s3.locked_until(key).await,
        }
    }

    /// Removes unfinished uploads of objects whose key starts with `prefix`, if nobody has written to them for so long.
    /// Returns how many there were.
    pub async fn janitor(&self, prefix: &str, older_than: Duration) -> Result<u64, VaultError> {
        match &self.place {
            Place::Dir(dir) => dir.janitor(prefix, older_than).await,
            Place::S3(s3) => s3.janitor(prefix, older_than).await,
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

/// Quotes a word for a POSIX shell, where it needs it.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
