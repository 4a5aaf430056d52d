//! From the settings to the databases that a command asks.

use std::path::Path;

use sqlx::PgPool;

use crate::{
    db::{self, Login, LoginError, Sources, Target},
    requests::RequestError,
    settings::{self, Settings, SettingsError},
    vault::{Checksums, Options, S3Options, Vault, Vaults},
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
    let database = &settings.database;
    let login = Login::kept(database.url.clone(), database.password.clone())?;
    Ok(if database.direct.is_some() { login.pooled() } else { login })
}

/// How to log in to the queue's server itself, for what a pooler in transaction mode cannot serve: notifications,
/// migrations, and a heartbeat that waits behind nobody. Without a pooler, the same login.
///
/// # Errors
/// When its URL cannot be used.
pub fn direct_login(settings: &Settings, login: &Login) -> Result<Login, AskError> {
    match &settings.database.direct {
        Some(direct) => Login::kept(direct.url.clone(), direct.password.clone())
            .map_err(|error| AskError::Said(format!("[database] direct_url: {error}"))),
        None => Ok(login.clone()),
    }
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
            let login = Login::kept(target.url.clone(), target.password.clone())
                .map_err(|error| AskError::Said(format!("[targets.{name}]: {error}")))?;
            let sources = Sources::new(target.sources.iter().cloned());
            Ok(Target::new(name, login, target.pg_bin.clone()).with_sources(sources))
        })
        .collect()
}

/// Every vault of the settings; nothing is looked at before it is used.
pub fn vaults(settings: &Settings) -> Vaults {
    let mut vaults = Vec::new();
    for (name, vault) in &settings.vaults {
        let options = match &vault.place {
            settings::VaultPlace::Dir(path) => Options::Dir(path.clone()),
            settings::VaultPlace::S3(s3) => Options::S3(s3_options(s3)),
        };
        vaults.push(Vault::new(name, options).with_budget(vault.budget).with_bandwidth(vault.bandwidth));
    }
    Vaults::new(vaults)
}

fn s3_options(s3: &settings::S3) -> S3Options {
    S3Options {
        bucket: s3.bucket.clone(),
        prefix: s3.prefix.clone(),
        region: s3.region.clone(),
        endpoint: s3.endpoint.clone(),
        path_style: s3.path_style,
        credentials: s3.access_key_id.clone().zip(s3.secret_access_key.clone()),
        storage_class: s3.storage_class.clone(),
        sse: s3.sse.clone(),
        kms_key_id: s3.kms_key_id.clone(),
        checksums: s3.checksums.map(|checksums| match checksums {
            settings::Checksums::Sha256 => Checksums::Sha256,
            settings::Checksums::Crc64 => Checksums::Crc64,
            settings::Checksums::None => Checksums::None,
        }),
    }
}

/// A small pool on the queue's database, for one command, once it is known to answer.
pub(super) async fn queue_pool(path: Option<&Path>) -> Result<PgPool, AskError> {
    let settings = load(path)?;
    db::set_notify(settings.database.notify);
    let login = queue_login(&settings)?;
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
