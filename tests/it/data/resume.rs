//! A run that is stopped goes on where it was; an attempt that lost its lease changes nothing.

use sexton::{
    dataset::{Definition, Disposal, Error, Fence, Mover, Order, Pace, Select, Side},
    db::{Login, Target},
    secret::Secret,
};

use super::*;
use crate::support::{Proxy, Wire, next_attempt};

const TABLE: &str = "older_than = '200d'\ndry_run = false\nbatch = { rows = 10 }";

#[tokio::test]
async fn a_stopped_run_goes_on_from_its_checkpoint_and_counts_everything_once() {
    let site = Site::new(600).await;
    let before = site.everything().await;
    let predicted = done(archive(site.ctx(), "older_than = '200d'").await);

    let first = site.ctx();
    let second = next_attempt(&first);
    let (stop, mut progress) = (first.stop.clone(), first.progress.subscribe());
    let run = tokio::spawn(async move { archive(first, TABLE).await });
    progress.wait_for(|progress| progress.as_ref().is_some_and(|p| p.done > 0)).await.expect("progress");
    stop.cancel();
    assert!(matches!(run.await.expect("no panic"), Err(Broken::Stopped)));
    let moved = site.count("select count(*) from interface_exceptions_archive").await;
    assert!(moved > 0 && moved < number(&predicted, "rows_archived"), "stopped half way, at {moved}");
    assert_same(&site.everything().await, &before);

    let again = next_attempt(&second);
    let report = done(archive(second, TABLE).await);

    for name in ["rows_archived", "retry_attempts_archived", "order_items_archived", "main_rows_before"] {
        assert_eq!(report.get(name), predicted.get(name), "{name}");
    }
    assert_eq!(number(&report, "archive_rows_after"), number(&predicted, "rows_archived"));
    assert_same(&site.everything().await, &before);

    // Its worker died before the queue heard of it: one more attempt tells the same and does nothing.
    assert_eq!(done(archive(again, TABLE).await), report);
    assert_eq!(site.count("select count(*) from data_archive_log where not dry_run").await, 1);
}

#[tokio::test]
async fn a_step_whose_commit_nobody_heard_of_is_neither_lost_nor_counted_twice() {
    let site = Site::new(600).await;
    let before = site.everything().await;
    let predicted = done(archive(site.ctx(), "older_than = '200d'").await);
    let proxy = Proxy::unix(site.database.socket_dir()).await;
    let login = Login::new(&Secret::new(proxy.url(site.database.name())), None).expect("a login");
    let mut first = support::ctx([Target::new("collector", login, None)], Vaults::default());
    first.dataset = Some(site.definition.clone());
    let mut second = site.ctx();
    (second.run.id, second.run.token) = (first.run.id, 2);

    let mut progress = first.progress.subscribe();
    let run = tokio::spawn(async move { archive(first, TABLE).await });
    progress.wait_for(|progress| progress.as_ref().is_some_and(|p| p.done > 0)).await.expect("progress");
    proxy.set(Wire::LoseReplyTo("COMMIT"));
    let failure = failed(run.await.expect("no panic"));
    assert_eq!(failure.again, sexton::outcome::Again::Later, "{}", failure.why);
    assert!(number(&failure.report, "rows_archived") < number(&predicted, "rows_archived"));

    let report = done(archive(second, TABLE).await);

    for name in ["rows_archived", "retry_attempts_archived", "order_items_archived", "main_rows_before"] {
        assert_eq!(report.get(name), predicted.get(name), "{name}");
    }
    assert_same(&site.everything().await, &before);
}

async fn mover(site: &Site) -> Mover {
    let definition: Definition = serde_json::from_value(site.definition.clone()).expect("a definition");
    let order = Order {
        from: Side::Main,
        disposal: Disposal::Archive,
        select: Select::Old("200d".parse().expect("a span")),
        keep_critical: true,
        keep_open: true,
        max_rows: None,
        by: "somebody".to_owned(),
        reason: "because".to_owned(),
    };
    Mover::prepare(site.pool(), &definition, order).await.expect("a mover")
}

#[tokio::test]
async fn an_attempt_that_lost_its_lease_cannot_commit_a_step() {
    let site = Site::new(300).await;
    let pace = Pace { rows: 10, target: std::time::Duration::from_millis(500) };
    let run = uuid::Uuid::now_v7();
    let (old, new) = (Fence { run, token: 1 }, Fence { run, token: 2 });
    let mut zombie = mover(&site).await;
    let mut theirs = zombie.begin(old, pace).await.expect("the first attempt");
    zombie.step(old, &mut theirs, pace).await.expect("a step");

    let mut ours = mover(&site).await.begin(new, pace).await.expect("the second attempt");
    assert_eq!(ours.counts.rows, 10, "it goes on from the first one's step");
    let before = site.main_rows().await;
    let refused = zombie.step(old, &mut theirs, pace).await;

    assert!(matches!(refused, Err(Error::Superseded)), "{refused:?}");
    assert_same(&site.main_rows().await, &before);
    assert!(matches!(zombie.begin(old, pace).await, Err(Error::Superseded)), "nor can it begin again");
    mover(&site).await.step(new, &mut ours, pace).await.expect("the newer attempt goes on");
}
