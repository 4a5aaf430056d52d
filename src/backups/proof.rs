//! What one look at a backup found, as it lies beside the backup.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    manifest::small,
    name::{Beside, Stem, Verdict},
};
use crate::{outcome::Failure, vault::Vault};

/// The format that this binary writes and reads.
const FORMAT: u32 = 1;

/// What one look found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Which shape this is.
    pub format: u32,
    /// The backup.
    pub backup: String,
    /// When the look ended.
    pub at: DateTime<Utc>,
    /// The run that looked.
    pub run: Uuid,
    /// What it found.
    pub verdict: Verdict,
    /// Why it is not proven, where it is not.
    pub why: Option<String>,
    /// What to do about it.
    #[serde(default)]
    pub help: Option<String>,
    /// Where the copy is not what it should be.
    #[serde(default)]
    pub differences: Vec<String>,
    /// Where it was restored.
    #[serde(default)]
    pub place: Option<String>,
    /// Seconds from the first byte that was read to the last index: how long a restore takes.
    #[serde(default)]
    pub restore_seconds: Option<f64>,
    /// Seconds that comparing took.
    #[serde(default)]
    pub compare_seconds: Option<f64>,
    /// Tables that were compared.
    #[serde(default)]
    pub tables: u64,
    /// Rows that were compared.
    #[serde(default)]
    pub rows: i64,
    /// What the data set's checks found in the copy.
    #[serde(default)]
    pub checks: Option<Value>,
    /// What amcheck found in the copy, or why it was not run.
    #[serde(default)]
    pub amcheck: Option<String>,
}

impl Proof {
    /// A look that has found nothing yet.
    pub(super) fn new(stem: &Stem, run: Uuid) -> Self {
        Self {
            format: FORMAT,
            backup: stem.to_string(),
            at: Utc::now(),
            run,
            verdict: Verdict::Failed,
            why: None,
            help: None,
            differences: Vec::new(),
            place: None,
            restore_seconds: None,
            compare_seconds: None,
            tables: 0,
            rows: 0,
            checks: None,
            amcheck: None,
        }
    }

    /// Puts it beside the backup.
    pub(super) async fn write(&self, vault: &Vault, stem: &Stem) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::never(format!("the proof cannot be written: {error}")))?;
        vault.put_new(&stem.proof(self.at, self.run, self.verdict), text).await?;
        Ok(())
    }

    /// The newest one of a backup, read from the keys that a listing gave.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn newest(vault: &Vault, keys: &[String]) -> Result<Option<Self>, Failure> {
        let proofs = keys.iter().filter_map(|key| match Beside::of_rest(Stem::of_key(key)?.1)? {
            Beside::Proof(at, _) => Some((at, key)),
            Beside::Manifest | Beside::Hold => None,
        });
        let Some((_, key)) = proofs.max() else { return Ok(None) };
        let proof = serde_json::from_slice(&small(vault, key).await?);
        proof.map(Some).map_err(|error| Failure::never(format!("vault `{}`: {key}: {error}", vault.name())))
    }
}
