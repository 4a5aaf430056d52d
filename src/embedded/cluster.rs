//! A running private cluster: started, adopted, stopped.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::{
    Binaries, EmbeddedError, fetch, find,
    folder::Folder,
    initdb::{USER, initdb, write_access},
    of_major,
    owner::Owner,
    postmaster,
};
use crate::child::{Child, Spawner};

/// A clean shutdown writes a checkpoint first.
const CLEAN: Duration = Duration::from_secs(30);
/// An immediate shutdown writes nothing.
const IMMEDIATE: Duration = Duration::from_secs(10);

/// What sort of cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether it survives a power cut; off for tests, which then run faster.
    pub durable: bool,
    /// The most connections at a time.
    pub max_connections: u32,
    /// Whether server programs may be fetched where none are installed.
    pub fetch: bool,
    /// The folder under which fetched programs are kept, for several clusters to share; the state folder if none.
    pub programs: Option<PathBuf>,
    /// The major version that it must be of; the most preferred one if none.
    pub major: Option<u32>,
    /// How long to wait for another process that is just starting or stopping the server.
    pub patience: Duration,
    /// Variables that the server gets besides its usual ones.
    pub env: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durable: true,
            max_connections: 60,
            fetch: true,
            programs: None,
            major: None,
            patience: Duration::from_secs(60),
            env: Vec::new(),
        }
    }
}

/// A private PostgreSQL server on a unix socket. Dropping it shuts it down cleanly, as does the death of this
/// process; [`stop`](Self::stop) also waits until it is down.
#[derive(Debug)]
pub struct Cluster {
    folder: Folder,
    binaries: Binaries,
    hold: Hold,
}

/// Whose the server is.
#[derive(Debug)]
enum Hold {
    /// We started it.
    Child { child: Box<Child>, _lock: File },
    /// Its starter is gone; we have taken over.
    Orphan(Orphan),
    /// Another process's, which also stops it.
    Guest { pid: Pid },
}

#[derive(Debug)]
struct Orphan {
    /// None once it was told to stop.
    pid: Option<Pid>,
    _lock: File,
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            postmaster::tell(pid, Signal::INT);
        }
    }
}

impl Cluster {
    /// Starts the cluster of this state folder, or adopts the server that is already alive in it.
    ///
    /// Makes the folder and the cluster's files where they are missing. Must be called within a tokio runtime.
    pub async fn start(state: &Path, options: &Options, spawner: &Spawner) -> Result<Self, EmbeddedError> {
        let owner = Owner::of_this_process()?;
        let folder = Folder::prepare(state, &owner)?;
        let binaries = choose(&folder, options, &owner, spawner).await?;
        let begun = Instant::now();
        loop {
            let holder = match folder.lock()? {
                Ok(lock) => return Self::take(folder, binaries, lock, options, &owner, spawner).await,
                Err(holder) => holder,
            };
            if let Some(pid) = postmaster::live(&folder)
                && let Ok(connection) = postmaster::connect(&folder).await
            {
                let _ = connection.close().await;
                tracing::info!(pid = pid.as_raw_nonzero(), "adopted the running PostgreSQL in {}", state.display());
                return Ok(Self { folder, binaries, hold: Hold::Guest { pid } });
            }
            // The holder is starting or stopping it.
            if begun.elapsed() > options.patience {
                let waited_s = options.patience.as_secs();
                return Err(EmbeddedError::Held { state: folder.state, holder, waited_s });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// With the lock in hand: nobody else starts or stops a server here.
    async fn take(
        folder: Folder,
        binaries: Binaries,
        lock: File,
        options: &Options,
        owner: &Owner,
        spawner: &Spawner,
    ) -> Result<Self, EmbeddedError> {
        if let Some(pid) = postmaster::live(&folder) {
            // Its starter died. On Linux the kernel has told it to shut down, or is about to; elsewhere it runs on.
            let down = if cfg!(target_os = "linux") { postmaster::ends(pid, CLEAN).await } else { false };
            if !down && postmaster::connect(&folder).await.is_ok() {
                return Ok(Self { folder, binaries, hold: Hold::Orphan(Orphan { pid: Some(pid), _lock: lock }) });
            }
        }
        initdb(&folder, &binaries, options, owner, spawner).await?;
        write_access(&folder, owner)?;
        let child = postmaster::start(&folder, &binaries, options, owner, spawner).await?;
        Ok(Self { folder, binaries, hold: Hold::Child { child: Box::new(child), _lock: lock } })
    }

    /// A `postgres://` URL of one of its databases. There is no password: the kernel vouches for who connects.
    pub fn url(&self, database: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("host", &self.folder.run.display().to_string())
            .append_pair("port", "5432")
            .append_pair("user", USER)
            .finish();
        format!("postgres:///{database}?{query}")
    }

    /// The folder of its unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.folder.run
    }

    /// Its programs, among them `pg_dump` and `psql` where the package has them.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The file that the server logs to.
    pub fn log(&self) -> PathBuf {
        self.folder.log()
    }

    /// The server's process id; none after its end.
    pub fn pid(&self) -> Option<u32> {
        let pid = match &self.hold {
            Hold::Child { child, .. } => return child.pid(),
            Hold::Orphan(orphan) => orphan.pid?,
            Hold::Guest { pid } => *pid,
        };
        Some(pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Whether another process started it and will stop it.
    pub fn is_adopted(&self) -> bool {
        matches!(self.hold, Hold::Guest { .. })
    }

    /// Makes a database if it does not exist. True if it was made now.
    pub async fn create_database(&self, name: &str) -> Result<bool, EmbeddedError> {
        let mut connection = postmaster::connect(&self.folder).await?;
        let known = sqlx::query("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?
            .try_get::<bool, _>(0)?;
        if !known {
            let quoted = name.replace('"', "\"\"");
            sqlx::query(AssertSqlSafe(format!("create database \"{quoted}\""))).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(!known)
    }

    /// Shuts the server down cleanly and waits for it, up to 40 s; a server that another process started stays.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        match self.hold {
            Hold::Child { mut child, _lock } => {
                child.signal(Signal::INT);
                for (limit, next) in [(CLEAN, Signal::QUIT), (IMMEDIATE, Signal::KILL)] {
                    if let Ok(ended) = tokio::time::timeout(limit, child.wait()).await {
                        return ended
                            .map(|_| ())
                            .map_err(EmbeddedError::file("cannot stop the server of", self.folder.state));
                    }
                    child.signal(next);
                }
                let ended = child.wait().await;
                ended.map(|_| ()).map_err(EmbeddedError::file("cannot stop the server of", self.folder.state))
            }
            Hold::Orphan(mut orphan) => {
                let Some(pid) = orphan.pid.take() else { return Ok(()) };
                for (limit, signal) in [(CLEAN, Signal::INT), (IMMEDIATE, Signal::QUIT)] {
                    postmaster::tell(pid, signal);
                    if postmaster::ends(pid, limit).await {
                        return Ok(());
                    }
                }
                let why = io::Error::from(io::ErrorKind::TimedOut);
                Err(EmbeddedError::file("cannot stop the server of", self.folder.state)(why))
            }
            Hold::Guest { .. } => Ok(()),
        }
    }
}

/// The programs to use: those of the version that made the files, else the most preferred, else fetched ones.
async fn choose(
    folder: &Folder,
    options: &Options,
    owner: &Owner,
    spawner: &Spawner,
) -> Result<Binaries, EmbeddedError> {
    let programs = options.programs.as_ref().unwrap_or(&folder.state);
    let mut found = find(programs, spawner).await?;
    if let Some(wanted) = options.major {
        found = of_major(found, wanted)?;
    }
    if found.is_empty() && options.fetch {
        found.push(fetch::fetch(programs, owner, spawner).await?);
    }
    match (folder.version(), found.first()) {
        (Some(was), _) => {
            let same = found.iter().find(|binaries| binaries.major == was).cloned();
            let list = || found.iter().map(|binaries| binaries.major.to_string()).collect::<Vec<_>>().join(", ");
            same.ok_or_else(|| EmbeddedError::Version { state: folder.state.clone(), was, found: list() })
        }
        (None, Some(first)) => Ok(first.clone()),
        (None, None) => {
            Err(EmbeddedError::NotFound { fetching: "not tried".to_owned(), install: super::install_command() })
        }
    }
}
