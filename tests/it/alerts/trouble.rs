//! Channels that nobody has, and secrets that receivers repeat.

use sexton::{
    daemon::inbox::{Answer, Reply},
    outbox::{self, What},
};

use super::{Desk, Logs, fact, flush, hook, send_until_failed, title};

#[tokio::test]
async fn a_message_waits_for_a_daemon_that_has_its_channel() {
    let (logs, _listening) = Logs::listen();
    let desk = Desk::new().await;
    let without = desk.alerts_with([("mail", desk.mail(None))]);
    desk.record(&[fact("backup", What::Failed, &["hook"])]).await;
    flush(&without).await;
    assert_eq!(without.give_up_orphans().await.unwrap(), 0);
    assert!(logs.text().contains("backup: this daemon has no channel hook"), "{}", logs.text());
    assert_eq!(desk.deliveries("hook").await[0].state, "pending");
    flush(&desk.alerts()).await;
    assert_eq!(desk.inbox.posts().iter().map(title).collect::<Vec<_>>(), ["backup failed"]);
}

#[tokio::test]
async fn a_message_for_a_channel_that_no_daemon_has_is_given_up_after_an_hour_and_others_are_told() {
    let (logs, _listening) = Logs::listen();
    let desk = Desk::new().await;
    let alerts = desk.alerts();
    desk.record(&[fact("backup", What::Failed, &["nowhere"])]).await;
    flush(&alerts).await;
    desk.let_pass(2).await;
    assert_eq!(alerts.give_up_orphans().await.unwrap(), 1);
    let sent = &desk.deliveries("nowhere").await[0];
    let reason = "for 60 minutes no daemon had a channel of this name";
    assert_eq!((sent.state.as_str(), sent.last_error.as_deref()), ("dead", Some(reason)));
    flush(&alerts).await;
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: messages do not get through to the channel nowhere"]);
    assert!(desk.inbox.mails()[0].body.contains(reason), "{}", desk.inbox.mails()[0].body);
    assert!(logs.text().contains("message given up: backup failed"), "{}", logs.text());
}

#[tokio::test]
async fn a_channel_that_another_daemon_works_on_is_not_taken_for_one_that_nobody_has() {
    let desk = Desk::new().await;
    let without = desk.alerts_with([("mail", desk.mail(None))]);
    desk.record(&[fact("a", What::Failed, &["hook"]), fact("b", What::Failed, &["hook"])]).await;
    flush(&without).await;
    desk.let_pass(2).await;
    // The other daemon is slow: it has one of the two in hand.
    assert_eq!(outbox::claim_deliveries(desk.database.pool(), "hook", 1).await.unwrap().len(), 1);
    assert_eq!(without.give_up_orphans().await.unwrap(), 0);
}

#[tokio::test]
async fn no_secret_of_a_channel_is_seen_where_it_fails() {
    let (logs, _listening) = Logs::listen();
    let desk = Desk::new().await;
    // Nobody listens on port 1.
    let alerts = desk.alerts_with([
        ("mail", desk.mail(Some("pa55-word"))),
        ("hook", desk.hook("/services/T0-path?key=k3y-query", Some("t0ken-bearer"))),
        ("gone", hook("http://127.0.0.1:1/services/T0-path?key=k3y-query", Some("t0ken-bearer"))),
    ]);
    desk.inbox.script_smtp([Reply::RefuseLogin]);
    desk.inbox.script_http("/services/T0-path", [Answer::Echo(404)]);
    desk.record(&[fact("backup", What::Failed, &["mail", "hook", "gone"])]).await;
    let mut seen = String::new();
    for sent in send_until_failed(&desk, &alerts, &["mail", "hook", "gone"]).await {
        seen.push_str(sent.last_error.as_deref().expect("a reason"));
    }
    seen.push_str(&logs.text());
    for event in outbox::events(desk.database.pool(), 100).await.unwrap() {
        seen.push_str(&event.detail.to_string());
    }
    // The refusals themselves are there, so that a person knows what to do.
    for reason in ["535", "[hidden]", "404", "Connection refused"] {
        assert!(seen.contains(reason), "{reason}: {seen}");
    }
    let login = "AHNleHRvbgBwYTU1LXdvcmQ=";
    for secret in ["pa55-word", login, "T0-path", "k3y-query", "t0ken-bearer"] {
        assert!(!seen.contains(secret), "{secret}: {seen}");
    }
}
