//! Being watched: health, readiness and metrics.

use std::time::Duration;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use chrono::Utc;

use super::{Surface, problem::Problem};
use crate::skew::Skew;

/// How long readiness waits for the database.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the planner may be silent before the daemon is not ready: it ticks at least every 5 s.
const SILENCE: Duration = Duration::from_secs(30);

/// The process lives.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The daemon does its work: its database answers and its planner decides. A line more says what is doubtful.
pub(super) async fn ready(State(surface): State<Surface>) -> Result<String, Problem> {
    let not_ready = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail);
    let ping = sqlx::query("select 1").execute(&surface.pool);
    match tokio::time::timeout(PATIENCE, ping).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(Problem::database(&error)),
        Err(_) => return Err(not_ready(format!("the queue's database did not answer within {PATIENCE:?}"))),
    }
    if surface.pulse.silence(Utc::now()) > SILENCE {
        return Err(not_ready("the planner is not deciding slots (starting, leaving, or stuck)".to_owned()));
    }
    let doubt = surface.skew.get().filter(Skew::is_too_far);
    Ok(doubt.map_or_else(|| "ready\n".to_owned(), |skew| format!("ready\nwarning: {skew}\n")))
}

/// What Prometheus reads.
pub(super) async fn metrics(State(surface): State<Surface>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], surface.metrics.render())
}
