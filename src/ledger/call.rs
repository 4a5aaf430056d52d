//! Calls the planners, once there is another revision or a pause began or ended.

use sqlx::PgExecutor;

use crate::db;

/// The channel that wakes the planners after a revision, or a pause, was written.
pub const CHANNEL: &str = "sexton_files";

/// Calls the planners of every daemon, with the commit. A hint: they look by themselves, too.
pub(super) async fn call(database: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    if db::notifies() {
        sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(database).await?;
    }
    Ok(())
}
