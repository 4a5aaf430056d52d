//! Which backups a vault has, and in which state each is: from one listing of its keys.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::name::{Beside, METADATA, Stem, Verdict};
use crate::vault::{Object, Vault, VaultError};

/// One backup, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub stem: Stem,
    /// All its objects with what is beside them: what deleting it deletes.
    pub keys: Vec<String>,
    /// Bytes of its dump and globals, as they are stored.
    pub bytes: u64,
    /// What the newest look found, and when; nobody has looked: none.
    pub verdict: Option<(DateTime<Utc>, Verdict)>,
    /// Whether somebody holds it.
    pub held: bool,
}

impl Entry {
    /// Whether it was restored and was equal, in whole or in part.
    pub fn is_proven(&self) -> bool {
        matches!(self.verdict, Some((_, Verdict::Proven | Verdict::Sampled)))
    }

    /// The word for its state.
    pub fn state(&self) -> &'static str {
        match self.verdict {
            None => "stored",
            Some((_, Verdict::Proven)) => "proven",
            Some((_, Verdict::Sampled)) => "sampled",
            Some((_, Verdict::Verified)) => "verified",
            Some((_, Verdict::Failed)) => "failed",
        }
    }
}

/// All backups in a vault, or all of this name, the newest first. What has no manifest does not exist.
///
/// # Errors
/// When the vault cannot be listed.
pub async fn shelf(vault: &Vault, name: Option<&str>) -> Result<Vec<Entry>, VaultError> {
    let prefix = name.map(|name| format!("{name}_backup_")).unwrap_or_default();
    let mut objects = vault.list(&format!("{METADATA}{prefix}")).await?;
    objects.extend(vault.list(&prefix).await?.into_iter().filter(|object| !object.key.starts_with(METADATA)));
    Ok(sorted(objects, name))
}

/// Sorts objects into backups. Pure.
fn sorted(objects: Vec<Object>, name: Option<&str>) -> Vec<Entry> {
    let mut found: BTreeMap<Stem, (Entry, bool)> = BTreeMap::new();
    for object in objects {
        let Some((stem, rest)) = Stem::of_key(&object.key) else { continue };
        if name.is_some_and(|name| name != stem.name) {
            continue;
        }
        let beside = object.key.starts_with(METADATA).then(|| Beside::of_rest(rest)).flatten();
        let (entry, declared) = found
            .entry(stem.clone())
            .or_insert_with(|| (Entry { stem, keys: Vec::new(), bytes: 0, verdict: None, held: false }, false));
        match beside {
            Some(Beside::Manifest) => *declared = true,
            Some(Beside::Hold) => entry.held = true,
            Some(Beside::Proof(at, verdict)) => {
                if entry.verdict.is_none_or(|(known, _)| known <= at) {
                    entry.verdict = Some((at, verdict));
                }
            }
            None => entry.bytes += object.bytes,
        }
        entry.keys.push(object.key);
    }
    let mut entries: Vec<_> = found.into_values().filter(|(_, declared)| *declared).map(|(entry, _)| entry).collect();
    entries.sort_by(|a, b| (b.stem.taken_at, &b.stem).cmp(&(a.stem.taken_at, &a.stem)));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_backups_and_only_a_manifest_makes_one() {
        let one = "shop_backup_20260102_030405_0a1b";
        let keys = [
            format!("{one}.dump.zst.age"),
            format!("{one}.globals.sql.zst.age"),
            format!("{METADATA}{one}.manifest.json"),
            format!("{METADATA}{one}.proof-20260102040000000-0a1b-proven.json"),
            format!("{METADATA}{one}.proof-20260202040000000-0c1b-failed.json"),
            "shop_backup_20260103_030405_0a1c.dump.zst".to_owned(),
            format!("{METADATA}shop_backup_x_backup_20260102_030405_0a1d.manifest.json"),
            "something.else".to_owned(),
        ];
        let objects = || keys.iter().map(|key| Object { key: key.clone(), bytes: 7, modified: None }).collect();
        let found = sorted(objects(), Some("shop"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].bytes, found[0].keys.len(), found[0].state()), (14, 5, "failed"));
        assert_eq!(sorted(objects(), None).len(), 2);
    }
}
