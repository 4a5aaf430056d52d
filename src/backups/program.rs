//! How PostgreSQL's client programs are started: nothing of the daemon's environment but what they need, and the
//! password in a file.

use std::{
    collections::VecDeque,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{ChildStderr, Command},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::passfile::PassFile;
use crate::{
    db::Login,
    outcome::{Again, Failure},
};

/// What they inherit of the daemon's environment.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "PGPASSFILE"];

/// A login as libpq's programs take it; the password's file goes with it.
#[derive(Debug)]
pub(super) struct Access {
    env: Vec<(&'static str, String)>,
    /// What the login itself sets (`options` of its URL), as `PGOPTIONS` takes it.
    options: String,
    passfile: Option<PassFile>,
}

impl Access {
    /// Writes the password's file, if there is a password.
    pub(super) fn new(login: &Login) -> Result<Self, Failure> {
        let passfile = login.password().as_ref().map(PassFile::new).transpose().map_err(|error| {
            Failure::later(format!("the password could not be handed to PostgreSQL's programs in a file: {error}"))
                .help("let the daemon's user write in its temporary folder")
        })?;
        let options = login.options().get_options().unwrap_or_default().to_owned();
        Ok(Self { env: login.libpq(), options, passfile })
    }

    /// The database that it leads to.
    pub(super) fn database(&self) -> &str {
        self.env.iter().find(|(key, _)| *key == "PGDATABASE").map_or("postgres", |(_, name)| name)
    }

    /// A program that logs in with it, all pipes open but the input.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = bare(program);
        command
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            // The database's own defaults (a statement timeout, say) must not end it.
            .env(
                "PGOPTIONS",
                format!(
                    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 {}",
                    self.options
                ),
            )
            .envs(self.passfile.iter().map(|file| ("PGPASSFILE", file.path())));
        command
    }
}

/// A program that logs in nowhere.
pub(super) fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // Their words are read here, so they must be English.
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a program says on its standard error.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    at: Option<String>,
    warnings: u64,
    errors: VecDeque<String>,
    last: VecDeque<String>,
}

impl Said {
    /// Listens until the pipe closes.
    pub(super) fn listen(&self, pipe: Option<ChildStderr>) -> Option<AbortOnDropHandle<()>> {
        pipe.map(|pipe| AbortOnDropHandle::new(tokio::spawn(listen(pipe, self.clone()).in_current_span())))
    }

    pub(super) fn line(&self, line: &str) {
        const AT: [&str; 3] = ["dumping contents of table ", "processing data for table ", "creating INDEX "];
        let words = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, what)) = AT.iter().find_map(|words| line.split_once(words)) {
            words.at = Some(what.trim_matches(['"', ' ']).to_owned());
        }
        let small = line.to_lowercase();
        if ["warning:", "error:", "detail:", "hint:", "fatal:"].iter().any(|word| small.contains(word)) {
            tracing::info!(target: "sexton::child::output::stderr", "{}", line.chars().take(500).collect::<String>());
        }
        words.warnings += u64::from(small.contains("warning:"));
        let list = if ["error:", "detail:", "hint:", "fatal:"].iter().any(|word| small.contains(word)) {
            &mut words.errors
        } else {
            &mut words.last
        };
        list.push_back(line.chars().take(500).collect());
        if list.len() > 8 {
            list.pop_front();
        }
    }

    /// The table or index that it is at.
    pub(super) fn at(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at.clone()
    }

    pub(super) fn warnings(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).warnings
    }

    /// Its errors, or its last words where it named none.
    pub(super) fn words(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = if words.errors.is_empty() { &words.last } else { &words.errors };
        let text = lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        if text.is_empty() { "it said nothing".to_owned() } else { text }
    }
}

async fn listen(pipe: impl AsyncRead + Unpin, said: Said) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        said.line(String::from_utf8_lossy(&line).replace('\0', "").trim_end());
    }
}

/// Adds what to do, where a program's words tell it.
pub(super) fn named(mut failure: Failure) -> Failure {
    let rules: [(&str, Again, &str); 8] = [
        ("must be owner", Again::Never, "restore as the owner of the database, or with --no-owner"),
        ("role \"", Again::Never, "make the roles first (--globals), or restore with --no-owner --no-privileges"),
        ("permission denied", Again::Never, "grant the target's user SELECT on all tables (role pg_read_all_data)"),
        ("row-level security", Again::Never, "give the target's user BYPASSRLS: the dump would miss rows"),
        ("version mismatch", Again::Never, "install PostgreSQL's client programs of the server's major"),
        ("password authentication failed", Again::Never, "check the target's user and password in sexton.toml"),
        ("could not obtain lock", Again::Later, "a table is locked: find who holds it, or move the backup's time"),
        ("no space left", Again::Later, "make room on the server's disk"),
    ];
    let words = failure.why.to_lowercase();
    if let Some((_, again, help)) = rules.into_iter().find(|(word, ..)| words.contains(word)) {
        failure.again = again;
        failure.help = Some(help.to_owned());
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_are_what_is_told() {
        let said = Said::default();
        said.line("pg_dump: dumping contents of table \"public.orders\"");
        said.line("pg_dump: error: query failed: ERROR:  permission denied for table orders");
        assert_eq!(said.at().as_deref(), Some("public.orders"));
        let failure = named(Failure::later(said.words()));
        assert!(!failure.why.contains("dumping"), "{}", failure.why);
        assert_eq!(failure.again, Again::Never);
    }
}
