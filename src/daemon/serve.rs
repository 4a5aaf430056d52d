//! `sexton run`: the daemon.
//!
//! Starts the stages side by side, keeps the files, and at SIGTERM takes them down in an order in which
//! nothing is lost: readiness first, then no new slots, then the runs, then what people must be told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    backups, clock,
    files::{Keeper, Occasion, ReloadError},
    forget, instance, logging, measure, ready, signals,
    wire::{self, Parts},
};
use crate::{
    alerts::{self, Alerts},
    cli::{self, AskError, Cli, exit},
    db::{self, Ears},
    http, ledger, metrics, outbox, planner,
    pulse::Pulse,
    settings::Settings,
    skew,
    worker::{self, Worker},
};

/// How long the last messages may take before the process ends; daemons that go on deliver the rest.
const FLUSH: Duration = Duration::from_secs(10);

/// Runs the daemon until it is told to stop.
pub(super) async fn run(cli: &Cli) -> Result<u8, AskError> {
    let settings = cli::load(cli.config.as_deref())?;
    logging::start(&settings.log);
    let stop = CancellationToken::new();
    signals::stop_at_signals(&stop)?;
    let daemon = Daemon::start(settings).await?;
    daemon.serve(stop).await?;
    Ok(exit::DONE)
}

/// A daemon that is about to serve: its database is up to date, its files are active, its address is bound.
pub(super) struct Daemon {
    pub(super) settings: Settings,
    pub(super) parts: Parts,
    /// Wakes the planner, after the files changed.
    pub(super) poke: Arc<Notify>,
    files: Keeper,
    listener: Option<TcpListener>,
    /// Whether the queue is this instance's.
    admitted: bool,
}

impl Daemon {
    /// Waits for the database, brings it up to date and takes the files in.
    pub(super) async fn start(settings: Settings) -> Result<Self, AskError> {
        let parts = wire::parts(&settings)?;
        wait_for_database(&parts).await?;
        wire::prepare(&parts).await?;
        let poke = Arc::<Notify>::default();
        let mut files =
            Keeper::new(parts.pool.clone(), parts.source.clone(), parts.by(), settings.files.clone(), poke.clone());
        // Nothing is written to a queue that is another instance's, not even these files.
        let refusal = instance::refusal(&parts.pool, settings.instance.as_deref(), &parts.by()).await?;
        if refusal.is_none() {
            files.reload(Occasion::Start).await.map_err(refused)?;
        }
        let listener =
            match &settings.http {
                Some(http) => Some(TcpListener::bind(http.listen).await.map_err(|error| {
                    AskError::Said(format!("[http] listen: {} cannot be bound: {error}", http.listen))
                })?),
                None => None,
            };
        Ok(Self { settings, parts, poke, files, listener, admitted: refusal.is_none() })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, then drains.
    pub(super) async fn serve(self, stop: CancellationToken) -> Result<(), AskError> {
        let Self { settings, parts, poke, mut files, listener, admitted } = self;
        let recorder = metrics::install();
        let pulse = Pulse::default();
        let skew = skew::Shown::default();
        let mut side = JoinSet::new();
        // Surfaces and watchers live until everything else has ended.
        let over = CancellationToken::new();
        if let (Some(listener), Some(http)) = (listener, &settings.http) {
            let surface = http::Surface {
                pool: parts.people_pool.clone(),
                token: http.token.clone().map(Arc::new),
                metrics: recorder.clone(),
                pulse: pulse.clone(),
                skew: skew.clone(),
                streams: http::Streams::until(over.clone()),
            };
            let address = listener.local_addr()?;
            tracing::info!(%address, "listening on http://{address}");
            side.spawn(serve_http(listener, surface, over.clone()));
        }
        side.spawn(measure::keep(parts.pool.clone(), recorder.clone(), over.clone()));
        side.spawn(forget::keep(parts.pool.clone(), settings.retention, over.clone()));
        side.spawn(clock::keep_measuring(parts.pool.clone(), skew, over.clone()));
        if !admitted {
            if !instance::admitted(&parts.pool, settings.instance.as_deref(), &parts.by(), &stop).await {
                over.cancel();
                side.join_all().await;
                return Ok(());
            }
            files.reload(Occasion::Start).await.map_err(refused)?;
        }
        side.spawn(ready::keep_looking(parts.clone(), files.active(), over.clone()));
        side.spawn(backups::keep_looking(parts.clone(), files.active(), over.clone()));
        let alerts_stop = CancellationToken::new();
        let mut ears = parts.hearing.clone().map(Ears::new);
        let mut on = |channel| ears.as_mut().map(|ears| ears.on(channel)).unwrap_or_default();
        let (ear, files_ear) = (on(outbox::CHANNEL), on(ledger::CHANNEL));
        let alerting = tokio::spawn(alerts::run(Alerts { ear, ..parts.alerts.clone() }, alerts_stop.clone()));
        let _hearing = ears.map(|ears| AbortOnDropHandle::new(tokio::spawn(ears.listen())));
        side.spawn(files.run(files_ear.clone(), over.clone()));
        let options = planner::Options {
            me: parts.source.me,
            default_alert: settings.alerts.default.clone(),
            pulse: pulse.clone(),
            ear: files_ear,
            ..planner::Options::new()
        };
        let planning = tokio::spawn(planner::run(parts.session_pool.clone(), options, poke, stop.clone()));
        let working = tokio::spawn(worker::run(worker_of(&settings, &parts), stop.clone()));
        tracing::info!(slots = settings.worker.slots, "sexton {} is at work", env!("CARGO_PKG_VERSION"));

        stop.cancelled().await;
        pulse.end();
        let _ = planning.await;
        let worked = working.await.map_err(|error| AskError::Said(format!("the worker broke down: {error}")))?;
        alerts_stop.cancel();
        let _ = alerting.await;
        match alerts::flush(&parts.alerts, Instant::now() + FLUSH).await {
            Ok(0) => {}
            Ok(left) => {
                tracing::warn!(left, "{left} messages are not delivered yet; the next daemon goes on with them")
            }
            Err(error) => tracing::warn!(%error, "the last messages could not be looked at; the next daemon does it"),
        }
        over.cancel();
        side.join_all().await;
        worked.map_err(|error| AskError::Said(error.to_string()))?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The first start refuses broken files, and shows all that is wrong with them.
fn refused(error: ReloadError) -> AskError {
    let text = match &error {
        ReloadError::FirstStart { problems, files } => {
            format!("{error}\n{}", cli::check::told(problems, files))
        }
        _ => error.to_string(),
    };
    AskError::Said(text)
}

fn worker_of(settings: &Settings, parts: &Parts) -> Worker {
    let mut worker = Worker::new(parts.pool.clone(), parts.beat_pool.clone(), parts.env.clone());
    worker.options.slots = settings.worker.slots;
    worker.options.grace = settings.worker.grace.0;
    worker.options.listen = settings.database.notify;
    worker.options.labels.clone_from(&settings.worker.labels);
    worker
}

async fn serve_http(listener: TcpListener, surface: http::Surface, over: CancellationToken) {
    if let Err(error) = http::serve(listener, surface, over).await {
        tracing::error!(%error, "the HTTP surface broke; the daemon works on without it");
    }
}

/// A random number in `0.0..1.0`.
fn rand() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / (f64::from(u32::MAX) + 1.0)
}

/// Waits until Postgres answers; says so once, and again when it does.
async fn wait_for_database(parts: &Parts) -> Result<(), AskError> {
    let mut said = false;
    let mut pause = Duration::from_millis(200);
    loop {
        let (place, answer) = match db::probe(&parts.direct).await {
            Ok(()) if parts.login.is_pooled() => ("url", db::probe(&parts.login).await),
            Ok(()) => ("url", Ok(())),
            failed => (if parts.login.is_pooled() { "direct_url" } else { "url" }, failed),
        };
        match answer {
            Ok(()) => break,
            // What a person must change is no use waiting for.
            Err(error)
                if error
                    .as_database_error()
                    .is_some_and(|e| !e.code().is_some_and(|c| c.starts_with("57") || c.starts_with("53"))) =>
            {
                let help = match error.as_database_error() {
                    Some(told) if told.message().contains("unsupported startup parameter") => {
                        "\n  help: a pooler is there; if it pools transactions, set direct_url to the server itself (docs/connections.md)"
                    }
                    _ => "",
                };
                let login = if place == "url" { &parts.login } else { &parts.direct };
                return Err(AskError::Said(format!("[database] {place}: {login}: {error}{help}")));
            }
            Err(error) => {
                // Of several hosts, whoever follows them says what each of them is.
                if !said && !parts.login.has_several_hosts() {
                    tracing::warn!(%error, "the queue's database {} does not answer; waiting for it", parts.login);
                    said = true;
                }
            }
        }
        // Spread, so that daemons which lost one server do not come back together.
        sleep(pause.mul_f64(0.5 + rand() / 2.0)).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    if said {
        tracing::info!("the queue's database answers");
    }
    Ok(())
}
