//! From the settings to the databases that a command asks.

use std::path::Path;

use sqlx::PgPool;

use crate::{
    db::{self, Login, LoginError, Sources, Target},
    requests::RequestError,
    settings::{Settings, SettingsError},
};

/// Why a command could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// What is wrong and what to do, in words.
    #[error("{0}")]
    Said(String),
    /// The settings.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// A database's URL.
    #[error("{0}")]
    Login(#[from] LoginError),
    /// The request was refused.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// The queue's database.
    #[error("the queue's database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema.
    #[error("{0}")]
    Migrate(#[from] db::MigrateError),
    /// The answer could not be written.
    #[error("the output cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// The answer could not be put into JSON.
    #[error("the answer cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The settings, from `--config` or the usual places.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(path: Option<&Path>) -> Result<Settings, AskError> {
    Ok(Settings::load(path)?)
}

/// How to log in to the queue's database.
///
/// # Errors
/// When its URL cannot be used.
pub fn queue_login(settings: &Settings) -> Result<Login, AskError> {
    Ok(Login::new(&settings.database.url, settings.database.password.clone())?)
}

/// Every target of the settings; none of them connects before it is used.
///
/// # Errors
/// Names the target whose URL cannot be used.
pub fn targets(settings: &Settings) -> Result<Vec<Target>, AskError> {
    settings
        .targets
        .iter()
        .map(|(name, target)| {
            let login = Login::new(&target.url, target.password.clone())
                .map_err(|error| AskError::Said(format!("[targets.{name}]: {error}")))?;
            let sources = Sources::new(target.sources.iter().cloned());
            Ok(Target::new(name, login, target.pg_bin.clone()).with_sources(sources))
        })
        .collect()
}

/// A small pool on the queue's database, for one command, once it is known to answer.
pub(super) async fn queue_pool(path: Option<&Path>) -> Result<PgPool, AskError> {
    let login = queue_login(&load(path)?)?;
    answers(&login).await?;
    Ok(db::queue_pool(&login, 2))
}

/// Whether the queue's database can be reached now.
///
/// # Errors
/// Says where it was looked for and what came back; never the password.
pub async fn answers(login: &Login) -> Result<(), AskError> {
    db::probe(login).await.map_err(|error| {
        AskError::Said(format!(
            "the queue's database {login} cannot be reached: {error}\n  help: check [database] in sexton.toml, and that the server runs"
        ))
    })
}
