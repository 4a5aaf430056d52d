//! Every documented issue, provoked on the exceptions' tables and counted by SQL of the tests' own.

use sexton::kinds::Validate;

use super::{super::*, shipped};

/// A suite of the shipped data set.
async fn suite(ctx: Ctx, table: &str) -> Result<Outcome, Broken> {
    let table = format!("target = 'collector'\ndataset = 'interface_exceptions'\n{table}");
    toml::from_str::<Validate>(&table).expect("a [validate] table").run(ctx).await
}

/// The report, whatever the thresholds say.
fn report(result: Result<Outcome, Broken>) -> Report {
    match result {
        Ok(Outcome::Done(report)) => report,
        Ok(Outcome::Failed(failure)) => {
            assert!(!failure.why.contains("could not be run"), "{}", failure.why);
            failure.report
        }
        other => panic!("{other:?}"),
    }
}

/// What keeps the rows right by itself.
const UNGUARDED: &str = "
    alter table retry_attempts drop constraint retry_attempts_exception_id_fkey;
    alter table order_items drop constraint order_items_interface_exception_id_fkey;
    alter table exception_status_changes drop constraint exception_status_changes_exception_id_fkey;
    alter table interface_exceptions drop constraint interface_exceptions_status_check;
    alter table interface_exceptions drop constraint interface_exceptions_severity_check;
    alter table interface_exceptions drop constraint interface_exceptions_interface_type_check;
    alter table interface_exceptions drop constraint interface_exceptions_category_check;
    alter table retry_attempts drop constraint retry_attempts_status_check;
    alter table interface_exceptions drop constraint interface_exceptions_transaction_id_key;
    alter table interface_exceptions alter \"timestamp\" drop not null;
    alter table interface_exceptions alter exception_reason drop not null;";

#[tokio::test]
async fn every_issue_of_the_main_tables_is_found_and_counted() {
    let site = Site::new(400).await;
    site.run(UNGUARDED).await;
    // What is done, the check that sees it, and how many rows it must count.
    let cases = [
        (
            "insert into retry_attempts (exception_id, attempt_number, initiated_by) select 9000 + n, 1, 'x' from generate_series(1, 30) n",
            "orphaned_retry_attempts",
            "select count(*) from retry_attempts where exception_id > 9000",
        ),
        (
            "insert into order_items (interface_exception_id, blood_type, product_family, quantity) values (9100, 'A+', 'X', 1)",
            "orphaned_order_items",
            "select 1::bigint",
        ),
        (
            "insert into exception_status_changes (exception_id, to_status) values (9100, 'NEW'), (9101, 'NEW')",
            "orphaned_status_changes",
            "select 2::bigint",
        ),
        (
            "update interface_exceptions set status = 'OPEN' where id in (100, 101)",
            "invalid_status_values",
            "select 2::bigint",
        ),
        (
            "update interface_exceptions set severity = 'HUGE' where id in (102)",
            "invalid_severity_values",
            "select 1::bigint",
        ),
        (
            "update interface_exceptions set interface_type = 'PARTNER_ORDER' where id in (103, 104, 105)",
            "invalid_interface_type_values",
            "select 3::bigint",
        ),
        (
            "update interface_exceptions set category = 'SYSTEM' where id = 106",
            "invalid_category_values",
            "select 1::bigint",
        ),
        (
            "update interface_exceptions set resolution_method = 'MAGIC' where id = 107",
            "invalid_resolution_method_values",
            "select 1::bigint",
        ),
        (
            "update retry_attempts set status = 'CANCELLED' where id = 5",
            "invalid_retry_status_values",
            "select 1::bigint",
        ),
        (
            "update exception_status_changes set to_status = 'FAILED' where id = 6",
            "invalid_history_status_values",
            "select 3::bigint",
        ),
        (
            "update interface_exceptions set \"timestamp\" = null where id in (110, 111)",
            "missing_timestamps",
            "select 2::bigint",
        ),
        (
            "update interface_exceptions set transaction_id = 'TWICE' where id in (112, 113)",
            "duplicate_transaction_ids",
            "select 1::bigint",
        ),
        (
            "update interface_exceptions set processed_at = \"timestamp\" - interval '1 day' where id = 114",
            "inconsistent_timestamps",
            "select 1::bigint",
        ),
        (
            "update interface_exceptions set exception_reason = '  ' where id = 115",
            "missing_required_fields",
            "select 1::bigint",
        ),
        (
            "update interface_exceptions set last_retry_at = now() + interval '1 day' where id in (116, 117)",
            "future_timestamps",
            "select 2::bigint",
        ),
        (
            "update interface_exceptions set retry_count = 1 where id = (select min(id) from interface_exceptions where retry_count = 3 and id > 120)",
            "inconsistent_retry_counts",
            "select count(*) from interface_exceptions e where retry_count <> (select count(*) from retry_attempts r where r.exception_id = e.id)",
        ),
        (
            "update retry_attempts set attempt_number = 9 where id = (select max(r.id) from retry_attempts r join interface_exceptions e on e.id = r.exception_id where r.attempt_number = 2 and e.status = 'RESOLVED')",
            "retry_attempt_number_gaps",
            "select count(*) from (select array_agg(attempt_number order by attempt_number) as numbers from retry_attempts group by exception_id) g where numbers <> array(select generate_series(1, cardinality(numbers)))",
        ),
        ("select setval(pg_get_serial_sequence('order_items', 'id'), 1)", "sequence_behind_key", "select 1::bigint"),
        (
            "update interface_exceptions set resolved_at = null where status = 'CLOSED' and id between 200 and 230",
            "missing_resolution_timestamp",
            "select count(*) from interface_exceptions where status in ('RESOLVED', 'CLOSED') and resolved_at is null",
        ),
        (
            "update interface_exceptions set acknowledged_at = null where status = 'ACKNOWLEDGED'",
            "missing_acknowledgment_timestamp",
            "select count(*) from interface_exceptions where status = 'ACKNOWLEDGED'",
        ),
        (
            "update interface_exceptions set retryable = false where id = (select min(exception_id) from retry_attempts)",
            "retries_on_non_retryable_exceptions",
            "select 1::bigint",
        ),
        (
            "update interface_exceptions set max_retries = 0 where retry_count = 2",
            "retry_count_above_maximum",
            "select count(*) from interface_exceptions where retry_count > max_retries",
        ),
        (
            "delete from retry_attempts where exception_id in (select id from interface_exceptions where status = 'RETRIED_FAILED')",
            "retried_without_attempts",
            "select count(*) from interface_exceptions where status = 'RETRIED_FAILED'",
        ),
        (
            "update retry_attempts set completed_at = initiated_at - interval '1 s' where id = 9",
            "retry_completed_before_initiated",
            "select 1::bigint",
        ),
        (
            "update retry_attempts set completed_at = null where status <> 'PENDING' and id between 10 and 40",
            "missing_retry_completion_timestamp",
            "select count(*) from retry_attempts where completed_at is null and status in ('SUCCESS', 'FAILED')",
        ),
        (
            "update interface_exceptions set resolved_at = \"timestamp\" - interval '1 s' where id = (select max(id) from interface_exceptions where resolved_at is not null)",
            "resolved_before_occurred",
            "select 1::bigint",
        ),
        (
            "delete from exception_status_changes where to_status = 'CLOSED'",
            "status_differs_from_history",
            "select count(*) from interface_exceptions e where status <> (select to_status from exception_status_changes c where c.exception_id = e.id order by changed_at desc, id desc limit 1)",
        ),
    ];
    for (harm, _, _) in &cases {
        site.run(harm).await;
    }
    let report = report(shipped(site.ctx()).await);
    for (_, check, counted) in &cases {
        assert_eq!(number(&report, &format!("check.{check}")), site.count(counted).await, "{check}");
        assert!(number(&report, &format!("check.{check}")) > 0, "{check} saw nothing");
    }
    let checks: i64 = report
        .entries()
        .filter(|(name, _)| name.starts_with("check."))
        .map(|(_, value)| value.as_i64().expect("a count"))
        .sum();
    assert_eq!(number(&report, "issues"), checks);
    let referential = self::report(suite(site.ctx(), "suite = 'referential-integrity'").await);
    assert_eq!(number(&referential, "checks"), 6);
    let rules = self::report(suite(site.ctx(), "suite = ['business-rules', 'referential-integrity']").await);
    assert_eq!(number(&rules, "checks"), 6 + 9);
}

#[tokio::test]
async fn every_disagreement_of_main_and_archive_is_found() {
    let site = Site::new(400).await;
    done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    let clean = done(suite(site.ctx(), "suite = 'archive-consistency'").await);
    assert_eq!((number(&clean, "issues"), number(&clean, "checks_skipped")), (0, 0));
    site.run(
        "alter table retry_attempts disable trigger all;
        create temporary table two as select id from interface_exceptions_archive order by id limit 2;
        insert into interface_exceptions (id, transaction_id, interface_type, exception_reason, operation, category, \"timestamp\")
            select id, 'other-' || id, 'ORDER', 'x', 'x', 'TIMEOUT', now() from two;
        insert into interface_exceptions (id, transaction_id, interface_type, exception_reason, operation, category, \"timestamp\")
            select 90000, transaction_id, 'ORDER', 'x', 'x', 'TIMEOUT', now() from interface_exceptions_archive order by id desc limit 1;
        insert into retry_attempts (exception_id, attempt_number, initiated_by)
            select id, 77, 'x' from interface_exceptions_archive order by id desc limit 3;
        delete from interface_exceptions_archive where id = (select exception_id from order_items_archive o join lateral (select o.interface_exception_id as exception_id) x on true where interface_exception_id not in (select id from two) and interface_exception_id in (select exception_id from retry_attempts_archive) limit 1);
        update interface_exceptions_archive set retry_count = 50 where id = (select max(id) from interface_exceptions_archive);
        update interface_exceptions_archive set processed_at = archived_at - interval '1 day' where id in (select id from two);
        alter table order_items_archive drop column quantity, alter blood_type type text;",
    )
    .await;
    let report = report(suite(site.ctx(), "suite = 'archive-consistency'").await);
    let orphans = |table: &str, column: &str| {
        format!(
            "select count(*) from {table}_archive where {column} not in (select id from interface_exceptions_archive)"
        )
    };
    let expected = [
        ("duplicate_main_archive_ids", "select 2::bigint".to_owned()),
        ("duplicate_main_archive_records", "select 1::bigint".to_owned()),
        ("orphaned_archive_retry_attempts", orphans("retry_attempts", "exception_id")),
        ("orphaned_archive_order_items", orphans("order_items", "interface_exception_id")),
        ("orphaned_archive_status_changes", orphans("exception_status_changes", "exception_id")),
        ("inconsistent_archive_retry_counts", "select 1::bigint".to_owned()),
        (
            "children_left_behind",
            "select count(*) from retry_attempts where exception_id in (select id from interface_exceptions_archive) \
             and exception_id not in (select id from interface_exceptions)"
                .to_owned(),
        ),
        ("archived_too_young", "select 2::bigint".to_owned()),
        ("archive_column_drift", "select 2::bigint".to_owned()),
    ];
    for (check, counted) in &expected {
        let found = number(&report, &format!("check.{check}"));
        assert_eq!(found, site.count(counted).await, "{check}");
        assert!(found > 0, "{check}");
    }
}

#[tokio::test]
async fn single_exceptions_are_looked_at_by_their_names() {
    let site = Site::new(20).await;
    site.run("alter table interface_exceptions alter exception_reason drop not null; update interface_exceptions set exception_reason = null, transaction_id = 'O''X' where id = 3").await;
    let report = done(
        suite(
            site.ctx(),
            r#"suite = "specific"
        ids = ["O'X", "nobody", "no'; drop table order_items; --"]"#,
        )
        .await,
    );
    assert_eq!(number(&report, "check.exception_not_found"), 2);
    assert_eq!(number(&report, "check.missing_exception_reason"), 1);
    let failure = failed(suite(site.ctx(), "suite = 'specific'").await);
    assert!(failure.why.contains("asks for `:ids`"), "{}", failure.why);
    let failure = failed(suite(site.ctx(), "suite = 'fulll'").await);
    assert!(failure.help.expect("help").contains("archive-consistency, business-rules, full, migrated"));
}
