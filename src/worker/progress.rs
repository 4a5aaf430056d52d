//! Writes down how far running attempts are and how fast they go, once a second at most.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Shared, attempt::Key};
use crate::{
    kinds::Progress,
    queue::{self, Far},
    speed::Speed,
};

/// Writes until `over`. What is lost here is only a number that the next second corrects.
pub(super) async fn keep(shared: Arc<Shared>, over: CancellationToken) {
    let begun = Instant::now();
    let mut written: HashMap<Key, (Progress, Option<f64>)> = HashMap::new();
    let mut speeds: HashMap<Key, Speed> = HashMap::new();
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(Duration::from_secs(1)) => {}
        }
        let mut now = HashMap::new();
        for attempt in shared.active.all() {
            let Some(progress) = attempt.progress.borrow().clone() else { continue };
            let speed = speeds.entry(attempt.key()).or_default();
            speed.see(begun.elapsed(), progress.done);
            now.insert(attempt.key(), (progress, speed.rate()));
        }
        speeds.retain(|key, _| now.contains_key(key));
        let far: Vec<Far> = now
            .iter()
            .filter(|(key, state)| written.get(key) != Some(state))
            .map(|((run, token), (progress, rate))| Far {
                run: *run,
                token: *token,
                progress: progress.clone(),
                rate: *rate,
            })
            .collect();
        if far.is_empty() {
            continue;
        }
        match timeout(Duration::from_secs(10), queue::progress(&shared.pool, &far)).await {
            Ok(Ok(())) => written = now,
            Ok(Err(error)) => tracing::debug!(%error, "cannot write down how far runs are"),
            Err(error) => tracing::debug!(%error, "cannot write down how far runs are"),
        }
    }
}
