//! Writes down how attempts ended, and tells of it, in one transaction; again and again until Postgres has it.

use std::{
    collections::HashMap,
    iter::repeat_with,
    panic::resume_unwind,
    sync::{Arc, atomic::Ordering},
};

use sqlx::Connection;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    Ended, Shared,
    attempt::Attempt,
    facts, failing, log,
    wire::{Wire, WireError, backoff},
};
use crate::{
    fault,
    lanes::OPEN,
    metrics::{RUN_SECONDS, RUNS, STALE},
    outbox, queue,
    queue::{Ending, Goes, Settled, SettledRow, Verdict},
    state::Live,
};

/// An attempt and how it ended.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) attempt: Arc<Attempt>,
    pub(super) ended: Ended,
}

/// How many endings one transaction takes at most.
const MOST: usize = 1000;
/// Transactions at a time.
const AT_ONCE: usize = 2;
/// How many endings must wait for another transaction to begin beside one: each has costs of its own.
const ENOUGH: usize = MOST / 2;

/// Settles whatever comes, in batches, until every sender is gone.
pub(super) async fn keep(shared: Arc<Shared>, mut acks: mpsc::UnboundedReceiver<Vec<Ack>>) {
    let wire = || Wire::new(shared.pool.clone()).beside(shared.contact.clone());
    let mut wires: Vec<Wire> = repeat_with(wire).take(AT_ONCE).collect();
    let mut writing = JoinSet::new();
    let mut waiting = Vec::new();
    let mut open = true;
    let enough = |writing: &JoinSet<Wire>| if writing.is_empty() { 1 } else { ENOUGH };
    while open || !waiting.is_empty() || !writing.is_empty() {
        while waiting.len() >= enough(&writing)
            && let Some(mut wire) = wires.pop()
        {
            let batch: Vec<Ack> = waiting.drain(..waiting.len().min(MOST)).collect();
            let shared = shared.clone();
            writing.spawn(async move {
                write(&shared, &mut wire, batch).await;
                wire
            });
        }
        tokio::select! {
            more = acks.recv(), if open => match more {
                Some(more) => waiting.extend(more),
                None => open = false,
            },
            Some(written) = writing.join_next() => match written {
                Ok(wire) => wires.push(wire),
                Err(broken) => resume_unwind(broken.into_panic()),
            },
        }
        while let Ok(more) = acks.try_recv() {
            waiting.extend(more);
        }
    }
}

/// Settles a batch, however long it takes.
pub(super) async fn write(shared: &Shared, wire: &mut Wire, batch: Vec<Ack>) -> Vec<SettledRow> {
    log::finish(&shared.pool, &shared.log, batch.iter().filter_map(|ack| ack.attempt.log.get())).await;
    let mut settled = Vec::with_capacity(batch.len());
    let mut parts = vec![batch];
    let mut failures = 0;
    while let Some(mut part) = parts.pop() {
        match transaction(wire, &part).await {
            Ok(rows) => {
                if failures > 0 {
                    tracing::info!(failures, "endings are written down again");
                    failures = 0;
                }
                after(shared, &part, &rows).await;
                settled.extend(rows);
                continue;
            }
            // One ending that cannot be stored must not hold up the others, nor come back for ever.
            Err(error) if is_about_a_value(&error) && part.len() > 1 => {
                parts.extend(part.drain(..).map(|ack| vec![ack]));
                continue;
            }
            Err(error) if is_about_a_value(&error) && failures == 0 => {
                for ack in &mut part {
                    tracing::error!(run.id = %ack.attempt.claimed.id, %error, "the ending of {} cannot be stored as it is", ack.attempt.claimed.job);
                    ack.ended.ending = unstorable(&error);
                    ack.ended.breaches.clear();
                }
                failures += 1;
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    let endings = part.len();
                    tracing::warn!(%error, endings, "endings cannot be written down; trying again until the database answers");
                }
                sleep(backoff(failures)).await;
            }
        }
        parts.push(part);
    }
    settled
}

/// Endings and facts, all or nothing. After a failure it is unknown whether it happened; doing it again finds out.
async fn transaction(wire: &mut Wire, batch: &[Ack]) -> Result<Vec<SettledRow>, WireError> {
    let settled: Vec<Settled<'_>> = batch.iter().map(settled).collect();
    wire.with(async |connection| {
        let mut transaction = connection.begin().await?;
        let rows = queue::settle(&mut transaction, &settled).await?;
        if !facts::quiet(&mut transaction, batch, &rows).await? {
            let mut news = facts::of_settled(batch, &rows);
            news.extend(failing::pause(&mut transaction, &failing::of_settled(batch, &rows)).await?);
            if !news.is_empty() {
                outbox::record(&mut transaction, &news).await?;
            }
        }
        fault::point("settle.written").await?;
        transaction.commit().await?;
        fault::point("settle.committed").await?;
        Ok(rows)
    })
    .await
}

fn settled(ack: &Ack) -> Settled<'_> {
    let (run, token) = ack.attempt.key();
    Settled { run, token, ending: &ack.ended.ending }
}

/// Counts, tells the log, frees the slots.
async fn after(shared: &Shared, batch: &[Ack], rows: &[SettledRow]) {
    let mut ready = false;
    let mut counts = Counts::default();
    for (ack, row) in batch.iter().zip(rows) {
        let run = &ack.attempt.claimed;
        if row.verdict == Verdict::Stale {
            let (word, _) = describe(&ack.ended.ending);
            metrics::counter!(STALE).increment(1);
            tracing::warn!(run.id = %run.id, "{} ended ({word}) after the run had been taken from this worker; nothing of it counts", run.job);
        } else {
            counts.add(ack);
            tell(ack);
        }
        ready |= row.goes == Goes::On(Live::Ready) || !row.followed.is_empty();
        // Its gates are open for another.
        ready |= run.lane != OPEN;
        if matches!(&ack.ended.ending, Ending::Retrying { .. } | Ending::Snoozed { .. }) {
            shared.wake.notify_one();
        }
    }
    counts.tell();
    shared.active.leave_all(batch.iter().map(|ack| ack.attempt.key()));
    if ready || shared.behind.load(Ordering::Relaxed) {
        shared.wake.notify_one();
        queue::nudge(&shared.pool).await;
    }
}

fn tell(ack: &Ack) {
    let run = &ack.attempt.claimed;
    let (word, why) = describe(&ack.ended.ending);
    let duration_ms = ack.ended.took.as_millis() as u64;
    match &ack.ended.ending {
        Ending::Failed { help, .. } | Ending::Retrying { help, .. } => {
            let help = help.as_ref().map(tracing::field::display);
            tracing::warn!(run.id = %run.id, job = %run.job, attempt = run.attempt, duration_ms, help, "{} {word}{why}", run.job);
        }
        Ending::Lost { .. } => {
            tracing::warn!(run.id = %run.id, job = %run.job, attempt = run.attempt, duration_ms, "{} {word}{why}", run.job);
        }
        _ => {
            tracing::info!(run.id = %run.id, job = %run.job, attempt = run.attempt, duration_ms, "{} {word}{why}", run.job)
        }
    }
}

/// What of a batch counts alike: looking a metric up costs more than counting.
#[derive(Default)]
struct Counts<'a>(HashMap<(&'a str, &'a str, &'static str), Vec<f64>>);

impl<'a> Counts<'a> {
    fn add(&mut self, ack: &'a Ack) {
        let run = &ack.attempt.claimed;
        let alike = (run.job.as_str(), run.kind.as_str(), describe(&ack.ended.ending).0);
        self.0.entry(alike).or_default().push(ack.ended.took.as_secs_f64());
    }

    fn tell(self) {
        for ((job, kind, word), took) in self.0 {
            metrics::counter!(RUNS, "job" => job.to_owned(), "kind" => kind.to_owned(), "outcome" => word)
                .increment(took.len() as u64);
            let seconds = metrics::histogram!(RUN_SECONDS, "job" => job.to_owned(), "kind" => kind.to_owned());
            took.into_iter().for_each(|one| seconds.record(one));
        }
    }
}

/// The word for an ending in logs and metrics, and the rest of the sentence.
pub(super) fn describe(ending: &Ending) -> (&'static str, String) {
    match ending {
        Ending::Done { .. } => ("done", String::new()),
        Ending::Skipped { why } => ("skipped", format!(": {why}")),
        Ending::Failed { why, .. } => ("failed", format!(": {why}")),
        Ending::Retrying { why, pause, .. } => {
            ("retrying", format!(" in {:.1} s after a failure: {why}", pause.as_secs_f64()))
        }
        Ending::Snoozed { pause } => ("snoozed", format!(" for {:.1} s", pause.as_secs_f64())),
        Ending::Cancelled { by, .. } => ("cancelled", format!(" by {by}")),
        Ending::GivenBack { why } => ("given_back", format!(": {why}")),
        Ending::Lost { why } => ("lost", format!(": {why}")),
    }
}

/// Whether the database refuses what is written, not that it is: data exceptions, constraints, limits.
fn is_about_a_value(error: &WireError) -> bool {
    let WireError::Database(error) = error else { return false };
    let code = error.as_database_error().and_then(|database| database.code()).unwrap_or_default();
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

fn unstorable(error: &WireError) -> Ending {
    Ending::Failed {
        why: format!("how it ended cannot be stored: {error}").replace('\0', "\u{fffd}"),
        help: Some("look for what it reported in the log; this is a bug in its kind".to_owned()),
        report: crate::outcome::Report::new(),
    }
}
