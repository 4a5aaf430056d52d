//! `sexton once`: a run in the foreground, with the same history, fencing and alerts as any other.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{instance, logging, signals, wire};
use crate::{
    alerts,
    cli::{self, AskError, Cli, OnceArgs},
    kinds::Progress,
    queue::{self, NewRun},
    requests,
    worker::{self, Worker},
};

/// How long what people must be told may take before the process ends.
const FLUSH: Duration = Duration::from_secs(30);

pub(super) async fn run(cli: &Cli, args: &OnceArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let settings = cli::load(cli.config.as_deref())?;
    logging::start(&settings.log);
    let stop = CancellationToken::new();
    signals::stop_at_signals(&stop)?;
    let parts = wire::parts(&settings)?;
    cli::answers(&parts.login).await?;
    wire::prepare(&parts).await?;
    if let Some(why) = instance::refusal(&parts.pool, settings.instance.as_deref(), &parts.by()).await? {
        return Err(AskError::Said(format!("{why}\n  help: correct `instance` in sexton.toml")));
    }
    // The files beside the settings count, as a person who edits and tries them expects; daemons keep their revision.
    let catalog = parts.catalog()?;
    let mut spec = requests::resolve(&catalog, &args.job, &args.values())?;
    // This process does this job; what comes after it is for daemons, which have files of their own.
    spec.then.clear();

    let (said, progress) = watch::channel(None);
    let bar = tokio::spawn(draw(progress));
    let worker = Worker::new(parts.pool.clone(), parts.beat_pool.clone(), parts.env.clone());
    let once = worker::once(worker, NewRun::now(spec, cli::who()), said, stop).await;
    let _ = bar.await;
    let once = once.map_err(|error| AskError::Said(error.to_string()))?;
    let left = alerts::flush(&parts.alerts, Instant::now() + FLUSH).await?;
    if left > 0 {
        tracing::warn!(left, "{left} messages are not delivered yet; a daemon or the next command goes on with them");
    }
    let run =
        queue::find(&parts.pool, once.run).await?.ok_or_else(|| AskError::Said(format!("run {} is gone", once.run)))?;
    cli::report(&run, cli.json, out)?;
    Ok(cli::code(&run))
}

/// Draws how far the run is, for eyes only.
async fn draw(mut progress: watch::Receiver<Option<Progress>>) {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    while progress.changed().await.is_ok() {
        if let Some(now) = progress.borrow_and_update().as_ref() {
            if let Some(total) = now.total {
                bar.set_length(total);
            }
            bar.set_position(now.done);
            bar.set_message(format!("{} {}", now.unit, now.note.as_deref().unwrap_or("")));
        }
    }
    bar.finish_and_clear();
}
