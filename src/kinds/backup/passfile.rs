//! A password for libpq's programs: in a file that only they can find, gone with its value.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::secret::Secret;

const NAME: &str = "sexton-pass-";

/// A `PGPASSFILE` in a folder of its own.
#[derive(Debug)]
pub(super) struct PassFile(PathBuf);

impl PassFile {
    /// Writes the password for every server; blocks for a moment.
    pub(super) fn new(password: &Secret) -> io::Result<Self> {
        let base = base();
        sweep(&base);
        let folder = base.join(format!("{NAME}{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let this = Self(folder);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(this.path())?;
        let escaped = password.reveal().replace('\\', "\\\\").replace(':', "\\:");
        writeln!(file, "*:*:*:*:{escaped}")?;
        Ok(this)
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.0.join("pgpass")
    }
}

impl Drop for PassFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// systemd's folder is in memory and goes with the service.
fn base() -> PathBuf {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from).filter(|dir| dir.is_dir());
    runtime.unwrap_or_else(std::env::temp_dir)
}

/// Removes what a killed daemon of ours left.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next()?.parse::<i32>().ok());
        let Some(owner) = owner.and_then(rustix::process::Pid::from_raw) else { continue };
        if rustix::process::test_kill_process(owner) == Err(rustix::io::Errno::SRCH) {
            let _ = fs::remove_dir_all(entry.path());
        }
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
