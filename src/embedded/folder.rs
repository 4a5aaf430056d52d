//! The state folder: what lies where in it, and who may have it.
//!
//! ```text
//! data/          the cluster, the server's user's alone
//! run/           the socket
//! pgbin/         fetched server programs, if none were installed
//! pg_hba.conf    who may connect: two users of this machine, by the kernel's word
//! postgres.log   what the server says
//! lock           held by the process that started the server
//! ```

use std::{
    env, fs,
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{EmbeddedError, owner::Owner};

/// The folder for fetched programs.
pub(super) const FETCHED: &str = "pgbin";
/// The kernel's limit for the path of a unix socket, in bytes.
const SOCKET_PATH: usize = 107;
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// Where state lives unless somebody says otherwise: /var/lib/sexton for root, else the user's own state folder.
pub fn default_state_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/sexton");
    }
    let absolute = |key: &str| env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(env::temp_dir).join("sexton")
}

/// The folder, made and reachable for the server's user.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) state: PathBuf,
    /// Where the socket is; elsewhere when the state folder's path is too long for one.
    pub(super) run: PathBuf,
}

impl Folder {
    pub(super) fn prepare(state: &Path, owner: &Owner) -> Result<Self, EmbeddedError> {
        make(state)?;
        let state = state.canonicalize().map_err(EmbeddedError::file("cannot use", state))?;
        owner.may_enter(&state)?;
        let run = socket_folder(&state);
        make(&run)?;
        // A folder under the shared /tmp may be another user's trap.
        let meta = fs::symlink_metadata(&run).map_err(EmbeddedError::file("cannot use", &run))?;
        let me = rustix::process::geteuid();
        if !meta.is_dir() || !(me.is_root() || meta.uid() == me.as_raw()) {
            let refusal = std::io::Error::other("it belongs to somebody else");
            return Err(EmbeddedError::file("cannot put the socket in", &run)(refusal));
        }
        owner.give(&run)?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o711))
            .map_err(EmbeddedError::file("cannot open", &run))?;
        owner.may_enter(&run)?;
        Ok(Self { state, run })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.state.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.state.join("postgres.log")
    }

    /// The major that made the cluster, if there is one.
    pub(super) fn version(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Takes the lock and writes our process id in it; the holder's words if somebody else has it.
    pub(super) fn lock(&self) -> Result<Result<File, String>, EmbeddedError> {
        let path = self.state.join("lock");
        let broken = || EmbeddedError::file("cannot lock", &path);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(broken())?;
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(broken())?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| file.rewind()).map_err(broken())?;
                write!(file, "pid {}", std::process::id()).map_err(broken())?;
                Ok(Ok(file))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(holder)),
            Err(TryLockError::Error(error)) => Err(broken()(error)),
        }
    }
}

pub(super) fn make(path: &Path) -> Result<(), EmbeddedError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o711).create(path).map_err(EmbeddedError::file("cannot make", path))
}

fn socket_folder(state: &Path) -> PathBuf {
    let near = state.join("run");
    if near.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH {
        return near;
    }
    let digest = Sha256::digest(state.as_os_str().as_encoded_bytes());
    let name = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
    env::temp_dir().join(format!("sx-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_gets_a_short_socket() {
        assert_eq!(socket_folder(Path::new("/var/lib/sexton")), Path::new("/var/lib/sexton/run"));
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        let short = socket_folder(&long);
        assert!(short.starts_with(env::temp_dir()), "{}", short.display());
        assert_eq!(short, socket_folder(&long), "the same state has the same socket");
    }
}
