//! What people are told, how often, and in which order.

use std::collections::BTreeSet;

use sexton::{daemon::inbox::Answer, outbox::What};

use super::{Desk, Logs, Stage, done, fact, flush, id, title};
use crate::support::BOUND;

const BOTH: [&str; 2] = ["mail", "hook"];

#[tokio::test]
async fn a_failure_is_told_once_and_its_recovery_once_in_the_same_thread() {
    let desk = Desk::new().await;
    let alerts = desk.alerts();
    for what in [What::Failed, What::Failed, What::Failed, done(), done()] {
        desk.record(&[fact("backup", what, &BOTH)]).await;
        assert_eq!(flush(&alerts).await, 0);
    }
    let subjects = ["[sexton] PROBLEM: backup failed", "[sexton] RECOVERED: backup works again after 3 failures"];
    assert_eq!(desk.subjects(), subjects);
    let mails = desk.inbox.mails();
    assert_eq!((mails[0].to[0].as_str(), mails[0].from.as_str()), ("oncall@example.org", "sexton@example.org"));
    assert!(mails[0].body.contains("disk full"), "{}", mails[0].body);
    for name in ["references", "in-reply-to"] {
        assert_eq!(mails[0].headers[name], mails[1].headers[name]);
    }
    assert_ne!(mails[0].headers["message-id"], mails[1].headers["message-id"]);
    let posts = desk.inbox.posts();
    let titles: Vec<String> = posts.iter().map(title).collect();
    assert_eq!(titles, ["backup failed", "backup works again after 3 failures"]);
    assert_eq!(posts[0].json()["incident"], posts[1].json()["incident"]);
    assert_ne!(id(&posts[0]), id(&posts[1]));
}

#[tokio::test]
async fn what_piled_up_while_nobody_decided_is_told_as_if_it_had_not() {
    let desk = Desk::new().await;
    let facts = [What::Failed, What::Failed, done()].map(|what| fact("backup", what, &["mail"]));
    desk.record(&facts).await;
    flush(&desk.alerts()).await;
    let subjects = ["[sexton] PROBLEM: backup failed", "[sexton] RECOVERED: backup works again after 2 failures"];
    assert_eq!(desk.subjects(), subjects);
}

#[tokio::test]
async fn a_recovery_does_not_overtake_its_failure() {
    let desk = Desk::new().await;
    desk.inbox.script_http("/hook", [Answer::Status(503), Answer::Status(200)]);
    desk.record(&[fact("backup", What::Failed, &["hook"]), fact("backup", done(), &["hook"])]).await;
    assert_eq!(flush(&desk.alerts()).await, 0);
    let posts: Vec<_> = desk.inbox.posts().iter().map(|post| (title(post), post.status)).collect();
    let failed = "backup failed".to_owned();
    assert_eq!(posts, [(failed.clone(), Some(503)), (failed, Some(200)), ("backup works again".to_owned(), Some(200))]);
}

#[tokio::test]
async fn trouble_that_lasts_is_told_again_after_a_while() {
    let desk = Desk::new().await;
    let alerts = desk.alerts();
    for hours in [0, 1, 4] {
        desk.let_pass(hours).await;
        desk.record(&[fact("backup", What::Failed, &["mail"])]).await;
        flush(&alerts).await;
    }
    let again = "[sexton] PROBLEM: backup is still failing (3 times in a row)";
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: backup failed", again]);
}

#[tokio::test]
async fn a_fact_that_names_nobody_goes_to_the_default_else_to_the_log() {
    let (logs, _listening) = Logs::listen();
    let desk = Desk::new().await;
    let mut alerts = desk.alerts();
    desk.record(&[fact("first", What::Failed, &[])]).await;
    flush(&alerts).await;
    assert!(logs.text().contains("alert: first failed: disk full"), "{}", logs.text());
    assert_eq!(desk.deliveries("log").await[0].state, "delivered");
    alerts.default = vec!["mail".to_owned()];
    desk.record(&[fact("second", What::Failed, &[])]).await;
    flush(&alerts).await;
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: second failed"]);
    assert_eq!(desk.inbox.posts(), []);
}

#[tokio::test]
async fn two_stages_on_one_database_deliver_each_message_once() {
    const JOBS: usize = 40;
    let desk = Desk::new().await;
    let _stages = [Stage::start(desk.alerts()), Stage::start(desk.alerts())];
    for job in 0..JOBS {
        desk.record(&[fact(&format!("job-{job}"), What::Failed, &["hook"])]).await;
    }
    assert!(desk.inbox.wait_for(|seen| seen.posts.len() >= JOBS, BOUND).await, "{} came", desk.inbox.posts().len());
    crate::support::eventually("everything is settled", async || {
        let pending = sexton::outbox::pending(desk.database.pool(), &["hook".to_owned()]).await.unwrap();
        (pending.pending == 0 && pending.undecided == 0).then_some(())
    })
    .await;
    let posts = desk.inbox.posts();
    assert_eq!(posts.len(), JOBS);
    assert_eq!(posts.iter().map(id).collect::<BTreeSet<_>>().len(), JOBS);
    assert_eq!(posts.iter().map(title).collect::<BTreeSet<_>>().len(), JOBS);
}
