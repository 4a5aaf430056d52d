//! Child processes that never outlive their run.
//!
//! Every child is the leader of its own process group, so that ending it ends what it started too; and it is
//! spawned by one permanent thread, because the kernel's parent-death signal fires when the spawning *thread* dies.

mod spawner;

use std::{io, process::ExitStatus, time::Duration};

use rustix::process::{Pid, Signal};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

pub use spawner::{Captured, Spawner};

/// The target of events that are what a child prints: `stdout` and `stderr` under it. They are a run's, for whoever looks
/// at it, and not the daemon's log's.
pub const OUTPUT: &str = "sexton::child::output";

/// How a child is told to end when its owner drops it or dies, whichever way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parting {
    /// SIGKILL: for work that leaves nothing behind that matters.
    #[default]
    Kill,
    /// SIGINT: for a PostgreSQL server, which then shuts down cleanly.
    Interrupt,
}

impl Parting {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Interrupt => Signal::INT,
        }
    }
}

/// A running child; dropping it ends the whole process group.
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if piped.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if piped.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if piped.
    pub stderr: Option<ChildStderr>,
    inner: tokio::process::Child,
    /// The process group; none once the leader is reaped, because its number may then be another's.
    group: Option<Pid>,
    parting: Parting,
    /// Keeps the thread: were it to end, the kernel would send the child its parting signal.
    _spawner: Spawner,
}

impl Child {
    fn new(mut inner: tokio::process::Child, parting: Parting, spawner: Spawner) -> Self {
        let group = inner.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self {
            stdin: inner.stdin.take(),
            stdout: inner.stdout.take(),
            stderr: inner.stderr.take(),
            inner,
            group,
            parting,
            _spawner: spawner,
        }
    }

    /// Its process id, which is also its group's; none after its end.
    pub fn pid(&self) -> Option<u32> {
        self.group.map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Waits for its end. Closes its standard input first, and kills what is left of its group afterwards.
    ///
    /// Nothing is lost when this future is dropped.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        let status = self.inner.wait().await?;
        self.reaped();
        Ok(status)
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.inner.try_wait()?;
        if status.is_some() {
            self.reaped();
        }
        Ok(status)
    }

    /// SIGTERM to the group, SIGKILL after `grace`.
    pub async fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM);
        if let Ok(status) = tokio::time::timeout(grace, self.wait()).await {
            return status;
        }
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// Sends a signal to the whole group; nothing after its end.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The only failure is a group that is gone, which is what every caller wants.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// The leader is gone: what it started goes with it, at once, before the kernel gives the number away again.
    fn reaped(&mut self) {
        self.signal(Signal::KILL);
        self.group = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(self.parting.signal());
    }
}

#[cfg(test)]
mod tests;
