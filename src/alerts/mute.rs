//! Whether the alerts of a schedule's runs wait for the end of a window.
//!
//! What counts is the time at which people would be told, not that of the event. Nothing is dropped: failure and
//! recovery in one window are both told when it is over, in their order. A message that waits goes out when it was
//! meant to, also where the files are changed meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    catalog::{Catalog, Files},
    ledger,
    outbox::Event,
};

/// What the current revision says about muting, read once for each revision.
#[derive(Debug, Clone, Default)]
pub struct Mutes(Arc<Mutex<Option<Known>>>);

/// A revision. No catalog where it mutes nothing, or where this binary cannot read it: then people are told at once.
#[derive(Debug, Clone)]
struct Known {
    revision: i64,
    catalog: Option<Arc<Catalog>>,
}

/// Why and until when a message waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The window.
    pub window: String,
    /// When it is over, with all others that mute and meet it.
    pub until: DateTime<Utc>,
}

impl Held {
    /// The line that a message has about it.
    pub fn line(&self) -> String {
        let Self { window, until } = self;
        format!("held back by the window {window} until {} UTC", until.format("%Y-%m-%d %H:%M:%S"))
    }
}

impl Mutes {
    /// Whether what is told of an event at `now` waits.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn hold(
        &self,
        connection: &mut PgConnection,
        event: &Event,
        now: DateTime<Utc>,
    ) -> Result<Option<Held>, sqlx::Error> {
        // What a person started, and what is about files and channels, is told at once.
        let Some(schedule) = event.detail.get("schedule").and_then(Value::as_str) else { return Ok(None) };
        let Some(catalog) = self.catalog(connection).await? else { return Ok(None) };
        let Some(schedule) = catalog.schedule(schedule) else { return Ok(None) };
        let windows = catalog.windows_of(schedule);
        Ok(windows.muted(now).map(|muted| Held { window: muted.window.to_owned(), until: muted.until }))
    }

    async fn catalog(&self, connection: &mut PgConnection) -> Result<Option<Arc<Catalog>>, sqlx::Error> {
        let Some(revision) = ledger::glance(connection).await?.revision else { return Ok(None) };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.revision == revision) {
            return Ok(known.catalog);
        }
        let Some(current) = ledger::current(connection).await? else { return Ok(None) };
        // Most people mute nothing, and then nothing needs to be parsed.
        let catalog = if current.files.values().any(|text| text.contains("mute")) {
            let parsing = tokio::task::spawn_blocking(move || Catalog::parse(&Files(current.files)).catalog);
            let catalog = parsing.await.ok().flatten();
            if catalog.is_none() {
                tracing::warn!(revision = current.id, "revision {} cannot be read here; no alert is muted", current.id);
            }
            catalog.filter(|catalog| catalog.windows.iter().any(|window| window.mute)).map(Arc::new)
        } else {
            None
        };
        let known = Known { revision: current.id, catalog: catalog.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(catalog)
    }
}
