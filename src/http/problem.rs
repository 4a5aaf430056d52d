//! Errors as RFC 9457 problems: what went wrong, for programs and for people.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, rejection::BytesRejection},
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::db;

/// How long a request may take until it is answered; what is streamed afterwards may go on.
const PATIENCE: Duration = Duration::from_secs(15);

/// One problem, `application/problem+json`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Problem {
    /// Which sort of problem: a stable name that programs may compare.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FieldError {
    /// A JSON pointer into the body.
    pub(super) pointer: String,
    /// What is wrong with it.
    pub(super) detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:sexton:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            help: None,
            errors: Vec::new(),
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// A body that did not arrive whole, or is larger than this surface takes.
    pub(super) fn body(rejection: &BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The body is too large",
                "a body may have 1 MiB",
            ),
            _ => Self::bad_request(rejection.body_text()),
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read", detail)
    }

    /// The queue's database did not answer as it should. The driver's text stays in the log.
    pub(super) fn database(error: &sqlx::Error) -> Self {
        db::doubt_if_lost(error);
        if matches!(error, sqlx::Error::PoolTimedOut) {
            tracing::warn!("a request could not be answered: no connection to the queue's database came in time");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database-busy",
                "No connection came in time",
                format!("none of the API's connections to the queue's database came within {:?}", db::ACQUIRE_SOON),
            )
            .help("try again in a few seconds");
        }
        tracing::error!(%error, "a request could not be answered: the queue's database failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database-unavailable",
            "The queue's database cannot be used",
            "the queue's database did not answer; the daemon's log has the reason",
        )
        .help("try again in a few seconds")
    }
}

/// Answers in the handler's place when it takes too long, as on a connection that the network has swallowed.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-slow",
            "No answer in time",
            format!("there was no answer within {PATIENCE:?}; a change that was asked for may have been made"),
        )
        .help("look before you ask for a change again")
        .into_response(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

pub(super) async fn wrong_method(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        format!("{} does not answer this method", uri.path()),
    )
}
