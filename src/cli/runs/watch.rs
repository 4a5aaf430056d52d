//! `sexton runs watch`: a run as it happens, to its end.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;
use uuid::Uuid;

use super::{AskError, far, log, unknown};
use crate::{
    cli::trigger,
    queue::{Follow, News, Run, State, log::Place},
};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How long the database may be away before the watch ends.
const PATIENCE: u32 = 120;

/// Prints what is new until the run is over; the exit code is that of its outcome.
pub(super) async fn run(pool: &PgPool, id: Uuid, json: bool, out: &mut dyn Write) -> Result<u8, AskError> {
    // On a terminal one line shows how far it is and is drawn anew; programs get lines.
    let bar = if std::io::stderr().is_terminal() && !json { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {msg}") {
        bar.set_style(style);
    }
    let mut follow = Follow::new(id, Place::default());
    let mut failures = 0;
    loop {
        let news = match follow.look(pool).await {
            Ok(news) => news.ok_or_else(|| unknown(id))?,
            // Whoever watches a run through a restart of the database goes on watching.
            Err(error) if failures < PATIENCE && follow.run().is_some() => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(%error, "the queue's database does not answer; looking again until it does");
                }
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        failures = 0;
        if let Some(run) = follow.run() {
            draw(&bar, run);
            for news in &news {
                let line = if json { Some(serde_json::to_string(news)?) } else { told(news, run, bar.is_hidden()) };
                if let Some(line) = line {
                    bar.suspend(|| writeln!(out, "{line}"))?;
                }
            }
            out.flush()?;
            if follow.is_over() {
                bar.finish_and_clear();
                if !json {
                    trigger::report(run, false, out)?;
                }
                return Ok(trigger::code(run));
            }
        }
        if !follow.is_behind() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn draw(bar: &ProgressBar, run: &Run) {
    if let Some(total) = run.progress_total {
        bar.set_length(u64::try_from(total).unwrap_or(0));
    }
    bar.set_position(u64::try_from(run.progress_done.unwrap_or(0)).unwrap_or(0));
    let how = far::paused(run).or_else(|| far::far(run)).unwrap_or_else(|| run.state.clone());
    bar.set_message(format!("{}: {how}", run.job));
    bar.tick();
}

/// One piece of news as a line; how far it is only where no bar shows it.
fn told(news: &News, run: &Run, plain: bool) -> Option<String> {
    match news {
        News::Log(line) => Some(log::text(line)),
        News::Progress(progress) => {
            let at = progress.at.format("%F %T%.3fZ");
            far::far(run).filter(|_| plain).map(|far| format!("{at} #{} progress: {far}", run.spent))
        }
        // Its end is told as a whole.
        News::State(state) if state.finished_at.is_some() => None,
        News::State(state) => Some(format!("{} #{} {}", Utc::now().format("%F %T%.3fZ"), state.attempt, words(state))),
    }
}

fn words(state: &State) -> String {
    let mut words = state.state.clone();
    if state.state == "running" {
        words += &format!(": attempt {} of {}", state.attempt, state.most_attempts);
    } else if matches!(state.state.as_str(), "waiting" | "retrying") {
        words += &format!(" until {}", state.due_at.format("%F %T UTC"));
    }
    if let Some(by) = &state.cancel_by {
        words += &format!(", {by} asked for its end");
    }
    if let Some(by) = &state.pause_by {
        words += &format!(", paused by {by}");
    }
    if let Some(why) = state.why.as_ref().and_then(|why| why.lines().next()) {
        words += &format!("; before: {why}");
    }
    words
}
