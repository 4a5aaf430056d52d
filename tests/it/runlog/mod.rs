//! What runs log: kept, bounded, read and followed, by the real binary; and nothing of it in the way of an ending.

mod followed;
mod kept;

use uuid::Uuid;

use sexton::queue::log::{self, Line, Place};

use crate::support::{Daemon, Database, Site, eventually};

/// A job that runs a script of the shell; `more` is at the top of its file.
pub(super) fn script(more: &str, text: &str) -> String {
    format!("timeout = \"5m\"\n{more}\n[exec]\nargv = [\"sh\", \"-c\", {text:?}]\n")
}

/// A site with nothing but the queue.
pub(super) fn site(queue: &str) -> Site {
    Site::new(&format!("[database]\nurl = \"{queue}\"\n\n[vaults.main]\ndir = \"vault\"\n"))
}

/// A daemon at work.
pub(super) async fn running(site: &Site) -> Daemon {
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    daemon
}

/// Hands a run to the daemons.
pub(super) async fn trigger(site: &Site, job: &str) -> Uuid {
    let said = site.sexton(&["trigger", job, "--json"]).await;
    assert!(said.status.success(), "{said:?}");
    let run: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    run["id"].as_str().expect("an id").parse().expect("a UUID")
}

/// All that a run logged.
pub(super) async fn lines(queue: &Database, run: Uuid) -> Vec<Line> {
    log::page(queue.pool(), run, Place::default(), None, 100_000).await.expect("the log")
}

/// Waits for a line in the database.
pub(super) async fn logged(queue: &Database, run: Uuid, text: &str) -> Line {
    eventually(&format!("{text:?} is logged"), || async {
        lines(queue, run).await.into_iter().find(|line| line.message.contains(text))
    })
    .await
}
