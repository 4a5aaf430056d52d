//! The HTTP surface: trigger, look, pause, cancel, and be watched.
//!
//! Everything under `/api/v1` wants the bearer token; `/healthz`, `/readyz` and `/metrics` do not.

mod auth;
mod backfill;
mod events;
mod files;
mod jobs;
mod log;
mod pauses;
mod problem;
mod runs;
mod schedules;
mod watch;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use events::Streams;

use crate::{pulse::Pulse, secret::Secret, skew};

/// The most that a request's body may have, in bytes.
const BODY: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub struct Surface {
    /// Connections to the queue's database, apart from those that the work uses.
    pub pool: PgPool,
    /// The token that `/api/v1` wants; without one it refuses everybody.
    pub token: Option<Arc<Secret>>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Whether the daemon still decides slots.
    pub pulse: Pulse,
    /// How far this machine's clock is from the database's.
    pub skew: skew::Shown,
    /// Who follows runs.
    pub streams: Streams,
}

/// Serves on `listener` until `stop`.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, surface: Surface, stop: CancellationToken) -> std::io::Result<()> {
    let service = router(surface).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Every route.
pub fn router(surface: Surface) -> Router {
    let api = Router::new()
        .route("/jobs/{name}/runs", post(jobs::trigger))
        .route("/files", get(files::show))
        .route("/pauses", get(pauses::list))
        .route("/pause", post(pauses::pause_all))
        .route("/resume", post(pauses::resume_all))
        .route("/schedules/{name}/pause", post(pauses::pause_one))
        .route("/schedules/{name}/resume", post(pauses::resume_one))
        .route("/schedules/{name}/why", get(schedules::why))
        .route("/schedules/{name}/next", get(schedules::next_of))
        .route("/next", get(schedules::next))
        .route("/schedules/{name}/backfill", post(backfill::post))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::show))
        .route("/runs/{id}/log", get(log::page))
        .route("/runs/{id}/events", get(events::stream))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/pause", post(runs::pause))
        .route("/runs/{id}/resume", post(runs::resume))
        .route_layer(middleware::from_fn(problem::in_time))
        .route_layer(middleware::from_fn_with_state(surface.clone(), auth::token));
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(watch::health))
        .route("/readyz", get(watch::ready))
        .route("/metrics", get(watch::metrics))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(surface)
}
