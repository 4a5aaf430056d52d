//! What schedules did and will do.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Surface, problem::Problem};
use crate::{
    catalog::Catalog,
    requests::{
        self,
        preview::{self, Due, Known, due},
        why,
    },
};

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

/// The most slots of one answer.
const MOST: usize = 1000;

/// Which slots to come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Coming {
    count: Option<usize>,
    from: Option<DateTime<Utc>>,
}

/// `GET /api/v1/next`: the next slots of all schedules that are on.
pub(super) async fn next(
    State(surface): State<Surface>,
    coming: Result<Query<Coming>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let (from, count) = read(coming)?;
    let catalog = requests::active(&surface.pool).await?;
    let due = preview::upcoming(catalog.schedules.iter().filter(|schedule| schedule.enabled), from, count);
    shown(&surface, &catalog, due).await
}

/// `GET /api/v1/schedules/{name}/next`: those of one, also of one that is off.
pub(super) async fn next_of(
    State(surface): State<Surface>,
    Path(name): Path<String>,
    coming: Result<Query<Coming>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let (from, count) = read(coming)?;
    let catalog = requests::active(&surface.pool).await?;
    let due = preview::upcoming([requests::known_schedule(&catalog, &name)?], from, count);
    shown(&surface, &catalog, due).await
}

fn read(coming: Result<Query<Coming>, QueryRejection>) -> Result<(DateTime<Utc>, usize), Problem> {
    let Query(coming) = coming.map_err(|error| {
        Problem::bad_request(error.body_text())
            .help("send ?count=10, and &from=2026-03-28T00:00:00Z for another instant")
    })?;
    let count = coming.count.unwrap_or(10);
    if !(1..=MOST).contains(&count) {
        return Err(Problem::bad_request(format!("count is {count}; it must be from 1 to {MOST}")));
    }
    Ok((coming.from.unwrap_or_else(Utc::now), count))
}

async fn shown(surface: &Surface, catalog: &Catalog, mut due: Vec<Due<'_>>) -> Result<Json<Value>, Problem> {
    let known = Known::ask(&surface.pool, &preview::jobs(&due)).await.map_err(|error| Problem::database(&error))?;
    preview::touch(catalog, &mut due, Some(&known));
    Ok(Json(json!({"slots": due::json(&due), "notes": preview::notes(&due, Some(&known))})))
}
