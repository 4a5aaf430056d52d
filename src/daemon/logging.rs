//! Logs: lines for people or objects for programs, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::settings::{Log, LogFormat};

/// Starts logging for this process; a second call changes nothing.
pub(super) fn start(log: &Log) {
    // Postgres' notices ("already exists, skipping") tell nobody anything, unless somebody asks for them.
    let filter = EnvFilter::try_new(format!("sqlx=warn,{}", log.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Fails only where a subscriber is installed already, as in tests.
    let _ = match log.format {
        LogFormat::Json => lines.json().try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}
