//! Pausing and resuming everything, or one schedule.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Surface, problem::Problem};
use crate::ledger::{self, Pause};

/// Why, and until when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    reason: String,
    #[serde(default)]
    until: Option<DateTime<Utc>>,
}

/// `GET /api/v1/pauses`: what is paused now.
pub(super) async fn list(State(surface): State<Surface>) -> Result<Json<Vec<Pause>>, Problem> {
    ledger::open_pauses(&surface.pool).await.map(Json).map_err(|error| Problem::database(&error))
}

/// `POST /api/v1/pause`: no schedule fires from now on.
pub(super) async fn pause_all(
    State(surface): State<Surface>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    pause(&surface, None, body).await
}

/// `POST /api/v1/schedules/{name}/pause`: this one does not.
pub(super) async fn pause_one(
    State(surface): State<Surface>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    known(&surface, &name).await?;
    pause(&surface, Some(&name), body).await
}

/// `POST /api/v1/resume`: schedules fire again, but for those that are paused alone.
pub(super) async fn resume_all(State(surface): State<Surface>) -> Result<Json<Vec<Pause>>, Problem> {
    resume(&surface, None).await
}

/// `POST /api/v1/schedules/{name}/resume`: this one does.
pub(super) async fn resume_one(
    State(surface): State<Surface>,
    Path(name): Path<String>,
) -> Result<Json<Vec<Pause>>, Problem> {
    known(&surface, &name).await?;
    resume(&surface, Some(&name)).await
}

async fn pause(
    surface: &Surface,
    schedule: Option<&str>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Pause>), Problem> {
    let body = body.map_err(|rejection| Problem::body(&rejection))?;
    let asked: Body = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!("the body is not what a pause takes: {error}"))
            .help(r#"send {"reason": "…"}, and "until": "2030-01-31T00:00:00Z" if it should end by itself"#)
    })?;
    let reason = asked.reason.trim();
    if reason.is_empty() {
        return Err(Problem::bad_request("a pause needs a reason".to_owned()));
    }
    if asked.until.is_some_and(|until| until <= Utc::now()) {
        return Err(Problem::bad_request("`until` lies in the past".to_owned()));
    }
    let pause = ledger::pause(&surface.pool, schedule, reason, "api", asked.until)
        .await
        .map_err(|error| Problem::database(&error))?;
    Ok((StatusCode::CREATED, Json(pause)))
}

async fn resume(surface: &Surface, schedule: Option<&str>) -> Result<Json<Vec<Pause>>, Problem> {
    let ended = ledger::resume(&surface.pool, schedule, "api").await.map_err(|error| Problem::database(&error))?;
    if ended.is_empty() {
        let what = schedule.unwrap_or("everything");
        let detail = format!("{what} is not paused; there is nothing to resume");
        return Err(Problem::new(StatusCode::CONFLICT, "not-paused", "It is not paused", detail));
    }
    Ok(Json(ended))
}

async fn known(surface: &Surface, name: &str) -> Result<(), Problem> {
    let all = ledger::schedules(&surface.pool).await.map_err(|error| Problem::database(&error))?;
    if all.iter().any(|known| known.name == name && known.removed_at.is_none()) {
        return Ok(());
    }
    Err(Problem::not_found(format!("no schedule `{name}` is active")))
}
