//! From the settings to the parts: databases, vaults, channels, and what runs may use.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    alerts::{Alerts, Channel, Channels, Email, Mutes, Slack, Webhook},
    backups::catalogue::Catalogue,
    catalog::{Catalog, Names, Problem},
    child::Spawner,
    cli::{self, AskError},
    db::{self, Login, Targets},
    kinds::Env,
    settings::{self, Settings},
};

use super::files::Source;

/// Connections that the heartbeat keeps for itself.
const BEAT_CONNECTIONS: u32 = 2;

/// The parts of one process.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) login: Login,
    pub(super) pool: sqlx::PgPool,
    pub(super) beat_pool: sqlx::PgPool,
    pub(super) env: Arc<Env>,
    pub(super) alerts: Alerts,
    pub(super) source: Source,
}

impl Parts {
    /// Who this process is, in the records.
    pub(super) fn by(&self) -> String {
        format!("sexton {} (process {})", env!("CARGO_PKG_VERSION"), std::process::id())
    }

    /// The catalog of the files on disk, as far as this process can use it.
    ///
    /// # Errors
    /// Every problem of the files, as `sexton check` shows them.
    pub(super) fn catalog(&self) -> Result<Catalog, AskError> {
        let (files, parsed) = Catalog::read(&self.source.jobs, &self.source.schedules);
        let mut problems = parsed.problems;
        if let Some(catalog) = &parsed.catalog {
            problems.extend(catalog.check_names(&self.source.names));
        }
        problems.retain(Problem::is_error);
        match parsed.catalog {
            Some(catalog) if problems.is_empty() => Ok(catalog.with_default_alert(self.source.default_alert.clone())),
            _ => Err(AskError::Said(format!("the files are broken\n{}", cli::check::told(&problems, &files)))),
        }
    }
}

/// Builds the parts; nothing connects yet.
///
/// # Errors
/// Names the part of the settings that cannot be used.
pub(super) fn parts(settings: &Settings) -> Result<Parts, AskError> {
    let login = cli::queue_login(settings)?;
    let pool = db::queue_pool(&login, settings.database.max_connections);
    let http = client()?;
    let env = Env {
        targets: Targets::new(cli::targets(settings)?),
        vaults: cli::vaults(settings),
        spawner: Spawner::start().map_err(|error| said("the thread that starts children", &error))?,
        http: http.clone(),
        pg_bin: None,
        catalogue: Some(Catalogue::new(pool.clone())),
    };
    let alerts = Alerts {
        pool: pool.clone(),
        channels: channels(settings, &http)?,
        default: settings.alerts.default.clone(),
        remind: settings.alerts.remind.0,
        first_pause: Duration::from_secs(1),
        mutes: Mutes::default(),
    };
    let names = Names {
        targets: settings.targets.keys().cloned().collect(),
        vaults: settings.vaults.keys().cloned().collect(),
        channels: settings.channels.keys().cloned().collect(),
        sources: (settings.targets.iter())
            .map(|(name, target)| (name.clone(), db::Sources::new(target.sources.iter().cloned())))
            .collect(),
        default_alert: !settings.alerts.default.is_empty(),
    };
    let source = Source {
        jobs: settings.files.jobs.clone(),
        schedules: settings.files.schedules.clone(),
        names,
        default_alert: settings.alerts.default.clone(),
        most_removed: settings.files.most_removed,
        me: Uuid::now_v7(),
    };
    Ok(Parts { beat_pool: db::queue_pool(&login, BEAT_CONNECTIONS), login, pool, env: Arc::new(env), alerts, source })
}

fn said(what: &str, error: &dyn std::fmt::Display) -> AskError {
    AskError::Said(format!("{what}: {error}"))
}

/// For webhooks and `http` jobs: no redirects (they could lead a secret elsewhere), and no request without an end.
fn client() -> Result<reqwest::Client, AskError> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("sexton/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| said("the HTTP client", &error))
}

fn channels(settings: &Settings, http: &reqwest::Client) -> Result<Channels, AskError> {
    let mut channels = Vec::new();
    for (name, channel) in &settings.channels {
        let channel = match channel {
            settings::Channel::Slack { webhook_url } => {
                Channel::Slack(Slack { http: http.clone(), webhook_url: webhook_url.clone() })
            }
            settings::Channel::Webhook { url, token } => {
                Channel::Webhook(Webhook { http: http.clone(), url: url.clone(), token: token.clone() })
            }
            settings::Channel::Email { smtp, username, password, from, to } => {
                let login = username.clone().zip(password.clone());
                let email = Email::new(smtp, login, from, to);
                Channel::Email(Box::new(email.map_err(|error| said(&format!("[channels.{name}]"), &error))?))
            }
            settings::Channel::Log => Channel::Log,
        };
        channels.push((name.clone(), channel));
    }
    Ok(Channels::new(channels))
}
