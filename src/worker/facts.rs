//! What is told of endings and rescues.

use std::collections::BTreeMap;

use chrono::Utc;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::settle::{Ack, describe};
use crate::{
    outbox::{self, Fact, What},
    outcome::Report,
    queue::{Ending, Fate, Goes, Rescued, SettledRow, Verdict},
    state::{Final, Live},
};

/// Takes a batch in that is all done as it was before, which needs no facts; false if there may be some.
pub(super) async fn quiet(
    connection: &mut PgConnection,
    batch: &[Ack],
    rows: &[SettledRow],
) -> Result<bool, sqlx::Error> {
    let done = |row: &SettledRow| row.verdict == Verdict::Applied && row.goes == Goes::Over(Final::Done);
    if !rows.iter().all(done) || batch.iter().any(|ack| !ack.ended.breaches.is_empty()) {
        return Ok(false);
    }
    let newest: BTreeMap<&str, Uuid> =
        batch.iter().map(|ack| (ack.attempt.claimed.job.as_str(), ack.attempt.claimed.id)).collect();
    outbox::still_well(connection, &newest, Utc::now()).await
}

/// The facts of a batch that was just settled: what an earlier try settled has told its own, what was stale has none,
/// and what goes on is no news yet.
pub(super) fn of_settled(batch: &[Ack], rows: &[SettledRow]) -> Vec<Fact> {
    batch
        .iter()
        .zip(rows)
        .filter(|(_, row)| row.verdict == Verdict::Applied)
        .filter_map(|(ack, row)| {
            let what = match row.goes {
                Goes::Over(Final::Done) => What::Done { breaches: ack.ended.breaches.clone() },
                Goes::Over(Final::Skipped) => What::Skipped,
                Goes::Over(Final::Failed) => What::Failed,
                Goes::Over(Final::Cancelled) => What::Cancelled,
                Goes::On(Live::Held) => What::Held,
                Goes::On(_) if matches!(ack.ended.ending, Ending::Lost { .. }) => What::Lost,
                Goes::On(_) => return None,
            };
            let run = &ack.attempt.claimed;
            let (why, help) = reason(&ack.ended.ending);
            Some(Fact {
                job: run.job.clone(),
                run: Some(run.id),
                at: Utc::now(),
                what,
                channels: channels(run.spec.get("alert")),
                detail: json!({
                    "kind": run.kind,
                    "attempt": run.attempt,
                    "most_attempts": run.most_attempts,
                    "requested_by": run.requested_by,
                    "schedule": run.schedule,
                    "nominal_at": run.nominal_at,
                    "started_at": run.started_at,
                    "duration_seconds": ack.ended.took.as_secs_f64(),
                    "outcome": describe(&ack.ended.ending).0,
                    "why": why,
                    "help": help,
                    "by": row.cancelled_by,
                    "report": ack.ended.report().map(Report::for_people),
                }),
            })
        })
        .collect()
}

/// The facts of a rescue.
pub(super) fn of_rescued(rescued: &[Rescued]) -> Vec<Fact> {
    let fact = |one: &Rescued| {
        let (what, why) = match &one.fate {
            Fate::Ready => (What::Lost, "its worker fell silent; another attempt follows".to_owned()),
            Fate::Held => (What::Held, "its worker fell silent, and what it had done cannot be known".to_owned()),
            Fate::Failed => (What::Failed, "its worker fell silent, and that was the last attempt".to_owned()),
            Fate::Cancelled { by } => (What::Cancelled, format!("cancelled by {by}; its worker fell silent")),
        };
        let help = match one.fate {
            Fate::Held => {
                Some(format!("look at what it did, then: sexton runs retry {0}, or: sexton runs cancel {0}", one.run))
            }
            Fate::Failed => {
                Some("look in the log of the daemon that held it for a crash or for lack of memory".to_owned())
            }
            Fate::Ready | Fate::Cancelled { .. } => None,
        };
        Fact {
            job: one.job.clone(),
            run: Some(one.run),
            at: Utc::now(),
            what,
            channels: channels(one.spec.get("alert")),
            detail: json!({
                "kind": one.kind,
                "attempt": one.attempt,
                "schedule": one.schedule,
                "worker": one.worker,
                "why": why,
                "help": help,
                "by": if let Fate::Cancelled { by } = &one.fate { Some(by) } else { None },
            }),
        }
    };
    rescued.iter().map(fact).collect()
}

fn reason(ending: &Ending) -> (Option<&str>, Option<&str>) {
    match ending {
        Ending::Failed { why, help, .. } | Ending::Retrying { why, help, .. } => (Some(why), help.as_deref()),
        Ending::Skipped { why } | Ending::Cancelled { why, .. } | Ending::GivenBack { why } | Ending::Lost { why } => {
            (Some(why), None)
        }
        Ending::Done { .. } | Ending::Snoozed { .. } => (None, None),
    }
}

/// Who is told, also of a run whose snapshot cannot be read as a whole.
pub(super) fn channels(alert: Option<&Value>) -> Vec<String> {
    let names = alert.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
