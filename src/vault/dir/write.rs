//! An object of a directory in the making: a `.partial` file beside its place.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use super::{Dir, PARTIAL};
use crate::vault::VaultError;

/// An object in the making. One block is on its way to the file while the next one is gathered.
#[derive(Debug)]
pub(in crate::vault) struct Writing {
    pub(super) dir: Dir,
    pub(super) file: Arc<fs::File>,
    pub(super) partial: Leftover,
    pub(super) path: PathBuf,
    pub(super) busy: Option<JoinHandle<io::Result<()>>>,
}

/// A file that is removed unless it was given its name.
#[derive(Debug)]
pub(super) struct Leftover(Option<PathBuf>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed now is swept by the run's next attempt.
            let _ = fs::remove_file(path);
        }
    }
}

impl Writing {
    /// Adds pieces at the end, once those before them are written.
    pub(in crate::vault) async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), VaultError> {
        self.landed(self.dir.limits.stall).await?;
        let file = self.file.clone();
        self.busy = Some(spawn_blocking(move || pieces.iter().try_for_each(|piece| (&*file).write_all(piece))));
        Ok(())
    }

    async fn landed(&mut self, limit: Duration) -> Result<(), VaultError> {
        let Some(busy) = self.busy.take() else { return Ok(()) };
        let what = || format!("writing {}", self.path.display());
        match timeout(limit, busy).await {
            Ok(Ok(written)) => written.map_err(|error| self.dir.io(what(), &error)),
            Ok(Err(panic)) => Err(self.dir.passing(what(), panic.to_string())),
            Err(_) => Err(self.dir.hung(what(), limit)),
        }
    }

    pub(in crate::vault) async fn finish(mut self) -> Result<(), VaultError> {
        self.landed(self.dir.limits.stall).await?;
        let what = format!("finishing {}", self.path.display());
        let Self { dir, file, partial, path, .. } = self;
        let limit = dir.limits.sync;
        dir.blocking(what, limit, move || publish(&file, partial, &path)).await
    }

    pub(in crate::vault) async fn abort(mut self) -> Result<(), VaultError> {
        // Whether the last block was written does not matter any more.
        let _ = self.landed(self.dir.limits.stall).await;
        let what = format!("giving up {}", self.path.display());
        let Self { dir, mut partial, file, .. } = self;
        drop(file);
        let Some(path) = partial.0.take() else { return Ok(()) };
        let limit = dir.limits.attempt;
        dir.blocking(what, limit, move || fs::remove_file(path)).await
    }
}

/// Opens the file that will become `path`, and makes the folders to it.
pub(super) fn begin(root: &Path, path: &Path) -> io::Result<(fs::File, Leftover)> {
    fs::metadata(root)?;
    // Told before the work and not only after it.
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    if let Some(parent) = path.parent().filter(|parent| *parent != root) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    // A name of its own: what a killed writer left is in nobody's way.
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}{PARTIAL}", uuid::Uuid::now_v7().simple()));
    let partial = PathBuf::from(partial);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    Ok((file, Leftover(Some(partial))))
}

/// Makes a written file durable under its name; fails if the name is taken.
pub(super) fn publish(file: &fs::File, mut partial: Leftover, path: &Path) -> io::Result<()> {
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

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}
