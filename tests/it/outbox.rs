//! Facts become events where they may be news, in the transaction that makes them true.

use chrono::Utc;
use serde_json::json;
use sexton::{
    expect::Breach,
    outbox::{self, Fact, Message, What},
};
use uuid::Uuid;

use crate::support::Database;

fn fact(job: &str, what: What) -> Fact {
    Fact {
        job: job.into(),
        run: Some(Uuid::now_v7()),
        at: Utc::now(),
        what,
        channels: vec!["ops".into()],
        detail: json!({"why": "w"}),
    }
}

fn done() -> What {
    What::Done { breaches: vec![] }
}

async fn record(database: &Database, facts: &[Fact]) {
    let mut tx = database.pool().begin().await.unwrap();
    outbox::record(&mut tx, facts).await.unwrap();
    tx.commit().await.unwrap();
}

async fn kinds(database: &Database) -> Vec<(String, i64)> {
    let events = outbox::events(database.pool(), 100).await.unwrap();
    events.into_iter().rev().map(|event| (event.kind, event.repeat)).collect()
}

#[tokio::test]
async fn successes_of_a_healthy_job_make_no_events() {
    let database = Database::new().await;
    record(&database, &[fact("a", done()), fact("a", done()), fact("b", done())]).await;
    assert_eq!(kinds(&database).await, []);
    let health = outbox::health(database.pool(), "a").await.unwrap().expect("a row");
    assert!(health.last_success_at.is_some());
}

#[tokio::test]
async fn a_failure_and_its_recovery_share_an_incident() {
    let database = Database::new().await;
    record(&database, &[fact("a", What::Failed)]).await;
    record(&database, &[fact("a", What::Failed), fact("a", done()), fact("a", done())]).await;
    assert_eq!(kinds(&database).await, [("failed".into(), 1), ("failed".into(), 2), ("recovered".into(), 2)]);
    let events = outbox::events(database.pool(), 10).await.unwrap();
    let first = events.last().expect("an event").id;
    assert!(events.iter().all(|event| event.incident == first), "{events:?}");
}

#[tokio::test]
async fn a_recovery_that_breaches_is_two_events() {
    let database = Database::new().await;
    let breach = Breach { name: "rows".into(), expected: "> 1".into(), actual: Some(0.0) };
    record(&database, &[fact("a", What::Failed)]).await;
    record(&database, &[fact("a", What::Done { breaches: vec![breach] })]).await;
    record(&database, &[fact("a", done())]).await;
    let words: Vec<String> = kinds(&database).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(words, ["failed", "recovered", "breached", "breach_cleared"]);
}

#[tokio::test]
async fn a_fact_of_a_transaction_that_fails_is_not_recorded() {
    let database = Database::new().await;
    let mut tx = database.pool().begin().await.unwrap();
    outbox::record(&mut tx, &[fact("a", What::Failed)]).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(kinds(&database).await, []);
}

#[tokio::test]
async fn an_event_is_decided_once_and_told_once_a_channel() {
    let database = Database::new().await;
    record(&database, &[fact("a", What::Failed)]).await;
    let mut one = database.pool().begin().await.unwrap();
    let mut two = database.pool().begin().await.unwrap();
    let taken = outbox::undecided(&mut one, 10).await.unwrap();
    assert_eq!((taken.len(), outbox::undecided(&mut two, 10).await.unwrap().len()), (1, 0));
    let event = &taken[0];
    for _ in 0..2 {
        let message = Message {
            id: Uuid::now_v7(),
            incident: event.incident,
            severity: "problem".into(),
            title: "t".into(),
            lines: vec![],
            help: None,
            next: None,
            event: event.kind.clone(),
            subject: event.subject.clone(),
            run: event.run,
            at: event.at,
        };
        outbox::tell(&mut one, event.id, "ops", &message, None).await.unwrap();
    }
    outbox::decided(&mut one, event.id, "told: first failure").await.unwrap();
    one.commit().await.unwrap();
    two.rollback().await.unwrap();
    let claimed = outbox::claim_deliveries(database.pool(), "ops", 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(outbox::claim_deliveries(database.pool(), "ops", 10).await.unwrap().is_empty(), "it is leased");
    outbox::delivered(database.pool(), claimed[0].id).await.unwrap();
    assert_eq!(outbox::pending(database.pool(), &["ops".into()]).await.unwrap().pending, 0);
}
