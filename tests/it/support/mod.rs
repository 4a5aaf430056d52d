//! The bench that every integration test stands on: a real PostgreSQL, a database of its own for each test, the
//! real binary as a child, and ways to break the wire between them.
#![allow(dead_code, unused_imports)]

mod daemon;
mod database;
mod keeper;
mod own_cluster;
mod proxy;

use std::{
    future::Future,
    time::{Duration, Instant},
};

pub use daemon::{Daemon, Ended, Site};
pub use database::Database;
pub use own_cluster::{OwnCluster, own_cluster};
pub use proxy::{Proxy, Wire};

/// How long a test waits for anything before it fails.
pub const BOUND: Duration = Duration::from_secs(20);

/// Waits for a state that has no event: calls `look` until it gives something, at most [`BOUND`].
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < BOUND, "waited {} s in vain: {what}", BOUND.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A folder that the server's user may enter, also when the tests run as root.
pub fn open_folder(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("chmod");
    folder
}
