//! Uploads that nobody finished: no listing shows them, and they cost.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{S3, objects::instant, refused::refusal};
use crate::vault::{Kind, VaultError};

/// An upload that was begun and not ended.
struct Unfinished {
    /// The full key.
    key: String,
    id: String,
    begun: Option<DateTime<Utc>>,
}

impl S3 {
    /// Gives up those whose key contains `mark`.
    pub(in crate::vault) async fn sweep(&self, prefix: &str, mark: &str) -> Result<u64, VaultError> {
        let found = self.unfinished(prefix).await?;
        self.abort_all(found.into_iter().filter(|upload| upload.key.contains(mark))).await
    }

    /// Gives up those of one object.
    pub(super) async fn abort_uploads_of(&self, key: &str) -> Result<u64, VaultError> {
        let (full, found) = (self.key(key), self.unfinished(key).await?);
        self.abort_all(found.into_iter().filter(|upload| upload.key == full)).await
    }

    /// Gives up those that nobody has written to since `before`.
    pub(in crate::vault) async fn janitor(&self, prefix: &str, older_than: Duration) -> Result<u64, VaultError> {
        let Some(before) =
            chrono::Duration::from_std(older_than).ok().and_then(|age| Utc::now().checked_sub_signed(age))
        else {
            return Ok(0);
        };
        let mut old = Vec::new();
        for upload in self.unfinished(prefix).await? {
            // Without a date it may be young. With one, it may still be written to.
            if upload.begun.is_some_and(|begun| begun < before) && !self.written_since(&upload, before).await? {
                old.push(upload);
            }
        }
        self.abort_all(old).await
    }

    /// Whether a part came since then.
    async fn written_since(&self, upload: &Unfinished, since: DateTime<Utc>) -> Result<bool, VaultError> {
        let client = self.client().await;
        let listing = client.list_parts().bucket(&self.options.bucket).key(&upload.key).upload_id(&upload.id);
        let mut pages = listing.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| refusal(&error)) {
                Ok(page) => page,
                // Somebody else has just ended it.
                Err(refused) if refused.kind == Kind::Missing => return Ok(true),
                Err(refused) => return Err(self.full_error("listing the parts of", &upload.key, refused)),
            };
            let dates = page.parts.unwrap_or_default().into_iter().filter_map(|part| part.last_modified);
            if dates.filter_map(instant).any(|at| at >= since) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn abort_all(&self, uploads: impl IntoIterator<Item = Unfinished>) -> Result<u64, VaultError> {
        let mut aborted = 0;
        for upload in uploads {
            self.abort(&upload.key, &upload.id).await?;
            aborted += 1;
        }
        Ok(aborted)
    }

    /// Gives up an upload, by its full key; one that is gone is fine.
    pub(super) async fn abort(&self, full: &str, id: &str) -> Result<(), VaultError> {
        let abort = self.client().await.abort_multipart_upload().bucket(&self.options.bucket).key(full).upload_id(id);
        match abort.send().await.map_err(|error| refusal(&error)) {
            Ok(_) => Ok(()),
            Err(refused) if refused.kind == Kind::Missing => Ok(()),
            Err(refused) => Err(self.full_error("giving up", full, refused)),
        }
    }

    /// All unfinished uploads of keys that start with `prefix`.
    async fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, VaultError> {
        let client = self.client().await;
        let listing = client.list_multipart_uploads().bucket(&self.options.bucket).prefix(self.key(prefix));
        let (mut found, mut from) = (Vec::new(), (None, None));
        loop {
            let page = listing.clone().set_key_marker(from.0).set_upload_id_marker(from.1).send().await;
            let page = match page.map_err(|error| refusal(&error)) {
                Ok(page) => page,
                // Not every service can list them; the bucket's lifecycle rule ends them there.
                Err(refused) if refused.unsupported => return Ok(found),
                Err(refused) => return Err(self.error("listing unfinished uploads of", prefix, refused)),
            };
            for upload in page.uploads.unwrap_or_default() {
                let (Some(key), Some(id)) = (upload.key, upload.upload_id) else { continue };
                found.push(Unfinished { key, id, begun: upload.initiated.and_then(instant) });
            }
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(found);
            }
            from = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}
