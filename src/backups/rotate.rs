//! Executes a plan: what it says goes, goes with everything that it has, and the vault is looked at afterwards.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{info, warn};

use super::{
    keep::{self, Fate, Keep, Plan},
    name::{METADATA, Stem},
    shelf::{self, Entry, Shelf},
    work::{Ended, Work},
};
use crate::{
    outcome::Failure,
    vault::{Kind, LockMode, Vault},
};

/// How long what has no manifest is left alone: somebody may still be writing it.
const STRAY: TimeDelta = TimeDelta::hours(48);

/// What a rotation did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rotated {
    /// Backups that are gone.
    pub deleted: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Backups that go once their lock has ended, and when that is.
    pub locked: Vec<(String, DateTime<Utc>)>,
    /// What had no manifest and is gone: begun by nobody who is still at work, or half deleted.
    pub strays: Vec<String>,
    /// Unfinished uploads that are gone.
    pub uploads: u64,
    /// Objects whose lock was extended.
    pub locks: u64,
}

/// Lists the backups of a name and plans.
///
/// # Errors
/// When the vault cannot be read.
pub async fn plan(vault: &Vault, name: &str, keep: &Keep, now: DateTime<Utc>) -> Result<Plan, Failure> {
    Ok(keep::plan(name, shelf::shelf(vault, Some(name)).await?, keep, now))
}

/// Executes the plan that people were shown, on what the vault has now.
///
/// # Errors
/// When the newest backup is failed, when more would go than was shown, when the vault refuses, and when something that
/// was deleted is still there. What is gone by then is gone; another rotation goes on.
pub async fn rotate(work: &Work<'_>, vault: &Vault, keep: &Keep, shown: &Plan) -> Result<Rotated, Ended> {
    let Shelf { backups, strays, .. } = shelf::look(vault, Some(&shown.name)).await?;
    let plan = keep::plan(&shown.name, backups, keep, shown.at);
    if let Some(why) = plan.blocked.as_ref().or(shown.blocked.as_ref()) {
        let help = format!("`sexton backups show latest --name {}` says what is wrong with it", shown.name);
        return Err(Failure::never(why).help(help).into());
    }
    let beyond = plan.beyond(shown);
    if !beyond.is_empty() {
        let why = format!("the vault changed since the plan was made: {} would go, too", beyond.join(", "));
        return Err(Failure::later(why).help("look at the new plan: sexton backups plan").into());
    }
    let mut done = Rotated::default();
    let can_lock = vault.can_lock().await?;
    if let Some(lock) = keep.lock {
        if !can_lock {
            let why = format!("vault `{}`: keep has `lock`, and objects cannot be locked there", vault.name());
            return Err(Failure::never(why).help("make a bucket with object lock, or leave `lock` out").into());
        }
        done.locks = extend(work, vault, &plan, lock.into()).await?;
    }
    let going: Vec<&Entry> = plan.going().map(|item| &item.entry).collect();
    let mut gone: BTreeSet<Stem> = BTreeSet::new();
    for (at, entry) in going.iter().enumerate() {
        work.go_on()?;
        let stem = entry.stem.to_string();
        (work.tell)(at as u64, Some(going.len() as u64), "backups", Some(&stem));
        // Somebody may have held it a moment ago.
        if entry.hold.is_none() && vault.head(&entry.stem.hold()).await?.is_some() {
            continue;
        }
        match delete(vault, entry, can_lock).await? {
            None => {
                info!(backup = stem, bytes = entry.bytes, "deleted {stem}");
                done.bytes += entry.bytes;
                done.deleted.push(stem);
                gone.insert(entry.stem.clone());
            }
            Some(until) => done.locked.push((stem, until)),
        }
    }
    for stray in strays.iter().filter(|stray| is_left(stray, plan.at)) {
        work.go_on()?;
        match delete(vault, stray, can_lock).await? {
            None => {
                warn!(backup = %stray.stem, bytes = stray.bytes, "removed objects without a manifest, of {}", stray.stem);
                done.strays.push(stray.stem.to_string());
                gone.insert(stray.stem.clone());
            }
            Some(until) => done.locked.push((stray.stem.to_string(), until)),
        }
    }
    let prefix = format!("{}_backup_", plan.name);
    for prefix in [format!("{METADATA}{prefix}"), prefix] {
        done.uploads += vault.janitor(&prefix, STRAY.to_std().unwrap_or_default()).await?;
    }
    if !gone.is_empty() {
        verify(vault, &plan.name, &gone).await?;
    }
    Ok(done)
}

/// Deletes a backup or what is left of one, its manifest first: without it the rest is no backup any more. Gives the end
/// of its lock instead, where it has one; then nothing is deleted.
async fn delete(vault: &Vault, entry: &Entry, can_lock: bool) -> Result<Option<DateTime<Utc>>, Failure> {
    if can_lock {
        let mut locked: Option<DateTime<Utc>> = None;
        for key in &entry.keys {
            locked = locked.max(vault.locked_until(key).await?);
        }
        if let Some(until) = locked.filter(|until| *until > Utc::now()) {
            return Ok(Some(until));
        }
    }
    let manifest = entry.stem.manifest();
    let (beside, parts): (Vec<&String>, Vec<&String>) =
        entry.keys.iter().filter(|key| **key != manifest).partition(|key| key.starts_with(METADATA));
    let manifest = entry.keys.iter().find(|key| **key == manifest);
    for key in manifest.into_iter().chain(parts).chain(beside) {
        match vault.erase(key).await {
            Err(error) if error.kind == Kind::Locked && Some(key) == manifest => {
                return Ok(Some(vault.locked_until(key).await?.unwrap_or(DateTime::<Utc>::MAX_UTC)));
            }
            erased => erased?,
        }
    }
    Ok(None)
}

/// Whether what has no manifest is nobody's work any more: it is old by its name, by all its objects, and not held.
fn is_left(stray: &Entry, now: DateTime<Utc>) -> bool {
    let old = |at: DateTime<Utc>| now - at > STRAY;
    old(stray.stem.taken_at) && stray.modified.is_some_and(old) && !stray.keys.contains(&stray.stem.hold())
}

/// Locks what stays until the plan's dates. Returns how many locks were extended.
async fn extend(work: &Work<'_>, vault: &Vault, plan: &Plan, mode: LockMode) -> Result<u64, Ended> {
    let mut extended = 0;
    for item in plan.items.iter().filter(|item| item.fate == Fate::Keep) {
        let Some(until) = item.until() else { continue };
        work.go_on()?;
        let manifest = item.entry.stem.manifest();
        for key in item.entry.keys.iter().filter(|key| **key == manifest || !key.starts_with(METADATA)) {
            if vault.locked_until(key).await?.is_none_or(|known| known < until) {
                vault.lock(key, mode, until).await?;
                extended += 1;
            }
        }
    }
    Ok(extended)
}

/// Deleted means gone.
async fn verify(vault: &Vault, name: &str, gone: &BTreeSet<Stem>) -> Result<(), Failure> {
    let shelf = shelf::look(vault, Some(name)).await?;
    let left: Vec<String> = (shelf.backups.into_iter().chain(shelf.strays))
        .filter(|entry| gone.contains(&entry.stem))
        .flat_map(|entry| entry.keys)
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    let why = format!("vault `{}`: deleted, and still there: {}", vault.name(), left.join(", "));
    Err(Failure::later(why).help("look for what writes there, or for a service that lists late; then rotate again"))
}
