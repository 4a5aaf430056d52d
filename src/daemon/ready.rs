//! Whether jobs could do their work, looked at before their time comes: by `sexton ready`, and by each daemon at its
//! start, every hour, and whenever the files changed.

use std::{collections::BTreeMap, fs, io::Write, sync::Arc, time::Duration};

use chrono::Utc;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{logging, wire, wire::Parts};
use crate::{
    catalog::{Catalog, Files},
    cli::{AskError, Cli, ReadyArgs, exit, load},
    kinds::{self, Env},
    ledger::{self, Revision},
    metrics::JOB_READY,
    outbox::{self, Fact, What},
    outcome::Failure,
    spec::Spec,
};

/// How long one job's look may take.
const LOOK: Duration = Duration::from_secs(120);
/// How often daemons look.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon they look again where the files could not be read.
const AGAIN: Duration = Duration::from_secs(5);

/// `sexton ready`: looks at jobs now.
pub(super) async fn run(cli: &Cli, args: &ReadyArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let settings = load(cli.config.as_deref())?;
    logging::start(&settings.log);
    let parts = wire::parts(&settings)?;
    let catalog = parts.catalog()?;
    let names: Vec<String> =
        if args.jobs.is_empty() { catalog.jobs.keys().cloned().collect() } else { args.jobs.clone() };
    let mut found = BTreeMap::new();
    for name in names {
        if !catalog.jobs.contains_key(&name) {
            return Err(AskError::Said(format!("there is no job `{name}`")));
        }
        // A job whose parameters have no defaults is looked at by nobody before it is triggered.
        let Ok(spec) = catalog.resolve(&name, &BTreeMap::new()) else { continue };
        found.insert(name, look(&spec, &parts.env).await);
    }
    let bad = found.values().filter(|result| result.is_err()).count();
    if cli.json {
        let all: Vec<_> = found
            .iter()
            .map(|(job, result)| match result {
                Ok(()) => json!({ "job": job, "ready": true }),
                Err(failure) => json!({ "job": job, "ready": false, "why": failure.why, "help": failure.help }),
            })
            .collect();
        writeln!(out, "{:#}", json!(all))?;
    } else {
        for (job, result) in &found {
            match result {
                Ok(()) => writeln!(out, "ready      {job}")?,
                Err(failure) => {
                    writeln!(out, "not ready  {job}: {}", failure.why)?;
                    if let Some(help) = &failure.help {
                        writeln!(out, "           help: {help}")?;
                    }
                }
            }
        }
    }
    Ok(if bad == 0 { exit::DONE } else { exit::ERROR })
}

/// Looks at one job.
async fn look(spec: &Spec, env: &Arc<Env>) -> Result<(), Failure> {
    let Some(kind) = kinds::find(&spec.kind) else { return Ok(()) };
    match timeout(LOOK, (kind.ready)(spec.table.clone(), Arc::clone(env))).await {
        Ok(found) => found,
        Err(_) => Err(Failure::later(format!("it could not be looked at within {} s", LOOK.as_secs()))),
    }
}

/// Looks at every scheduled job until `over`, whenever `active` is another revision, and tells people what is not ready, and
/// when it is again.
pub(super) async fn keep_looking(parts: Parts, mut active: watch::Receiver<i64>, over: CancellationToken) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    while !over.is_cancelled() {
        active.mark_unchanged();
        let catalog = match current(&parts).await {
            Some(revision) => Catalog::parse(&Files(revision.files)).catalog,
            None => None,
        };
        let pause = if catalog.is_some() { EVERY } else { AGAIN };
        if let Some(catalog) = catalog {
            let catalog = catalog.with_default_alert(parts.source.default_alert.clone());
            tokio::select! {
                () = over.cancelled() => return,
                told = all(&parts, &catalog, host.trim()) => if let Err(error) = told {
                    tracing::warn!(%error, "what is not ready could not be told; it is looked at again in an hour");
                },
            }
        }
        tokio::select! {
            () = over.cancelled() => {}
            // Whoever keeps the files outlives this, or all is over.
            Ok(()) = active.changed() => {}
            () = sleep(pause) => {}
        }
    }
}

/// The active files.
async fn current(parts: &Parts) -> Option<Revision> {
    let mut connection = parts.pool.acquire().await.ok()?;
    ledger::current(&mut connection).await.ok()?
}

async fn all(parts: &Parts, catalog: &Catalog, host: &str) -> Result<(), sqlx::Error> {
    let mut specs: BTreeMap<String, Spec> = BTreeMap::new();
    for schedule in catalog.schedules.iter().filter(|schedule| schedule.enabled) {
        let Some(mut first) = catalog.spec_for(schedule) else { continue };
        for spec in std::mem::take(&mut first.then).into_iter().chain([first]) {
            specs.insert(spec.job.clone(), spec);
        }
    }
    for (job, spec) in specs {
        let found = look(&spec, &parts.env).await;
        ::metrics::gauge!(JOB_READY, "job" => job.clone()).set(if found.is_ok() { 1.0 } else { 0.0 });
        let (what, detail) = match &found {
            Ok(()) => (What::Done { breaches: Vec::new() }, json!({})),
            Err(failure) => {
                let help = failure.help.as_deref().unwrap_or_default();
                tracing::error!(job, why = failure.why, help, "{job} is not ready on {host}: {}", failure.why);
                (What::Failed, json!({ "why": failure.why, "help": failure.help }))
            }
        };
        let fact = Fact {
            job: format!("{}{job} on {host}", outbox::OF_READY),
            run: None,
            at: Utc::now(),
            what,
            channels: spec.alert.clone(),
            detail,
        };
        let mut tx = parts.pool.begin().await?;
        outbox::record(&mut tx, &[fact]).await?;
        tx.commit().await?;
    }
    Ok(())
}
