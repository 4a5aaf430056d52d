//! Whose queue this is, so that a copy of production's database starts nothing elsewhere.

use sqlx::PgPool;

/// What the queue says it is.
///
/// # Errors
/// The database's; so below.
pub async fn instance(pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../sql/ledger/instance.sql")).fetch_optional(pool).await
}

/// Says that the queue is this instance's, if nobody said so before; what it is then.
pub async fn claim_instance(pool: &PgPool, instance: &str, by: &str) -> Result<String, sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/claim_instance.sql")).bind(instance).bind(by).execute(pool).await?;
    sqlx::query_scalar(include_str!("../../sql/ledger/instance.sql")).fetch_one(pool).await
}

/// Says that the queue is this instance's from now on.
pub async fn set_instance(pool: &PgPool, instance: &str, by: &str) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/set_instance.sql")).bind(instance).bind(by).execute(pool).await?;
    Ok(())
}
