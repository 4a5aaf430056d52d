//! What a run logged, in pages.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use super::{Surface, problem::Problem, runs};
use crate::queue::log::{self, BadPlace, Line, Place};

/// The most lines on one page.
const PAGE: i64 = 1_000;

/// Which lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    after: Option<String>,
    attempt: Option<i32>,
    limit: Option<i64>,
}

/// One page of lines, in the order of attempts.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    lines: Vec<Line>,
    /// What to send as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `GET /api/v1/runs/{id}/log`.
pub(super) async fn page(
    State(surface): State<Surface>,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let id = runs::parse(&id)?;
    let Query(asked) = asked.map_err(|error| {
        Problem::bad_request(error.body_text()).help("what a log takes is after, attempt and limit")
    })?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is {limit}; it must be from 1 to {PAGE}")));
    }
    let after: Place = match &asked.after {
        Some(after) => after.parse().map_err(|error: BadPlace| Problem::bad_request(format!("after: {error}")))?,
        None => Place::default(),
    };
    let read = log::page(&surface.pool, id, after, asked.attempt, limit + 1).await;
    let mut lines = read.map_err(|error| Problem::database(&error))?;
    if lines.is_empty() && after == Place::default() {
        // That there is nothing to read is an answer only of a run that is there.
        runs::load(&surface, id).await?;
    }
    // One more than asked for tells whether there is a next page.
    let more = lines.len() as i64 > limit;
    lines.truncate(limit as usize);
    let next = lines.last().filter(|_| more).map(|line| line.place().to_string());
    Ok(Json(Page { lines, next }))
}
