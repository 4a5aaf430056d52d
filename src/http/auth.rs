//! Who may ask: whoever has the bearer token.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};
use sha2::{Digest, Sha256};

use super::{Surface, problem::Problem};

/// Lets a request through if it carries the token.
pub(super) async fn token(State(surface): State<Surface>, request: Request, next: Next) -> Result<Response, Problem> {
    let refused = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail);
    let Some(expected) = &surface.token else {
        return Err(refused("this daemon has no API token, so its API refuses everybody")
            .help("set token_file (or token) under [http] in sexton.toml and restart"));
    };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| refused("send the header `Authorization: Bearer TOKEN`"))?;
    // Digests are compared, so that the time it takes tells nothing about the token.
    if Sha256::digest(given.trim()) != Sha256::digest(expected.reveal()) {
        return Err(refused("the token is not the one of this daemon"));
    }
    Ok(next.run(request).await)
}
