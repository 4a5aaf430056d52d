//! Claims about children, held against `sh`.

use std::{process::Stdio, time::Instant};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Starts `script` and waits for the first line that it prints.
async fn started(script: &str) -> (Child, String) {
    let spawner = Spawner::start().expect("a spawner");
    let mut child = spawner.spawn(shell(script)).await.expect("sh starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).await.expect("a line");
    (child, line.trim().to_owned())
}

/// Waits until no process has this id, or only a zombie that nobody has collected yet.
async fn gone(pid: &str) {
    let stat = format!("/proc/{pid}/stat");
    for _ in 0..1000 {
        match std::fs::read_to_string(&stat) {
            Ok(text) if !text.contains(") Z ") => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return,
        }
    }
    panic!("process {pid} still lives");
}

#[tokio::test]
async fn a_grandchild_dies_with_the_group() {
    let (child, grandchild) = started("sleep 60 & echo $!; wait").await;
    drop(child);
    gone(&grandchild).await;
}

#[tokio::test]
async fn a_grandchild_dies_when_its_parent_ends_by_itself() {
    let (mut child, grandchild) = started("sleep 60 & echo $!").await;
    assert!(child.wait().await.expect("an end").success());
    gone(&grandchild).await;
    assert_eq!(child.pid(), None);
}

#[tokio::test]
async fn ending_is_polite_at_first() {
    let (mut child, _) = started("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done").await;
    assert_eq!(child.end(Duration::from_secs(20)).await.expect("an end").code(), Some(7));
}

#[tokio::test]
async fn ending_escalates() {
    let (mut child, _) = started("trap '' TERM; echo up; while :; do sleep 0.05; done").await;
    let begun = Instant::now();
    let status = child.end(Duration::from_millis(200)).await.expect("an end");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_child_outlives_the_handle_that_spawned_it() {
    let (mut child, _) = started("echo up; sleep 0.3; exit 5").await;
    assert_eq!(child.wait().await.expect("an end").code(), Some(5));
}

#[tokio::test]
async fn a_capture_has_a_limit() {
    let spawner = Spawner::start().expect("a spawner");
    let captured = spawner.capture(shell("echo out; echo err >&2"), Duration::from_secs(20)).await.expect("a capture");
    assert_eq!((captured.stdout.as_str(), captured.stderr.as_str()), ("out\n", "err\n"));
    let error = spawner.capture(shell("sleep 60"), Duration::from_millis(100)).await.expect_err("a timeout");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_missing_program_is_an_error() {
    let spawner = Spawner::start().expect("a spawner");
    let error = spawner.spawn(Command::new("/nonexistent/program")).await.expect_err("no such program");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
