//! Checks count every bad row, show a few, and say which of them fails.

mod docs;
mod forms;
mod issues;
mod known;
mod migrated;
mod replica;

use sexton::kinds::Validate;

use super::*;

pub async fn validate(ctx: Ctx, checks: &str) -> Result<Outcome, Broken> {
    toml::from_str::<Validate>(&format!("target = 'collector'\n{checks}")).expect("a [validate] table").run(ctx).await
}

/// The shipped job's `[validate]` table.
pub async fn shipped(ctx: Ctx) -> Result<Outcome, Broken> {
    let job: toml::Table = toml::from_str(include_str!("../../../jobs/validate-full.toml")).expect("the shipped job");
    let table: Validate = job["validate"].clone().try_into().expect("its table");
    assert_eq!(table.check(), []);
    table.run(ctx).await
}

#[tokio::test]
async fn the_shipped_checks_find_the_sample_s_seven_issues_before_and_after_archiving() {
    let site = Site::new(600).await;
    let report = done(shipped(site.ctx()).await);
    assert_eq!(number(&report, "issues"), 7);
    assert_eq!(number(&report, "check.missing_resolution_timestamp"), 7);
    assert_eq!(number(&report, "checks_warned"), 1);
    assert_eq!(number(&report, "checks_skipped"), 9, "there is no archive yet");

    done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    let report = done(shipped(site.ctx()).await);
    assert_eq!((number(&report, "issues"), number(&report, "checks_skipped")), (7, 0));
}

#[tokio::test]
async fn the_shipped_checks_find_a_row_in_both_places() {
    let site = Site::new(300).await;
    done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    site.run("insert into interface_exceptions_archive select * from interface_exceptions where severity = 'CRITICAL' limit 1").await;
    let failure = failed(shipped(site.ctx()).await);
    assert!(failure.why.contains("duplicate_main_archive_records: 1 bad rows"), "{}", failure.why);
}

#[tokio::test]
async fn all_bad_rows_are_counted_and_a_few_are_shown() {
    let site = Site::new(100).await;
    let check = "samples = 5\n[[check]]\nname = 'all_of_them'\nfail = '>= 1000'\nsql = 'select id from interface_exceptions order by id -- all;'";
    let report = done(validate(site.ctx(), check).await);
    assert_eq!(number(&report, "issues"), 100);
    let samples = report.get("samples").and_then(|samples| samples.as_str()).expect("samples");
    assert_eq!(samples, "all_of_them: {id 1}, {id 2}, {id 3}, {id 4}, {id 5}");
}

#[tokio::test]
async fn a_reached_threshold_fails_the_run_and_the_other_checks_still_count() {
    let site = Site::new(100).await;
    let checks = "
        [[check]]
        name = 'broken'
        sql = 'select id from interface_exception'
        [[check]]
        name = 'many'
        about = 'there are rows'
        fail = '> 10'
        sql = 'select id from interface_exceptions order by id'
        [[check]]
        name = 'few'
        fail = '> 10'
        sql = 'select id from interface_exceptions where id <= 3'";
    let failure = failed(validate(site.ctx(), checks).await);
    assert!(failure.why.starts_with("2 of 3 checks failed: broken could not be run: "), "{}", failure.why);
    assert!(
        failure.why.contains("many: 100 bad rows, fails at > 10 (there are rows): {id 1}, {id 2}, {id 3}"),
        "{}",
        failure.why
    );
    assert_eq!(failure.again, sexton::outcome::Again::Never);
    assert_eq!(number(&failure.report, "issues"), 103);
    assert_eq!((number(&failure.report, "checks_failed"), number(&failure.report, "checks_warned")), (2, 1));
}

#[tokio::test]
async fn a_check_can_change_nothing() {
    let site = Site::new(20).await;
    site.run("create function wipe() returns bigint language sql as 'delete from order_items; select 1::bigint'").await;
    let items = site.count("select count(*) from order_items").await;
    let failure = failed(validate(site.ctx(), "[[check]]\nname = 'sly'\nsql = 'select wipe()'").await);
    assert!(failure.why.contains("read-only transaction"), "{}", failure.why);
    assert_eq!(site.count("select count(*) from order_items").await, items);
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_ended() {
    let site = Site::new(20).await;
    let checks = "timeout = '100ms'\n[[check]]\nname = 'slow'\nsql = 'select pg_sleep(60)'";
    let failure = failed(validate(site.ctx(), checks).await);
    assert!(failure.why.contains("slow could not be run: "), "{}", failure.why);
    assert_eq!(failure.again, sexton::outcome::Again::Later);
}
