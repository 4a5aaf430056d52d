//! Several at once: a second run and a writer who never stops lose and double nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::*;

const TABLE: &str = "older_than = '200d'\ndry_run = false\nbatch = { rows = 10 }";

#[tokio::test]
async fn two_runs_at_once_share_the_rows() {
    let site = Site::new(600).await;
    let before = site.everything().await;
    let predicted = number(&done(archive(site.ctx(), "older_than = '200d'").await), "rows_archived");
    let (one, other) = tokio::join!(archive(site.ctx(), TABLE), archive(site.ctx(), TABLE));
    let (one, other) = (done(one), done(other));
    assert_eq!(number(&one, "rows_archived") + number(&other, "rows_archived"), predicted);
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn what_a_writer_adds_meanwhile_goes_with_its_parent() {
    let site = Site::new(600).await;
    let over = Arc::new(AtomicBool::new(false));
    let (pool, ends) = (site.pool().clone(), over.clone());
    let writer = tokio::spawn(async move {
        let mut kept: Vec<i64> = Vec::new();
        for n in 0.. {
            if ends.load(Ordering::Relaxed) {
                break;
            }
            // Fails when the parent has gone to the archive: then there is nothing to keep.
            let id: Result<i64, sqlx::Error> = sqlx::query_scalar(
                "insert into retry_attempts (exception_id, attempt_number, initiated_by) values ($1, $2, 'writer') returning id",
            )
            .bind(8 + n % 592)
            .bind(100 + n / 592)
            .fetch_one(&pool)
            .await;
            kept.extend(id.ok());
        }
        kept
    });

    let report = done(archive(site.ctx(), TABLE).await);

    over.store(true, Ordering::Relaxed);
    let written = writer.await.expect("no panic");
    assert!(number(&report, "steps") > 3 && written.len() > 10, "{report:?} {}", written.len());
    let places = "select count(*) from unnest($1::bigint[]) w (id)
        where (select count(*) from retry_attempts r join interface_exceptions e on e.id = r.exception_id where r.id = w.id)
            + (select count(*) from retry_attempts_archive r join interface_exceptions_archive e on e.id = r.exception_id where r.id = w.id) = 1";
    let found: i64 = sqlx::query_scalar(places).bind(&written).fetch_one(site.pool()).await.unwrap();
    assert_eq!(found as usize, written.len(), "each is where its parent is, once");
}
