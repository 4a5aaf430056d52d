//! What a kind is given, for one attempt of a run that is in no queue.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sexton::{
    child::Spawner,
    db::{Target, Targets},
    kinds::{Ctx, Env, RunInfo},
    vault::Vaults,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A first attempt of a new run with token 1; its fields are there to be changed. Needs a tokio runtime.
pub fn ctx(targets: impl IntoIterator<Item = Target>, vaults: Vaults) -> Ctx {
    Ctx {
        run: RunInfo {
            id: Uuid::now_v7(),
            job: "a-job".to_owned(),
            token: 1,
            attempt: 1,
            requested_by: "somebody".to_owned(),
            schedule: None,
            nominal_at: None,
            late_by: Duration::ZERO,
            caught_up: false,
            previous_success_at: None,
        },
        env: Arc::new(Env {
            targets: Targets::new(targets),
            vaults,
            spawner: Spawner::start().expect("the spawner's thread"),
            http: super::client(),
            pg_bin: None,
            catalogue: None,
        }),
        dataset: None,
        params: BTreeMap::new(),
        previous_report: None,
        stop: CancellationToken::new(),
        progress: watch::Sender::new(None),
    }
}

/// The next attempt of the same run, as after a lost lease.
pub fn next_attempt(ctx: &Ctx) -> Ctx {
    let mut next = ctx.clone();
    next.run.token += 1;
    next.run.attempt += 1;
    next.stop = CancellationToken::new();
    next.progress = watch::Sender::new(None);
    next
}
