//! The jobs of the current revision, as the database itself makes runs of them.

use serde_json::Value;
use sqlx::PgConnection;

/// A job as `sexton.enqueue` knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its name.
    pub name: String,
    /// Its kind's name.
    pub kind: String,
    /// What a run carries whose parameters have their defaults.
    pub spec: Value,
    /// What of it hangs on parameters.
    pub parts: Value,
    /// Higher is claimed earlier.
    pub priority: i16,
    /// How long a worker may be silent, in seconds.
    pub lease: f64,
    /// Attempts in all.
    pub most_attempts: i32,
    /// `retry` or `hold`.
    pub on_lost: &'static str,
}

/// Makes these the jobs that can be enqueued, as those of the current revision; [`lock_files`](super::lock_files) first.
///
/// # Errors
/// The database's; so below.
pub async fn publish(
    connection: &mut PgConnection,
    revision: i64,
    jobs: &[Published],
    default_alert: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/ledger/save_jobs.sql"))
        .bind(revision)
        .bind(jobs.iter().map(|job| job.name.clone()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.kind.clone()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.spec.clone()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.parts.clone()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.priority).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.lease).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.most_attempts).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.on_lost).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("../../sql/ledger/remove_jobs.sql")).bind(revision).execute(&mut *connection).await?;
    let published = sqlx::query(include_str!("../../sql/ledger/published.sql")).bind(revision).bind(default_alert);
    published.execute(connection).await?;
    Ok(())
}

/// Whom jobs tell that name no channels, as the daemons' settings have it; nobody before the first revision.
pub async fn default_alert(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let told: Option<Option<Vec<String>>> =
        sqlx::query_scalar(include_str!("../../sql/ledger/default_alert.sql")).fetch_optional(connection).await?;
    Ok(told.flatten().unwrap_or_default())
}
