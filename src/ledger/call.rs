//! Calls those who follow the files: there is another revision, a daemon's files stand otherwise, or a pause began or ended.

use sqlx::PgExecutor;

use crate::db;

/// The channel that wakes planners, and those who keep a daemon's files, after a revision, a pause or how files stand was
/// written.
pub const CHANNEL: &str = "sexton_files";

/// Calls them in every daemon, with the commit. A hint: they look by themselves, too.
pub(super) async fn call(database: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    if db::notifies() {
        sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(database).await?;
    }
    Ok(())
}
