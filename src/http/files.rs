//! Looking at the files: what is active, and what every daemon has.

use axum::{Json, extract::State};

use super::{Surface, problem::Problem};
use crate::requests::{self, KnownFiles};

/// How many revisions are listed.
const REVISIONS: i64 = 20;

/// `GET /api/v1/files`.
pub(super) async fn show(State(surface): State<Surface>) -> Result<Json<KnownFiles>, Problem> {
    requests::files(&surface.pool, REVISIONS).await.map(Json).map_err(|error| Problem::database(&error))
}
