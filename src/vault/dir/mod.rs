//! A vault in a directory.
//!
//! An object is written beside its place as `.partial`, synced, and then given its name; the folder is synced too,
//! so that a power cut right after the return loses nothing.

use std::{
    fmt, fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use super::{Kind, Limits, Object, VaultError};

mod leftovers;
mod read;
mod write;

use leftovers::walk;
pub(super) use write::Writing;
use write::{begin, publish, sync_parent};

const PARTIAL: &str = ".partial";

#[derive(Debug, Clone)]
pub(super) struct Dir {
    name: String,
    root: PathBuf,
    pub(super) limits: Limits,
}

impl fmt::Display for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.display().fmt(f)
    }
}

impl Dir {
    pub(super) fn new(name: String, root: PathBuf) -> Self {
        Self { name, root, limits: Limits::default() }
    }

    pub(super) async fn create(&self, key: &str) -> Result<Writing, VaultError> {
        let path = self.path(key)?;
        let what = format!("beginning {}", path.display());
        let (root, wanted) = (self.root.clone(), path.clone());
        let (file, partial) = self.blocking(what, self.limits.attempt, move || begin(&root, &wanted)).await?;
        Ok(Writing { dir: self.clone(), file: Arc::new(file), partial, path, busy: None })
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), VaultError> {
        let path = self.path(key)?;
        let (root, what) = (self.root.clone(), format!("writing {}", path.display()));
        self.blocking(what, self.limits.attempt, move || {
            let (mut file, partial) = begin(&root, &path)?;
            io::Write::write_all(&mut file, &bytes)?;
            publish(&file, partial, &path)
        })
        .await
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Object>, VaultError> {
        let (path, key) = (self.path(key)?, key.to_owned());
        let (root, what) = (self.root.clone(), format!("looking at {}", path.display()));
        self.blocking(what, self.limits.attempt, move || {
            fs::metadata(&root)?;
            match fs::metadata(path) {
                Ok(meta) => Ok(Some(object(key, &meta))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Object>, VaultError> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        self.blocking(format!("listing {}", self.root.display()), self.limits.attempt, move || {
            let found = walk(&root, &prefix)?.into_iter();
            Ok(found.filter(|(key, _)| !key.ends_with(PARTIAL)).map(|(key, meta)| object(key, &meta)).collect())
        })
        .await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), VaultError> {
        let path = self.path(key)?;
        self.blocking(format!("removing {}", path.display()), self.limits.attempt, move || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(()) => sync_parent(&path),
            }
        })
        .await
    }

    pub(super) fn read_command(&self, key: &str) -> String {
        format!("cat {}", super::shell_word(&self.root.join(key).display().to_string()))
    }

    pub(super) fn copy_command(&self, prefix: &str, into: &str) -> String {
        let from = self.root.join(prefix.trim_end_matches('/')).display().to_string();
        format!("cp -r {} {}", super::shell_word(&from), super::shell_word(into))
    }

    /// Where a key leads; never out of the vault.
    fn path(&self, key: &str) -> Result<PathBuf, VaultError> {
        let inside = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || !inside || key.ends_with(PARTIAL) {
            return Err(self.error(
                format!("the key `{key}`"),
                "is no plain relative path".to_owned(),
                Kind::Refused,
                None,
            ));
        }
        Ok(self.root.join(key))
    }

    /// Runs file system calls where they may block, for at most `limit`.
    async fn blocking<T: Send + 'static>(
        &self,
        what: String,
        limit: Duration,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, VaultError> {
        match timeout(limit, spawn_blocking(work)).await {
            Ok(Ok(done)) => done.map_err(|error| self.io(what, &error)),
            Ok(Err(panic)) => Err(self.passing(what, panic.to_string())),
            Err(_) => Err(self.hung(what, limit)),
        }
    }

    fn hung(&self, what: String, limit: Duration) -> VaultError {
        let help = "look at the disk or the mount under it".to_owned();
        self.error(what, format!("no answer within {} s", limit.as_secs()), Kind::Passing, Some(help))
    }

    fn io(&self, what: String, error: &io::Error) -> VaultError {
        let root = self.root.display();
        let (kind, help) = match error.kind() {
            io::ErrorKind::NotFound if !self.root.is_dir() => {
                let help = format!("mount it, or create it: mkdir -p {root} (and let the daemon's user own it)");
                (Kind::Refused, Some(help))
            }
            io::ErrorKind::NotFound => (Kind::Missing, None),
            io::ErrorKind::AlreadyExists => (Kind::Exists, None),
            io::ErrorKind::PermissionDenied => {
                (Kind::Refused, Some(format!("let the daemon's user write in {root} and the folders in it")))
            }
            io::ErrorKind::ReadOnlyFilesystem => (Kind::Refused, Some(format!("mount {root} writable"))),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (Kind::Passing, Some(format!("make room on the disk of {root}")))
            }
            io::ErrorKind::NotADirectory => {
                (Kind::Refused, Some(format!("{root} and what is above an object must be folders")))
            }
            _ => (Kind::Passing, None),
        };
        self.error(what, error.to_string(), kind, help)
    }

    pub(super) fn cannot_lock(&self, key: &str) -> VaultError {
        let help = "use an S3 bucket that was made with object lock".to_owned();
        let what = format!("locking {}", self.root.join(key).display());
        self.error(what, "a directory cannot lock what is in it".to_owned(), Kind::Refused, Some(help))
    }

    pub(super) fn missing(&self, key: &str) -> VaultError {
        let what = format!("looking at {}", self.root.join(key).display());
        self.error(what, "there is no such object".to_owned(), Kind::Missing, None)
    }

    fn passing(&self, what: String, why: String) -> VaultError {
        self.error(what, why, Kind::Passing, None)
    }

    fn error(&self, what: String, why: String, kind: Kind, help: Option<String>) -> VaultError {
        VaultError { vault: self.name.clone(), what, why, help, kind }
    }
}

fn object(key: String, meta: &fs::Metadata) -> Object {
    Object { key, bytes: meta.len(), modified: meta.modified().ok().map(Into::into) }
}
