//! A password for libpq's programs: in a file that only they can find, gone with its value.

use std::{fs, io, io::Write as _, os::unix::fs::OpenOptionsExt, path::PathBuf};

use super::scratch::{Scratch, runtime_dir};
use crate::secret::Secret;

/// A `PGPASSFILE` in a folder of its own.
#[derive(Debug)]
pub(super) struct PassFile(Scratch);

impl PassFile {
    /// Writes the password for every server; blocks for a moment.
    pub(super) fn new(password: &Secret) -> io::Result<Self> {
        let this = Self(Scratch::new(&runtime_dir(), "pass", 0o700)?);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(this.path())?;
        let escaped = password.reveal().replace('\\', "\\\\").replace(':', "\\:");
        writeln!(file, "*:*:*:*:{escaped}")?;
        Ok(this)
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("pgpass")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_ours_alone_and_goes_with_its_value() {
        let file = PassFile::new(&Secret::new("a:b\\c")).expect("a file");
        let path = file.path();
        assert_eq!(fs::read_to_string(&path).expect("readable"), "*:*:*:*:a\\:b\\\\c\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }
}
