//! The webhook receiver: takes every request, and answers each path by its script.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use tokio::net::TcpListener;

use super::{Post, Shared};

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// With this status code.
    Status(u16),
    /// With this status code and a `Retry-After`: seconds or a date.
    Later {
        /// 429, 503, …
        status: u16,
        /// As it is sent.
        retry_after: String,
    },
    /// With this status code and what it was asked with, secrets and all, as careless servers do.
    Echo(u16),
    /// Never.
    Hang,
}

/// Answers until the inbox ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let router = Router::new().fallback(take).with_state(shared);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::warn!(%error, "the local inbox takes no more webhook messages");
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = shared.answer(uri.path());
    let status = match &answer {
        Answer::Status(status) | Answer::Echo(status) | Answer::Later { status, .. } => Some(*status),
        Answer::Hang => None,
    };
    let login = headers.get(header::AUTHORIZATION).and_then(|login| login.to_str().ok()).unwrap_or_default();
    let asked = format!("cannot {method} {uri} as {login}");
    let post = Post {
        method: method.to_string(),
        path: uri.path().to_owned(),
        headers: fields(&headers),
        body: body.to_vec(),
        at: Utc::now(),
        status,
    };
    shared.seen.send_modify(|seen| seen.posts.push(post));
    match answer {
        Answer::Status(status) => code(status).into_response(),
        Answer::Echo(status) => (code(status), asked).into_response(),
        Answer::Later { status, retry_after } => (code(status), [(header::RETRY_AFTER, retry_after)]).into_response(),
        Answer::Hang => {
            shared.stop.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn fields(headers: &HeaderMap) -> super::Headers {
    let mut fields = BTreeMap::new();
    for (name, value) in headers {
        super::mime::add(&mut fields, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    fields
}
