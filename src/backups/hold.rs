//! Holds: a backup that somebody holds stays, whatever the plan says.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{manifest::small, name::Stem};
use crate::{
    outcome::Failure,
    vault::{Kind, Vault},
};

/// The format that this binary writes and reads.
const FORMAT: u32 = 1;

/// Who holds a backup, and why. It lies beside the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which shape this is.
    pub format: u32,
    /// The backup.
    pub backup: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Until when; for good without it.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

impl Hold {
    /// A hold that begins now.
    pub fn new(stem: &Stem, by: &str, reason: &str, until: Option<DateTime<Utc>>) -> Self {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        Self { format: FORMAT, backup: stem.to_string(), by, reason, at: Utc::now(), until }
    }

    /// Whether it counts at this time.
    pub fn holds_at(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// In a few words.
    pub fn words(&self) -> String {
        let until = self.until.map(|at| at.format(" until %Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
        format!("held by {}{until}: {}", self.by, self.reason)
    }

    /// Reads one. What is no hold that this version understands holds for good: somebody wanted the backup to stay.
    pub(super) async fn read(vault: &Vault, stem: &Stem) -> Result<Self, Failure> {
        let text = small(vault, &stem.hold()).await?;
        Ok(serde_json::from_slice(&text).unwrap_or_else(|error| Self {
            format: FORMAT,
            backup: stem.to_string(),
            by: "somebody".to_owned(),
            reason: format!("{} cannot be read: {error}", stem.hold()),
            at: stem.taken_at,
            until: None,
        }))
    }

    /// Puts it beside its backup, in place of the one that is there.
    ///
    /// # Errors
    /// When the vault refuses, or when somebody else puts one there at the same time.
    pub async fn write(&self, vault: &Vault, stem: &Stem) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::never(format!("the hold cannot be written: {error}")))?;
        match vault.put_new(&stem.hold(), text.clone()).await {
            Err(error) if error.kind == Kind::Exists => {
                vault.delete(&stem.hold()).await?;
                vault.put_new(&stem.hold(), text).await?;
            }
            written => written?,
        }
        Ok(())
    }

    /// Ends the hold of a backup. Its object's old versions go with the backup.
    ///
    /// # Errors
    /// When the vault refuses.
    pub async fn release(vault: &Vault, stem: &Stem) -> Result<(), Failure> {
        Ok(vault.delete(&stem.hold()).await?)
    }
}
