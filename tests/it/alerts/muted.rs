//! Alerts that wait for the end of a window: nobody is woken, and nothing is lost.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sexton::{
    alerts::Alerts,
    catalog::Files,
    ledger,
    outbox::{self, Fact, What},
};

use super::{Desk, done, fact, flush};

/// Files with a schedule `nightly` that has a window around now which mutes, and `loud`, which has none.
fn files(now: DateTime<Utc>, window: &str) -> Files {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (from, until) = (time(now - TimeDelta::hours(1)), time(now + TimeDelta::hours(1)));
    let schedules = format!(
        "[[window]]\nname = \"upgrade\"\nfrom = {from}\nuntil = {until}\n{window}\n\
         [[at]]\nname = \"nightly\"\njob = \"backup\"\ncron = \"0 2 * * *\"\nwindows = [\"upgrade\"]\n\
         [[at]]\nname = \"loud\"\njob = \"backup\"\ncron = \"0 3 * * *\"\n"
    );
    let job = "alert = [\"mail\"]\n[validate]\ntarget = \"collector\"\n[[validate.check]]\nname = \"rows\"\nsql = \"select 1\"\n".to_owned();
    [("jobs/backup.toml", job), ("schedules/s.toml", schedules)].into_iter().collect()
}

async fn apply(desk: &Desk, files: &Files) {
    let mut tx = desk.database.pool().begin().await.unwrap();
    ledger::apply(&mut tx, &files.digest(), &files.0, &[], "a test").await.unwrap();
    tx.commit().await.unwrap();
}

fn of(schedule: Option<&str>, what: What) -> Fact {
    Fact { detail: json!({"why": "disk full", "schedule": schedule}), ..fact("backup", what, &["mail"]) }
}

/// Brings the end of every wait here, as if the window were over.
async fn end(desk: &Desk) {
    sqlx::query("update sexton.delivery set next_at = now() where state = 'pending'")
        .execute(desk.database.pool())
        .await
        .unwrap();
}

async fn muted(window: &str) -> (Desk, Alerts, DateTime<Utc>) {
    let (desk, now) = (Desk::new().await, Utc::now());
    apply(&desk, &files(now, window)).await;
    let alerts = desk.alerts();
    (desk, alerts, now)
}

#[tokio::test]
async fn an_alert_in_a_window_that_mutes_is_told_when_it_is_over() {
    let (desk, alerts, now) = muted("slots = \"fire\"\nmute = true").await;
    desk.record(&[of(Some("nightly"), What::Failed)]).await;
    assert_eq!(flush(&alerts).await, 1);
    assert_eq!(desk.subjects(), [""; 0]);
    let waiting = &desk.deliveries("mail").await[0];
    let until = now + TimeDelta::hours(1);
    assert!((waiting.next_at - until).abs() <= TimeDelta::seconds(1), "{} is not {until}", waiting.next_at);
    let verdict = outbox::events(desk.database.pool(), 1).await.unwrap()[0].verdict.clone().unwrap();
    assert!(verdict.starts_with("told: first failure, held back by the window upgrade until 20"), "{verdict}");
    end(&desk).await;
    assert_eq!(flush(&alerts).await, 0);
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: backup failed"]);
    let body = &desk.inbox.mails()[0].body;
    assert!(body.contains("held back by the window upgrade until 20"), "{body}");
}

#[tokio::test]
async fn a_failure_and_its_recovery_within_the_window_are_both_told_in_their_order() {
    let (desk, alerts, _) = muted("mute = true").await;
    for what in [What::Failed, done()] {
        desk.record(&[of(Some("nightly"), what)]).await;
        flush(&alerts).await;
    }
    assert_eq!(desk.subjects(), [""; 0]);
    end(&desk).await;
    assert_eq!(flush(&alerts).await, 0);
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: backup failed", "[sexton] RECOVERED: backup works again"]);
}

#[tokio::test]
async fn only_the_runs_of_schedules_with_that_window_are_muted() {
    let (desk, alerts, now) = muted("mute = true").await;
    // What another schedule or a person started, what a schedule that is gone did, and what is no run at all.
    for (job, schedule) in [("a", Some("loud")), ("b", None), ("c", Some("gone"))] {
        desk.record(&[Fact { job: job.into(), ..of(schedule, What::Failed) }]).await;
    }
    desk.record(&[fact("d", What::Failed, &["mail"])]).await;
    assert_eq!(flush(&alerts).await, 0);
    assert_eq!(desk.subjects().len(), 4);
    // A window for everybody mutes them, too, as soon as it is in the current revision.
    apply(&desk, &files(now, "mute = true\neverywhere = true")).await;
    desk.record(&[Fact { job: "e".into(), ..of(Some("loud"), What::Failed) }]).await;
    assert_eq!(flush(&alerts).await, 1);
    assert_eq!(desk.subjects().len(), 4);
    // And one that does not mute lets everything through.
    apply(&desk, &files(now, "slots = \"skip\"")).await;
    desk.record(&[Fact { job: "f".into(), ..of(Some("nightly"), What::Failed) }]).await;
    assert_eq!(flush(&alerts).await, 1);
    assert_eq!(desk.subjects().len(), 5);
}

#[tokio::test]
async fn a_message_that_waits_for_a_window_is_not_taken_for_one_that_no_daemon_can_send() {
    let (desk, alerts, _) = muted("mute = true").await;
    desk.record(&[of(Some("nightly"), What::Failed)]).await;
    flush(&alerts).await;
    // As after hours of a long window; another daemon has no such channel.
    sqlx::query("update sexton.delivery set created_at = created_at - interval '5 hours'")
        .execute(desk.database.pool())
        .await
        .unwrap();
    let without = desk.alerts_with([("hook", desk.hook("/hook", None))]);
    assert_eq!(without.give_up_orphans().await.unwrap(), 0);
    assert_eq!(desk.deliveries("mail").await[0].state, "pending");
}
