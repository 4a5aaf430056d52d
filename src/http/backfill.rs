//! Backfill: runs for slots of the past.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
    response::IntoResponse,
};
use serde::Deserialize;

use super::{Surface, problem::Problem};
use crate::{
    requests::backfill::{Asked, backfill},
    span::Span,
};

/// What a backfill takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    from: String,
    to: String,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    overlap: bool,
    #[serde(default = "ten_seconds")]
    pace: Span,
    #[serde(default = "yes")]
    dry_run: bool,
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

fn yes() -> bool {
    true
}

/// `POST /api/v1/schedules/{name}/backfill`: 200 with what it would do, or 202 once the runs are queued.
pub(super) async fn post(
    State(surface): State<Surface>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let body = body.map_err(|rejection| Problem::body(&rejection))?;
    let body: Body = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!("the body is not what a backfill takes: {error}")).help(
            r#"send {"from": "2026-03-01T00:00:00Z", "to": "2026-03-08T00:00:00Z"}, and "dry_run": false to do it"#,
        )
    })?;
    let asked = Asked {
        schedule: &name,
        from: &body.from,
        to: &body.to,
        again: body.again,
        overlap: body.overlap,
        pace: body.pace,
    };
    let done = backfill(&surface.pool, &asked, (!body.dry_run).then_some("api")).await?;
    let status = if done.queued.is_empty() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(done)))
}
