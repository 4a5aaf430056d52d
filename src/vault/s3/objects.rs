//! Whole objects in a bucket: writing a small one, looking, listing, removing.

use aws_sdk_s3::primitives::ByteStream;
use chrono::{DateTime, Utc};
use tokio::io::AsyncReadExt;

use super::{S3, refused::refusal};
use crate::vault::{Kind, Object, VaultError};

impl S3 {
    pub(in crate::vault) async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), VaultError> {
        let put = self
            .client()
            .await
            .put_object()
            .bucket(&self.options.bucket)
            .key(self.key(key))
            .if_none_match("*")
            .set_storage_class(self.options.storage_class())
            .set_server_side_encryption(self.options.sse())
            .set_ssekms_key_id(self.options.kms_key_id.clone())
            .set_checksum_algorithm(self.options.checksums().algorithm())
            .body(ByteStream::from(bytes.clone()))
            .send()
            .await;
        let Err(error) = put else { return Ok(()) };
        let error = self.error("writing", key, refusal(&error));
        // A try whose answer was lost makes the next one find its own object, and the last one may have been lost, too.
        if matches!(error.kind, Kind::Exists | Kind::Passing) && self.is(key, &bytes).await {
            return Ok(());
        }
        Err(error)
    }

    /// Whether just these bytes are there.
    async fn is(&self, key: &str, bytes: &[u8]) -> bool {
        let Ok(body) = self.open_at(key, 0).await else { return false };
        let mut there = Vec::new();
        let read = body.take(bytes.len() as u64 + 1).read_to_end(&mut there).await;
        read.is_ok() && there == bytes
    }

    pub(in crate::vault) async fn head(&self, key: &str) -> Result<Option<Object>, VaultError> {
        let seen = self.client().await.head_object().bucket(&self.options.bucket).key(self.key(key)).send().await;
        match seen {
            Ok(seen) => Ok(Some(Object {
                key: key.to_owned(),
                bytes: seen.content_length.map_or(0, i64::unsigned_abs),
                modified: seen.last_modified.and_then(instant),
            })),
            Err(error) => match self.error("looking at", key, refusal(&error)) {
                missing if missing.kind == Kind::Missing => Ok(None),
                error => Err(error),
            },
        }
    }

    pub(in crate::vault) async fn list(&self, prefix: &str) -> Result<Vec<Object>, VaultError> {
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
                    modified: object.last_modified.and_then(instant),
                });
            }
        }
        Ok(objects)
    }

    pub(in crate::vault) async fn delete(&self, key: &str) -> Result<(), VaultError> {
        self.remove(key, None).await.map_err(|refused| self.error("removing", key, refused))
    }
}

/// The SDK's instant as everybody else's; S3 tells whole seconds.
pub(super) fn instant(at: aws_sdk_s3::primitives::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), 0)
}
