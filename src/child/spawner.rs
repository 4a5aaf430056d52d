//! The one thread that starts children.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{Child, Parting};

/// Starts children on its one thread. Clones share the thread; it ends with the last of them and the last child.
#[derive(Debug, Clone)]
pub struct Spawner {
    requests: mpsc::UnboundedSender<Request>,
}

#[derive(Debug)]
struct Request {
    command: Command,
    parting: Parting,
    spawner: Spawner,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// What a child that ran to its end has printed.
#[derive(Debug)]
pub struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
}

impl Spawner {
    /// Starts the thread. Must be called within a tokio runtime, which the children's pipes then use.
    pub fn start() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (requests, mut inbox) = mpsc::unbounded_channel::<Request>();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            while let Some(Request { command, parting, spawner, reply }) = inbox.blocking_recv() {
                let _runtime = runtime.enter();
                // A caller that has gone meanwhile drops the child, and that ends it.
                let _ = reply.send(launch(command, parting).map(|inner| Child::new(inner, parting, spawner)));
            }
        })?;
        Ok(Self { requests })
    }

    /// Spawns `command` in a process group of its own; it is killed when its owner drops it or dies.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        self.spawn_with(command, Parting::Kill).await
    }

    /// Spawns `command` in a process group of its own, with a choice of its last signal.
    pub async fn spawn_with(&self, command: Command, parting: Parting) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request { command, parting, spawner: self.clone(), reply })
            .map_err(|_| io::Error::other("the thread that starts child processes is gone"))?;
        answer.await.map_err(|_| io::Error::other("the thread that starts child processes has died"))?
    }

    /// Runs `command` to its end with nothing on its standard input, and gives what it printed.
    ///
    /// After `limit` it is killed, and the error is of kind [`io::ErrorKind::TimedOut`].
    pub async fn capture(&self, mut command: Command, limit: Duration) -> io::Result<Captured> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = self.spawn(command).await?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
            Ok(Captured { status: child.wait().await?, stdout, stderr })
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("`{name}` did not end within {} s", limit.as_secs())))
        })
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn launch(mut command: Command, parting: Parting) -> io::Result<tokio::process::Child> {
    let parent = rustix::process::getpid();
    let signal = parting.signal();
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes two system calls on values that it owns; it allocates
    // nothing and takes no lock. The standard library runs it after the change of user, which would undo the
    // first call.
    unsafe {
        command.pre_exec(move || tether(parent, signal));
    }
    command.spawn()
}

/// Asks the kernel for `signal` when the parent dies, and gives up if it has died before the asking.
fn tether(parent: Pid, signal: Signal) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    #[cfg(not(target_os = "linux"))]
    let _ = signal;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}
