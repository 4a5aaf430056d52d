//! What somebody else holds is left alone, looked at again, and counted.

use super::*;

/// The first row that `older_than = '365d'` takes and that has retries; more rows come after it.
const ONE: &str = "select e.id from interface_exceptions e where exists (select from retry_attempts r where r.exception_id = e.id) \
    and processed_at < now() - interval '365 days' and severity <> 'CRITICAL' and e.status in ('RESOLVED', 'CLOSED') \
    order by processed_at, id limit 1";
const TABLE: &str = "older_than = '365d'\ndry_run = false\nbatch = { rows = 30 }";

#[tokio::test]
async fn a_row_that_stays_locked_is_skipped_and_counted() {
    let site = Site::new(400).await;
    let before = site.everything().await;
    let predicted = number(&done(archive(site.ctx(), "older_than = '365d'").await), "rows_archived");
    let held = site.count(ONE).await;
    let mut user = site.pool().begin().await.unwrap();
    sqlx::query("select from interface_exceptions where id = $1 for update")
        .bind(held)
        .execute(&mut *user)
        .await
        .unwrap();

    let report = done(archive(site.ctx(), TABLE).await);

    user.rollback().await.unwrap();
    assert_eq!(number(&report, "rows_archived"), predicted - 1);
    assert_eq!(number(&report, "rows_skipped_locked"), 1);
    assert_eq!(number(&report, "rows_revisited"), 2, "it was looked at again twice");
    assert_eq!(site.count(&format!("select count(*) from interface_exceptions where id = {held}")).await, 1);
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn a_row_is_left_with_its_children_while_one_of_them_is_locked() {
    let site = Site::new(400).await;
    let before = site.everything().await;
    let predicted = number(&done(archive(site.ctx(), "older_than = '365d'").await), "rows_archived");
    let held = site.count(ONE).await;
    let mut user = site.pool().begin().await.unwrap();
    sqlx::query("select from retry_attempts where exception_id = $1 for update")
        .bind(held)
        .execute(&mut *user)
        .await
        .unwrap();

    let report = done(archive(site.ctx(), TABLE).await);

    user.rollback().await.unwrap();
    assert_eq!(number(&report, "rows_archived"), predicted - 1);
    assert_eq!(number(&report, "rows_skipped_locked"), 1);
    assert_eq!(site.count(&format!("select count(*) from interface_exceptions where id = {held}")).await, 1);
    assert_same(&site.everything().await, &before);
}

/// Holds a row until all others have moved, then ends the transaction with `last`.
async fn hold_until_the_end(site: &Site, change: &str) -> Report {
    let predicted = number(&done(archive(site.ctx(), "older_than = '365d'").await), "rows_archived");
    let held = site.count(ONE).await;
    let mut user = site.pool().begin().await.unwrap();
    let change = AssertSqlSafe(format!("{change} where id = {held}"));
    assert_eq!(sqlx::query(change).execute(&mut *user).await.unwrap().rows_affected(), 1);
    let ctx = site.ctx();
    let mut progress = ctx.progress.subscribe();
    let run = tokio::spawn(async move { archive(ctx, TABLE).await });
    let others = predicted as u64 - 1;
    progress.wait_for(|progress| progress.as_ref().is_some_and(|p| p.done == others)).await.expect("progress");
    user.commit().await.unwrap();
    done(run.await.expect("no panic"))
}

#[tokio::test]
async fn a_row_that_is_let_go_moves_when_it_is_revisited() {
    let site = Site::new(400).await;
    let report = hold_until_the_end(&site, "update interface_exceptions set external_id = 'seen'").await;
    assert_eq!(number(&report, "rows_skipped_locked"), 0);
    assert!(number(&report, "rows_revisited") >= 1);
    let moved = "select count(*) from interface_exceptions_archive where external_id = 'seen'";
    assert_eq!(site.count(moved).await, 1, "with what its holder wrote");
}

#[tokio::test]
async fn a_row_that_is_opened_again_meanwhile_stays() {
    let site = Site::new(400).await;
    let report =
        hold_until_the_end(&site, "update interface_exceptions set status = 'ESCALATED', external_id = 'seen'").await;
    assert_eq!(number(&report, "rows_skipped_locked"), 0);
    assert_eq!(site.count("select count(*) from interface_exceptions where external_id = 'seen'").await, 1);
    let history = "select count(*) from exception_status_changes c join interface_exceptions e on e.id = c.exception_id \
                   where e.external_id = 'seen' and to_status = 'ESCALATED'";
    assert_eq!(site.count(history).await, 1);
}
