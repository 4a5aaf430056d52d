//! The bytes of an object in a directory, a block at a time.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::stream::try_unfold;
use tokio_util::io::StreamReader;

use super::Dir;
use crate::vault::{Body, Kind, VaultError};

/// How much is read at once.
const BLOCK: u64 = 1024 * 1024;

/// A file that is being read.
struct Reading {
    dir: Dir,
    path: PathBuf,
    file: Arc<fs::File>,
    at: u64,
    end: u64,
}

impl Dir {
    /// Opens an object at an offset. It ends where it ended when it was opened, or with an error.
    pub(in crate::vault) async fn open_at(&self, key: &str, at: u64) -> Result<Body, VaultError> {
        let path = self.path(key)?;
        let (what, opening) = (format!("reading {}", path.display()), path.clone());
        let (file, end) = self.blocking(what.clone(), self.limits.attempt, move || open(&opening, at)).await?;
        if at > end {
            let why = format!("it has {end} bytes, and byte {at} is wanted");
            return Err(self.error(what, why, Kind::Refused, None));
        }
        let reading = Reading { dir: self.clone(), path, file: Arc::new(file), at, end };
        let blocks = try_unfold(reading, |reading| async { reading.next().await.map_err(io::Error::other) });
        Ok(Box::pin(StreamReader::new(Box::pin(blocks))))
    }
}

fn open(path: &Path, at: u64) -> io::Result<(fs::File, u64)> {
    let mut file = fs::File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(at))?;
    Ok((file, end))
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, VaultError> {
        if self.at == self.end {
            return Ok(None);
        }
        let what = || format!("reading {}", self.path.display());
        let (file, size) = (self.file.clone(), BLOCK.min(self.end - self.at));
        let read = move || {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            (&*file).take(size).read_to_end(&mut bytes).map(|_| bytes)
        };
        let bytes = self.dir.blocking(what(), self.dir.limits.stall, read).await?;
        self.at += bytes.len() as u64;
        if (bytes.len() as u64) < size {
            let why = format!("it ends after {} of {} bytes: somebody has cut it meanwhile", self.at, self.end);
            return Err(self.dir.passing(what(), why));
        }
        Ok(Some((Bytes::from(bytes), self)))
    }
}
