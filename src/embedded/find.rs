//! Where PostgreSQL's server programs are on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use super::{EmbeddedError, folder, owner::Owner};
use crate::child::Spawner;

/// The oldest major that Sexton works with.
const OLDEST: u32 = 14;
/// A version is printed at once, or the program hangs.
const ANSWER: Duration = Duration::from_secs(10);

/// A folder with a server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub dir: PathBuf,
    /// The server's major version.
    pub major: u32,
}

impl Binaries {
    /// The path of a program (`pg_dump`, `psql`); whether it is there is another question.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether the package has this program; some ship the server alone.
    pub fn has(&self, name: &str) -> bool {
        self.tool(name).is_file()
    }
}

/// Those of this major.
///
/// # Errors
/// When there is none: says which there are, and what to install.
pub fn of_major(mut found: Vec<Binaries>, wanted: u32) -> Result<Vec<Binaries>, EmbeddedError> {
    let list = found.iter().map(|binaries| binaries.major.to_string()).collect::<Vec<_>>().join(", ");
    found.retain(|binaries| binaries.major == wanted);
    if found.is_empty() {
        return Err(EmbeddedError::Major { wanted, found: if list.is_empty() { "none".to_owned() } else { list } });
    }
    Ok(found)
}

/// All server installations in the order in which they are preferred: `SEXTON_PG_BIN` alone if it is set, else
/// PATH, `pg_config --bindir`, the well-known folders (newest first), and what was fetched into `programs` (usually
/// the state folder) before.
pub async fn find(programs: &Path, spawner: &Spawner) -> Result<Vec<Binaries>, EmbeddedError> {
    let owner = Owner::of_this_process()?;
    if let Some(dir) = env::var_os("SEXTON_PG_BIN").filter(|dir| !dir.is_empty()) {
        let dir = PathBuf::from(dir);
        owner.may_enter(&dir)?;
        let only = look(&dir, spawner).await.ok_or(EmbeddedError::BadPgBin(dir))?;
        return Ok(vec![only]);
    }
    let mut found: Vec<Binaries> = Vec::new();
    for dir in program_dirs(programs, spawner).await {
        if found.iter().all(|known| known.dir != dir)
            && owner.may_enter(&dir).is_ok()
            && let Some(binaries) = look(&dir, spawner).await
        {
            found.push(binaries);
        }
    }
    Ok(found)
}

/// What a folder holds, if it holds a server that is new enough.
pub(super) async fn look(dir: &Path, spawner: &Spawner) -> Option<Binaries> {
    if !["postgres", "initdb"].iter().all(|name| dir.join(name).is_file()) {
        return None;
    }
    let mut command = Command::new(dir.join("postgres"));
    command.arg("--version").current_dir("/");
    let captured = spawner.capture(command, ANSWER).await.ok()?;
    let major = major_of(&captured.stdout).filter(|major| *major >= OLDEST)?;
    Some(Binaries { dir: dir.to_owned(), major })
}

/// Folders where PostgreSQL's programs may be, whether a server or only its clients; most preferred first.
pub async fn program_dirs(programs: &Path, spawner: &Spawner) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // A link in PATH leads to the folder with the other programs and the libraries.
    let mut dirs: Vec<PathBuf> = env::split_paths(&path)
        .flat_map(|dir| ["postgres", "pg_dump"].map(|name| dir.join(name).canonicalize().ok()))
        .filter_map(|program| Some(program?.parent()?.to_owned()))
        .collect();
    let mut pg_config = Command::new("pg_config");
    pg_config.arg("--bindir");
    if let Ok(captured) = spawner.capture(pg_config, ANSWER).await {
        dirs.extend(Path::new(captured.stdout.trim()).canonicalize());
    }
    dirs.extend(well_known());
    dirs.extend(fetched(programs));
    dirs
}

/// Where packages put one folder per major; newest first.
fn well_known() -> Vec<PathBuf> {
    let roots = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/usr/libexec", "postgresql"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ];
    let mut dirs: Vec<(u32, PathBuf)> = Vec::new();
    for (root, prefix) in roots {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let major = name.strip_prefix(prefix).and_then(|rest| rest.parse().ok());
            dirs.extend(major.map(|major| (major, entry.path().join("bin"))));
        }
    }
    dirs.sort_by(|a, b| b.cmp(a));
    // Alpine keeps the programs beside the major's folder name, Arch and others in /usr/bin (that is in PATH).
    dirs.into_iter()
        .flat_map(|(_, dir)| [dir.canonicalize().ok(), dir.parent().map(Path::to_owned)])
        .flatten()
        .collect()
}

/// What was fetched before.
pub(super) fn fetched(programs: &Path) -> Vec<PathBuf> {
    inside(&programs.join(folder::FETCHED), 5)
}

/// Folders that hold a server, at most `depth` levels down.
fn inside(dir: &Path, depth: u32) -> Vec<PathBuf> {
    if dir.join("postgres").is_file() {
        return vec![dir.to_owned()];
    }
    let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).flat_map(|entry| inside(&entry.path(), depth)).collect()
}

/// The major in `postgres (PostgreSQL) 15.18 (Debian …)`, also of a beta (`18beta1`).
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_is_read_from_any_spelling() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("9.6.24"), Some(9));
        assert_eq!(major_of("no number"), None);
    }
}
