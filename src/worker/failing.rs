//! Pauses a schedule whose runs fail again and again, in the transaction that ends the run which is one too many.

use std::collections::BTreeMap;

use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{facts, settle::Ack};
use crate::{
    ledger,
    outbox::{Fact, OF_SCHEDULE, What},
    queue::{Fate, Goes, Rescued, SettledRow, Verdict},
    spec::Fails,
    state::Final,
};

/// A run that has failed for good.
pub(super) struct Failed<'a> {
    run: Uuid,
    chain: Uuid,
    job: &'a str,
    pause_on_failure: Option<&'a Value>,
    alert: Option<&'a Value>,
}

/// Of a batch that was just settled.
pub(super) fn of_settled<'a>(batch: &'a [Ack], rows: &[SettledRow]) -> Vec<Failed<'a>> {
    let failed = |row: &&SettledRow| row.verdict == Verdict::Applied && row.goes == Goes::Over(Final::Failed);
    let keys: Vec<_> = rows.iter().filter(failed).map(|row| (row.run, row.token)).collect();
    let runs = batch.iter().filter(|ack| keys.contains(&ack.attempt.key())).map(|ack| &ack.attempt.claimed);
    runs.map(|run| Failed {
        run: run.id,
        chain: run.chain,
        job: &run.job,
        pause_on_failure: run.spec.get("pause_on_failure"),
        alert: run.spec.get("alert"),
    })
    .collect()
}

/// Of a rescue.
pub(super) fn of_rescued(rescued: &[Rescued]) -> Vec<Failed<'_>> {
    let failed = rescued.iter().filter(|one| one.fate == Fate::Failed);
    failed
        .map(|one| Failed {
            run: one.run,
            chain: one.chain,
            job: &one.job,
            pause_on_failure: one.spec.get("pause_on_failure"),
            alert: one.spec.get("alert"),
        })
        .collect()
}

/// Pauses whose schedules these were, where it is time; gives what people are told.
pub(super) async fn pause(connection: &mut PgConnection, failed: &[Failed<'_>]) -> Result<Vec<Fact>, sqlx::Error> {
    // In the order of their names, so that nobody waits in a circle; of several runs of one, the last.
    let schedules: BTreeMap<String, (u32, &Failed<'_>)> = failed
        .iter()
        .filter_map(|one| Some((Fails::deserialize(one.pause_on_failure?).ok()?, one)))
        .map(|(fails, one)| (fails.schedule, (fails.after, one)))
        .collect();
    let mut facts = Vec::new();
    for (schedule, (after, one)) in schedules {
        let which = format!("{} (run {})", one.job, one.run);
        let paused = ledger::pause_failing(connection, &schedule, after, one.chain, &which).await?;
        facts.extend(paused.map(|pause| Fact {
            job: format!("{OF_SCHEDULE}{schedule}"),
            run: Some(one.run),
            at: Utc::now(),
            what: What::Paused,
            channels: facts::channels(one.alert),
            detail: json!({
                "schedule": schedule,
                "why": format!("sexton paused it: {}", pause.reason),
                "help": format!(
                    "look why it fails (sexton runs show {}), then: sexton resume {schedule}; its slots until then are \
                     skipped, not caught up",
                    one.run
                ),
            }),
        }));
    }
    Ok(facts)
}
