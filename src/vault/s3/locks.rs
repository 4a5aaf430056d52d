//! Object lock: what nobody may remove before a date.

use aws_sdk_s3::{
    primitives::DateTime as SdkTime,
    types::{ObjectLockEnabled, ObjectLockLegalHoldStatus, ObjectLockRetention, ObjectLockRetentionMode},
};
use chrono::{DateTime, SubsecRound, Utc};

use super::{
    S3,
    objects::instant,
    refused::{Refusal, refusal},
};
use crate::vault::{Kind, LockMode, VaultError};

/// How an object is locked.
#[derive(Debug, Default)]
struct Lock {
    version: Option<String>,
    mode: Option<ObjectLockRetentionMode>,
    until: Option<DateTime<Utc>>,
    /// A legal hold has no end.
    held: bool,
}

impl Lock {
    fn until(&self) -> Option<DateTime<Utc>> {
        if self.held { Some(DateTime::<Utc>::MAX_UTC) } else { self.until }
    }

    fn says(&self) -> String {
        match (&self.mode, self.until) {
            _ if self.held => "a legal hold protects it until somebody lifts it".to_owned(),
            (Some(mode), Some(until)) => {
                let mode = mode.as_str().to_lowercase();
                format!("a {mode} lock protects it until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))
            }
            _ => "it is not locked".to_owned(),
        }
    }
}

impl S3 {
    pub(in crate::vault) async fn can_lock(&self) -> Result<bool, VaultError> {
        let asked = self.client().await.get_object_lock_configuration().bucket(&self.options.bucket).send().await;
        match asked.map_err(|error| refusal(&error)) {
            Ok(found) => {
                let enabled = found.object_lock_configuration.and_then(|found| found.object_lock_enabled);
                Ok(enabled == Some(ObjectLockEnabled::Enabled))
            }
            Err(refused) if refused.unsupported || refused.kind == Kind::Missing => Ok(false),
            Err(refused) => Err(self.error("asking for the object lock of", "", refused)),
        }
    }

    pub(in crate::vault) async fn locked_until(&self, key: &str) -> Result<Option<DateTime<Utc>>, VaultError> {
        Ok(self.lock_of(key, None).await?.until())
    }

    /// Sets a lock or makes it longer; one that is longer or stricter stays.
    pub(in crate::vault) async fn lock(
        &self,
        key: &str,
        mode: LockMode,
        until: DateTime<Utc>,
    ) -> Result<(), VaultError> {
        // Services keep whole seconds, and a lock must not end early.
        let until = until.trunc_subsecs(0) + chrono::Duration::seconds(i64::from(until != until.trunc_subsecs(0)));
        let now = self.lock_of(key, None).await?;
        let strict = mode == LockMode::Compliance || now.mode == Some(ObjectLockRetentionMode::Compliance);
        let mode = if strict { ObjectLockRetentionMode::Compliance } else { ObjectLockRetentionMode::Governance };
        let longest = now.until.map_or(until, |now| now.max(until));
        if now.mode.as_ref() == Some(&mode) && now.until == Some(longest) {
            return Ok(());
        }
        let retention =
            ObjectLockRetention::builder().mode(mode).retain_until_date(SdkTime::from_secs(longest.timestamp()));
        let client = self.client().await;
        let put = client.put_object_retention().bucket(&self.options.bucket).key(self.key(key));
        put.set_version_id(now.version.clone())
            .retention(retention.build())
            .send()
            .await
            .map_err(|error| self.error("locking", key, refusal(&error)))?;
        let seen = self.lock_of(key, now.version.as_deref()).await?;
        if seen.until.is_some_and(|seen| seen >= longest) {
            return Ok(());
        }
        let why = format!("the service says that it is locked until {longest}, but shows this: {}", seen.says());
        let mut refused = Refusal::passing(why);
        refused.kind = Kind::Refused;
        refused.help = Some("allow the vault's user s3:GetObjectRetention, and see that the bucket has object lock");
        Err(self.error("locking", key, refused))
    }

    /// Fails if the object, or this version of it, is locked.
    pub(super) async fn refuse_locked(&self, key: &str, version: Option<&str>) -> Result<(), VaultError> {
        let lock = self.lock_of(key, version).await;
        // What is gone is not locked.
        let Ok(lock) = lock else { return lock.map(drop).or_else(missing) };
        if lock.until().is_none_or(|until| until <= Utc::now()) {
            return Ok(());
        }
        let mut refused = Refusal::passing(lock.says());
        refused.kind = Kind::Locked;
        refused.help =
            Some("wait until then; only a governance lock can be lifted before, and only by a person who may");
        Err(self.error("erasing", key, refused))
    }

    /// The lock of an object, or of one version of it; services show it without a call of its own.
    async fn lock_of(&self, key: &str, version: Option<&str>) -> Result<Lock, VaultError> {
        let head = self.client().await.head_object().bucket(&self.options.bucket).key(self.key(key));
        let seen = head.set_version_id(version.map(str::to_owned)).send().await;
        let seen = seen.map_err(|error| self.error("looking for the lock of", key, refusal(&error)))?;
        Ok(Lock {
            version: seen.version_id.filter(|id| id != "null"),
            mode: seen.object_lock_mode.map(|mode| ObjectLockRetentionMode::from(mode.as_str())),
            until: seen.object_lock_retain_until_date.and_then(instant),
            held: seen.object_lock_legal_hold_status == Some(ObjectLockLegalHoldStatus::On),
        })
    }
}

fn missing(error: VaultError) -> Result<(), VaultError> {
    if error.kind == Kind::Missing { Ok(()) } else { Err(error) }
}
