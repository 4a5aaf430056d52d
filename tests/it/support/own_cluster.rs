//! A cluster of its own, for tests that kill PostgreSQL.

use std::path::Path;

use rustix::process::{Pid, Signal};
use sexton::{
    child::Spawner,
    db::{self, Login},
    embedded::{Cluster, Options},
    secret::Secret,
};
use sqlx::PgPool;

use super::open_folder;

/// A cluster that one test alone uses.
pub struct OwnCluster {
    cluster: Option<Cluster>,
    options: Options,
    spawner: Spawner,
    folder: tempfile::TempDir,
}

/// Starts one. `durable` for whoever kills it and wants its data back.
pub async fn own_cluster(durable: bool) -> OwnCluster {
    own_cluster_with(Options { max_connections: 50, ..super::options(durable) }).await
}

/// Starts one of any sort.
pub async fn own_cluster_with(options: Options) -> OwnCluster {
    let folder = open_folder("sexton-own-");
    let spawner = Spawner::start().expect("a spawner");
    let cluster = Cluster::start(folder.path(), &options, &spawner).await.expect("a cluster");
    OwnCluster { cluster: Some(cluster), options, spawner, folder }
}

impl OwnCluster {
    /// The running cluster.
    pub fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("it runs")
    }

    /// The folder of its socket, for a [`Proxy`](super::Proxy); it stays the same over restarts.
    pub fn socket_dir(&self) -> &Path {
        self.cluster().socket_dir()
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        self.folder.path()
    }

    /// A database with Sexton's schema; the URL stays right over restarts.
    pub async fn database(&self, name: &str) -> (String, PgPool) {
        self.cluster().create_database(name).await.expect("a database");
        let url = self.cluster().url(name);
        let login = Login::new(&Secret::new(url.clone()), None).expect("a login");
        let pool = db::queue_pool(&login, 6);
        db::migrate(&pool).await.expect("the schema");
        (url, pool)
    }

    /// kill -9 of the server, as by the OOM killer.
    pub fn kill_9(&self) {
        self.signal(Signal::KILL);
    }

    /// Any signal to the server: INT is a fast shutdown, QUIT an immediate one.
    pub fn signal(&self, signal: Signal) {
        let pid = self.cluster().pid().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        rustix::process::kill_process(pid, signal).expect("a signal");
    }

    /// Starts it again, after [`kill_9`](Self::kill_9) or to stop and start it.
    pub async fn restart(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.stop().await.expect("it stops");
        }
        self.cluster = Some(Cluster::start(self.folder.path(), &self.options, &self.spawner).await.expect("a restart"));
    }

    /// Stops it; [`restart`](Self::restart) brings it back.
    pub async fn stop(&mut self) {
        self.cluster.take().expect("it runs").stop().await.expect("it stops");
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("postgres.log")).unwrap_or_default()
    }
}
