//! Triggering a job.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Surface,
    problem::{FieldError, Problem},
    runs,
};
use crate::requests::{self, RequestError};

/// Names the request: sent again with the same key and parameters, it gives the run that the first one made.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// In the answer to a request that was sent again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a trigger may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Values for what the job declares in its `[params]`.
    #[serde(default)]
    params: BTreeMap<String, Value>,
}

/// `POST /api/v1/jobs/{name}/runs`: 202 with the queued run.
pub(super) async fn trigger(
    State(surface): State<Surface>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let body = body.map_err(|rejection| Problem::body(&rejection))?;
    let body = if body.is_empty() {
        Body::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            Problem::bad_request(format!("the body is not what a trigger takes: {error}"))
                .help(r#"send {"params": {"NAME": VALUE}} or nothing"#)
        })?
    };
    let key = headers.get(&KEY).map(HeaderValue::to_str).transpose().map_err(|_| {
        Problem::bad_request("the header Idempotency-Key has characters that are not printable ASCII")
            .help("use what names the request, such as a UUID")
    })?;
    let triggered = requests::trigger(&surface.pool, &name, &body.params, "api", key).await?;
    let run = runs::load(&surface, triggered.run).await?;
    let place = (header::LOCATION, format!("/api/v1/runs/{}", triggered.run));
    let mut more = HeaderMap::new();
    if triggered.replayed {
        more.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok((StatusCode::ACCEPTED, [place], more, Json(run)))
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let detail = error.to_string();
        match error {
            RequestError::UnknownJob { .. } | RequestError::UnknownSchedule { .. } => Self::not_found(detail),
            RequestError::Asked(_) => Self::bad_request(detail),
            RequestError::KeyUsed { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-used",
                "The idempotency key stands for another request",
                detail,
            ),
            RequestError::Params(problems) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "parameters-refused",
                "The job does not take these parameters",
                detail,
            )
            .errors(
                problems
                    .iter()
                    .map(|p| FieldError {
                        pointer: p.param.as_ref().map_or("/params".to_owned(), |name| format!("/params/{name}")),
                        detail: p.to_string(),
                    })
                    .collect(),
            ),
            RequestError::NoRevision | RequestError::Unreadable(..) => {
                Self::new(StatusCode::CONFLICT, "no-active-files", "No usable files are active", detail)
            }
            RequestError::Database(error) => Self::database(&error),
        }
    }
}
