//! Child processes that never outlive their run.
//!
//! Every child is the leader of its own process group, so that ending it ends what it started too; and it is
//! spawned by one permanent thread, because the kernel's parent-death signal fires when the spawning *thread* dies.

use std::{io, process::ExitStatus, time::Duration};

use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

/// Starts children on its one thread.
#[derive(Debug, Clone)]
pub struct Spawner {}

impl Spawner {
    /// Starts the thread. Must be called within a tokio runtime.
    pub fn start() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Spawns `command` in a process group of its own.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let _ = command;
        Err(io::Error::other("in work"))
    }
}

/// A running child; dropping it kills the whole process group.
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if piped.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if piped.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if piped.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    /// Waits for its end.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        Err(io::Error::other("in work"))
    }

    /// SIGTERM to the group, SIGKILL after `grace`.
    pub async fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        let _ = grace;
        Err(io::Error::other("in work"))
    }
}
