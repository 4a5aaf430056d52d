//! Why a data set's rows cannot be looked at or moved, and what to do about it.

use sqlx::{PgPool, postgres::PgDatabaseError};

/// Why a data set's rows cannot be looked at or moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A function in the target refused, with its reason: a person must change something.
    #[error("{message}")]
    Refused {
        /// What is wrong, and where.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The target lacks what moves rows.
    #[error("database `{0}` lacks the schema sexton, without whose functions nothing is moved")]
    NotInstalled(String),
    /// What the target has is older than this binary needs.
    #[error("what Sexton installed in database `{database}` has version {found}; this binary needs {needed}")]
    Outdated {
        /// Which database.
        database: String,
        /// Its version.
        found: i32,
        /// Ours.
        needed: i32,
    },
    /// What the target has is newer than this binary.
    #[error("what Sexton installed in database `{database}` has version {found}; this binary knows {known}")]
    Newer {
        /// Which database.
        database: String,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// A newer attempt of the run has begun: this one must not change anything any more.
    #[error("a newer attempt of this run has taken over; this one has changed nothing since")]
    Superseded,
    /// The stored cursor, or what a function gave, cannot be read.
    #[error("what the target told cannot be read: {0}")]
    Cursor(#[from] serde_json::Error),
    /// The database refused, or cannot be reached.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The database did not answer in time.
    #[error("the database did not answer within {0} s")]
    Silent(u64),
}

impl Error {
    /// What to do about it, where we know. `target` is the name in the settings.
    pub fn help(&self, target: &str) -> Option<String> {
        match self {
            Self::Refused { hint, .. } => hint.clone(),
            Self::NotInstalled(_) | Self::Outdated { .. } => Some(format!("run `sexton db install --target {target}`")),
            Self::Newer { .. } => Some("run the newer Sexton".to_owned()),
            Self::Cursor(_) | Self::Superseded | Self::Sql(_) | Self::Silent(_) => None,
        }
    }
}

/// The SQLSTATE by which our functions say that a table is missing; the error's detail is the wanted name.
const NO_TABLE: &str = "SX003";
/// The same for a column.
const NO_COLUMN: &str = "SX004";

/// Reads the words out of an error that one of our functions raised, and looks for the name that was meant.
pub(super) async fn explained(pool: &PgPool, definition: &serde_json::Value, error: sqlx::Error) -> Error {
    let Some((code, message, hint, detail)) = error.as_database_error().map(|error| {
        let error = error.downcast_ref::<PgDatabaseError>();
        let text = |text: Option<&str>| text.map(str::to_owned);
        (error.code().to_owned(), error.message().to_owned(), text(error.hint()), text(error.detail()))
    }) else {
        return error.into();
    };
    if !code.starts_with("SX") {
        return error.into();
    }
    let names: Vec<String> = match code.as_str() {
        NO_TABLE => sqlx::query_scalar(include_str!("../../sql/target/table_names.sql")).fetch_all(pool).await,
        NO_COLUMN => {
            sqlx::query_scalar(include_str!("../../sql/target/column_names.sql"))
                .bind(definition.get("table").and_then(|name| name.as_str()))
                .fetch_all(pool)
                .await
        }
        _ => Ok(Vec::new()),
    }
    .unwrap_or_default();
    let near = detail.as_deref().and_then(|wanted| nearest(wanted, names.iter().map(String::as_str)));
    let hint = match (near, hint) {
        (Some(near), Some(hint)) => Some(format!("did you mean `{near}`? {hint}")),
        (_, hint) => hint,
    };
    Error::Refused { message, hint }
}

/// The most similar of `names` to `wanted`, if one is similar enough to be meant.
pub(super) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}
