//! Looking at runs; cancelling, pausing and resuming one.

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::StatusCode,
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Surface, problem::Problem};
use crate::{
    queue::{self, Cancel, Filter, Pause, Resume, Run},
    requests::{self, Paused},
};

/// The most runs on one page.
const PAGE: i64 = 500;

/// Which runs to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    job: Option<String>,
    state: Option<String>,
    schedule: Option<String>,
    chain: Option<Uuid>,
    before: Option<Uuid>,
    limit: Option<i64>,
}

/// One page of runs, newest first.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    runs: Vec<Run>,
    /// What to send as `before` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// `GET /api/v1/runs`.
pub(super) async fn list(
    State(surface): State<Surface>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(asked) = asked.map_err(|error| {
        Problem::bad_request(error.body_text()).help("filters are job, state, schedule, chain, before and limit")
    })?;
    let limit = asked.limit.unwrap_or(50);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is {limit}; it must be from 1 to {PAGE}")));
    }
    let filter = Filter {
        job: asked.job,
        state: asked.state,
        schedule: asked.schedule,
        chain: asked.chain,
        before: asked.before,
        limit: limit + 1,
    };
    let mut runs = queue::list(&surface.pool, &filter).await.map_err(|error| Problem::database(&error))?;
    // One more than asked for tells whether there is a next page.
    let more = runs.len() as i64 > limit;
    runs.truncate(limit as usize);
    let next = runs.last().filter(|_| more).map(|run| run.id);
    Ok(Json(Page { runs, next }))
}

/// `GET /api/v1/runs/{id}`.
pub(super) async fn show(State(surface): State<Surface>, Path(id): Path<String>) -> Result<Json<Run>, Problem> {
    load(&surface, parse(&id)?).await.map(Json)
}

/// Why a run should end or rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    why: Option<String>,
}

/// `POST /api/v1/runs/{id}/cancel`: 202, since a running one ends a moment later.
pub(super) async fn cancel(
    State(surface): State<Surface>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let id = parse(&id)?;
    let why = read(body, "a cancel")?;
    let cancelled = requests::cancel(&surface.pool, id, "api", why.as_deref().unwrap_or("cancelled over the API"))
        .await
        .map_err(|error| Problem::database(&error))?;
    match cancelled {
        Cancel::Ended | Cancel::Asked => Ok((StatusCode::ACCEPTED, Json(load(&surface, id).await?))),
        Cancel::Over(state) => Err(over(id, &state, "cancelled")),
        Cancel::Unknown => Err(no_run(id)),
    }
}

/// `POST /api/v1/runs/{id}/pause`: 202, since a running one ends its step first.
pub(super) async fn pause(
    State(surface): State<Surface>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let id = parse(&id)?;
    let why = read(body, "a pause")?;
    let paused = requests::pause(&surface.pool, id, "api", why.as_deref().unwrap_or("paused over the API"))
        .await
        .map_err(|error| Problem::database(&error))?;
    match paused {
        Paused::Asked(Pause::Kept | Pause::Asked | Pause::Already) => {
            Ok((StatusCode::ACCEPTED, Json(load(&surface, id).await?)))
        }
        Paused::Asked(Pause::Over(state)) => Err(over(id, &state, "paused")),
        Paused::Asked(Pause::Unknown) => Err(no_run(id)),
        Paused::Cannot { kind } => Err(Problem::new(
            StatusCode::CONFLICT,
            "cannot-pause",
            "The run cannot be paused",
            format!("run {id} is running, and a `{kind}` cannot go on where it was; let it end, or cancel it"),
        )),
    }
}

/// `POST /api/v1/runs/{id}/resume`: 202, since a worker takes it up a moment later.
pub(super) async fn resume(
    State(surface): State<Surface>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let id = parse(&id)?;
    match queue::resume(&surface.pool, id, "api").await.map_err(|error| Problem::database(&error))? {
        Resume::Resumed => Ok((StatusCode::ACCEPTED, Json(load(&surface, id).await?))),
        Resume::Unpaused => Err(Problem::new(
            StatusCode::CONFLICT,
            "not-paused",
            "The run is not paused",
            format!("run {id} is not paused; there is nothing to resume"),
        )),
        Resume::Over(state) => Err(over(id, &state, "resumed")),
        Resume::Unknown => Err(no_run(id)),
    }
}

/// The reason in a body, which may be empty.
fn read(body: Result<Bytes, BytesRejection>, what: &str) -> Result<Option<String>, Problem> {
    let body = body.map_err(|rejection| Problem::body(&rejection))?;
    if body.is_empty() {
        return Ok(None);
    }
    let reason: Reason = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!("the body is not what {what} takes: {error}"))
            .help(r#"send {"why": "…"} or nothing"#)
    })?;
    Ok(reason.why)
}

fn over(id: Uuid, state: &str, what: &str) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "already-over",
        "The run is over",
        format!("run {id} is {state} and cannot be {what}"),
    )
}

pub(super) fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::not_found(format!("`{id}` is no run's id")))
}

/// One run, or the problem that there is none.
pub(super) async fn load(surface: &Surface, id: Uuid) -> Result<Run, Problem> {
    let found = queue::find(&surface.pool, id).await.map_err(|error| Problem::database(&error))?;
    let mut run = found.ok_or_else(|| no_run(id))?;
    run.links = queue::linked(&surface.pool, &run).await.map_err(|error| Problem::database(&error))?;
    let waits = queue::why_waits(&surface.pool, id).await.map_err(|error| Problem::database(&error))?;
    run.waits = waits.map(|wait| wait.to_string());
    Ok(run)
}

pub(super) fn no_run(id: Uuid) -> Problem {
    Problem::not_found(format!("there is no run {id}"))
}
