//! What goes wrong is said where people look: in the run, in the log, and in the message.

use std::path::Path;

use sexton::outbox;

use crate::support::{Database, Site, eventually};

use super::{DATASET, collector, run_when, site};

/// The newest delivery's message about a job, as text.
async fn message(queue: &Database, job: &str) -> String {
    eventually(&format!("a message about {job}"), || async {
        let sent = outbox::deliveries(queue.pool(), 20).await.ok()?;
        sent.iter().find(|one| one.message["subject"] == job).map(|one| one.message.to_string())
    })
    .await
}

/// Triggers `job` and asserts that the run, the log and the message all say each of `parts`.
async fn all_say(site: &Site, queue: &Database, daemon: &crate::support::Daemon, job: &str, parts: &[&str]) {
    assert!(site.sexton(&["trigger", job]).await.status.success());
    let run = run_when(queue.pool(), job, "has failed", |run| run.state == "failed").await;
    let why = run.why.clone().unwrap_or_default();
    let log = daemon.wait_for_line(&format!("{job} failed")).await;
    let message = message(queue, job).await;
    for part in parts {
        for (place, text) in [("the run", &why), ("the log", &log), ("the message", &message)] {
            assert!(text.contains(part), "{place} of {job} does not say `{part}`: {text}");
        }
    }
    let help = run.help.clone().unwrap_or_else(|| panic!("{job} failed without saying what to do: {run:?}"));
    assert!(log.contains(&help), "the log of {job} does not say what to do ({help}): {log}");
    let said: serde_json::Value = serde_json::from_str(&message).unwrap();
    assert_eq!(said["help"], help, "the message of {job}");
}

#[tokio::test]
async fn a_failure_says_what_where_and_what_to_do() {
    let (queue, target) = (Database::new().await, collector(50).await);
    let site = site(&queue.url(), &target.url(), "[vaults.gone]\ndir = \"no/such/folder\"");
    site.write("jobs/datasets/nothing.toml", &DATASET.replace("public.interface_exceptions", "public.no_such_table"));
    site.job(
        "archive-nothing",
        "retry = { attempts = 1 }\n[archive]\ntarget = \"collector\"\ndataset = \"nothing\"\nolder_than = \"365d\"\n",
    );
    site.job(
        "ask-nothing",
        "retry = { attempts = 1 }\n[sql]\ntarget = \"collector\"\nsql = \"select * from public.no_such_table\"\n",
    );
    site.job(
        "backup-nowhere",
        "retry = { attempts = 1 }\ntimeout = \"1m\"\n[backup]\ntarget = \"collector\"\nvault = \"gone\"\nwaiver = \"a test\"\n",
    );
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    all_say(&site, &queue, &daemon, "archive-nothing", &["no_such_table"]).await;
    all_say(&site, &queue, &daemon, "ask-nothing", &["no_such_table"]).await;
    all_say(&site, &queue, &daemon, "backup-nowhere", &["gone", "no/such/folder"]).await;
    daemon.terminate().await;
}

#[tokio::test]
async fn a_webhook_that_hangs_is_said_and_holds_up_nobody() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (queue, target) = (Database::new().await, Database::empty().await);
    let more = format!(
        "[channels.hangs]\nwebhook = {{ url = \"http://{}/s3cret-path\" }}\n[channels.logs]\nlog = {{}}\n",
        silent.local_addr().unwrap()
    );
    let site = site(&queue.url(), &target.url(), &more);
    site.job(
        "fails",
        "alert = [\"hangs\", \"logs\"]\nretry = { attempts = 1 }\ntimeout = \"5s\"\n[exec]\nargv = [\"false\"]\n",
    );
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "fails"]).await.status.success());
    daemon.wait_for_line("alert: fails failed").await;
    let delivered = outbox::deliveries(queue.pool(), 5).await.unwrap();
    let hanging = delivered.iter().find(|one| one.channel == "hangs").expect("it waits");
    assert_eq!(hanging.state, "pending");
    // The daemon stops in spite of it, and the message waits for the next one.
    let ended = daemon.terminate().await;
    assert!(ended.status.success());
    assert!(!ended.lines.join("\n").contains("s3cret-path"), "{:?}", ended.lines);
}

#[tokio::test]
async fn a_daemon_that_is_told_to_stop_gives_back_what_takes_too_long() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "[worker]\ngrace = \"1s\"");
    let pid = site.path("pid");
    site.job(
        "long",
        &format!("timeout = \"1m\"\n[exec]\nargv = [\"sh\", \"-c\", \"echo $$ > {}; exec sleep 30\"]\n", pid.display()),
    );
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "long"]).await.status.success());
    let child: i32 =
        eventually("the child runs", || async { std::fs::read_to_string(&pid).ok()?.trim().parse().ok() }).await;
    let ended = daemon.terminate().await;
    assert!(ended.status.success(), "{:?}", ended.lines);
    assert!(!Path::new(&format!("/proc/{child}")).exists(), "the child outlived its daemon");
    let run = run_when(queue.pool(), "long", "was given back", |_| true).await;
    assert_eq!((run.state.as_str(), run.spent), ("ready", 0), "{run:?}");
}

#[tokio::test]
async fn a_daemon_that_is_told_to_stop_lets_short_work_end() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "[worker]\ngrace = \"10s\"");
    site.job("short", "timeout = \"1m\"\n[exec]\nargv = [\"sleep\", \"1\"]\n");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "short"]).await.status.success());
    run_when(queue.pool(), "short", "is running", |run| run.state == "running").await;
    assert!(daemon.terminate().await.status.success());
    let run = run_when(queue.pool(), "short", "has ended", |_| true).await;
    assert_eq!((run.state.as_str(), run.spent), ("done", 1), "{run:?}");
}
