//! What is in a directory: objects, and what killed writers left of them.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Dir, PARTIAL, sync_parent};
use crate::vault::VaultError;

impl Dir {
    /// Removes the leftovers whose key contains `mark`.
    pub(in crate::vault) async fn sweep(&self, prefix: &str, mark: &str) -> Result<u64, VaultError> {
        let mark = mark.to_owned();
        self.remove_leftovers(prefix, move |key, _| key.contains(&mark)).await
    }

    /// Removes the leftovers that nobody has written to for so long.
    pub(in crate::vault) async fn janitor(&self, prefix: &str, older_than: Duration) -> Result<u64, VaultError> {
        let Some(before) = SystemTime::now().checked_sub(older_than) else { return Ok(0) };
        self.remove_leftovers(prefix, move |_, meta| meta.modified().is_ok_and(|at| at < before)).await
    }

    async fn remove_leftovers(
        &self,
        prefix: &str,
        old: impl Fn(&str, &fs::Metadata) -> bool + Send + 'static,
    ) -> Result<u64, VaultError> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        let what = format!("removing leftovers in {}", self.root.display());
        self.blocking(what, self.limits.attempt, move || {
            let mut removed = 0;
            for (key, meta) in walk(&root, &prefix)? {
                if key.ends_with(PARTIAL) && old(&key, &meta) {
                    removed += u64::from(remove(&root.join(key))?);
                }
            }
            Ok(removed)
        })
        .await
    }

    /// Removes an object and the leftovers of its writers, and looks afterwards that nothing is there.
    pub(in crate::vault) async fn erase(&self, key: &str) -> Result<(), VaultError> {
        let path = self.path(key)?;
        let (root, prefix) = (self.root.clone(), format!("{key}."));
        let what = format!("erasing {}", path.display());
        let gone = self.blocking(what.clone(), self.limits.attempt, move || erase(&root, &path, &prefix)).await?;
        if gone { Ok(()) } else { Err(self.passing(what, "it was removed, and is there again".to_owned())) }
    }
}

fn erase(root: &Path, path: &Path, prefix: &str) -> io::Result<bool> {
    fs::metadata(root)?;
    remove(path)?;
    for (leftover, _) in walk(root, prefix)? {
        if is_leftover_of(&leftover, prefix) {
            remove(&root.join(leftover))?;
        }
    }
    match sync_parent(path) {
        // Nothing was ever there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        synced => synced?,
    }
    path.try_exists().map(|there| !there)
}

/// Whether this is `KEY.ID.partial`, where `prefix` is `KEY.`.
fn is_leftover_of(leftover: &str, prefix: &str) -> bool {
    let id = leftover.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(PARTIAL));
    id.is_some_and(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Removes a file; says whether there was one.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Every file under `root` whose key starts with `prefix`.
pub(super) fn walk(root: &Path, prefix: &str) -> io::Result<Vec<(String, fs::Metadata)>> {
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
