//! Brings the queue's database to the schema that this binary needs.

use sqlx::{PgPool, migrate::Migrator};

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database is newer than this binary, was changed by hand, or refused a statement.
    #[error("the queue's schema could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// Applies every migration that is missing, under a lock: daemons that start together wait for one another.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator: Migrator = sqlx::migrate!("sql/migrations");
    migrator.create_schema("sexton");
    migrator.dangerous_set_table_name("sexton.migration");
    // A statement that rewrites a large table takes as long as it takes; the connection is not used for anything else.
    let mut connection = pool.acquire().await.map_err(sqlx::migrate::MigrateError::from)?;
    sqlx::query("set statement_timeout = 0")
        .execute(&mut *connection)
        .await
        .map_err(sqlx::migrate::MigrateError::from)?;
    let migrated = migrator.run(&mut *connection).await;
    // It may be gone already.
    let _ = connection.close().await;
    Ok(migrated?)
}
