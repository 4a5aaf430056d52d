//! Checks write nothing, so that a replica can be asked.

use super::{super::*, shipped};

#[tokio::test]
async fn the_shipped_checks_run_where_nothing_can_be_written() {
    let site = Site::new(300).await;
    done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    site.run(&format!("alter database {} set default_transaction_read_only = on", site.database.name())).await;
    let report = done(shipped(site.ctx()).await);
    assert_eq!((number(&report, "issues"), number(&report, "checks_skipped")), (7, 0));
}
