//! `sexton.toml`: what one daemon is, read once.
//!
//! Every key can also come from a `SEXTON_…` variable (`SEXTON_TARGETS__COLLECTOR__URL`), which wins over the file.
//! Secrets are written inline, in a file (`password_file`), or lie in `$CREDENTIALS_DIRECTORY` under their key
//! (`targets.collector.password`). What comes out is plain data: nothing here connects to anything.

mod error;
mod read;
mod retention;
mod shape;
mod share;
#[cfg(test)]
mod tests;
mod vaults;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use crate::{
    secret::{Kept, Secret},
    span::Span,
};

pub use error::{SettingsError, SettingsProblem};
pub use retention::Retention;
pub use share::{Share, ShareError};

/// What one daemon is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that they came from; `None` when all of it came from the environment.
    pub path: Option<PathBuf>,
    /// What the queue's database must say that it is, if set.
    pub instance: Option<String>,
    /// The queue's own database.
    pub database: Database,
    /// Databases that jobs work on, by name.
    pub targets: BTreeMap<String, Target>,
    /// Where backups live, by name.
    pub vaults: BTreeMap<String, Vault>,
    /// Where people are told, by name.
    pub channels: BTreeMap<String, Channel>,
    /// Who is told and how often.
    pub alerts: Alerts,
    /// The HTTP surface; `None` means no listener.
    pub http: Option<Http>,
    /// Where the job and schedule files are.
    pub files: Files,
    /// How much this daemon takes on.
    pub worker: Worker,
    /// How long the queue's database keeps what is over.
    pub retention: Retention,
    /// How it logs.
    pub log: Log,
}

/// The queue's own database.
#[derive(Debug, Clone)]
pub struct Database {
    /// A `postgres://` URL, perhaps with several hosts.
    pub url: Kept,
    /// Wins over a password in the URL.
    pub password: Option<Kept>,
    /// The server itself, where `url` leads through a pooler in transaction mode.
    pub direct: Option<Direct>,
    /// Connections at most, for work and schedules.
    pub max_connections: u32,
    /// Whether notifications are sent and heard.
    pub notify: bool,
}

/// How to reach the queue's server past its pooler.
#[derive(Debug, Clone)]
pub struct Direct {
    /// A `postgres://` URL.
    pub url: Kept,
    /// Wins over a password in the URL.
    pub password: Option<Kept>,
}

/// A database that jobs work on.
#[derive(Debug, Clone)]
pub struct Target {
    /// A `postgres://` URL, perhaps with several hosts.
    pub url: Kept,
    /// Wins over a password in the URL.
    pub password: Option<Kept>,
    /// The folder of `pg_dump` and its kin for this server.
    pub pg_bin: Option<PathBuf>,
    /// The tables (`schema.table`, `*` for any text) that migrations may read.
    pub sources: Vec<String>,
}

/// Where backups live, and how it is used.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Where it is.
    pub place: VaultPlace,
    /// How many bytes it is meant to hold at most.
    pub budget: Option<u64>,
    /// How many bytes a second all uploads of this daemon may send to it.
    pub bandwidth: Option<u64>,
}

/// Where a vault is.
#[derive(Debug, Clone)]
pub enum VaultPlace {
    /// A directory.
    Dir(PathBuf),
    /// An S3 bucket, or what speaks like one.
    S3(Box<S3>),
}

/// An S3 bucket. Without keys, the usual chain of the AWS SDK finds them.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// What every object's key starts with, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The region, else what the SDK finds.
    pub region: Option<String>,
    /// Another server than AWS, as a URL.
    pub endpoint: Option<String>,
    /// `https://host/bucket` instead of `https://bucket.host`.
    pub path_style: bool,
    /// The access key's id.
    pub access_key_id: Option<Secret>,
    /// The access key itself.
    pub secret_access_key: Option<Secret>,
    /// `STANDARD_IA`, `GLACIER_IR`, …
    pub storage_class: Option<String>,
    /// How the service encrypts: `AES256` or `aws:kms`.
    pub sse: Option<String>,
    /// The key of `aws:kms`.
    pub kms_key_id: Option<String>,
    /// The checksums that the service keeps and checks.
    pub checksums: Option<Checksums>,
}

/// The checksums of what is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// SHA-256 of each part.
    Sha256,
    /// CRC-64/NVME of each part and of the whole object.
    Crc64,
    /// None, for services that do not know them.
    None,
}

/// Where people are told.
#[derive(Debug, Clone)]
pub enum Channel {
    /// A Slack incoming webhook.
    Slack {
        /// The webhook's URL, which is its secret.
        webhook_url: Secret,
    },
    /// E-mail over SMTP.
    Email {
        /// `smtps://host`, `smtp://host:port` (STARTTLS), `smtp://host:port?tls=none`, …
        smtp: String,
        /// The login's name.
        username: Option<String>,
        /// The login's password.
        password: Option<Secret>,
        /// The sender.
        from: String,
        /// The receivers, at least one.
        to: Vec<String>,
    },
    /// A JSON message by `POST`.
    Webhook {
        /// Where to.
        url: Secret,
        /// Sent as `Authorization: Bearer …`.
        token: Option<Secret>,
    },
    /// The daemon's own log.
    Log,
}

/// Who is told and how often.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Channels of every job that has no `alert` key.
    pub default: Vec<String>,
    /// How often a failure that lasts is told again.
    pub remind: Span,
}

/// The HTTP surface.
#[derive(Debug, Clone)]
pub struct Http {
    /// Address and port.
    pub listen: std::net::SocketAddr,
    /// What callers must send as bearer token; without one, nothing can be changed over HTTP.
    pub token: Option<Secret>,
}

/// Where the job and schedule files are (relative ones have been joined to the settings file's folder), and how edits
/// of them are taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `jobs/`.
    pub jobs: PathBuf,
    /// `schedules/`.
    pub schedules: PathBuf,
    /// Whether the daemon takes edits in by itself.
    pub watch: bool,
    /// How often it looks whether there are any.
    pub every: Span,
    /// How many of the schedules may go at once without a person's word.
    pub most_removed: Share,
    /// How long files may differ from the active revision before people are told.
    pub drift_after: Span,
}

/// How much this daemon takes on.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Runs at the same time.
    pub slots: usize,
    /// How long runs may go on after the daemon was told to stop.
    pub grace: Span,
    /// What jobs may need of this daemon, beside its targets and vaults: `region=eu`.
    pub labels: Vec<String>,
}

/// How the daemon logs.
#[derive(Debug, Clone)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// `info`, or finer: `info,sexton::queue=debug`.
    pub level: String,
}

/// Text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object a line.
    Json,
}

/// Where settings are looked for when nobody says where.
pub const USUAL_PLACES: [&str; 2] = ["sexton.toml", "/etc/sexton/sexton.toml"];

impl Settings {
    /// Reads the settings with their secrets: from `path`, else `SEXTON_CONFIG`, else the usual places
    /// ([`USUAL_PLACES`]), else from the environment alone.
    ///
    /// # Errors
    /// Lists everything that is wrong, each with its file, key and what to do. Never shows a secret.
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        read::load(path, &environment(), read::Secrets::Open)
    }

    /// The same without opening secrets (each is empty): for looking at names on a machine that holds none.
    ///
    /// # Errors
    /// As [`load`](Self::load), but for what only the secrets' files could tell.
    pub fn without_secrets(path: Option<&Path>) -> Result<Self, SettingsError> {
        read::load(path, &environment(), read::Secrets::Closed)
    }

    /// The file that [`load`](Self::load) would read, if there is one.
    pub fn find(path: Option<&Path>) -> Option<PathBuf> {
        read::find(path, &environment())
    }
}

/// This process's variables that can be read as text.
fn environment() -> HashMap<String, String> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}
