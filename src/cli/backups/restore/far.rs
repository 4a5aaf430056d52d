//! How far a restore is, and that it may be stopped.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::cli::{AskError, backups::words, exit};

/// How often a line says how far it is, where there is nobody to watch a bar.
const SAID: Duration = Duration::from_secs(10);

/// How far it is.
#[derive(Debug, Clone)]
pub(super) struct Far {
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    pub(super) unit: String,
    pub(super) note: String,
}

impl Far {
    fn line(&self) -> String {
        let number = |n: u64| if self.unit == "bytes" { words::size(n) } else { format!("{n} {}", self.unit) };
        match self.total {
            Some(total) => format!("{} of {}: {}", number(self.done), number(total), self.note),
            None => self.note.clone(),
        }
    }
}

/// A bar for eyes, a line now and then for logs.
pub(super) async fn show(mut seen: watch::Receiver<Option<Far>>) {
    if !std::io::stderr().is_terminal() {
        let mut next = tokio::time::interval(SAID);
        next.tick().await;
        loop {
            next.tick().await;
            let line = seen.borrow_and_update().as_ref().map(Far::line);
            if let Some(line) = line {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
    let bar = Cleared(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {msg}") {
        bar.0.set_style(style);
    }
    while seen.changed().await.is_ok() {
        let Some(far) = seen.borrow_and_update().clone() else { continue };
        if let Some(total) = far.total {
            bar.0.set_length(total);
            bar.0.set_position(far.done);
        }
        bar.0.set_message(far.line());
        bar.0.tick();
    }
}

/// A bar that is gone with its value.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// SIGINT and SIGTERM ask to stop: what was made is then dropped. A second one ends the process at once.
pub(super) fn stop_at_signals(stop: &CancellationToken) -> Result<(), AskError> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(i32::from(exit::ERROR));
            }
            stop.cancel();
        }
    });
    Ok(())
}
