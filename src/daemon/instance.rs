//! Whether this daemon may plan and work on this queue: a copy of production's database starts nothing elsewhere.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::ledger;

/// How often a daemon that may not work asks whether it may now.
const ASK: Duration = Duration::from_secs(5);

/// Why a daemon with these settings may not work on this queue; nothing: it may. The first daemon that has a name gives
/// it to a queue that has none.
pub(super) async fn refusal(pool: &PgPool, ours: Option<&str>, by: &str) -> Result<Option<String>, sqlx::Error> {
    if let Some(ours) = ours {
        ledger::claim_instance(pool, ours, by).await?;
    }
    differs(pool, ours).await
}

/// The same without giving a name to a queue that has none.
pub(super) async fn differs(pool: &PgPool, ours: Option<&str>) -> Result<Option<String>, sqlx::Error> {
    let queue = ledger::instance(pool).await?;
    Ok(match (queue.as_deref(), ours) {
        (None, _) => None,
        (Some(queue), Some(ours)) if queue == ours => None,
        (Some(queue), ours) => {
            let ours = ours.map_or("no instance is set".to_owned(), |ours| format!("instance = \"{ours}\""));
            Some(format!(
                "the queue's database is the instance `{queue}`'s, and in these settings {ours}: nothing is planned and \
                 nothing is worked on here (is this a copy of another system's database?)"
            ))
        }
    })
}

/// Waits until this daemon may work; says once why it may not. False if it was told to stop before.
pub(super) async fn admitted(pool: &PgPool, ours: Option<&str>, by: &str, stop: &CancellationToken) -> bool {
    let mut said = false;
    while !stop.is_cancelled() {
        match refusal(pool, ours, by).await {
            Ok(None) => {
                if said {
                    tracing::info!("the queue's database is this instance's now");
                }
                return true;
            }
            Ok(Some(why)) if !said => {
                said = true;
                let help = "correct `instance` in sexton.toml; or, if this database is meant, `sexton instance --set NAME --confirm`";
                tracing::error!(help, "{why}");
            }
            Ok(Some(_)) => {}
            Err(error) => tracing::warn!(%error, "whose queue this is cannot be read; asking again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(ASK) => {}
        }
    }
    false
}
