//! One `pg_dump`, from its start to the judgement of its end.

use std::{
    collections::VecDeque,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    passfile::PassFile,
    pipe::{Passed, Toc, pump},
    tools::Tools,
};
use crate::{
    child::Child,
    db::Target,
    kinds::{Broken, Ctx},
    outcome::{Again, Failure},
    vault::Upload,
};

/// What is to be dumped, and how.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) target: &'a Target,
    pub(super) tools: &'a Tools,
    pub(super) exclude_table_data: &'a [String],
    pub(super) level: i32,
    /// The database's size, for the progress.
    pub(super) database_bytes: u64,
}

/// A whole dump.
#[derive(Debug)]
pub(super) struct Dumped {
    pub(super) bytes: u64,
    pub(super) toc_entries: u64,
    pub(super) warnings: u64,
}

/// How long `pg_dump` has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// How long it may take to end after its last byte.
const END: Duration = Duration::from_secs(60);
/// How long it waits for a table's lock.
const LOCK: &str = "30s";
/// What it inherits of the daemon's environment.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"];

/// Dumps into `upload`. Whole only if this returns a value: the caller gives the upload up otherwise.
pub(super) async fn dump(ctx: &Ctx, order: &Order<'_>, upload: &mut Upload) -> Result<Dumped, Broken> {
    let passfile = order.target.login.password().map(PassFile::new).transpose().map_err(|error| {
        Failure::later(format!("the password could not be handed to pg_dump in a file: {error}"))
            .help("let the daemon's user write in its temporary folder")
    })?;
    let pg_dump = order.tools.pg_dump.display();
    let spawned = ctx.env.spawner.spawn(command(order, passfile.as_ref())).await;
    let mut child = spawned.map_err(|error| Failure::later(format!("{pg_dump} could not be started: {error}")))?;
    let ended = tokio::select! {
        ended = to_the_end(ctx, order, &mut child, upload) => ended.map_err(Broken::Failed),
        () = ctx.stop.cancelled() => Err(Broken::Stopped),
    };
    if ended.is_err() {
        let _ = child.end(GRACE).await;
    }
    ended
}

fn command(order: &Order<'_>, passfile: Option<&PassFile>) -> Command {
    let mut command = Command::new(&order.tools.pg_dump);
    command
        .args(["--format=custom", "--compress=0", "--no-password", "--verbose"])
        .arg(format!("--lock-wait-timeout={LOCK}"))
        .args(order.exclude_table_data.iter().map(|table| format!("--exclude-table-data={table}")))
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // Its words are read here, so they must be English.
        .env("LC_ALL", "C")
        .envs(order.target.login.libpq())
        .envs(passfile.map(|file| ("PGPASSFILE", file.path())))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn to_the_end(ctx: &Ctx, order: &Order<'_>, child: &mut Child, upload: &mut Upload) -> Result<Dumped, Failure> {
    let said = Said::default();
    let listener = child.stderr.take().map(|pipe| AbortOnDropHandle::new(tokio::spawn(listen(pipe, said.clone()))));
    let stdout = child.stdout.take().ok_or_else(|| Failure::later("pg_dump has no output"))?;
    let mut toc = Toc::start(order.tools, &ctx.env.spawner).await?;
    let seen = |bytes: u64| {
        ctx.progress(bytes, Some(order.database_bytes.max(bytes)), "bytes", said.table().as_deref());
    };
    let passed = pump(stdout, &mut toc, order.level, upload, seen).await?;
    let status = timeout(END, child.wait())
        .await
        .map_err(|_| Failure::later(format!("pg_dump closed its output but did not end within {} s", END.as_secs())))?
        .map_err(|error| Failure::later(format!("pg_dump cannot be waited for: {error}")))?;
    if let Some(listener) = listener {
        let _ = timeout(Duration::from_secs(2), listener).await;
    }
    judge(status, &passed, &said)?;
    let toc_entries = toc.entries().await?;
    Ok(Dumped { bytes: passed.dump_bytes, toc_entries, warnings: said.warnings() })
}

/// Whether what passed is a whole dump: silence, too little and a bad end are all failures.
fn judge(status: ExitStatus, passed: &Passed, said: &Said) -> Result<(), Failure> {
    if !status.success() {
        let words = said.words();
        let why = if words.is_empty() { "it said nothing".to_owned() } else { words };
        return Err(named(Failure::later(format!("pg_dump ended with {status}: {why}"))));
    }
    if passed.dump_bytes == 0 {
        return Err(Failure::later("pg_dump ended as if all were well, but wrote nothing")
            .help("run pg_dump by hand as the daemon's user: it may be a wrapper that hides an error"));
    }
    if !passed.is_dump {
        return Err(Failure::later("what pg_dump wrote is no dump in custom format (it does not begin with PGDMP)")
            .help("run pg_dump by hand as the daemon's user: it may be a wrapper that prints something"));
    }
    Ok(())
}

/// Adds what to do, where `pg_dump`'s words tell it.
fn named(mut failure: Failure) -> Failure {
    let rules: [(&str, Again, &str); 5] = [
        ("permission denied", Again::Never, "grant the target's user SELECT on all tables (role pg_read_all_data)"),
        ("row-level security", Again::Never, "give the target's user BYPASSRLS: the dump would miss rows"),
        ("version mismatch", Again::Never, "install PostgreSQL's client programs of the server's major"),
        ("password authentication failed", Again::Never, "check the target's user and password in sexton.toml"),
        ("could not obtain lock", Again::Later, "a table is locked: find who holds it, or move the backup's time"),
    ];
    let words = failure.why.to_lowercase();
    if let Some((_, again, help)) = rules.into_iter().find(|(word, ..)| words.contains(word)) {
        failure.again = again;
        failure.help = Some(help.to_owned());
    }
    failure
}

/// What `pg_dump` says on its standard error.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    table: Option<String>,
    warnings: u64,
    errors: VecDeque<String>,
    last: VecDeque<String>,
}

impl Said {
    fn line(&self, line: &str) {
        let words = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, table)) = line.split_once("dumping contents of table ") {
            words.table = Some(table.trim_matches(['"', ' ']).to_owned());
        }
        let small = line.to_lowercase();
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

    fn table(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).table.clone()
    }

    fn warnings(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).warnings
    }

    /// Its errors, or its last words where it named none.
    fn words(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = if words.errors.is_empty() { &words.last } else { &words.errors };
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

async fn listen(pipe: impl AsyncRead + Unpin, said: Said) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        said.line(String::from_utf8_lossy(&line).replace('\0', "").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn silence_and_too_little_are_failures() {
        let good = Passed { dump_bytes: 10, is_dump: true };
        let said = Said::default();
        let ok = ExitStatus::from_raw(0);
        assert_eq!(judge(ok, &good, &said), Ok(()));
        assert!(judge(ok, &Passed { dump_bytes: 0, is_dump: false }, &said).is_err());
        assert!(judge(ok, &Passed { dump_bytes: 9, is_dump: false }, &said).is_err());
        said.line("pg_dump: dumping contents of table \"public.orders\"");
        said.line("pg_dump: error: query failed: ERROR:  permission denied for table orders");
        let failure = judge(ExitStatus::from_raw(256), &good, &said).expect_err("exit 1");
        assert!(failure.why.contains("permission denied") && !failure.why.contains("dumping"), "{}", failure.why);
        assert_eq!(failure.again, Again::Never);
        assert_eq!(said.table().as_deref(), Some("public.orders"));
    }
}
