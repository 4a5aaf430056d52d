//! Receivers that refuse, hang and break off: what is tried again, and what is given up.

use std::time::Duration;

use chrono::TimeDelta;
use sexton::{
    alerts::{self, Channel, Email},
    daemon::inbox::{Answer, Reply},
    outbox::What,
    secret::Secret,
};
use tokio::time::Instant;

use super::{Desk, Logs, Stage, done, fact, flush, id, send_until_failed, title};
use crate::support::BOUND;

#[tokio::test]
async fn a_receiver_that_says_when_is_not_bothered_before() {
    let desk = Desk::new().await;
    let later = Answer::Later { status: 429, retry_after: "1".to_owned() };
    desk.inbox.script_http("/hook", [later, Answer::Status(200)]);
    desk.record(&[fact("a", What::Failed, &["hook"]), fact("b", What::Failed, &["hook"])]).await;
    assert_eq!(flush(&desk.alerts()).await, 0);
    let posts = desk.inbox.posts();
    assert_eq!(posts.iter().map(|post| post.status).collect::<Vec<_>>(), [Some(429), Some(200), Some(200)]);
    // Neither with this message nor with another one.
    assert!(posts[1].at - posts[0].at >= TimeDelta::seconds(1), "{posts:?}");
}

#[tokio::test]
async fn a_webhook_that_breaks_down_gets_the_same_message_until_it_takes_it() {
    let desk = Desk::new().await;
    desk.inbox.script_http("/hook", [500, 502, 503, 200].map(Answer::Status));
    desk.record(&[fact("backup", What::Failed, &["hook"])]).await;
    assert_eq!(flush(&desk.alerts()).await, 0);
    let posts = desk.inbox.posts();
    assert_eq!(posts.len(), 4);
    assert!(posts.iter().all(|post| id(post) == id(&posts[0]) && post.body == posts[0].body), "{posts:?}");
    let sent = &desk.deliveries("hook").await[0];
    assert_eq!((sent.state.as_str(), sent.tries, sent.id.to_string().as_str()), ("delivered", 4, id(&posts[0])));
}

#[tokio::test]
async fn a_webhook_that_hangs_holds_up_no_mail() {
    let desk = Desk::new().await;
    desk.inbox.script_http("/hook", [Answer::Hang]);
    let stage = Stage::start(desk.alerts());
    for job in ["a", "b", "c"] {
        desk.record(&[fact(job, What::Failed, &["hook", "mail"])]).await;
    }
    let enough = |seen: &sexton::daemon::inbox::Seen| seen.mails.len() == 3 && seen.posts.len() == 1;
    assert!(desk.inbox.wait_for(enough, BOUND).await, "{:?}", desk.subjects());
    drop(stage);
    assert_eq!(desk.deliveries("hook").await[0].state, "pending");
}

#[tokio::test]
async fn a_process_that_ends_does_not_wait_for_a_webhook_that_hangs() {
    let desk = Desk::new().await;
    desk.inbox.script_http("/hook", [Answer::Hang]);
    desk.inbox.script_smtp([Reply::Refuse(451), Reply::Take]);
    desk.record(&[fact("a", What::Failed, &["hook", "mail"])]).await;
    let begun = Instant::now();
    let left = alerts::flush(&desk.alerts(), begun + Duration::from_secs(5)).await.unwrap();
    assert_eq!((left, desk.subjects().len()), (1, 1));
    assert!(begun.elapsed() < Duration::from_secs(13), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_mail_server_that_says_later_gets_the_mail_later() {
    let desk = Desk::new().await;
    desk.inbox.script_smtp([Reply::Refuse(451), Reply::RefuseReceiver(450), Reply::Take]);
    desk.record(&[fact("backup", What::Failed, &["mail"])]).await;
    assert_eq!(flush(&desk.alerts()).await, 0);
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: backup failed"]);
    let sent = &desk.deliveries("mail").await[0];
    assert_eq!((sent.state.as_str(), sent.tries, sent.last_error.as_deref()), ("delivered", 3, None));
}

#[tokio::test]
async fn a_mail_whose_reply_is_lost_comes_again_as_the_same_mail() {
    let desk = Desk::new().await;
    desk.inbox.script_smtp([Reply::Close, Reply::Take]);
    desk.record(&[fact("backup", What::Failed, &["mail"])]).await;
    assert_eq!(flush(&desk.alerts()).await, 0);
    let mails = desk.inbox.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].headers["message-id"], mails[1].headers["message-id"]);
    let sent = &desk.deliveries("mail").await[0];
    assert_eq!(mails[0].headers["message-id"], format!("<{}@example.org>", sent.id));
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_dead_with_the_reason_and_others_are_told_once() {
    let (logs, _listening) = Logs::listen();
    let desk = Desk::new().await;
    let alerts = desk.alerts();
    desk.inbox.script_smtp([Reply::RefuseReceiver(550), Reply::Refuse(554), Reply::Take]);
    for job in ["first", "second"] {
        desk.record(&[fact(job, What::Failed, &["mail"])]).await;
        assert_eq!(flush(&alerts).await, 0);
    }
    let dead = desk.deliveries("mail").await;
    let reasons: Vec<_> = dead.iter().map(|sent| (sent.state.as_str(), sent.last_error.clone().unwrap())).collect();
    assert!(matches!(&reasons[..], [("dead", one), ("dead", two)] if one.contains("550") && two.contains("554")));
    assert!(logs.text().contains("message given up: first failed"), "{}", logs.text());
    let told = desk.inbox.posts();
    assert_eq!(told.iter().map(title).collect::<Vec<_>>(), ["messages do not get through to the channel mail"]);
    let line = told[0].json()["lines"][0].as_str().unwrap().to_owned();
    assert!(line.contains("\"first failed\" was given up") && line.contains("550"), "{line}");
    assert!(told[0].json()["help"].as_str().unwrap().contains("[channels.mail]"));
    // The next mail gets through, and that is told as well.
    desk.record(&[fact("third", What::Failed, &["mail"])]).await;
    flush(&alerts).await;
    let titles: Vec<String> = desk.inbox.posts().iter().map(title).collect();
    assert_eq!(titles[1..], ["the channel mail works again after 2 failures"]);
}

#[tokio::test]
async fn a_channel_that_is_down_for_long_is_told_before_its_messages_are_given_up() {
    let desk = Desk::new().await;
    desk.inbox.script_http("/hook", [Answer::Status(503)]);
    let mut alerts = desk.alerts();
    alerts.first_pause = Duration::from_millis(1);
    let _stage = Stage::start(alerts);
    desk.record(&[fact("backup", What::Failed, &["hook"])]).await;
    assert!(desk.inbox.wait_for(|seen| !seen.mails.is_empty(), BOUND).await);
    assert_eq!(desk.subjects(), ["[sexton] PROBLEM: messages do not get through to the channel hook"]);
    assert_eq!(desk.deliveries("hook").await[0].state, "pending");
    desk.inbox.script_http("/hook", []);
    assert!(desk.inbox.wait_for(|seen| seen.mails.len() > 1, BOUND).await);
    assert_eq!(desk.subjects()[1..], ["[sexton] RECOVERED: the channel hook works again"]);
    desk.record(&[fact("backup", done(), &["hook"])]).await;
    assert!(desk.inbox.wait_for(|seen| seen.posts.iter().any(|post| title(post).contains("works again")), BOUND).await);
}

#[tokio::test]
async fn two_channels_that_are_dead_do_not_go_on_about_each_other() {
    let desk = Desk::new().await;
    let alerts = desk.alerts();
    desk.inbox.script_smtp([Reply::RefuseReceiver(550)]);
    desk.inbox.script_http("/hook", [Answer::Status(404)]);
    desk.record(&[fact("backup", What::Failed, &["mail", "hook"])]).await;
    assert_eq!(flush(&alerts).await, 0);
    let events = sexton::outbox::events(desk.database.pool(), 100).await.unwrap();
    let about: Vec<&str> =
        events.iter().filter(|event| event.kind == "channel_failed").map(|event| event.subject.as_str()).collect();
    // Each is news once: the message about one that dies on the other makes no third.
    assert_eq!(about.len(), 2, "{about:?}");
}

#[tokio::test]
async fn a_mail_server_that_cannot_encrypt_gets_neither_mail_nor_password() {
    let desk = Desk::new().await;
    let login = Some(("sexton".to_owned(), Secret::new("pa55-word")));
    let url = format!("{}?tls=required", desk.inbox.smtp_url());
    let mail = Email::new(&url, login, "sexton@example.org", &["oncall@example.org".into()]).unwrap();
    let alerts = desk.alerts_with([("mail", Channel::Email(Box::new(mail)))]);
    // A login that arrived would be refused for good.
    desk.inbox.script_smtp([Reply::RefuseLogin]);
    desk.record(&[fact("backup", What::Failed, &["mail"])]).await;
    let sent = &send_until_failed(&desk, &alerts, &["mail"]).await[0];
    assert_eq!((sent.state.as_str(), desk.inbox.mails().len()), ("pending", 0));
    let why = sent.last_error.as_deref().expect("a reason");
    assert!(why.contains("STARTTLS is not supported") && why.contains("?tls=none"), "{why}");
}

#[tokio::test]
async fn a_receiver_who_left_keeps_no_mail_from_the_others() {
    let (logs, _listening) = Logs::listen();
    let desk = Desk::new().await;
    let to = ["left@example.org".to_owned(), "oncall@example.org".to_owned()];
    let mail = Email::new(&desk.inbox.smtp_url(), None, "sexton@example.org", &to).unwrap();
    let alerts = desk.alerts_with([("mail", Channel::Email(Box::new(mail)))]);
    // The mail to both, the one to the first alone, the one to the second alone.
    desk.inbox.script_smtp([Reply::RefuseReceiver(550), Reply::RefuseReceiver(550), Reply::Take]);
    desk.record(&[fact("backup", What::Failed, &["mail"])]).await;
    assert_eq!(flush(&alerts).await, 0);
    let mails = desk.inbox.mails();
    assert_eq!(mails.iter().map(|mail| &mail.to[..]).collect::<Vec<_>>(), [["oncall@example.org"]]);
    assert_eq!(desk.deliveries("mail").await[0].state, "delivered");
    let text = logs.text();
    assert!(text.contains("a mail reached 1 of 2 receivers") && text.contains("left@example.org"), "{text}");
    // Where nobody takes it, it is dead as before.
    desk.inbox.script_smtp([Reply::RefuseReceiver(550)]);
    desk.record(&[fact("archive", What::Failed, &["mail"])]).await;
    flush(&alerts).await;
    assert_eq!(desk.deliveries("mail").await[1].state, "dead");
}
