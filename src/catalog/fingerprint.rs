//! Whether the files on disk may have changed, without reading them: sizes, times and inodes, through symbolic links.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// How deep folders are looked at: `jobs/datasets` and the like.
const DEPTH: usize = 2;

/// What an edit changes: in place, by a file that is renamed over another, or by a link that leads elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, Mark>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Device, inode, bytes, and when the content and the inode changed, in seconds and nanoseconds.
    File([i64; 7]),
    Unreadable(io::ErrorKind),
}

impl Fingerprint {
    /// Looks at the two folders.
    pub fn take(jobs: &Path, schedules: &Path) -> Self {
        let mut taken = Self::default();
        taken.folder(jobs, DEPTH);
        taken.folder(schedules, DEPTH);
        taken
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                self.0.insert(folder.to_owned(), Mark::Unreadable(error.kind()));
                return;
            }
        };
        // Dots hide editors' half-written files and Kubernetes' own links; what those lead to is looked at.
        for entry in entries.iter().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")) {
            let path = entry.path();
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() && depth > 1 => self.folder(&path, depth - 1),
                Ok(found) if found.is_dir() => {}
                Ok(found) => {
                    self.0.insert(path, Mark::of(&found));
                }
                Err(error) => {
                    self.0.insert(path, Mark::Unreadable(error.kind()));
                }
            }
        }
    }
}

impl Mark {
    fn of(found: &fs::Metadata) -> Self {
        Self::File([
            found.dev().cast_signed(),
            found.ino().cast_signed(),
            found.size().cast_signed(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder as Kubernetes mounts a ConfigMap.
    fn config_map() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..one", "a = 1"), ("..two", "a = 2")] {
            fs::create_dir(at(version)).expect("a folder");
            fs::write(at(version).join("s.toml"), text).expect("a file");
        }
        symlink("..one", at("..data")).expect("a link");
        symlink("..data/s.toml", at("s.toml")).expect("a link");
        folder
    }

    #[test]
    fn edits_in_place_by_rename_and_by_link_are_seen_and_nothing_else_is() {
        let folder = config_map();
        let at = |name: &str| folder.path().join(name);
        let look = || Fingerprint::take(folder.path(), &at("none"));
        let mut seen = vec![look()];
        let mut changed = |what: &str| {
            let now = look();
            assert!(seen.last() != Some(&now), "{what}");
            assert_eq!(now, look(), "{what}");
            seen.push(now);
        };
        symlink("..two", at("..fresh")).expect("a link");
        fs::rename(at("..fresh"), at("..data")).expect("swapped");
        changed("a link that leads elsewhere");
        fs::write(at("..two/s.toml"), "a = 33").expect("a file");
        changed("an edit in place");
        fs::write(at(".s.toml.swp"), "half").expect("a file");
        assert_eq!(seen.last(), Some(&look()), "an editor's own file");
        fs::write(at(".fresh"), "a = 44").expect("a file");
        fs::rename(at(".fresh"), at("s.toml")).expect("renamed");
        let mut changed = |what: &str| {
            let now = look();
            assert!(seen.last() != Some(&now), "{what}");
            seen.push(now);
        };
        changed("a file that is renamed over another");
        fs::create_dir(at("datasets")).expect("a folder");
        fs::write(at("datasets/d.toml"), "").expect("a file");
        changed("a file in a folder");
        fs::remove_file(at("s.toml")).expect("removed");
        changed("a file that is gone");
    }
}
