//! Files that change under a daemon: a good edit counts as a whole, a broken one not at all.

mod applying;
mod watching;

use rustix::process::Signal;
use sexton::outbox;

use crate::support::{Database, eventually};

use super::{COUNT, site};

const GOOD: &str = "[[at]]\nname = \"a\"\njob = \"count\"\ncron = \"0 2 * * *\"\n";
const BROKEN: &str = "[[at]]\nname = \"a\"\njob = \"cuont\"\ncron = \"0 25 * * *\"\nzone = \"Europe/Berln\"\n";

async fn revisions(queue: &Database) -> i64 {
    sqlx::query_scalar("select count(*) from sexton.revision").fetch_one(queue.pool()).await.unwrap()
}

async fn event(queue: &Database, kind: &str) {
    eventually(kind, || async {
        let events = outbox::events(queue.pool(), 20).await.ok()?;
        events.iter().any(|event| event.kind == kind).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broken_edit_changes_nothing_and_is_told_until_it_is_mended() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("count", COUNT);
    site.schedule("s", GOOD);
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert_eq!(revisions(&queue).await, 1);

    site.schedule("s", BROKEN);
    daemon.signal(Signal::HUP);
    // Every problem, each with its file and line.
    for line in ["schedules/s.toml:3", "schedules/s.toml:4", "schedules/s.toml:5"] {
        daemon.wait_for_line(line).await;
    }
    event(&queue, "files_broken").await;
    assert_eq!(revisions(&queue).await, 1);

    // Half of a good file is no good file.
    site.schedule("s", &GOOD[..GOOD.len() - 12]);
    daemon.signal(Signal::HUP);
    daemon.wait_for_nth_line("stays", 2).await;
    assert_eq!(revisions(&queue).await, 1);

    site.schedule("s", &GOOD.replace("0 2", "0 3"));
    daemon.signal(Signal::HUP);
    event(&queue, "files_mended").await;
    assert_eq!(revisions(&queue).await, 2);
    assert!(daemon.terminate().await.status.success());
}

#[tokio::test]
async fn a_restart_with_broken_files_goes_on_with_the_last_good_ones() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("count", COUNT);
    site.schedule("s", &GOOD.replace("0 2 * * *", "* * * * * *"));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    daemon.terminate().await;
    site.schedule("s", BROKEN);
    let before: i64 = sqlx::query_scalar("select count(*) from sexton.slot").fetch_one(queue.pool()).await.unwrap();
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("stays").await;
    eventually("the good schedule fires on", || async {
        let now: i64 = sqlx::query_scalar("select count(*) from sexton.slot").fetch_one(queue.pool()).await.ok()?;
        (now > before).then_some(())
    })
    .await;
    daemon.terminate().await;
}

#[tokio::test]
async fn a_first_start_with_broken_files_refuses_and_shows_every_problem() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("count", COUNT);
    site.schedule("s", BROKEN);
    let ended = site.daemon(&["run"]).await.exit().await;
    assert_eq!(ended.status.code(), Some(1));
    let said = ended.lines.join("\n");
    for part in ["cuont", "did you mean", "Europe/Berln", "schedules/s.toml:4"] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    assert_eq!(revisions(&queue).await, 0);
}
