//! An S3 server in this process: the real protocol, signatures included, on a folder.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use sexton::{
    secret::Secret,
    vault::{Limits, Options, S3Options, Vault},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::faulty::Faults;

/// A running server with one bucket; it ends when dropped.
pub struct S3 {
    folder: tempfile::TempDir,
    port: u16,
    task: JoinHandle<()>,
    /// How many of the next connections are closed before a word.
    refuse: Arc<AtomicU32>,
    /// What goes wrong with its calls.
    pub faults: Faults,
}

/// Patience for tests in which a call is never answered.
pub fn hasty() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        attempt: Duration::from_secs(5),
        call: Duration::from_secs(20),
        stall: Duration::from_secs(2),
        tries: 3,
        pause: Duration::from_millis(10),
        slowest: 1 << 20,
        part: 5 << 20,
        ..Limits::default()
    }
}

const KEY: &str = "AKTEST";
const SECRET: &str = "very-secret-key";
/// Its one bucket.
pub const BUCKET: &str = "backups";

impl S3 {
    /// Starts one.
    pub async fn start() -> Self {
        super::tls();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("a store"));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let refuse = Arc::new(AtomicU32::new(0));
        let refusing = refuse.clone();
        let faults = Faults::default();
        let failing = faults.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    continue;
                }
                let (service, faults) = (service.clone(), failing.clone());
                let service = service_fn(move |request| faults.clone().answer(service.clone(), request));
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { folder, port, task, refuse, faults }
    }

    /// A vault on its bucket, below `prefix`, with the right key or another one.
    pub fn vault(&self, prefix: &str, right: bool) -> Vault {
        let secret = if right { SECRET } else { "another-secret-key" };
        let credentials = Some((Secret::new(KEY), Secret::new(secret)));
        let options = S3Options { prefix: prefix.to_owned(), credentials, ..self.options() };
        Vault::new("main", Options::S3(options))
    }

    /// How to use its bucket.
    pub fn options(&self) -> S3Options {
        S3Options {
            bucket: BUCKET.to_owned(),
            region: Some("us-west-2".to_owned()),
            endpoint: Some(self.endpoint()),
            path_style: true,
            credentials: Some((Secret::new(KEY), Secret::new(SECRET))),
            ..S3Options::default()
        }
    }

    /// A vault on its bucket that loses its patience soon, and sends parts as small as S3 allows.
    pub fn hasty(&self) -> Vault {
        Vault::new("main", Options::S3(self.options())).with_limits(hasty())
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where an object's bytes are.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    /// Closes the next `count` connections before a word.
    pub fn refuse(&self, count: u32) {
        self.refuse.store(count, Ordering::SeqCst);
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}
