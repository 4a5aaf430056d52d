//! SIGTERM and SIGINT ask to stop; SIGHUP is `reload`'s.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at SIGTERM or SIGINT. A second one ends the process at once. From here on SIGHUP no longer ends it:
/// one that comes before the files are first read asks for nothing more than that.
///
/// # Errors
/// When the system does not give us the signals.
pub(super) fn stop_at_signals(stop: &CancellationToken) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Once heard, a signal has lost its default action for the life of the process.
    drop(signal(SignalKind::hangup())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        for times in 0.. {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            if times > 0 {
                tracing::warn!("stopped a second time: leaving at once; what runs here is taken over by others");
                std::process::exit(i32::from(crate::cli::exit::ERROR));
            }
            tracing::info!("stopping: no new runs are claimed");
            stop.cancel();
        }
    });
    Ok(())
}
