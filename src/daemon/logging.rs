//! Logs: lines for people or objects for programs, on standard error; and what runs log, for their own record.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::{
    child::OUTPUT,
    settings::{Log, LogFormat},
    worker,
};

/// Starts logging for this process; a second call changes nothing.
pub(super) fn start(log: &Log) {
    // Postgres' notices ("already exists, skipping") tell nobody anything, unless somebody asks for them.
    // What programs print is their runs'; a pool's own complaints repeat, and whoever needed the connection says once
    // what is wrong.
    let filter = EnvFilter::try_new(format!("sqlx=warn,sqlx_core::pool=off,{OUTPUT}=off,{}", log.level))
        .unwrap_or_else(|_| EnvFilter::new(format!("info,{OUTPUT}=off")));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match log.format {
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
    };
    // Fails only where a subscriber is installed already, as in tests.
    let _ = registry().with(lines).with(worker::log_layer()).try_init();
}
