//! What a restore would do, step by step, and how long it may take.

use super::{place::Place, plan::Plan, preview::Mode, server::Present};
use crate::backups::{proof::Proof, work::Ended};

impl Plan<'_> {
    /// How long it may take: as long as when it was proven, for as much of it as is restored.
    pub(super) async fn forecast(&self) -> Result<Option<f64>, Ended> {
        if self.request.mode == Mode::SchemaOnly {
            return Ok(None);
        }
        let proof = Proof::newest(self.request.vault, &self.request.backup.keys).await?;
        let Some(seconds) = proof.and_then(|proof| proof.restore_seconds) else { return Ok(None) };
        let share = match (&self.chosen, &self.manifest.fingerprint) {
            (Some(chosen), Some(fingerprint)) => {
                let rows: i64 = chosen.iter().filter_map(|name| fingerprint.tables.get(name)).map(|t| t.rows).sum();
                rows as f64 / fingerprint.rows().max(1) as f64
            }
            _ => 1.0,
        };
        Ok(Some((seconds * share * 10.0).round() / 10.0))
    }

    /// What it would do, in words.
    pub(super) fn steps(&self, present: Option<&Present>, leftovers: &[String]) -> Vec<String> {
        let mut steps = Vec::new();
        let filled = self.place.filled();
        if !self.make_roles.is_empty() {
            steps.push("make the roles that are missing, from the backup's globals".to_owned());
        }
        if matches!(self.place, Place::Onto(_)) {
            let tables = self.rows.as_ref().map_or(0, |rows| rows.tables.len());
            steps.push(format!(
                "fill {tables} empty tables of {filled} in one transaction: their rows, sequences{}, then every foreign \
                 key checked and materialized views refreshed",
                if self.chosen.is_none() { ", large objects" } else { "" }
            ));
        } else {
            if !leftovers.is_empty() {
                steps.push(format!("drop {}, which killed restores left unfinished", leftovers.join(", ")));
            }
            if self.place.is_made() {
                steps.push(format!("make the new database {filled}"));
            }
            let jobs =
                if self.request.jobs > 1 { format!(" by {} connections", self.request.jobs) } else { String::new() };
            let what = match (self.request.mode, &self.chosen) {
                (Mode::SchemaOnly, _) => "all definitions".to_owned(),
                (_, Some(chosen)) => format!("all definitions and the rows of {} tables", chosen.len()),
                _ => "all definitions and rows".to_owned(),
            };
            let alone = if self.place.is_made() { "" } else { ", in one transaction" };
            steps.push(format!("restore {what} into {filled}{jobs}{alone}"));
            if !self.manifest.source.settings.is_empty() {
                steps.push(format!("give it the {} settings of the source", self.manifest.source.settings.len()));
            }
        }
        steps.push(match &self.manifest.fingerprint {
            Some(_) => "compare it with the fingerprint of the dump; stop there if anything differs".to_owned(),
            None => "the backup has no fingerprint, so nothing is compared".to_owned(),
        });
        if let Some(taken) = self.place.replaces() {
            let sessions = present.map_or(0, |present| present.sessions);
            let days = self.request.keep_old.as_secs() / 86_400;
            steps.push(format!(
                "end the sessions of {taken} ({sessions} now), rename it to {taken}_replaced_…, and rename {filled} to \
                 {taken}, both or none; the old one is kept for {days} days"
            ));
        }
        steps
    }
}
