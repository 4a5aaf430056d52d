//! The server process: is one alive in a folder, does it answer, and how it is started.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    Binaries, EmbeddedError, Options,
    folder::Folder,
    initdb::{USER, server_command},
    owner::Owner,
};
use crate::child::{Child, Parting, Spawner};

/// A start after a crash replays the log first.
const READY: Duration = Duration::from_secs(120);
/// A live server answers at once, or says that it is starting or stopping.
const ANSWER: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A log that is longer than this becomes `postgres.log.old` at the next start. 16 MiB.
const LONG_LOG: u64 = 16 << 20;

/// The live server process of a folder, if there is one.
pub(super) fn live(folder: &Folder) -> Option<Pid> {
    let text = fs::read_to_string(folder.data().join("postmaster.pid")).ok()?;
    let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
    (is_alive(pid) && works_in(pid, &folder.data())).then_some(pid)
}

/// Whether the process exists; a zombie does not.
pub(super) fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie = stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    !zombie && !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// After a reboot the number may be another program's: a server's working folder is its data.
fn works_in(pid: Pid, data: &Path) -> bool {
    match fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())) {
        Ok(cwd) => cwd == data,
        // No /proc on this system, or not ours to read: believe the file.
        Err(_) => true,
    }
}

/// Waits until `pid` is gone; false after `limit`.
pub(super) async fn ends(pid: Pid, limit: Duration) -> bool {
    let begun = Instant::now();
    while is_alive(pid) {
        if begun.elapsed() > limit {
            return false;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    true
}

/// How to connect to a database of the folder's server.
fn login(folder: &Folder, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(&folder.run).port(5432).username(USER).database(database)
}

/// Connects once.
pub(super) async fn connect(folder: &Folder) -> Result<PgConnection, sqlx::Error> {
    let login = login(folder, "postgres");
    let connecting = PgConnection::connect_with(&login);
    tokio::time::timeout(ANSWER, connecting).await.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
}

/// Starts a server and waits until it answers.
pub(super) async fn start(
    folder: &Folder,
    binaries: &Binaries,
    options: &Options,
    owner: &Owner,
    spawner: &Spawner,
) -> Result<Child, EmbeddedError> {
    let failed = |why: String| EmbeddedError::Server { what: "postgres", why, log: folder.log() };
    let begun = Instant::now();
    let mut child = launch(folder, binaries, options, owner, spawner).await?;
    loop {
        let why = match connect(folder).await {
            Ok(connection) => {
                let _ = connection.close().await;
                return Ok(child);
            }
            Err(error) => error,
        };
        if begun.elapsed() > READY {
            return Err(failed(format!("no answer within {} s: {why}", READY.as_secs())));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        if let Some(status) = child.ended().map_err(|error| failed(error.to_string()))? {
            let words = last_words(&folder.log());
            // Backends of a server that was killed are still on their way out.
            if !words.contains("still in use") {
                return Err(failed(format!("{status}: {words}")));
            }
            child = launch(folder, binaries, options, owner, spawner).await?;
        }
    }
}

async fn launch(
    folder: &Folder,
    binaries: &Binaries,
    options: &Options,
    owner: &Owner,
    spawner: &Spawner,
) -> Result<Child, EmbeddedError> {
    let no_log = || EmbeddedError::file("cannot write", folder.log());
    let log = open_log(&folder.log()).map_err(no_log())?;
    let log_again = log.try_clone().map_err(no_log())?;
    let mut command = server_command(&binaries.tool("postgres"), owner);
    command.arg("-D").arg(folder.data()).stdin(Stdio::null()).stdout(Stdio::from(log_again)).stderr(Stdio::from(log));
    command.envs(options.env.iter().map(|(key, value)| (key, value)));
    for (name, value) in settings(folder, options) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    spawner.spawn_with(command, Parting::Interrupt).await.map_err(|error| EmbeddedError::Server {
        what: "postgres",
        why: error.to_string(),
        log: folder.log(),
    })
}

/// Given on the command line, so that nothing in the cluster's own files needs an edit, ever.
fn settings(folder: &Folder, options: &Options) -> Vec<(&'static str, String)> {
    let path = |name: &str| folder.state.join(name).display().to_string();
    let mut settings = vec![
        ("listen_addresses", String::new()),
        ("unix_socket_directories", format!("\"{}\"", folder.run.display())),
        ("unix_socket_permissions", "0777".to_owned()),
        ("port", "5432".to_owned()),
        ("hba_file", path("pg_hba.conf")),
        ("ident_file", path("pg_ident.conf")),
        ("max_connections", options.max_connections.to_string()),
        ("shared_buffers", "32MB".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_line_prefix", "%m [%p] %q%a@%d ".to_owned()),
        ("log_timezone", "UTC".to_owned()),
    ];
    if !options.durable {
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            settings.push((name, "off".to_owned()));
        }
    }
    settings
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LONG_LOG) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().create(true).append(true).open(path)
}

/// The last lines of the log that say what was wrong.
fn last_words(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    lines.reverse();
    lines.join("; ")
}

/// Sends a signal to a server that is not our child.
pub(super) fn tell(pid: Pid, signal: Signal) {
    // The only failures are a process that is gone and one that is not ours to end.
    let _ = rustix::process::kill_process(pid, signal);
}
