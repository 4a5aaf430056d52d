//! What schedules did and will do.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Surface, problem::Problem};
use crate::requests::why;

/// About which time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    at: Option<String>,
}

/// `GET /api/v1/schedules/{name}/why?at=…`: why a slot did or did not run.
pub(super) async fn why(
    State(surface): State<Surface>,
    Path(name): Path<String>,
    when: Result<Query<When>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(when) = when.map_err(|error| {
        Problem::bad_request(error.body_text()).help("send ?at=2026-03-29T01:00:00Z, or a time on the schedule's clock")
    })?;
    let explained = why::why(&surface.pool, &name, when.at.as_deref()).await?;
    Ok(Json(json!({"schedule": name, "explanations": explained})))
}
