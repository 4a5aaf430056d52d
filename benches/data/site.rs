//! The server, the database that every party gets a copy of, and the folder of `sexton once`.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use sexton::{
    child::Spawner,
    db::{self, Login},
    embedded::{Cluster, Options},
    secret::Secret,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::process::Command;

/// The same for every party.
const SETTINGS: [&str; 6] = [
    "shared_buffers = '512MB'",
    "max_wal_size = '4GB'",
    "checkpoint_timeout = '15min'",
    "maintenance_work_mem = '256MB'",
    "work_mem = '64MB'",
    "autovacuum_naptime = '15s'",
];

/// The database that the copies are made of.
const MODEL: &str = "model";

/// Where all of it happens.
pub struct Site {
    folder: tempfile::TempDir,
    cluster: Cluster,
}

impl Site {
    /// Starts the server and fills the model: the sample's tables, `rows` old rows, and empty archive tables.
    pub async fn new(rows: u64) -> Self {
        rustls::crypto::ring::default_provider().install_default().unwrap();
        let folder = tempfile::Builder::new().prefix("sexton-bench-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let spawner = Spawner::start().unwrap();
        let state = folder.path().join("pg");
        let cluster = Cluster::start(&state, &Options::default(), &spawner).await.unwrap();
        let mut admin = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        for setting in SETTINGS {
            run(&mut admin, &format!("alter system set {setting}")).await;
        }
        admin.close().await.unwrap();
        cluster.stop().await.unwrap();
        let cluster = Cluster::start(&state, &Options::default(), &spawner).await.unwrap();
        cluster.create_database("queue").await.unwrap();
        let login = Login::new(&Secret::new(cluster.url("queue")), None).unwrap();
        let pool = db::queue_pool(&login, 1);
        db::migrate(&pool).await.unwrap();
        pool.close().await;
        cluster.create_database(MODEL).await.unwrap();
        let site = Self { folder, cluster };
        site.fill(rows).await;
        site
    }

    async fn fill(&self, rows: u64) {
        let mut model = self.connect(MODEL).await;
        run(&mut model, include_str!("../../sql/sample/schema.sql")).await;
        let fill = include_str!("rows.sql");
        run(&mut model, &format!("begin; set local sexton.bench_rows = {rows}; {fill}; commit")).await;
        self.configure(MODEL);
        self.sexton(&["db", "install", "--target", "collector"]).await;
        // Nothing is so old, but the archive tables are made: the other parties get the same.
        self.job("make-archive", "older_than = \"36500d\"\n");
        self.sexton(&["once", "make-archive"]).await;
        run(&mut model, "vacuum (freeze, analyze)").await;
        model.close().await.unwrap();
    }

    pub fn major(&self) -> u32 {
        self.cluster.binaries().major
    }

    pub async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.cluster.url(database)).await.unwrap()
    }

    pub fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// A fresh copy of the model, for `sexton once` too, on a server that has nothing left to write.
    pub async fn copy(&self, name: &str) {
        self.drop(name).await;
        let mut admin = self.connect("postgres").await;
        // Copied as files, it is the model page for page.
        let strategy = if self.major() >= 15 { "strategy file_copy" } else { "" };
        run(&mut admin, &format!("create database {name} template {MODEL} {strategy}")).await;
        run(&mut admin, "checkpoint").await;
        admin.close().await.unwrap();
        self.configure(name);
    }

    /// Drops a copy.
    pub async fn drop(&self, name: &str) {
        let mut admin = self.connect("postgres").await;
        run(&mut admin, &format!("drop database if exists {name} with (force)")).await;
        admin.close().await.unwrap();
    }

    /// `sexton.toml` with `database` as its target.
    fn configure(&self, database: &str) {
        self.write(
            "sexton.toml",
            &format!(
                "[database]\nurl = \"{}\"\n[targets.collector]\nurl = \"{}\"\n",
                self.cluster.url("queue"),
                self.cluster.url(database)
            ),
        );
        self.write(
            "jobs/datasets/interface_exceptions.toml",
            include_str!("../../jobs/datasets/interface_exceptions.toml"),
        );
        std::fs::create_dir_all(self.path().join("schedules")).unwrap();
    }

    /// An archive job with these keys more; the parties are told of it by its name.
    pub fn job(&self, name: &str, keys: &str) {
        let head = "timeout = \"2h\"\nretry = { attempts = 1 }\n[archive]\ntarget = \"collector\"\n";
        let dataset = "dataset = \"interface_exceptions\"\ndry_run = false\n";
        self.write(&format!("jobs/{name}.toml"), &format!("{head}{dataset}{keys}"));
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `sexton ARGS`, ready to be started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("SEXTON_") {
                command.env_remove(key);
            }
        }
        command.args(args).current_dir(self.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `sexton ARGS`, which must succeed.
    async fn sexton(&self, args: &[&str]) {
        let output = self.command(args).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Seconds of processor that the server's sessions have used which are over, once nobody is in `database` any more. What
    /// else the machine does takes a party's time, but not this.
    pub async fn cpu(&self, database: &str) -> f64 {
        let mut admin = self.connect("postgres").await;
        let busy =
            "select exists (select from pg_stat_activity where datname = $1 and backend_type = 'client backend')";
        while sqlx::query_scalar(busy).bind(database).fetch_one(&mut admin).await.unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        admin.close().await.unwrap();
        // A process that says nothing any more has yet to end.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.cluster.pid().unwrap())).unwrap();
        // After the name in brackets: state, 10 more, own user and system time, then that of children that have ended.
        let ticks =
            |at: usize| stat.rsplit(')').next().unwrap().split_whitespace().nth(at).unwrap().parse::<f64>().unwrap();
        // Linux counts hundredths of a second.
        (ticks(13) + ticks(14)) / 100.0
    }

    /// Stops the server.
    pub async fn end(self) {
        self.cluster.stop().await.unwrap();
    }
}

/// Runs any SQL.
pub async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|error| panic!("{error}: {sql:.200}"));
}
