//! Folders that go with their value, and with the next one if their process was killed.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const PREFIX: &str = "sexton-";
const LOCK: &str = ".in-use";
/// A folder without a lock is another process's that has just made it, or the leftover of one that was killed then.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder of its own. What a killed process left beside it is removed when the next one is made.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one in `base`, named after `what` it is for; blocks for a moment. `mode` is its mode, as of chmod.
    pub(super) fn new(base: &Path, what: &str, mode: u32) -> io::Result<Self> {
        let prefix = format!("{PREFIX}{what}-");
        sweep(base, &prefix);
        let path = base.join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
        fs::DirBuilder::new().mode(mode).create(&path)?;
        let lock = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "{} stays behind; the next one removes it", self.path.display());
        }
    }
}

/// For small secrets: systemd's folder is in memory and goes with the service.
pub(super) fn runtime_dir() -> PathBuf {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from).filter(|dir| dir.is_dir());
    runtime.unwrap_or_else(std::env::temp_dir)
}

/// Bytes that an unprivileged user may still write on the disk of `path`.
pub(super) fn free(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn sweep(base: &Path, prefix: &str) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let old = |entry: &fs::DirEntry| {
            let made = entry.metadata().and_then(|meta| meta.modified()).ok()?;
            Some(SystemTime::now().duration_since(made).ok()? > YOUNG)
        };
        let left = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => old(&entry).unwrap_or(false),
            // Somebody else's.
            Err(_) => false,
        };
        if left {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_in_use_stays() {
        let base = std::env::temp_dir().join(format!("scratch-test-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&base).expect("a folder");
        let used = Scratch::new(&base, "x", 0o700).expect("one");
        let left = base.join("sexton-x-left");
        fs::create_dir(&left).expect("a leftover");
        fs::write(left.join(LOCK), "").expect("its lock, which nobody holds");
        let young = base.join("sexton-x-young");
        fs::create_dir(&young).expect("one that is just being made");
        let another = Scratch::new(&base, "x", 0o700).expect("another");
        assert!(used.path().exists() && another.path().exists() && young.exists());
        assert!(!left.exists());
        let path = another.path().to_owned();
        drop(another);
        assert!(!path.exists());
        drop(used);
        fs::remove_dir_all(base).expect("removed");
    }
}
