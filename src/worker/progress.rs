//! Writes down how far running attempts are, once a second at most.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Shared, attempt::Key};
use crate::{
    kinds::Progress,
    queue::{self, Far},
};

/// Writes until `over`. What is lost here is only a number that the next second corrects.
pub(super) async fn keep(shared: Arc<Shared>, over: CancellationToken) {
    let mut written: HashMap<Key, Progress> = HashMap::new();
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(Duration::from_secs(1)) => {}
        }
        let now: HashMap<Key, Progress> = shared
            .active
            .all()
            .iter()
            .filter_map(|attempt| Some((attempt.key(), attempt.progress.borrow().clone()?)))
            .collect();
        let far: Vec<Far> = now
            .iter()
            .filter(|(key, progress)| written.get(key) != Some(progress))
            .map(|((run, token), progress)| Far { run: *run, token: *token, progress: progress.clone() })
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
