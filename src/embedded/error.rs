//! Why a private cluster could not be had, and what to do about it.

use std::{io, path::PathBuf};

use crate::outcome::Failure;

/// Each says what failed, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server binaries on this machine, and none could be fetched.
    #[error(
        "no PostgreSQL server (14 or newer) found on this machine, and fetching one failed: {fetching}\n  help: {install}"
    )]
    NotFound {
        /// What the fetching said.
        fetching: String,
        /// The command to type.
        install: String,
    },
    /// The folder that `SEXTON_PG_BIN` names is no server's.
    #[error("SEXTON_PG_BIN is {}, which is not a folder with `postgres` (14 or newer) and `initdb` in it\n  help: unset it, or name the folder, for example /usr/lib/postgresql/17/bin", .0.display())]
    BadPgBin(PathBuf),
    /// The cluster's files are another major's.
    #[error("the cluster in {} was made by PostgreSQL {was}, and no server of that version is here (found: {found})\n  help: install PostgreSQL {was}, or name its folder in SEXTON_PG_BIN, or start afresh with another --state-dir", .state.display())]
    Version {
        /// The state folder.
        state: PathBuf,
        /// The files' major.
        was: u32,
        /// What there is instead.
        found: String,
    },
    /// No server of the version that is needed.
    #[error(
        "server programs of PostgreSQL {wanted} are needed, and are not here (found: {found})\n  help: install them (Debian, Ubuntu: apt-get install postgresql-{wanted}; Fedora, RHEL: dnf install postgresql{wanted}-server; Alpine: apk add postgresql{wanted})"
    )]
    Major {
        /// The major that is needed.
        wanted: u32,
        /// What there is instead.
        found: String,
    },
    /// As root, the server's user cannot get to the folder.
    #[error("PostgreSQL never runs as root, and user `{user}` cannot enter {}\n  help: choose another folder with --state-dir, for example /var/lib/sexton, or chmod o+x it", .folder.display())]
    Unreachable {
        /// The folder that is closed.
        folder: PathBuf,
        /// Who would run the server.
        user: String,
    },
    /// As root, there is nobody to run the server.
    #[error(
        "PostgreSQL never runs as root, and there is no user `postgres`, `sexton` or `nobody` in /etc/passwd\n  help: useradd --system sexton"
    )]
    NoUser,
    /// The daemon's user has no name, so the server cannot recognise it.
    #[error(
        "user id {0} has no name on this machine, and PostgreSQL refuses to run for it\n  help: add it to /etc/passwd, or give a database URL instead of the embedded cluster"
    )]
    Nameless(u32),
    /// Another process has the folder, and no server answers in it.
    #[error("another process ({holder}) holds {}, and no server answered there within {waited_s} s\n  help: end that process, or choose another --state-dir", .state.display())]
    Held {
        /// The state folder.
        state: PathBuf,
        /// What the lock file says about the holder.
        holder: String,
        /// Seconds.
        waited_s: u64,
    },
    /// A server program failed.
    #[error("{what} failed: {why}\n  help: see {}", .log.display())]
    Server {
        /// Which program.
        what: &'static str,
        /// Its last words.
        why: String,
        /// Where it logs.
        log: PathBuf,
    },
    /// A file or folder could not be used.
    #[error("{what} {}: {source}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The cluster runs, but refuses a statement.
    #[error("the embedded PostgreSQL refused: {0}")]
    Sql(#[from] sqlx::Error),
}

impl EmbeddedError {
    /// As the end of a run that wanted `what`, with what to do apart from why.
    pub fn failure(&self, what: &str) -> Failure {
        let text = self.to_string();
        match text.split_once("\n  help: ") {
            Some((why, help)) => Failure::never(format!("{what}: {why}")).help(help),
            None => Failure::never(format!("{what}: {text}")),
        }
    }

    /// For `map_err`: what was tried on `path`.
    pub(super) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
