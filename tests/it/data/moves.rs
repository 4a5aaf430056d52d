//! Whole aggregates move and nothing is lost; dry runs predict; cleanup says where rows go.

use super::*;

const OLD: &str =
    "processed_at < now() - interval '365 days' and severity <> 'CRITICAL' and status in ('RESOLVED', 'CLOSED')";

#[tokio::test]
async fn archiving_moves_whole_aggregates_and_loses_nothing() {
    let site = Site::new(600).await;
    let before = site.everything().await;
    let old = site.count(&format!("select count(*) from interface_exceptions where {OLD}")).await;
    let retries =
        format!("select count(*) from retry_attempts r join interface_exceptions e on e.id = exception_id where {OLD}");
    let retries = site.count(&retries.replace("status in", "e.status in")).await;
    assert!(old > 50 && retries > 50, "{old} {retries}");

    let report = done(archive(site.ctx(), "older_than = '365d'\ndry_run = false\nbatch = { rows = 40 }").await);

    assert_eq!(number(&report, "rows_archived"), old);
    assert_eq!(number(&report, "retry_attempts_archived"), retries);
    assert!(number(&report, "steps") > 1);
    assert_eq!(number(&report, "main_rows_before"), 600);
    assert_eq!(number(&report, "main_rows_after"), 600 - old);
    assert_eq!(number(&report, "archive_rows_before"), 0);
    for (side, suffix) in [("main", ""), ("archive", "_archive")] {
        let sizes: Vec<String> =
            TABLES.iter().map(|table| format!("pg_total_relation_size('{table}{suffix}')")).collect();
        let bytes = site.count(&format!("select {}", sizes.join(" + "))).await;
        assert_eq!(number(&report, &format!("{side}_bytes_after")), bytes, "{side}");
    }
    assert_eq!(number(&report, "archive_bytes_before"), 0);
    assert_eq!(number(&report, "archive_rows_after"), old);
    assert_same(&site.everything().await, &before);
    for table in ["interface_exceptions", "retry_attempts", "order_items", "exception_status_changes"] {
        let both = format!("select count(*) from {table} join {table}_archive using (id)");
        assert_eq!(site.count(&both).await, 0, "{table} rows are in exactly one place");
    }
    assert_eq!(site.count("select count(*) from retry_attempts_archive").await, retries);
    let signed = "select count(*) from interface_exceptions_archive where archived_by = 'somebody' and archive_reason = 'a-job: older than 365d'";
    assert_eq!(site.count(signed).await, old);
}

#[tokio::test]
async fn a_second_run_finds_nothing_left_to_do() {
    let site = Site::new(300).await;
    let before = site.everything().await;
    let table = "older_than = '365d'\ndry_run = false";
    let first = done(archive(site.ctx(), table).await);
    let second = done(archive(site.ctx(), table).await);
    assert_eq!(number(&second, "rows_archived"), 0);
    assert_eq!(number(&second, "archive_rows_before"), number(&first, "rows_archived"));
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn a_dry_run_is_the_default_predicts_exactly_and_changes_nothing() {
    let site = Site::new(600).await;
    let before = site.main_rows().await;
    for table in [
        "older_than = '365d'",
        "older_than = '200d'\nkeep_open = false",
        "older_than = '100d'\nkeep_critical = false\nmax_rows = 30",
    ] {
        let untouched = site.everything().await;
        let dry = done(archive(site.ctx(), table).await);
        assert_eq!(dry.get("dry_run"), Some(&true.into()));
        assert!(number(&dry, "rows_archived") > 0);
        assert_same(&site.everything().await, &untouched);

        let real = done(archive(site.ctx(), &format!("{table}\ndry_run = false\nbatch = {{ rows = 25 }}")).await);
        for (name, value) in dry.entries() {
            let about_the_dry_run = [
                "dry_run",
                "main_rows_after",
                "main_bytes_after",
                "archive_rows_after",
                "archive_bytes_after",
                "rows_eligible",
                "archive_changes",
            ];
            if !about_the_dry_run.contains(&name) {
                assert_eq!(real.get(name), Some(value), "{name} of {table}");
            }
        }
    }
    assert_ne!(site.main_rows().await, before, "the real runs did move rows");
}

#[tokio::test]
async fn critical_and_open_rows_stay_unless_the_job_says_otherwise() {
    let site = Site::new(600).await;
    let critical = site.count("select count(*) from interface_exceptions where processed_at < now() - interval '365 days' and severity = 'CRITICAL'").await;
    let open = site.count("select count(*) from interface_exceptions where processed_at < now() - interval '365 days' and severity <> 'CRITICAL' and status not in ('RESOLVED', 'CLOSED')").await;
    let kept = done(archive(site.ctx(), "older_than = '365d'").await);
    assert_eq!((number(&kept, "rows_kept_critical"), number(&kept, "rows_kept_open")), (critical, open));
    let none = done(archive(site.ctx(), "older_than = '365d'\nkeep_critical = false\nkeep_open = false").await);
    assert_eq!(number(&none, "rows_archived"), number(&kept, "rows_archived") + critical + open);
}

#[tokio::test]
async fn a_cleanup_of_resolved_rows_moves_them_to_the_archive() {
    let site = Site::new(600).await;
    let before = site.everything().await;
    let due =
        "status in ('RESOLVED', 'CLOSED') and resolved_at < now() - interval '90 days' and severity <> 'CRITICAL'";
    let due = site.count(&format!("select count(*) from interface_exceptions where {due}")).await;
    let report = done(cleanup(site.ctx(), "resolved_for = '90d'\ndisposal = 'archive'\ndry_run = false").await);
    assert_eq!(number(&report, "rows_archived"), due);
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn what_is_deleted_goes_with_its_children_and_is_counted() {
    let site = Site::new(600).await;
    let table = "older_than = '730d'\ndisposal = 'delete'\nkeep_open = false";
    let dry = done(cleanup(site.ctx(), table).await);
    let children = site.count("select count(*) from exception_status_changes").await;
    let real = done(cleanup(site.ctx(), &format!("{table}\ndry_run = false\nbatch = {{ rows = 20 }}")).await);
    assert!(number(&real, "rows_deleted") > 20);
    assert_eq!(real.get("rows_deleted"), dry.get("rows_deleted"));
    let gone = number(&real, "exception_status_changes_deleted");
    assert_eq!(site.count("select count(*) from exception_status_changes").await, children - gone);
    assert_eq!(site.count("select count(to_regclass('interface_exceptions_archive'))").await, 0);
}

#[tokio::test]
async fn the_archive_can_be_purged_after_its_own_retention() {
    let site = Site::new(600).await;
    let archived = done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    let main = site.main_rows().await;
    let old = site
        .count("select count(*) from interface_exceptions_archive where processed_at < now() - interval '800 days'")
        .await;
    let purge = "older_than = '800d'\ndisposal = 'delete'\nfrom = 'archive'\ndry_run = false";
    let report = done(cleanup(site.ctx(), purge).await);
    assert!(old > 0);
    assert_eq!(number(&report, "rows_deleted"), old);
    assert_eq!(number(&report, "archive_rows_after"), number(&archived, "rows_archived") - old);
    let orphans = "select count(*) from retry_attempts_archive r where not exists (select from interface_exceptions_archive a where a.id = r.exception_id)";
    assert_eq!(site.count(orphans).await, 0);
    assert_same(&site.main_rows().await, &main);
}

#[tokio::test]
async fn every_operation_leaves_a_line_in_the_log() {
    let site = Site::new(300).await;
    done(archive(site.ctx(), "older_than = '365d'").await);
    let real = done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    done(cleanup(site.ctx(), "resolved_for = '90d'\ndisposal = 'archive'\ndry_run = false").await);
    let lines: Vec<(String, Option<i32>, i32, String, bool, String)> = sqlx::query_as(
        "select archive_type, archive_days, records_archived, status, dry_run, initiated_by from data_archive_log order by id",
    )
    .fetch_all(site.pool())
    .await
    .expect("the log");
    let rows = number(&real, "rows_archived") as i32;
    let line = |dry| ("OLD_EXCEPTIONS".to_owned(), Some(365), rows, "COMPLETED".to_owned(), dry, "somebody".to_owned());
    assert_eq!(lines, [line(true), line(false)]);
    let cleanup: (String, Option<i32>) = sqlx::query_as("select cleanup_type, retention_days from data_cleanup_log")
        .fetch_one(site.pool())
        .await
        .expect("a line");
    assert_eq!(cleanup, ("RESOLVED_EXCEPTIONS".to_owned(), Some(90)));
}

#[tokio::test]
async fn a_step_whose_archive_loses_rows_is_rolled_back_and_logged_as_failed() {
    let site = Site::new(300).await;
    done(archive(site.ctx(), "older_than = '880d'\ndry_run = false").await);
    site.run(
        "create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger swallow before insert on order_items_archive for each row execute function swallow()",
    )
    .await;
    let before = site.everything().await;
    let failure = failed(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    assert!(failure.why.contains("a step was rolled back: of `public.order_items`"), "{}", failure.why);
    assert!(failure.help.expect("help").contains("trigger"));
    assert_same(&site.everything().await, &before);
    assert_eq!(
        site.count("select count(*) from data_archive_log where status = 'FAILED' and notes like '%rolled back%'")
            .await,
        1
    );
}
