//! How far running attempts are.

use sqlx::PgPool;
use uuid::Uuid;

use crate::kinds::Progress;

/// How far one attempt is.
#[derive(Debug, Clone, PartialEq)]
pub struct Far {
    /// The run.
    pub run: Uuid,
    /// The attempt.
    pub token: i64,
    /// How far it is.
    pub progress: Progress,
    /// Units a second, once known.
    pub rate: Option<f64>,
}

/// Writes down how far attempts are; one that lost its run writes nothing.
pub async fn progress(pool: &PgPool, far: &[Far]) -> Result<(), sqlx::Error> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(include_str!("../../sql/queue/progress.sql"))
        .bind(far.iter().map(|one| one.run).collect::<Vec<_>>())
        .bind(far.iter().map(|one| one.token).collect::<Vec<_>>())
        .bind(far.iter().map(|one| count(one.progress.done)).collect::<Vec<_>>())
        .bind(far.iter().map(|one| one.progress.total.map(count)).collect::<Vec<_>>())
        .bind(far.iter().map(|one| one.progress.unit.as_str()).collect::<Vec<_>>())
        .bind(far.iter().map(|one| one.progress.note.as_deref()).collect::<Vec<_>>())
        .bind(far.iter().map(|one| one.rate).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}
