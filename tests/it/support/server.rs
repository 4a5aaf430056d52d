//! A server of a test's own that is reached over TCP with a password, and its standby.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal};
use sexton::{
    child::{Child, Parting, Spawner},
    embedded,
};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use super::{eventually, open_folder};

/// A running server; ends with the test.
pub struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    spawner: Spawner,
    settings: Vec<String>,
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    /// A primary whose superuser `sexton` has the password `one`.
    pub async fn start(settings: &[&str]) -> Self {
        let mut server = Self::empty(settings).await;
        let password = server.folder.path().join("password");
        fs::write(&password, "one").expect("a file");
        give(&password);
        let mut command = server.program("initdb");
        command.arg("-D").arg(server.data()).arg("--pwfile").arg(&password);
        command.args(["-U", "sexton", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        command.args(["--auth-local=reject", "--auth-host=scram-sha-256"]);
        server.run(command).await;
        server.launch().await;
        server
    }

    /// A standby of this one.
    pub async fn standby(&self) -> Self {
        let mut server = Self::empty(&[]).await;
        server.settings = self.settings.clone();
        let mut command = server.program("pg_basebackup");
        command.arg("-D").arg(server.data()).arg("-d").arg(self.url("postgres"));
        command.args(["-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]);
        server.run(command).await;
        server.launch().await;
        server
    }

    async fn empty(settings: &[&str]) -> Self {
        let folder = open_folder("sexton-server-");
        let spawner = Spawner::start().expect("a spawner");
        let found = embedded::find(Path::new("/nonexistent"), &spawner).await.expect("PostgreSQL's programs");
        let has_all =
            |dir: &PathBuf| ["initdb", "postgres", "pg_basebackup"].iter().all(|name| dir.join(name).exists());
        let bin = found.into_iter().map(|one| one.dir).find(has_all).expect("a PostgreSQL with pg_basebackup");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
        fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("chmod");
        give(&data);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self { folder, bin, spawner, settings, port, child: None }
    }

    /// Starts it, also again.
    pub async fn launch(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
        let port = format!("port={}", self.port);
        let usual =
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB", &port];
        for setting in usual.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        self.child = Some(self.spawner.spawn_with(command, Parting::Interrupt).await.expect("a server"));
        eventually("the server answers", || async { self.connect("postgres").await.ok() }).await;
    }

    /// The end of every connection and of the server, at once, as when a machine is lost.
    pub async fn crash(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = child.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        rustix::process::kill_process(pid, Signal::QUIT).expect("a signal");
        child.wait().await.expect("its end");
    }

    /// A URL with the first password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://sexton:one@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// A connection of the test's own.
    pub async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.url(database)).await
    }

    /// Does these things as the superuser, each by itself.
    pub async fn sql(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await.expect("a connection");
        for one in sql.split("; ") {
            sqlx::raw_sql(sqlx::AssertSqlSafe(one))
                .execute(&mut connection)
                .await
                .unwrap_or_else(|e| panic!("{one}: {e}"));
        }
        connection.close().await.expect("closed");
    }

    /// Lets in who comes from this network, with the password.
    pub async fn allow(&self, network: &str) {
        let path = self.data().join("pg_hba.conf");
        let known = fs::read_to_string(&path).expect("its rules");
        fs::write(&path, format!("{known}host all all {network} scram-sha-256\n")).expect("its rules");
        self.sql("postgres", "select pg_reload_conf()").await;
    }

    /// Whether the server's process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.ended().expect("a status").is_some())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir("/").env("LC_ALL", "C").env("TZ", "UTC");
        if let Some((uid, gid)) = other() {
            command.uid(uid).gid(gid);
        }
        command
    }

    async fn run(&self, command: Command) {
        let done = self.spawner.capture(command, Duration::from_secs(60)).await.expect("it runs");
        assert!(done.status.success(), "{}", done.stderr);
    }
}

/// PostgreSQL refuses root: then the user that its package made, or nobody.
fn other() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

/// Gives a path to whoever runs the server.
pub fn give(path: &Path) {
    if let Some((uid, gid)) = other() {
        chown(path, Some(uid), Some(gid)).expect("chown");
    }
}

/// A program as whoever runs the servers.
pub fn as_server(command: &mut Command) {
    if let Some((uid, gid)) = other() {
        command.uid(uid).gid(gid);
    }
}
