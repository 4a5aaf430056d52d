//! The real binary as a child, with a folder of configuration.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal};
use sexton::child::{Captured, Child, Spawner};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
    sync::watch,
};

use super::{PATIENCE, open_folder};

/// A folder with `sexton.toml`, `jobs/`, `schedules/` and a place for backups: one machine's configuration.
pub struct Site {
    folder: tempfile::TempDir,
    spawner: Spawner,
    env: Vec<(String, String)>,
}

impl Site {
    /// `settings` is the text of `sexton.toml`; its relative paths are meant from the folder.
    pub fn new(settings: &str) -> Self {
        let site = Self {
            folder: open_folder("sexton-site-"),
            spawner: Spawner::start().expect("a spawner"),
            env: Vec::new(),
        };
        for folder in ["jobs", "schedules", "vault"] {
            std::fs::create_dir(site.path(folder)).expect("a folder");
        }
        site.write("sexton.toml", settings);
        site
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes (or replaces) a file in it, whole at once.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, text).expect("a file");
        std::fs::rename(&fresh, &path).expect("in place");
    }

    /// Writes `jobs/NAME.toml`.
    pub fn job(&self, name: &str, text: &str) {
        self.write(&format!("jobs/{name}.toml"), text);
    }

    /// Writes `schedules/NAME.toml`.
    pub fn schedule(&self, name: &str, text: &str) {
        self.write(&format!("schedules/{name}.toml"), text);
    }

    /// Sets a variable for every process started from here on.
    pub fn env(&mut self, key: &str, value: &str) {
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Runs `sexton ARGS` in this folder to its end, within a minute.
    pub async fn sexton(&self, args: &[&str]) -> Captured {
        self.spawner.capture(self.command(args), Duration::from_secs(60)).await.expect("sexton runs")
    }

    /// Runs any program to its end, within a minute.
    pub async fn captured(&self, command: Command) -> Captured {
        self.spawner.capture(command, Duration::from_secs(60)).await.expect("the program runs")
    }

    /// Starts `sexton ARGS` in this folder.
    pub async fn daemon(&self, args: &[&str]) -> Daemon {
        self.watch(self.command(args)).await
    }

    /// Starts any program with the same eyes on it.
    pub async fn watch(&self, mut command: Command) -> Daemon {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawner.spawn(command).await.expect("the program starts");
        let (sender, output) = watch::channel(Output { lines: Vec::new(), open: 2 });
        tokio::spawn(follow(child.stdout.take().expect("a pipe"), sender.clone()));
        tokio::spawn(follow(child.stderr.take().expect("a pipe"), sender));
        let pid = child.pid().expect("it runs");
        Daemon { child, pid, output }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        for (key, _) in std::env::vars_os() {
            let key = key.to_string_lossy().into_owned();
            // The machine's own settings are not the test's; where PostgreSQL is, is.
            if (key.starts_with("SEXTON_") && key != "SEXTON_PG_BIN") || key.starts_with("PG") {
                command.env_remove(key);
            }
        }
        // On a machine without PostgreSQL, what the bench has downloaded is used again.
        if let Some(bin) = super::downloaded() {
            command.env("SEXTON_PG_BIN", bin);
        }
        command.args(args).current_dir(self.folder.path()).env("NO_COLOR", "1");
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }
}

/// A running `sexton`; killed when dropped.
pub struct Daemon {
    child: Child,
    pid: u32,
    output: watch::Receiver<Output>,
}

#[derive(Debug)]
struct Output {
    lines: Vec<String>,
    /// Pipes that may still say something.
    open: u8,
}

/// How a daemon ended, and all that it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output and error, as they came.
    pub lines: Vec<String>,
}

impl Daemon {
    /// Waits for a line that contains `text`, on either pipe, from the start on; fails the test after a minute, or when the
    /// daemon has ended without it.
    pub async fn wait_for_line(&self, text: &str) -> String {
        self.wait_for_nth_line(text, 1).await
    }

    /// Waits until `count` lines contain `text`; gives the last of them.
    pub async fn wait_for_nth_line(&self, text: &str, count: usize) -> String {
        let mut output = self.output.clone();
        let nth = |output: &Output| output.lines.iter().filter(|line| line.contains(text)).nth(count - 1).cloned();
        let waiting = output.wait_for(|output| nth(output).is_some() || output.open == 0);
        let seen = tokio::time::timeout(PATIENCE, waiting).await.ok().and_then(|output| nth(&*output.ok()?));
        seen.unwrap_or_else(|| panic!("no line {count} with {text:?}; it said:\n{}", self.lines().join("\n")))
    }

    /// The URL that its HTTP API listens at, once it does.
    pub async fn address(&self) -> String {
        let line = self.wait_for_line("listening on http://").await;
        let address = line.split("listening on ").nth(1).and_then(|rest| rest.split_whitespace().next());
        address.expect("an address").to_owned()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.borrow().lines.clone()
    }

    /// Its process id, also after its end.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended, by itself or not.
    pub fn has_ended(&mut self) -> bool {
        self.child.ended().expect("a status").is_some()
    }

    /// Whether all that it says has been said.
    pub fn is_over(&self) -> bool {
        self.output.borrow().open == 0
    }

    /// kill -9 of the daemon alone: what it started must see to its own end.
    pub async fn kill_9(mut self) -> Ended {
        self.signal(Signal::KILL);
        self.ended().await
    }

    /// SIGTERM, and its end.
    pub async fn terminate(mut self) -> Ended {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Its own end, by itself.
    pub async fn exit(mut self) -> Ended {
        self.ended().await
    }

    /// Any signal to the daemon alone; nothing once its end was seen.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            rustix::process::kill_process(pid, signal).expect("a signal");
        }
    }

    async fn ended(&mut self) -> Ended {
        let bound = Duration::from_secs(60);
        let Ok(status) = tokio::time::timeout(bound, self.child.wait()).await else {
            panic!("it did not end within {} s; it said:\n{}", bound.as_secs(), self.lines().join("\n"));
        };
        // What it left behind may hold the pipes open: not waited for longer than a moment.
        let mut output = self.output.clone();
        let _ = tokio::time::timeout(Duration::from_secs(2), output.wait_for(|output| output.open == 0)).await;
        Ended { status: status.expect("a status"), lines: self.lines() }
    }
}

async fn follow(pipe: impl AsyncRead + Unpin, output: watch::Sender<Output>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        output.send_modify(|output| output.lines.push(line));
    }
    output.send_modify(|output| output.open -= 1);
}
