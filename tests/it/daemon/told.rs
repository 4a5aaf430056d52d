//! What a job is told: the real daemon catches a slot up, its first attempt fails, and the chain goes on.

use std::{collections::BTreeMap, fs, time::Duration};

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use crate::support::{Database, Site};

use super::{run_when, site};

/// Writes down what it is told; its first attempt fails.
const TELLS: &str = r#"
timeout = "1m"
retry = { attempts = 2, first = "2s", most = "2s" }
[params]
mode = { type = "text", default = "fast" }
[exec]
argv = ["/bin/sh", "-c", "env > $SEXTON_RUN.$SEXTON_ATTEMPT; test $SEXTON_ATTEMPT = 2"]
"#;

const KEEPS: &str = r#"
[sql]
target = "collector"
sql = "insert into told values (:run, :job, :schedule, :nominal_at, :late_by, :caught_up, :previous_success_at, :late_by)"
"#;

/// What an attempt wrote down.
fn told(site: &Site, run: uuid::Uuid, attempt: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(site.path(&format!("{run}.{attempt}"))).expect("what it was told");
    let lines = text.lines().filter_map(|line| line.strip_prefix("SEXTON_")?.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_run_is_told_its_slot_how_late_it_is_and_when_its_job_last_succeeded() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    sqlx::query(
        "create table told (run uuid, job text, schedule text, nominal_at timestamptz, late_by interval,
                            caught_up boolean, previous_success_at timestamptz, seconds bigint)",
    )
    .execute(target.pool())
    .await
    .expect("a table");
    let site = site(&queue.url(), &target.url(), "");
    let slot =
        (Utc::now() - TimeDelta::minutes(10)).with_second(0).and_then(|at| at.with_nanosecond(0)).expect("a time");
    site.job("tells", TELLS);
    site.job("keeps", KEEPS);
    site.schedule(
        "all",
        &format!(
            "[[at]]\nname = \"hourly\"\njob = \"tells\"\ncron = \"{} * * * *\"\nthen = [\"keeps\"]\n",
            slot.minute()
        ),
    );
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;

    // A person's run has no slot, is not late, and is the first that succeeds.
    assert_eq!(site.sexton(&["trigger", "tells", "--wait"]).await.status.code(), Some(0));
    let by_hand = run_when(queue.pool(), "tells", "is done by hand", |run| run.state == "done").await;
    let first = told(&site, by_hand.id, 1);
    assert_eq!(first["JOB"], "tells");
    assert_eq!(first["PARAM_MODE"], "fast");
    assert_eq!((first["CAUGHT_UP"].as_str(), first["LATE_BY"].parse::<u64>().expect("seconds") < 60), ("false", true));
    for name in ["SCHEDULE", "NOMINAL_AT", "PREVIOUS_SUCCESS_AT"] {
        assert!(!first.contains_key(name), "{name} is told to a run that has none: {first:?}");
    }

    // Nobody decided for an hour: the slot of ten minutes ago is caught up.
    daemon.terminate().await;
    sqlx::query("update sexton.schedule set watermark = now() - interval '1 hour'")
        .execute(queue.pool())
        .await
        .expect("a watermark");
    let daemon = site.daemon(&["run"]).await;
    let kept = run_when(queue.pool(), "keeps", "is done", |run| run.state == "done").await;
    let caught_up = kept.parent.expect("what it followed");
    let time = |text: &str| -> DateTime<Utc> { text.parse().expect("an instant") };
    let late = |told: &BTreeMap<String, String>| told["LATE_BY"].parse::<i64>().expect("seconds");
    let (first, second) = (told(&site, caught_up, 1), told(&site, caught_up, 2));
    for told in [&first, &second] {
        assert_eq!(told["RUN"], caught_up.to_string());
        assert_eq!((told["SCHEDULE"].as_str(), told["CAUGHT_UP"].as_str()), ("hourly", "true"));
        assert_eq!(time(&told["NOMINAL_AT"]), slot);
        assert!(told["NOMINAL_AT"].ends_with('Z'), "{told:?}");
        assert_eq!(time(&told["PREVIOUS_SUCCESS_AT"]).timestamp(), by_hand.finished_at.expect("an end").timestamp());
    }
    assert!(late(&first) >= 600, "counted from when the slot was due: {first:?}");
    assert!(late(&second) > late(&first), "a retry counts from there, too: {second:?}");
    let ended = run_when(queue.pool(), "tells", "is done", |run| run.id == caught_up && run.state == "done").await;
    let latest = (ended.finished_at.expect("an end") - slot).num_seconds();
    assert!(late(&second) <= latest, "{second:?}, and it ended {latest} s after its slot");

    // What follows has the slot of its chain, a success of its own, and is late only by itself.
    let row: (String, String, DateTime<Utc>, bool, bool, Option<DateTime<Utc>>) = sqlx::query_as(
        "select job, schedule, nominal_at, caught_up,
                late_by = seconds * interval '1 second' and late_by < interval '5 minutes', previous_success_at
         from told where run = $1",
    )
    .bind(kept.id)
    .fetch_one(target.pool())
    .await
    .expect("what sql was told");
    assert_eq!(row, ("keeps".into(), "hourly".into(), slot, true, true, None));

    // A person's retry of a dead run is late since the run was first due.
    site.job("dies", "[sql]\ntarget = \"collector\"\nsql = \"select 1 / (:late_by::int / 3600)\"\nread_only = true\n");
    let sighup = rustix::process::Signal::HUP;
    daemon.signal(sighup);
    daemon.wait_for_line("following revision 2").await;
    site.sexton(&["trigger", "dies", "--wait"]).await;
    let dead = run_when(queue.pool(), "dies", "is dead", |run| run.state == "failed").await;
    sqlx::query("update sexton.history set first_due_at = first_due_at - interval '2 hours' where id = $1")
        .bind(dead.id)
        .execute(queue.pool())
        .await
        .expect("a row");
    assert_eq!(site.sexton(&["runs", "retry", &dead.id.to_string()]).await.status.code(), Some(0));
    run_when(queue.pool(), "dies", "is done at last", |run| run.state == "done").await;
    let ended = tokio::time::timeout(Duration::from_secs(60), daemon.terminate()).await.expect("an end");
    assert!(ended.status.success());
}
