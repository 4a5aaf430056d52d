//! Others at work on the same rows: what they hold is left and found later, what they commit is never lost.

use super::*;

const ARCHIVE: &str = "select archived_exceptions from public.archive_old_exceptions(365, 20, false)";
const DUE: &str = "select count(*) from public.interface_exceptions where processed_at < now() - interval '365 days' and severity <> 'CRITICAL'";

/// One old exception that is due.
async fn due_id(collector: &Collector) -> i64 {
    collector
        .count("select id from public.interface_exceptions where processed_at < now() - interval '365 days' and severity = 'LOW' and status = 'RESOLVED' order by id limit 1")
        .await
}

#[tokio::test]
async fn a_row_that_is_being_changed_stays_with_its_change_and_goes_the_next_time() {
    let collector = Collector::installed(Version::V24, 300).await;
    let (due, id) = (collector.count(DUE).await, due_id(&collector).await);
    let mut other = collector.psql().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("update public.interface_exceptions set status = 'ESCALATED', updated_by = 'late' where id = $1")
        .bind(id)
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(i64::from(collector.one::<(i32,)>(ARCHIVE).await.0), due - 1);
    tx.commit().await.unwrap();
    assert_eq!(collector.one::<(i32,)>(ARCHIVE).await.0, 1, "the function goes by age, whatever the status");
    let kept: (String, String, i64) = collector
        .one(&format!(
            "select status, updated_by, (select count(*) from public.exception_status_changes_archive where exception_id = {id} and to_status = 'ESCALATED' and changed_by = 'late')
             from public.interface_exceptions_archive where id = {id}"
        ))
        .await;
    assert_eq!(kept, ("ESCALATED".to_owned(), "late".to_owned(), 1));
    collector.assert_whole().await;
}

#[tokio::test]
async fn a_retry_that_is_being_added_goes_with_its_exception() {
    let collector = Collector::installed(Version::V14, 300).await;
    let (due, id) = (collector.count(DUE).await, due_id(&collector).await);
    let mut other = collector.psql().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query(
        "insert into public.retry_attempts (exception_id, attempt_number, initiated_by) values ($1, 99, 'late')",
    )
    .bind(id)
    .execute(&mut *tx)
    .await
    .unwrap();
    assert_eq!(i64::from(collector.one::<(i32,)>(ARCHIVE).await.0), due - 1);
    tx.commit().await.unwrap();
    assert_eq!(collector.one::<(i32,)>(ARCHIVE).await.0, 1);
    let late =
        format!("select count(*) from public.retry_attempts_archive where exception_id = {id} and attempt_number = 99");
    assert_eq!(collector.count(&late).await, 1);
    collector.assert_whole().await;
}

#[tokio::test]
async fn a_child_that_is_being_changed_holds_up_only_its_own_exception() {
    let collector = Collector::installed(Version::V14, 300).await;
    let before = collector.everything().await;
    let due = collector.count(DUE).await;
    let child = collector
        .count(
            "select min(r.id) from public.retry_attempts r join public.interface_exceptions e on e.id = r.exception_id
             where processed_at < now() - interval '365 days' and severity = 'MEDIUM'",
        )
        .await;
    let mut other = collector.psql().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("select from public.retry_attempts where id = $1 for update")
        .bind(child)
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(i64::from(collector.one::<(i32,)>(ARCHIVE).await.0), due - 1);
    tx.rollback().await.unwrap();
    assert_eq!(collector.one::<(i32,)>(ARCHIVE).await.0, 1);
    assert_same(&collector.everything().await, &before);
}

#[tokio::test]
async fn two_calls_at_once_share_the_rows() {
    let collector = Collector::installed(Version::V24, 600).await;
    let before = collector.everything().await;
    let due = collector.count(DUE).await;
    let (one, other) = tokio::join!(collector.one::<(i32,)>(ARCHIVE), collector.one::<(i32,)>(ARCHIVE));
    assert_eq!(i64::from(one.0 + other.0), due);
    assert_same(&collector.everything().await, &before);
    collector.assert_whole().await;
}
