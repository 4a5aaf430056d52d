//! `sexton trigger`: hands a run to the daemons, and waits for it if asked to.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{AskError, Cli, OnceArgs, TriggerArgs, exit, far, reach, runs::who};
use crate::{
    queue::{self, Run},
    requests,
    state::Final,
};

/// How often the run is looked at while waiting.
const LOOK: Duration = Duration::from_millis(300);

pub(super) async fn run(cli: &Cli, args: &TriggerArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let pool = reach::queue_pool(cli.config.as_deref()).await?;
    let key = args.key.as_deref();
    let triggered = requests::trigger(&pool, &args.what.job, &args.what.values(), &who(), key).await?;
    let id = triggered.run;
    if !args.wait {
        if cli.json {
            let mut run = serde_json::to_value(found(&pool, id).await?)?;
            if let (Some(_), Some(run)) = (key, run.as_object_mut()) {
                run.insert("replayed".to_owned(), triggered.replayed.into());
            }
            writeln!(out, "{}", serde_json::to_string_pretty(&run)?)?;
        } else if triggered.replayed {
            writeln!(
                out,
                "run {id} of {} was asked for with this key before; `sexton runs show {id}` tells how it goes",
                args.what.job
            )?;
        } else {
            writeln!(out, "queued run {id} of {}; `sexton runs show {id}` tells how it goes", args.what.job)?;
        }
        return Ok(exit::DONE);
    }
    let run = wait(&pool, id).await?;
    report(&run, cli.json, out)?;
    Ok(code(&run))
}

impl OnceArgs {
    /// The parameters as values: `true`, numbers and JSON as such, everything else as text.
    pub fn values(&self) -> BTreeMap<String, Value> {
        self.params
            .iter()
            .map(|(name, text)| {
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
                (name.clone(), value)
            })
            .collect()
    }
}

async fn found(pool: &PgPool, id: Uuid) -> Result<Run, AskError> {
    queue::find(pool, id).await?.ok_or_else(|| AskError::Said(format!("run {id} is gone")))
}

async fn wait(pool: &PgPool, id: Uuid) -> Result<Run, AskError> {
    // A bar is for eyes only; programs that read the output get none.
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {msg}") {
        bar.set_style(style);
    }
    loop {
        let run = found(pool, id).await?;
        if run.is_over() {
            bar.finish_and_clear();
            return Ok(run);
        }
        if let Some(total) = run.progress_total {
            bar.set_length(u64::try_from(total).unwrap_or(0));
        }
        bar.set_position(u64::try_from(run.progress_done.unwrap_or(0)).unwrap_or(0));
        let how = far::paused(&run).or_else(|| far::far(&run)).unwrap_or_else(|| run.state.clone());
        bar.set_message(format!("{}: {how}", run.job));
        bar.tick();
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints how a run ended.
///
/// # Errors
/// When the output cannot be written.
pub fn report(run: &Run, json: bool, out: &mut dyn Write) -> Result<(), AskError> {
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(run)?)?;
        return Ok(());
    }
    let why = run.why.clone().or_else(|| far::paused(run)).map(|why| format!(": {why}")).unwrap_or_default();
    writeln!(out, "run {} of {}: {}{why}", run.id, run.job, run.state)?;
    if let Some(help) = &run.help {
        writeln!(out, "  help: {help}")?;
    }
    for (name, value) in run.report.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('_')) {
        writeln!(out, "  {name} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
    }
    Ok(())
}

/// The exit code for how a run ended.
pub fn code(run: &Run) -> u8 {
    [Final::Done, Final::Skipped, Final::Failed, Final::Cancelled]
        .into_iter()
        .find(|state| state.word() == run.state)
        .map_or(exit::ERROR, exit::of)
}
