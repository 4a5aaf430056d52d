//! From the settings to the parts: databases, vaults, channels, and what runs may use.

use std::{sync::Arc, time::Duration};

use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::{
    alerts::{Alerts, Channel, Channels, Email, Mutes, Slack, Webhook},
    backups::catalogue::Catalogue,
    catalog::{Catalog, Names, Problem},
    child::Spawner,
    cli::{self, AskError},
    db::{self, Ear, Login, Targets},
    kinds::Env,
    settings::{self, Settings},
};

use super::files::Source;

/// Connections that the heartbeat keeps for itself.
const BEAT_CONNECTIONS: u32 = 2;
/// Connections that answer people, so that no amount of work keeps them waiting, nor they the work.
const PEOPLE_CONNECTIONS: u32 = 4;
/// Connections past a pooler, for what needs a session of its own.
const SESSIONS: u32 = 3;

/// The parts of one process.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) login: Login,
    /// Past the pooler, where there is one.
    pub(super) direct: Login,
    /// For work.
    pub(super) pool: sqlx::PgPool,
    /// For people.
    pub(super) people_pool: sqlx::PgPool,
    /// For what needs a session of its own: migrations, and the planner's.
    pub(super) session_pool: sqlx::PgPool,
    pub(super) beat_pool: sqlx::PgPool,
    /// For hearing notifications, on a connection of the server itself; none where they are off.
    pub(super) hearing: Option<sqlx::PgPool>,
    _following: Arc<Vec<AbortOnDropHandle<()>>>,
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
    let direct = cli::direct_login(settings, &login)?;
    db::set_notify(settings.database.notify);
    let pool = db::queue_pool(&login, settings.database.max_connections);
    let people_pool = db::people_pool(&login, PEOPLE_CONNECTIONS);
    let beat_pool = db::queue_pool(&direct, BEAT_CONNECTIONS);
    let session_pool = if login.is_pooled() { db::queue_pool(&direct, SESSIONS) } else { pool.clone() };
    let hearing = settings.database.notify.then(|| db::people_pool(&direct, 1));
    let (mut through, mut past) = (vec![pool.clone(), people_pool.clone()], vec![beat_pool.clone()]);
    past.extend(hearing.clone());
    let following = if login.is_pooled() {
        past.push(session_pool.clone());
        vec![(login.clone(), through), (direct.clone(), past)]
    } else {
        through.extend(past);
        vec![(login.clone(), through)]
    };
    let following =
        following.into_iter().map(|(login, pools)| AbortOnDropHandle::new(tokio::spawn(db::follow(login, pools))));
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
        ear: Ear::default(),
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
    Ok(Parts {
        login,
        direct,
        pool,
        people_pool,
        session_pool,
        beat_pool,
        hearing,
        _following: Arc::new(following.collect()),
        env: Arc::new(env),
        alerts,
        source,
    })
}

/// Waits for nothing: brings the queue's schema up to date past any pooler, and makes sure that the pooler will do.
///
/// # Errors
/// What the pooler loses; what the database refuses.
pub(super) async fn prepare(parts: &Parts) -> Result<(), AskError> {
    if parts.login.is_pooled() {
        let unset = db::check_pooler(&parts.login).await.map_err(|error| AskError::Said(error.to_string()))?;
        if let Some(unset) = unset {
            let help =
                "a pooler in transaction mode does not keep what Sexton sets for its sessions; see docs/connections.md";
            tracing::warn!(help, "the role of [database] url has no short timeouts: alter role … set {unset}");
        }
    }
    Ok(db::migrate(&parts.session_pool).await?)
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
