//! Removing an object so that it is gone: with its versions, its delete markers and its unfinished uploads.

use super::{
    S3,
    refused::{Refusal, refusal},
};
use crate::vault::{Kind, VaultError};

/// How often it is looked whether all is gone.
const ROUNDS: u32 = 3;

/// What a bucket keeps under a name.
struct Kept {
    id: String,
    /// Whether it has bytes, and not just says that there are none any more.
    object: bool,
}

impl S3 {
    pub(in crate::vault) async fn erase(&self, key: &str) -> Result<(), VaultError> {
        self.abort_uploads_of(key).await?;
        let mut kept = self.kept(key).await?;
        // Nothing is removed unless everything may be.
        for version in kept.iter().flatten().filter(|version| version.object) {
            self.refuse_locked(key, Some(&version.id)).await?;
        }
        for round in 1..=ROUNDS {
            match &kept {
                None => self.remove_unlocked(key, None).await?,
                Some(versions) => {
                    for version in versions {
                        self.remove_unlocked(key, Some(&version.id)).await?;
                    }
                }
            }
            kept = self.kept(key).await?;
            if kept.iter().flatten().next().is_none() && self.head(key).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(self.limits.pause_after(round)).await;
        }
        let versions = kept.map_or(0, |versions| versions.len());
        let why = format!("the service says that it is gone, but it is still there ({versions} versions)");
        Err(self.error("erasing", key, Refusal::passing(why)))
    }

    async fn remove_unlocked(&self, key: &str, version: Option<&str>) -> Result<(), VaultError> {
        let Err(refused) = self.remove(key, version).await else { return Ok(()) };
        if refused.kind == Kind::Missing {
            return Ok(());
        }
        // Services have many words for a lock.
        if refused.kind == Kind::Refused {
            self.refuse_locked(key, version).await?;
        }
        Err(self.error("erasing", key, refused))
    }

    /// Removes an object, or one version of it.
    pub(super) async fn remove(&self, key: &str, version: Option<&str>) -> Result<(), Refusal> {
        let delete = self.client().await.delete_object().bucket(&self.options.bucket).key(self.key(key));
        let deleted = delete.set_version_id(version.map(str::to_owned)).send().await;
        deleted.map(drop).map_err(|error| refusal(&error))
    }

    /// All that the bucket keeps under this name; `None` where the service keeps no versions.
    async fn kept(&self, key: &str) -> Result<Option<Vec<Kept>>, VaultError> {
        let full = self.key(key);
        let listing = self.client().await.list_object_versions().bucket(&self.options.bucket).prefix(&full);
        let (mut found, mut from) = (Vec::new(), (None, None));
        loop {
            let page = listing.clone().set_key_marker(from.0).set_version_id_marker(from.1).send().await;
            let page = match page.map_err(|error| refusal(&error)) {
                Ok(page) => page,
                Err(refused) if refused.unsupported => return Ok(None),
                Err(refused) => return Err(self.error("listing the versions of", key, refused)),
            };
            let own = |named: &Option<String>| named.as_deref() == Some(full.as_str());
            let versions = page.versions.unwrap_or_default().into_iter().filter(|version| own(&version.key));
            let ids = versions.filter_map(|version| version.version_id);
            found.extend(ids.map(|id| Kept { id, object: true }));
            let markers = page.delete_markers.unwrap_or_default().into_iter().filter(|marker| own(&marker.key));
            let ids = markers.filter_map(|marker| marker.version_id);
            found.extend(ids.map(|id| Kept { id, object: false }));
            // Other names that only begin alike come after this one.
            let past = page.next_key_marker.as_ref().is_none_or(|next| *next > full);
            if page.is_truncated != Some(true) || past {
                return Ok(Some(found));
            }
            from = (page.next_key_marker, page.next_version_id_marker);
        }
    }
}
