//! Which backups a vault has, and in which state each is: from one listing of its keys.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    hold::Hold,
    manifest::Manifest,
    name::{Beside, METADATA, Stem, Verdict},
    proof::Proof,
};
use crate::{
    outcome::Failure,
    vault::{Object, Vault},
};

/// How many small objects are read at once.
const AT_ONCE: usize = 8;

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
    /// Who holds it, or held it until a time that may be past.
    pub hold: Option<Hold>,
    /// When the newest of its objects was written, where all of them say it.
    pub modified: Option<DateTime<Utc>>,
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

    /// Who holds it at this time.
    pub fn hold_at(&self, now: DateTime<Utc>) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.holds_at(now))
    }
}

/// Everything of backups that a vault has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// The backups, the newest first.
    pub backups: Vec<Entry>,
    /// What has a backup's name and no manifest: begun, or half deleted. No backup.
    pub strays: Vec<Entry>,
    /// The bytes of all of it.
    pub bytes: u64,
}

/// All backups in a vault, or all of this name, the newest first. What has no manifest does not exist.
///
/// # Errors
/// When the vault cannot be read.
pub async fn shelf(vault: &Vault, name: Option<&str>) -> Result<Vec<Entry>, Failure> {
    Ok(look(vault, name).await?.backups)
}

/// All backups in a vault, or all of this name, and what is none.
///
/// # Errors
/// When the vault cannot be read.
pub async fn look(vault: &Vault, name: Option<&str>) -> Result<Shelf, Failure> {
    let prefix = name.map(|name| format!("{name}_backup_")).unwrap_or_default();
    let mut objects = vault.list(&format!("{METADATA}{prefix}")).await?;
    objects.extend(vault.list(&prefix).await?.into_iter().filter(|object| !object.key.starts_with(METADATA)));
    let mut shelf = sorted(objects, name);
    let held = |entry: &&mut Entry| entry.keys.contains(&entry.stem.hold());
    stream::iter(shelf.backups.iter_mut().filter(held).map(Ok))
        .try_for_each_concurrent(AT_ONCE, async |entry| {
            entry.hold = Some(Hold::read(vault, &entry.stem).await?);
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(shelf)
}

/// One backup with what lies beside it; what cannot be read is missing.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The backup.
    pub entry: Entry,
    /// Its manifest.
    pub manifest: Option<Manifest>,
    /// What its newest look found.
    pub proof: Option<Proof>,
}

/// Reads what lies beside these backups, in their order.
pub async fn see(vault: &Vault, entries: Vec<Entry>) -> Vec<Seen> {
    let reading = entries.into_iter().map(async |entry| {
        let manifest = Manifest::read(vault, &entry.stem).await;
        let proof = Proof::newest(vault, &entry.keys).await;
        for failure in [manifest.as_ref().err(), proof.as_ref().err()].into_iter().flatten() {
            tracing::warn!(backup = %entry.stem, why = failure.why, "what lies beside {} cannot be read", entry.stem);
        }
        Seen { entry, manifest: manifest.ok(), proof: proof.ok().flatten() }
    });
    stream::iter(reading).buffered(AT_ONCE).collect().await
}

/// The backup that is meant by its name, by the beginning of it, or by `latest`: the newest one.
///
/// # Errors
/// Says which ones there are when none or several are meant.
pub fn pick(mut entries: Vec<Entry>, which: &str) -> Result<Entry, Failure> {
    let names: Vec<String> = entries.iter().map(|entry| entry.stem.to_string()).collect();
    if which == "latest" {
        let mut of: Vec<&str> = entries.iter().map(|entry| entry.stem.name.as_str()).collect();
        of.sort_unstable();
        of.dedup();
        if of.len() > 1 {
            let why = format!("there are backups of {}: `latest` may be any of them", of.join(", "));
            return Err(Failure::never(why).help("say of which with --name"));
        }
        return entries.into_iter().next().ok_or_else(|| Failure::never("there is no backup"));
    }
    let exact = names.iter().position(|name| name == which);
    let begun: Vec<usize> = (0..names.len()).filter(|at| names[*at].starts_with(which)).collect();
    match (exact, begun.as_slice()) {
        (Some(at), _) | (None, &[at]) => Ok(entries.swap_remove(at)),
        (None, []) => {
            let near = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
            let help =
                if near.is_empty() { "there is none at all".to_owned() } else { format!("the newest are {near}") };
            Err(Failure::never(format!("there is no backup `{which}`")).help(help))
        }
        (None, several) => {
            let all: Vec<&str> = several.iter().map(|at| names[*at].as_str()).collect();
            Err(Failure::never(format!("`{which}` is the beginning of several: {}", all.join(", "))))
        }
    }
}

/// Sorts objects into backups. Pure.
fn sorted(objects: Vec<Object>, name: Option<&str>) -> Shelf {
    let mut found: BTreeMap<Stem, (Entry, bool)> = BTreeMap::new();
    let mut shelf = Shelf::default();
    for object in objects {
        let Some((stem, rest)) = Stem::of_key(&object.key) else { continue };
        if name.is_some_and(|name| name != stem.name) {
            continue;
        }
        shelf.bytes += object.bytes;
        let beside = object.key.starts_with(METADATA).then(|| Beside::of_rest(rest)).flatten();
        let (entry, declared) = found.entry(stem.clone()).or_insert_with(|| {
            let modified = Some(DateTime::UNIX_EPOCH);
            (Entry { stem, keys: Vec::new(), bytes: 0, verdict: None, hold: None, modified }, false)
        });
        match beside {
            Some(Beside::Manifest) => *declared = true,
            Some(Beside::Hold) => {}
            Some(Beside::Proof(at, verdict)) => {
                if entry.verdict.is_none_or(|(known, _)| known <= at) {
                    entry.verdict = Some((at, verdict));
                }
            }
            None => entry.bytes += object.bytes,
        }
        entry.modified = entry.modified.zip(object.modified).map(|(known, this)| known.max(this));
        entry.keys.push(object.key);
    }
    for (entry, declared) in found.into_values() {
        if declared { shelf.backups.push(entry) } else { shelf.strays.push(entry) }
    }
    shelf.backups.sort_by(|a, b| (b.stem.taken_at, &b.stem).cmp(&(a.stem.taken_at, &a.stem)));
    shelf
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
        let shelf = sorted(objects(), Some("shop"));
        let found = &shelf.backups;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].bytes, found[0].keys.len(), found[0].state()), (14, 5, "failed"));
        assert_eq!((shelf.strays.len(), shelf.strays[0].keys.len(), shelf.bytes), (1, 1, 42));
        assert_eq!(sorted(objects(), None).backups.len(), 2);
    }

    #[test]
    fn a_backup_is_picked_by_what_is_enough_to_know_it() {
        let entry = |stem: &str| Entry {
            stem: stem.parse().expect("a stem"),
            keys: vec![],
            bytes: 0,
            verdict: None,
            hold: None,
            modified: None,
        };
        let both = || vec![entry("shop_backup_20260202_030405_0a1b"), entry("shop_backup_20260102_030405_0a1b")];
        let picked =
            |which: &str| pick(both(), which).map(|entry| entry.stem.to_string()).map_err(|failure| failure.why);
        assert_eq!(picked("latest"), Ok("shop_backup_20260202_030405_0a1b".to_owned()));
        assert_eq!(picked("shop_backup_202601"), Ok("shop_backup_20260102_030405_0a1b".to_owned()));
        assert!(picked("shop").is_err_and(|why| why.contains("several")));
        assert!(picked("20260102").is_err());
        let other = both().into_iter().chain([entry("till_backup_20260102_030405_0a1b")]).collect();
        assert!(pick(other, "latest").is_err_and(|failure| failure.why.contains("shop, till")));
    }
}
