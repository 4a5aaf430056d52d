//! What is new since the job's last run.

use super::{super::*, validate};

const CHECK: &str = "[[check]]\nname = 'odd'\nfail = 'new > 0'\nkey = ['id']\nsql = 'select id, status from interface_exceptions where external_id is null'";

/// The context of the run after one with this report.
fn after(site: &Site, report: &Report) -> Ctx {
    let mut ctx = site.ctx();
    ctx.previous_report = Some(report.clone());
    ctx
}

#[tokio::test]
async fn a_row_that_the_last_run_had_not_is_new() {
    let site = Site::new(100).await;
    site.run("update interface_exceptions set external_id = 'x'; update interface_exceptions set external_id = null where id <= 5").await;
    let first = done(validate(site.ctx(), CHECK).await);
    assert_eq!(number(&first, "check.odd"), 5);
    assert_eq!(first.get("new.odd"), None, "a first run knows nothing");

    // What is shown beside the key may change; one row is mended and one is new.
    site.run(
        "update interface_exceptions set status = 'CLOSED', external_id = case when id = 1 then 'y' end where id <= 5",
    )
    .await;
    let second = done(validate(after(&site, &first), CHECK).await);
    assert_eq!((number(&second, "check.odd"), number(&second, "new.odd")), (4, 0));
    site.run("update interface_exceptions set external_id = null where id = 50").await;
    let failure = failed(validate(after(&site, &second), CHECK).await);
    assert!(failure.why.contains("odd: 5 bad rows, 1 of them new, fails at new > 0"), "{}", failure.why);

    // The failed run is remembered too: it has been told.
    let fourth = done(validate(after(&site, &failure.report), CHECK).await);
    assert_eq!(number(&fourth, "new.odd"), 0);
    // Another query is another check.
    let fifth = done(validate(after(&site, &fourth), &CHECK.replace("is null", "is null or id = 7")).await);
    assert_eq!(fifth.get("new.odd"), None);
}

#[tokio::test]
async fn past_the_bound_it_says_at_least() {
    let site = Site::new(3_000).await;
    site.run("update interface_exceptions set external_id = 'x'; update interface_exceptions set external_id = null where id <= 900").await;
    let first = done(validate(site.ctx(), CHECK).await);
    site.run("update interface_exceptions set external_id = null where id between 901 and 1500").await;
    let failure = failed(validate(after(&site, &first), CHECK).await);
    assert_eq!(number(&failure.report, "new.odd"), 600, "the last run knew all of its rows, so this is exact");
    assert_eq!(failure.report.get("new.odd.at_least"), None);

    let known = failure.report.get("_known").expect("what is known").to_string();
    assert!(known.len() < 12 * 1_000 + 200, "{} bytes", known.len());
    site.run("update interface_exceptions set external_id = 'x' where id <= 300; update interface_exceptions set external_id = null where id > 2800").await;
    let failure = failed(validate(after(&site, &failure.report), CHECK).await);
    let new = number(&failure.report, "new.odd");
    assert!((1..=200).contains(&new), "200 are new, and it says at least {new}");
    assert_eq!(failure.report.get("new.odd.at_least"), Some(&true.into()));
    assert!(failure.why.contains("at least"), "{}", failure.why);
}
