//! What the vaults have, in the queue's database: for figures, for what is usual, and for what is late. The vault stays the
//! truth, and nothing here ever makes a backup bad.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use tracing::warn;

use super::{
    manifest::Manifest,
    name::Stem,
    proof::Proof,
    shelf::{self, Entry, Seen},
};
use crate::{
    db::{failure, forget::Forget},
    outcome::Failure,
    vault::Vault,
};

/// How long it is kept that a backup was there.
pub const DELETED_AFTER: Duration = Duration::from_secs(400 * 24 * 3600);
/// Backups that were deleted.
pub const DELETED: Forget = Forget { statement: include_str!("../../sql/backups/forget_deleted.sql") };

/// The catalogue in one queue's database.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pool: PgPool,
}

/// What a look at a vault changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// Backups that were read.
    pub read: u64,
    /// Backups that are gone.
    pub gone: u64,
}

/// What is usual of a name: the middle of its last seven proven backups.
#[derive(Debug, Clone, Default, PartialEq, FromRow)]
pub struct Usual {
    /// How many there are, at most seven.
    pub backups: i64,
    /// Their bytes.
    pub bytes: Option<f64>,
    /// How long taking them lasted.
    pub seconds: Option<f64>,
    /// When the newest was taken.
    pub newest: Option<DateTime<Utc>>,
}

/// How the backups of a name fare.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Figure {
    /// The name.
    pub name: String,
    /// When the newest proven one was taken.
    pub proven_taken_at: Option<DateTime<Utc>>,
    /// How long the newest one that was restored took to restore.
    pub restore_seconds: Option<f64>,
    /// The newest one's size, as it is stored.
    pub bytes: i64,
    /// Before compression.
    pub dump_bytes: Option<i64>,
    /// How long taking it lasted.
    pub seconds: Option<f64>,
}

/// All figures at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// By name.
    pub names: Vec<Figure>,
    /// How many there are, by name and state.
    pub counts: BTreeMap<(String, String), i64>,
    /// Bytes by vault.
    pub vaults: BTreeMap<String, i64>,
    /// When the newest proven one was taken, by vault and name.
    pub proven: BTreeMap<(String, String), DateTime<Utc>>,
}

impl Catalogue {
    /// The catalogue in this queue's database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Takes in what a vault has of a name, or of all; reads only what is not known.
    ///
    /// # Errors
    /// When the vault or the database cannot be used.
    pub async fn sync(&self, vault: &Vault, name: Option<&str>) -> Result<Synced, Failure> {
        let entries = shelf::shelf(vault, name).await?;
        let here: Vec<String> = entries.iter().map(|entry| entry.stem.to_string()).collect();
        let known: BTreeMap<String, Option<DateTime<Utc>>> = self.known(vault, name).await?.into_iter().collect();
        let mut synced = Synced::default();
        let (old, new): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| known.contains_key(&entry.stem.to_string()));
        for entry in old {
            let looked_at = entry.verdict.map(|(at, _)| at);
            if known.get(&entry.stem.to_string()) != Some(&looked_at) {
                let proof = Proof::newest(vault, &entry.keys).await?;
                self.looked(vault, &entry, proof.as_ref()).await.map_err(|error| failure(&error))?;
                synced.read += 1;
            }
        }
        for seen in shelf::see(vault, new).await {
            // One that cannot be read now is read the next time.
            let Some(manifest) = &seen.manifest else { continue };
            self.save(vault, &seen, manifest).await.map_err(|error| failure(&error))?;
            synced.read += 1;
        }
        let gone = sqlx::query(include_str!("../../sql/backups/gone.sql")).bind(vault.name()).bind(name).bind(here);
        synced.gone = gone.execute(&self.pool).await.map_err(|error| failure(&error))?.rows_affected();
        Ok(synced)
    }

    /// Takes in what a vault has, as if nothing were known of it.
    ///
    /// # Errors
    /// When the vault or the database cannot be used.
    pub async fn rebuild(&self, vault: &Vault) -> Result<Synced, Failure> {
        // A vault that cannot be listed forgets nothing.
        shelf::shelf(vault, None).await?;
        let forget = sqlx::query(include_str!("../../sql/backups/forget.sql")).bind(vault.name());
        forget.execute(&self.pool).await.map_err(|error| failure(&error))?;
        self.sync(vault, None).await
    }

    /// What is usual of a name, but for this backup.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usual(&self, vault: &str, name: &str, but: &Stem) -> Result<Usual, sqlx::Error> {
        sqlx::query_as(include_str!("../../sql/backups/usual.sql"))
            .bind(vault)
            .bind(name)
            .bind(but.to_string())
            .fetch_one(&self.pool)
            .await
    }

    /// When the newest proven backup of a name was taken.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn proven(&self, vault: &str, name: &str) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        sqlx::query_scalar(include_str!("../../sql/backups/proven.sql"))
            .bind(vault)
            .bind(name)
            .fetch_one(&self.pool)
            .await
    }

    /// All figures.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn figures(&self) -> Result<Figures, sqlx::Error> {
        let names = sqlx::query_as(include_str!("../../sql/backups/figures.sql")).fetch_all(&self.pool).await?;
        let mut figures = Figures { names, ..Figures::default() };
        type Row = (String, String, String, i64, i64, DateTime<Utc>);
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/backups/stock.sql")).fetch_all(&self.pool).await?;
        for (vault, name, state, backups, bytes, newest) in rows {
            *figures.vaults.entry(vault.clone()).or_default() += bytes;
            if matches!(state.as_str(), "proven" | "sampled") {
                let known = figures.proven.entry((vault, name.clone())).or_insert(newest);
                *known = newest.max(*known);
            }
            *figures.counts.entry((name, state)).or_default() += backups;
        }
        Ok(figures)
    }

    /// Takes the turn to say what is late, until the transaction ends; false while another daemon has it.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_turn(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(include_str!("../../sql/backups/take_turn.sql")).fetch_one(connection).await
    }

    async fn known(&self, vault: &Vault, name: Option<&str>) -> Result<Vec<(String, Option<DateTime<Utc>>)>, Failure> {
        sqlx::query_as(include_str!("../../sql/backups/known.sql"))
            .bind(vault.name())
            .bind(name)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failure(&error))
    }

    async fn looked(&self, vault: &Vault, entry: &Entry, proof: Option<&Proof>) -> Result<(), sqlx::Error> {
        let looked_at = entry.verdict.map(|(at, _)| at);
        sqlx::query(include_str!("../../sql/backups/looked.sql"))
            .bind(vault.name())
            .bind(entry.stem.to_string())
            .bind(entry.state())
            .bind(looked_at)
            .bind(looked_at.filter(|_| entry.is_proven()))
            .bind(proof.and_then(|proof| proof.restore_seconds))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn save(&self, vault: &Vault, seen: &Seen, manifest: &Manifest) -> Result<(), sqlx::Error> {
        let entry = &seen.entry;
        let looked_at = entry.verdict.map(|(at, _)| at);
        sqlx::query(include_str!("../../sql/backups/save.sql"))
            .bind(vault.name())
            .bind(entry.stem.to_string())
            .bind(&entry.stem.name)
            .bind(entry.stem.taken_at)
            .bind(manifest.bytes().cast_signed())
            .bind(manifest.dump_bytes().cast_signed())
            .bind(manifest.seconds)
            .bind(entry.state())
            .bind(looked_at)
            .bind(looked_at.filter(|_| entry.is_proven()))
            .bind(seen.proof.as_ref().and_then(|proof| proof.restore_seconds))
            .bind(i32::try_from(manifest.recipients.len()).unwrap_or(i32::MAX))
            .bind(small(manifest))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Takes in what a vault has of a name, where there is a catalogue. What goes wrong is only told: the vault is the truth.
pub async fn note(catalogue: Option<&Catalogue>, vault: &Vault, name: &str) {
    let Some(catalogue) = catalogue else { return };
    if let Err(error) = catalogue.sync(vault, Some(name)).await {
        let help = "the next backup or `sexton backups rebuild` puts it right";
        warn!(error = error.why, help, "the catalogue of backups could not take in what vault {} has", vault.name());
    }
}

/// A manifest without what grows with the database.
fn small(manifest: &Manifest) -> Value {
    let mut value = serde_json::to_value(manifest).unwrap_or_default();
    if let Some(table) = value.as_object_mut() {
        table.remove("fingerprint");
    }
    for part in value.get_mut("parts").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(part) = part.as_object_mut() {
            part.remove("blocks");
        }
    }
    value
}
