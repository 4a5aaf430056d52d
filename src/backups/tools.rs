//! Finds the `pg_dump` and `pg_restore` that fit a server.
//!
//! `pg_dump` refuses a server that is newer than itself, and dumps an older one; best are tools of the server's own
//! major. They are looked for before anything else is done.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use crate::{child::Spawner, embedded, outcome::Failure};

/// Programs that fit the server.
#[derive(Debug, Clone)]
pub struct Tools {
    /// `pg_dump`; its siblings are in the same folder.
    pub pg_dump: PathBuf,
    /// `pg_restore`.
    pub pg_restore: PathBuf,
    /// Their major.
    pub major: u32,
    /// As `pg_dump --version` has it.
    pub version: String,
}

impl Tools {
    /// Another program of the same package: `psql`, `pg_dumpall`.
    ///
    /// # Errors
    /// When the package has none.
    pub(super) fn sibling(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.pg_dump.with_file_name(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(Failure::never(format!("{} is not there, though pg_dump is", path.display()))
            .help(format!("install PostgreSQL's client programs of {} whole", self.major)))
    }
}

/// A version is printed at once, or the program hangs.
const ANSWER: Duration = Duration::from_secs(10);

/// Finds tools for a server of this major. A folder that the target names is the only one that counts.
pub(super) async fn find(
    server: u32,
    of_target: Option<&Path>,
    of_daemon: Option<&Path>,
    spawner: &Spawner,
) -> Result<Tools, Failure> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(only) = of_target {
        folders.push(only.to_owned());
    } else {
        folders.extend(of_daemon.map(Path::to_owned));
        folders.extend(std::env::var_os("SEXTON_PG_BIN").filter(|dir| !dir.is_empty()).map(PathBuf::from));
        folders.push(PathBuf::from(format!("/usr/lib/postgresql/{server}/bin")));
        folders.extend(embedded::program_dirs(Path::new("/nonexistent"), spawner).await);
    }
    let mut found: Vec<Tools> = Vec::new();
    for folder in folders {
        if found.iter().any(|tools| tools.pg_dump.starts_with(&folder)) {
            continue;
        }
        let Some(tools) = look(&folder, spawner).await else { continue };
        if tools.major == server {
            return Ok(tools);
        }
        found.push(tools);
    }
    choose(server, &found).cloned().ok_or_else(|| missing(server, of_target, &found))
}

/// The oldest that can.
fn choose(server: u32, found: &[Tools]) -> Option<&Tools> {
    found.iter().filter(|tools| tools.major >= server).min_by_key(|tools| tools.major)
}

async fn look(folder: &Path, spawner: &Spawner) -> Option<Tools> {
    let (pg_dump, pg_restore) = (folder.join("pg_dump"), folder.join("pg_restore"));
    if !pg_dump.is_file() || !pg_restore.is_file() {
        return None;
    }
    let mut command = Command::new(&pg_dump);
    command.arg("--version").env("LC_ALL", "C");
    let version = spawner.capture(command, ANSWER).await.ok()?.stdout.trim().to_owned();
    Some(Tools { major: major(&version)?, pg_dump, pg_restore, version })
}

/// The major in `pg_dump (PostgreSQL) 15.18 (Debian …)`, also of a beta.
pub(super) fn major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn missing(server: u32, of_target: Option<&Path>, found: &[Tools]) -> Failure {
    let what = match found.iter().max_by_key(|tools| tools.major) {
        Some(newest) => format!("the newest here is of {}: {}", newest.major, newest.pg_dump.display()),
        None => "there is none here".to_owned(),
    };
    let only = of_target.map(|folder| format!(" (looked in the target's pg_bin, {}, alone)", folder.display()));
    let why = format!(
        "the server is PostgreSQL {server}, and a pg_dump with its pg_restore of {server} or newer is needed; {what}{}",
        only.unwrap_or_default()
    );
    Failure::never(why).help(format!(
        "install PostgreSQL's client programs of {server} (Debian, Ubuntu: apt-get install postgresql-client-{server}; \
         Fedora, RHEL: dnf install postgresql{server}; Alpine: apk add postgresql{server}-client), or name their \
         folder as `pg_bin` of the target in sexton.toml"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(major: u32) -> Tools {
        Tools { pg_dump: "/x/pg_dump".into(), pg_restore: "/x/pg_restore".into(), major, version: String::new() }
    }

    #[test]
    fn the_oldest_that_can_is_chosen_and_none_older() {
        let found = [tools(18), tools(16), tools(15)];
        assert_eq!(choose(16, &found).map(|tools| tools.major), Some(16));
        assert_eq!(choose(17, &found).map(|tools| tools.major), Some(18));
        assert!(choose(19, &found).is_none());
        let failure = missing(19, None, &found);
        assert!(failure.why.contains("the newest here is of 18"), "{}", failure.why);
    }

    #[test]
    fn the_major_is_read_from_any_spelling() {
        assert_eq!(major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("pg_dump (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major(""), None);
    }
}
