//! Rings once a second by the wall clock.
//!
//! The planner sleeps by itself until the next slot. A timer does not notice that the machine slept or that its
//! clock was set; this one does. It only wakes: ringing twice, late or never changes no decision.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// A ringing clock.
pub(super) struct Alarm {
    scheduler: Option<JobScheduler>,
    ring: Arc<Notify>,
}

impl Alarm {
    /// Winds the clock up. Without one the planner still wakes by itself.
    pub(super) async fn start() -> Self {
        let ring = Arc::new(Notify::new());
        let scheduler = match wind(ring.clone()).await {
            Ok(scheduler) => Some(scheduler),
            Err(error) => {
                tracing::warn!(%error, "the alarm clock does not ring; the planner wakes by its own timer");
                None
            }
        };
        Self { scheduler, ring }
    }

    /// Waits for the next ring.
    pub(super) async fn rung(&self) {
        self.ring.notified().await;
    }

    /// Stops it.
    pub(super) async fn stop(mut self) {
        if let Some(scheduler) = &mut self.scheduler
            && let Err(error) = scheduler.shutdown().await
        {
            tracing::debug!(%error, "the alarm clock did not stop");
        }
    }
}

async fn wind(ring: Arc<Notify>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler.add(Job::new("* * * * * *", move |_, _| ring.notify_one())?).await?;
    scheduler.start().await?;
    Ok(scheduler)
}
