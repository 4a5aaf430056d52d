//! When to look: at the next slot, when poked or told, and every few seconds in any case.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use sqlx::PgPool;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Options, PlanError, Planner, alarm::Alarm};
use crate::{db::Ear, metrics::PLANNED};

/// Plans until `stop`. `poke` makes it look at once, as after a reload; a poke that comes during a tick counts.
pub async fn run(pool: PgPool, options: Options, poke: Arc<Notify>, stop: CancellationToken) {
    let alarm = Alarm::start().await;
    let (pulse, mut ear) = (options.pulse.clone(), options.ear.clone());
    let mut planner = Planner::new(pool, options);
    let mut trouble = Trouble::default();
    while !stop.is_cancelled() {
        // A tick is bounded by its own timeouts; ending in the middle of one would only leave a lock to time out.
        let pause = match planner.tick().await {
            Ok(tick) => {
                trouble.over();
                pulse.beat(Utc::now());
                metrics::gauge!(PLANNED).set(Utc::now().timestamp() as f64);
                tick.sleep
            }
            Err(error) => trouble.met(&error),
        };
        rest(pause, &alarm, &poke, &mut ear, &stop).await;
    }
    alarm.stop().await;
}

/// Sleeps, but not past `pause` by either clock.
async fn rest(pause: Duration, alarm: &Alarm, poke: &Notify, ear: &mut Ear, stop: &CancellationToken) {
    let (until, due) = (Instant::now() + pause, Utc::now() + TimeDelta::from_std(pause).unwrap_or_default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(until) => return,
            () = poke.notified() => return,
            () = ear.heard() => return,
            () = alarm.rung() => if Utc::now() >= due { return },
        }
    }
}

/// Errors in a row: said once for each that is new, with longer and longer pauses between.
#[derive(Default)]
struct Trouble {
    failures: u32,
    said: String,
}

impl Trouble {
    fn met(&mut self, error: &PlanError) -> Duration {
        let text = error.to_string();
        self.failures += 1;
        if self.said != text {
            tracing::error!(
                failures = self.failures,
                "planning failed and is tried again; slots wait until then: {text}"
            );
            self.said = text;
        }
        Duration::from_millis(100 << self.failures.min(6)).min(super::LONGEST)
    }

    fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "planning again");
            *self = Self::default();
        }
    }
}
