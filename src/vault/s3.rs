//! A vault in an S3 bucket, or in anything that speaks S3.
//!
//! An object is a multipart upload, so that its size need not be known and nothing is seen before its end. Memory is
//! bounded: a few parts in flight and no more.

use std::{fmt, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, StorageClass},
};
use aws_smithy_http_client::{Builder as HttpClient, tls};
use chrono::DateTime;
use tokio::{sync::OnceCell, task::JoinSet, time::timeout};

use super::{Body, Kind, Object, VaultError, shell_word};
use crate::secret::Secret;

mod refused;

use refused::{Refusal, refusal};

/// Where a bucket is and how to use it.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// What all keys start with, without a `/` at its ends; may be empty.
    pub prefix: String,
    /// The region; without it, the one that the AWS SDK finds, else `us-east-1`.
    pub region: Option<String>,
    /// The URL of a service that is not AWS.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the path and not in the host name.
    pub path_style: bool,
    /// Key id and secret; without them, the credentials that the AWS SDK finds.
    pub credentials: Option<(Secret, Secret)>,
    /// `STANDARD_IA` and the like.
    pub storage_class: Option<String>,
}

#[derive(Debug)]
pub(super) struct S3 {
    name: String,
    options: S3Options,
    client: OnceCell<Client>,
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.options.bucket, self.options.prefix)?;
        self.options.endpoint.as_ref().map_or(Ok(()), |endpoint| write!(f, " at {endpoint}"))
    }
}

const MIB: u64 = 1024 * 1024;
/// S3 takes 10,000 parts an object; the rest is left for an estimate that was too low.
const PARTS: u64 = 9_000;
/// How long one try of a small call may take.
const TRY: Duration = Duration::from_secs(60);
/// How long a small call may take with all its tries.
const CALL: Duration = Duration::from_secs(240);
/// The slowest upload that is waited for, in bytes a second.
const SLOWEST: u64 = 256 * 1024;

/// An upload in the making.
#[derive(Debug)]
pub(super) struct Writing {
    at: Place,
    estimate: u64,
    buffer: Vec<u8>,
    sent: u64,
    next: i32,
    flying: JoinSet<Result<CompletedPart, VaultError>>,
    parts: Vec<CompletedPart>,
    ended: bool,
}

/// One upload on the server.
#[derive(Debug, Clone)]
struct Place {
    client: Client,
    vault: String,
    bucket: String,
    key: String,
    upload: String,
    /// Whether parts carry a checksum of their own; the signature covers them anyway.
    checksums: bool,
}

impl S3 {
    pub(super) fn new(name: String, options: S3Options) -> Self {
        Self { name, options, client: OnceCell::new() }
    }

    /// The client; credentials are looked for when it is first used.
    async fn client(&self) -> &Client {
        self.client.get_or_init(|| connect(&self.options)).await
    }

    pub(super) async fn create(&self, key: &str, estimate: u64) -> Result<Writing, VaultError> {
        let client = self.client().await;
        let checksums = self.options.endpoint.is_none();
        let begun = client
            .create_multipart_upload()
            .bucket(&self.options.bucket)
            .key(self.key(key))
            .content_type("application/octet-stream")
            .set_storage_class(self.storage_class())
            .set_checksum_algorithm(checksums.then_some(ChecksumAlgorithm::Sha256))
            .send()
            .await
            .map_err(|error| self.error("beginning", key, refusal(&error)))?;
        let Some(upload) = begun.upload_id else {
            return Err(self.error("beginning", key, Refusal::passing("the answer has no upload id")));
        };
        let at = Place {
            client: client.clone(),
            vault: self.name.clone(),
            bucket: self.options.bucket.clone(),
            key: self.key(key),
            upload,
            checksums,
        };
        let (flying, parts) = (JoinSet::new(), Vec::new());
        Ok(Writing { at, estimate, buffer: Vec::new(), sent: 0, next: 1, flying, parts, ended: false })
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), VaultError> {
        let put = self
            .client()
            .await
            .put_object()
            .bucket(&self.options.bucket)
            .key(self.key(key))
            .if_none_match("*")
            .set_storage_class(self.storage_class())
            .body(ByteStream::from(bytes.clone()))
            .send()
            .await;
        let Err(error) = put else { return Ok(()) };
        let error = self.error("writing", key, refusal(&error));
        // A try whose answer was lost makes the next one find its own object.
        if error.kind == Kind::Exists && self.is(key, &bytes).await {
            return Ok(());
        }
        Err(error)
    }

    async fn is(&self, key: &str, bytes: &[u8]) -> bool {
        let Ok(mut body) = self.get(key).await else { return false };
        let mut there = Vec::new();
        let read = timeout(TRY, tokio::io::AsyncReadExt::read_to_end(&mut body, &mut there)).await;
        matches!(read, Ok(Ok(_))) && there == bytes
    }

    pub(super) async fn get(&self, key: &str) -> Result<Body, VaultError> {
        let got = self.client().await.get_object().bucket(&self.options.bucket).key(self.key(key)).send().await;
        let got = got.map_err(|error| self.error("reading", key, refusal(&error)))?;
        Ok(Box::pin(got.body.into_async_read()))
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Object>, VaultError> {
        let seen = self.client().await.head_object().bucket(&self.options.bucket).key(self.key(key)).send().await;
        match seen {
            Ok(seen) => Ok(Some(Object {
                key: key.to_owned(),
                bytes: seen.content_length.map_or(0, i64::unsigned_abs),
                modified: seen.last_modified.and_then(|at| DateTime::from_timestamp(at.secs(), 0)),
            })),
            Err(error) => match self.error("looking at", key, refusal(&error)) {
                missing if missing.kind == Kind::Missing => Ok(None),
                error => Err(error),
            },
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Object>, VaultError> {
        let full = self.key(prefix);
        let listing = self.client().await.list_objects_v2().bucket(&self.options.bucket).prefix(&full);
        let mut pages = listing.into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("listing", prefix, refusal(&error)))?;
            for object in page.contents.unwrap_or_default() {
                let Some(key) = object.key.as_deref().and_then(|key| self.own(key)) else { continue };
                objects.push(Object {
                    key: key.to_owned(),
                    bytes: object.size.map_or(0, i64::unsigned_abs),
                    modified: object.last_modified.and_then(|at| DateTime::from_timestamp(at.secs(), 0)),
                });
            }
        }
        Ok(objects)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), VaultError> {
        let deleted = self.client().await.delete_object().bucket(&self.options.bucket).key(self.key(key)).send().await;
        deleted.map(drop).map_err(|error| self.error("removing", key, refusal(&error)))
    }

    pub(super) async fn sweep(&self, prefix: &str, mark: &str) -> Result<u64, VaultError> {
        let client = self.client().await;
        let listing = client.list_multipart_uploads().bucket(&self.options.bucket).prefix(self.key(prefix));
        let (mut removed, mut from) = (0, (None, None));
        loop {
            let page = listing.clone().set_key_marker(from.0).set_upload_id_marker(from.1).send().await;
            let page = match page.map_err(|error| refusal(&error)) {
                Ok(page) => page,
                // Not every service can list them; the bucket's lifecycle rule ends them there.
                Err(refused) if refused.unsupported => return Ok(removed),
                Err(refused) => return Err(self.error("listing unfinished uploads of", prefix, refused)),
            };
            for upload in page.uploads.unwrap_or_default() {
                let (Some(key), Some(id)) = (upload.key, upload.upload_id) else { continue };
                if key.contains(mark) {
                    let abort = client.abort_multipart_upload().bucket(&self.options.bucket).key(&key).upload_id(id);
                    abort.send().await.map_err(|error| self.error("giving up", &key, refusal(&error)))?;
                    removed += 1;
                }
            }
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(removed);
            }
            from = (page.next_key_marker, page.next_upload_id_marker);
        }
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

    fn storage_class(&self) -> Option<StorageClass> {
        self.options.storage_class.as_deref().map(StorageClass::from)
    }

    fn error(&self, doing: &str, key: &str, refused: Refusal) -> VaultError {
        refused.error(&self.name, doing, &self.options.bucket, &self.key(key))
    }
}

impl Writing {
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), VaultError> {
        while !bytes.is_empty() {
            let size = part_size(self.estimate, self.sent, self.next);
            if self.buffer.capacity() == 0 {
                self.buffer.reserve_exact(size);
            }
            let (now, later) = bytes.split_at(bytes.len().min(size - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == size {
                self.send(if size as u64 > 64 * MIB { 2 } else { 4 }).await?;
            }
        }
        Ok(())
    }

    /// Sends the buffer as the next part, once fewer than `most` are in flight.
    async fn send(&mut self, most: usize) -> Result<(), VaultError> {
        while self.flying.len() >= most {
            self.landed().await?;
        }
        let (number, bytes) = (self.next, std::mem::take(&mut self.buffer));
        self.next += 1;
        self.sent += bytes.len() as u64;
        self.flying.spawn(part(self.at.clone(), number, bytes));
        Ok(())
    }

    async fn landed(&mut self) -> Result<(), VaultError> {
        match self.flying.join_next().await {
            None => {}
            Some(Ok(part)) => self.parts.push(part?),
            Some(Err(panic)) => return Err(self.at.error("writing", Refusal::passing(panic.to_string()))),
        }
        Ok(())
    }

    pub(super) async fn finish(mut self, bytes: u64) -> Result<(), VaultError> {
        if !self.buffer.is_empty() {
            self.send(4).await?;
        }
        while !self.flying.is_empty() {
            self.landed().await?;
        }
        self.parts.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.parts))).build();
        let at = self.at.clone();
        let completed = at
            .client
            .complete_multipart_upload()
            .bucket(&at.bucket)
            .key(&at.key)
            .upload_id(&at.upload)
            .multipart_upload(parts)
            .send()
            .await
            .map_err(|error| at.error("finishing", refusal(&error)));
        // Whatever the answer (it may have been lost), what is there decides.
        let seen = at.client.head_object().bucket(&at.bucket).key(&at.key).send().await;
        let there = seen.as_ref().ok().and_then(|seen| seen.content_length).map(i64::unsigned_abs);
        if there == Some(bytes) {
            self.ended = true;
            return Ok(());
        }
        let failed = match (completed, seen) {
            (Err(error), _) => error,
            (Ok(_), Err(error)) => at.error("looking at", refusal(&error)),
            (Ok(_), Ok(_)) => {
                let why = format!("{} bytes are there, {bytes} were sent", there.unwrap_or_default());
                at.error("finishing", Refusal::passing(why))
            }
        };
        let _ = self.abort().await;
        Err(failed)
    }

    pub(super) async fn abort(mut self) -> Result<(), VaultError> {
        self.ended = true;
        // A part that lands after the abort would stay for ever.
        self.flying.shutdown().await;
        self.at.abort().await
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.flying.abort_all();
        // What cannot be given up now is swept by the run's next attempt.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let at = self.at.clone();
            runtime.spawn(async move { timeout(TRY, at.abort()).await });
        }
    }
}

impl Place {
    async fn abort(&self) -> Result<(), VaultError> {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(&self.key).upload_id(&self.upload);
        match abort.send().await.map_err(|error| refusal(&error)) {
            Ok(_) => Ok(()),
            Err(refused) if refused.kind == Kind::Missing => Ok(()),
            Err(refused) => Err(self.error("giving up", refused)),
        }
    }

    fn error(&self, doing: &str, refused: Refusal) -> VaultError {
        refused.error(&self.vault, doing, &self.bucket, &self.key)
    }
}

/// Uploads one part.
async fn part(at: Place, number: i32, bytes: Vec<u8>) -> Result<CompletedPart, VaultError> {
    let patience = TRY + Duration::from_secs(bytes.len() as u64 / SLOWEST);
    let limits = TimeoutConfig::builder().operation_attempt_timeout(patience).operation_timeout(patience * 4).build();
    let sent = at
        .client
        .upload_part()
        .bucket(&at.bucket)
        .key(&at.key)
        .upload_id(&at.upload)
        .part_number(number)
        .set_checksum_algorithm(at.checksums.then_some(ChecksumAlgorithm::Sha256))
        .body(ByteStream::from(bytes))
        .customize()
        .config_override(Config::builder().timeout_config(limits))
        .send()
        .await
        .map_err(|error| at.error(&format!("writing part {number} of"), refusal(&error)))?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(sent.e_tag)
        .set_checksum_sha256(sent.checksum_sha256)
        .build())
}

/// The size of the next part, so that 10,000 of them hold the object. Past the estimate, parts grow.
fn part_size(estimate: u64, sent: u64, number: i32) -> usize {
    let size = (estimate / PARTS).clamp(8 * MIB, 512 * MIB);
    let grown = if sent > estimate { size << (number / 1_000).min(6) } else { size };
    usize::try_from(grown.min(512 * MIB)).unwrap_or(usize::MAX)
}

async fn connect(options: &S3Options) -> Client {
    let http = HttpClient::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    let limits = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(TRY)
        .operation_timeout(CALL)
        .build();
    let mut shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.build_https())
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(limits);
    if let Some(region) = &options.region {
        shared = shared.region(Region::new(region.clone()));
    }
    if let Some((id, secret)) = &options.credentials {
        shared = shared.credentials_provider(Credentials::new(id.reveal(), secret.reveal(), None, None, "sexton.toml"));
    }
    let shared = shared.load().await;
    let mut config = aws_sdk_s3::config::Builder::from(&shared).force_path_style(options.path_style);
    if shared.region().is_none() {
        config = config.region(Region::new("us-east-1"));
    }
    if let Some(endpoint) = &options.endpoint {
        // Not every service knows the checksums that AWS takes by default.
        config = config
            .endpoint_url(endpoint)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    Client::from_conf(config.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_any_object() {
        assert_eq!(part_size(0, 0, 1) as u64, 8 * MIB);
        assert_eq!(part_size(900 * 1024 * MIB, 0, 1) as u64, 900 * 1024 * MIB / PARTS);
        let held = |estimate: u64| (1..=10_000).fold(0, |sent, n| sent + part_size(estimate, sent, n) as u64);
        assert!(held(0) > 1024 * 1024 * MIB, "an unknown size reaches a tebibyte: {} MiB", held(0) / MIB);
        assert!(held(2 * 1024 * 1024 * MIB) > 2 * 1024 * 1024 * MIB);
    }
}
