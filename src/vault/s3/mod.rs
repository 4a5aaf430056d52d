//! A vault in an S3 bucket, or in anything that speaks S3.
//!
//! An object is a multipart upload, so that its size need not be known and nothing is seen before its end.

use std::{fmt, sync::Arc};

use aws_sdk_s3::Client;
use tokio::sync::OnceCell;

use super::{Limits, VaultError, shell_word};

mod client;
mod erase;
mod locks;
mod objects;
mod options;
mod part;
mod read;
mod refused;
mod unfinished;
mod upload;

pub use options::{Checksums, S3Options};
use refused::Refusal;
pub(super) use upload::Writing;

/// A bucket, or the part of it below a prefix.
#[derive(Debug, Clone)]
pub(super) struct S3 {
    name: String,
    options: Arc<S3Options>,
    pub(super) limits: Limits,
    client: Arc<OnceCell<Client>>,
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.options.bucket, self.options.prefix)?;
        self.options.endpoint.as_ref().map_or(Ok(()), |endpoint| write!(f, " at {endpoint}"))
    }
}

impl S3 {
    pub(super) fn new(name: String, options: S3Options) -> Self {
        Self { name, options: Arc::new(options), limits: Limits::default(), client: Arc::default() }
    }

    /// The client; credentials are looked for when it is first used.
    async fn client(&self) -> &Client {
        self.client.get_or_init(|| client::connect(&self.options, &self.limits)).await
    }

    pub(super) fn read_command(&self, key: &str) -> String {
        let url = format!("s3://{}/{}", self.options.bucket, self.key(key));
        let endpoint = self.options.endpoint.as_ref().map(|url| format!(" --endpoint-url {}", shell_word(url)));
        format!("aws s3 cp{} {} -", endpoint.unwrap_or_default(), shell_word(&url))
    }

    pub(super) fn copy_command(&self, prefix: &str, into: &str) -> String {
        let url = format!("s3://{}/{}", self.options.bucket, self.key(prefix));
        let endpoint = self.options.endpoint.as_ref().map(|url| format!(" --endpoint-url {}", shell_word(url)));
        format!("aws s3 cp --recursive{} {} {}", endpoint.unwrap_or_default(), shell_word(&url), shell_word(into))
    }

    /// The full key in the bucket.
    fn key(&self, key: &str) -> String {
        if self.options.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.options.prefix) }
    }

    /// A full key without the vault's prefix.
    fn own<'a>(&self, full: &'a str) -> Option<&'a str> {
        if self.options.prefix.is_empty() {
            return Some(full);
        }
        full.strip_prefix(&self.options.prefix)?.strip_prefix('/')
    }

    fn error(&self, doing: &str, key: &str, refused: Refusal) -> VaultError {
        self.full_error(doing, &self.key(key), refused)
    }

    /// The same with a key that has the vault's prefix already.
    fn full_error(&self, doing: &str, full: &str, refused: Refusal) -> VaultError {
        refused.error(&self.name, doing, &self.options.bucket, full)
    }
}
