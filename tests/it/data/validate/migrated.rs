//! The function `validate_migrated_data()`, called as from psql.

use super::super::*;

type Row = (String, i32, Vec<String>);

async fn call(site: &Site) -> Vec<Row> {
    sqlx::query_as("select * from public.validate_migrated_data()").fetch_all(site.pool()).await.expect("the function")
}

#[tokio::test]
async fn good_rows_pass() {
    let site = Site::new(100).await;
    let passed = ("validation_passed".to_owned(), 0, vec!["No data integrity issues found".to_owned()]);
    assert_eq!(call(&site).await, [passed]);
}

#[tokio::test]
async fn each_failing_check_is_a_row_with_the_true_count_and_five_samples() {
    let site = Site::new(100).await;
    site.run(
        "alter table retry_attempts drop constraint retry_attempts_exception_id_fkey;
        alter table interface_exceptions drop constraint interface_exceptions_status_check;
        alter table interface_exceptions drop constraint interface_exceptions_severity_check;
        alter table interface_exceptions drop constraint interface_exceptions_transaction_id_key;
        alter table interface_exceptions alter \"timestamp\" drop not null, alter processed_at drop not null;
        insert into retry_attempts (exception_id, attempt_number, initiated_by) select 900 + n, 1, 'x' from generate_series(1, 12) n;
        update interface_exceptions set status = 'OPEN' where id <= 30;
        update interface_exceptions set severity = 'HUGE' where id <= 20;
        update interface_exceptions set \"timestamp\" = null where id <= 4;
        update interface_exceptions set processed_at = null where id between 3 and 8;
        update interface_exceptions set transaction_id = 'D' || id % 7 where id between 51 and 65",
    )
    .await;
    let rows = call(&site).await;
    let short: Vec<_> = rows.iter().map(|(name, count, samples)| (name.as_str(), *count, samples.len())).collect();
    let expected = [
        ("orphaned_retry_attempts", 12, 5),
        ("invalid_status_values", 30, 5),
        ("invalid_severity_values", 20, 5),
        ("missing_timestamps", 8, 5),
        ("duplicate_transaction_ids", 7, 5),
    ];
    assert_eq!(short, expected);
    assert!(rows[0].2[0].starts_with("id ") && rows[0].2[0].contains(", exception_id 9"), "{:?}", rows[0].2);
    assert!(rows[1].2[0].contains("status OPEN"), "{:?}", rows[1].2);
}

#[tokio::test]
async fn a_job_and_the_function_count_the_same() {
    let site = Site::new(100).await;
    site.run("alter table interface_exceptions drop constraint interface_exceptions_status_check; update interface_exceptions set status = 'OPEN' where id <= 9").await;
    let failure = failed(super::shipped(site.ctx()).await);
    assert_eq!(number(&failure.report, "check.invalid_status_values"), 9);
    assert_eq!(call(&site).await[0].1, 9);
}

#[tokio::test]
async fn installing_again_with_other_values_changes_what_the_function_accepts() {
    let site = Site::new(50).await;
    let mut definition = site.definition.clone();
    definition["values"]["severity"] = serde_json::json!(["LOW", "MEDIUM", "HIGH"]);
    let known = dataset::Known { name: "interface_exceptions".to_owned(), definition };
    let wanted = dataset::Wanted { datasets: vec![known], ..Default::default() };
    dataset::install(site.pool(), false, &wanted).await.expect("an installation");
    let critical = site.count("select count(*) from interface_exceptions where severity = 'CRITICAL'").await;
    let rows = call(&site).await;
    assert_eq!((rows[0].0.as_str(), i64::from(rows[0].1)), ("invalid_severity_values", critical));
}
