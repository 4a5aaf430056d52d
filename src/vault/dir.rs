//! A vault in a directory.
//!
//! An object is written beside its place as `.partial`, synced, and then given its name; the folder is synced too,
//! so that a power cut right after the return loses nothing.

use std::{
    fmt, fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use tokio::{fs::File, io::AsyncWriteExt, task::spawn_blocking, time::timeout};

use super::{Body, Kind, Object, VaultError};

/// How long one call to the file system may take: a network mount can hang for ever.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a sync of a whole object may take.
const SYNC: Duration = Duration::from_secs(600);
const PARTIAL: &str = ".partial";

#[derive(Debug, Clone)]
pub(super) struct Dir {
    name: String,
    root: PathBuf,
}

impl fmt::Display for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.display().fmt(f)
    }
}

/// An object in the making.
#[derive(Debug)]
pub(super) struct Writing {
    dir: Dir,
    file: File,
    partial: Leftover,
    path: PathBuf,
}

/// A file that is removed unless it was given its name.
#[derive(Debug)]
struct Leftover(Option<PathBuf>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed now is swept by the run's next attempt.
            let _ = fs::remove_file(path);
        }
    }
}

impl Dir {
    pub(super) fn new(name: String, root: PathBuf) -> Self {
        Self { name, root }
    }

    pub(super) async fn create(&self, key: &str) -> Result<Writing, VaultError> {
        let path = self.path(key)?;
        let what = format!("beginning {}", path.display());
        let (root, wanted) = (self.root.clone(), path.clone());
        let (file, partial) = self.blocking(what, LIMIT, move || begin(&root, &wanted)).await?;
        Ok(Writing { dir: self.clone(), file: File::from_std(file), partial, path })
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), VaultError> {
        let path = self.path(key)?;
        let (root, what) = (self.root.clone(), format!("writing {}", path.display()));
        self.blocking(what, LIMIT, move || {
            let (mut file, partial) = begin(&root, &path)?;
            io::Write::write_all(&mut file, &bytes)?;
            publish(&file, partial, &path)
        })
        .await
    }

    pub(super) async fn get(&self, key: &str) -> Result<Body, VaultError> {
        let path = self.path(key)?;
        let what = format!("reading {}", path.display());
        let file = self.blocking(what, LIMIT, move || fs::File::open(path)).await?;
        Ok(Box::pin(File::from_std(file)))
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Object>, VaultError> {
        let (path, key) = (self.path(key)?, key.to_owned());
        let (root, what) = (self.root.clone(), format!("looking at {}", path.display()));
        self.blocking(what, LIMIT, move || {
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
        self.blocking(format!("listing {}", self.root.display()), LIMIT, move || {
            let found = walk(&root, &prefix)?.into_iter();
            Ok(found.filter(|(key, _)| !key.ends_with(PARTIAL)).map(|(key, meta)| object(key, &meta)).collect())
        })
        .await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), VaultError> {
        let path = self.path(key)?;
        self.blocking(format!("removing {}", path.display()), LIMIT, move || match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_parent(&path),
        })
        .await
    }

    pub(super) async fn sweep(&self, prefix: &str, mark: &str) -> Result<u64, VaultError> {
        let (root, prefix, mark) = (self.root.clone(), prefix.to_owned(), mark.to_owned());
        self.blocking(format!("removing leftovers in {}", self.root.display()), LIMIT, move || {
            let mut removed = 0;
            for (key, _) in walk(&root, &prefix)? {
                if key.ends_with(PARTIAL) && key.contains(&mark) {
                    fs::remove_file(root.join(key))?;
                    removed += 1;
                }
            }
            Ok(removed)
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
            Ok(Err(panic)) => Err(self.error(what, panic.to_string(), Kind::Passing, None)),
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

    fn error(&self, what: String, why: String, kind: Kind, help: Option<String>) -> VaultError {
        VaultError { vault: self.name.clone(), what, why, help, kind }
    }
}

impl Writing {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        let what = || format!("writing {}", self.path.display());
        match timeout(LIMIT, self.file.write_all(bytes)).await {
            Ok(done) => done.map_err(|error| self.dir.io(what(), &error)),
            Err(_) => Err(self.dir.hung(what(), LIMIT)),
        }
    }

    pub(super) async fn finish(mut self) -> Result<(), VaultError> {
        let what = format!("finishing {}", self.path.display());
        // A file of tokio's may still be writing behind the last call.
        match timeout(LIMIT, self.file.flush()).await {
            Ok(done) => done.map_err(|error| self.dir.io(what.clone(), &error))?,
            Err(_) => return Err(self.dir.hung(what, LIMIT)),
        }
        let Self { dir, file, partial, path } = self;
        let file = file.into_std().await;
        dir.blocking(what, SYNC, move || publish(&file, partial, &path)).await
    }

    pub(super) async fn abort(self) -> Result<(), VaultError> {
        let what = format!("giving up {}", self.path.display());
        let Self { dir, mut partial, file, .. } = self;
        drop(file);
        let Some(path) = partial.0.take() else { return Ok(()) };
        dir.blocking(what, LIMIT, move || fs::remove_file(path)).await
    }
}

/// Opens the file that will become `path`, and makes the folders to it.
fn begin(root: &Path, path: &Path) -> io::Result<(fs::File, Leftover)> {
    fs::metadata(root)?;
    if let Some(parent) = path.parent().filter(|parent| *parent != root) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = PathBuf::from(partial);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    Ok((file, Leftover(Some(partial))))
}

/// Makes a written file durable under its name; fails if the name is taken.
fn publish(file: &fs::File, mut partial: Leftover, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    let Some(from) = partial.0.clone() else { return Ok(()) };
    match fs::hard_link(&from, path) {
        Ok(()) => fs::remove_file(&from)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // No hard links on this file system.
        Err(_) if !path.try_exists()? => fs::rename(&from, path)?,
        Err(_) => return Err(io::ErrorKind::AlreadyExists.into()),
    }
    partial.0 = None;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}

fn object(key: String, meta: &fs::Metadata) -> Object {
    Object { key, bytes: meta.len(), modified: meta.modified().ok().map(Into::into) }
}

/// Every file under `root` whose key starts with `prefix`.
fn walk(root: &Path, prefix: &str) -> io::Result<Vec<(String, fs::Metadata)>> {
    let (mut found, mut folders) = (Vec::new(), vec![(root.to_owned(), String::new())]);
    while let Some((folder, path)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let key = format!("{path}{}", entry.file_name().to_string_lossy());
            let meta = match entry.metadata() {
                // Gone since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            let inner = format!("{key}/");
            // Folders that cannot hold such a key are not read: they may be somebody else's.
            if meta.is_dir() && (inner.starts_with(prefix) || prefix.starts_with(&inner)) {
                folders.push((entry.path(), inner));
            } else if meta.is_file() && key.starts_with(prefix) {
                found.push((key, meta));
            }
        }
    }
    Ok(found)
}
