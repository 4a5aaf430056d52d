//! An S3 server in this process: the real protocol, signatures included, on a folder.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use sexton::{
    secret::Secret,
    vault::{Options, S3Options, Vault},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running server with one bucket; it ends when dropped.
pub struct S3 {
    folder: tempfile::TempDir,
    port: u16,
    task: JoinHandle<()>,
    /// How many of the next connections are closed before a word.
    refuse: Arc<AtomicU32>,
}

const KEY: &str = "AKTEST";
const SECRET: &str = "very-secret-key";
/// Its one bucket.
pub const BUCKET: &str = "backups";

impl S3 {
    /// Starts one.
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("a store"));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let refuse = Arc::new(AtomicU32::new(0));
        let refusing = refuse.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    continue;
                }
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { folder, port, task, refuse }
    }

    /// A vault on its bucket, below `prefix`, with the right key or another one.
    pub fn vault(&self, prefix: &str, right: bool) -> Vault {
        let secret = if right { SECRET } else { "another-secret-key" };
        Vault::new(
            "main",
            Options::S3(S3Options {
                bucket: BUCKET.to_owned(),
                prefix: prefix.to_owned(),
                region: Some("us-west-2".to_owned()),
                endpoint: Some(self.endpoint()),
                path_style: true,
                credentials: Some((Secret::new(KEY), Secret::new(secret))),
                storage_class: None,
            }),
        )
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
