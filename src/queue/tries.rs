//! Every attempt of a run, with its times: those that are recorded in it, and the newest one, which is the run itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Run;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// 1 for the first; one that was given back has its number again.
    pub attempt: i32,
    /// Its fencing token.
    pub token: Option<i64>,
    /// Who had it.
    pub worker: Option<Uuid>,
    /// When it was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; `None` while it runs.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// For how many seconds it went on.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// How it ended: `done`, `skipped`, `failed`, `cancelled`, `retrying`, `given_back`, `lost`, `held`; or `running`.
    pub outcome: String,
    /// Why.
    #[serde(default)]
    pub why: Option<String>,
    /// What to do about it.
    #[serde(default)]
    pub help: Option<String>,
    /// Who asked for its end, where somebody did.
    #[serde(default)]
    pub cancel_by: Option<String>,
    /// Who had the run tried again after it.
    #[serde(default)]
    pub retried_by: Option<String>,
}

impl Try {
    /// Every attempt of a run, oldest first.
    pub(super) fn all(run: &Run) -> Vec<Self> {
        let mut tries: Vec<Self> = Vec::new();
        for record in run.attempts.as_array().into_iter().flatten() {
            if let Ok(attempt) = Self::deserialize(record) {
                // What was cancelled or moved before anybody began it was no attempt.
                tries.extend(attempt.started_at.is_some().then_some(attempt));
            } else if let (Some(last), Some(by)) =
                (tries.last_mut(), record.get("retried_by").and_then(|by| by.as_str()))
            {
                last.retried_by = Some(by.to_owned());
            }
        }
        let recorded = |started_at| tries.iter().any(|attempt| attempt.started_at == Some(started_at));
        if let Some(started_at) = run.started_at.filter(|at| (run.is_running() || run.is_over()) && !recorded(*at)) {
            tries.push(Self {
                attempt: run.spent,
                token: run.token,
                worker: run.worker,
                started_at: Some(started_at),
                ended_at: run.finished_at,
                seconds: None,
                outcome: run.state.clone(),
                why: run.why.clone(),
                help: run.help.clone(),
                cancel_by: run.cancel_by.clone(),
                retried_by: None,
            });
        }
        for attempt in &mut tries {
            let took = attempt.started_at.zip(attempt.ended_at).map(|(from, to)| (to - from).as_seconds_f64());
            attempt.seconds = took.map(|seconds| (seconds * 1000.0).round() / 1000.0);
        }
        tries
    }
}
