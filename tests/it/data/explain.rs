//! A plan is told before anything runs: what goes, what stays and why, and it holds.

use sexton::dataset::{Disposal, Order, Select, Side, explain};

use super::*;

fn order(days: u64) -> Order {
    Order {
        from: Side::Main,
        disposal: Disposal::Archive,
        select: Select::Old(format!("{days}d").parse().expect("a span")),
        keep_critical: true,
        keep_open: true,
        max_rows: None,
        by: String::new(),
        reason: String::new(),
    }
}

#[tokio::test]
async fn the_plan_says_what_the_run_then_does() {
    let site = Site::new(600).await;
    site.run("analyze; create publication changes for table order_items").await;
    let definition = serde_json::from_value(site.definition.clone()).expect("a definition");
    let before = site.everything().await;

    let plan = explain(site.pool(), &definition, &order(365), 1_000).await.expect("a plan");

    assert_same(&site.everything().await, &before);
    assert_eq!(plan.changes.iter().filter(|change| change.starts_with("create table")).count(), 4);
    assert!(plan.indexes.contains(&"interface_exceptions_age".to_owned()), "{:?}", plan.indexes);
    assert!(!plan.scans_whole_table);
    let items = plan.tables.iter().find(|table| table.table == "public.order_items").expect("the items");
    assert_eq!(items.publications, ["changes"]);
    assert_eq!(items.to.as_deref(), Some("public.order_items_archive"));
    let report = done(archive(site.ctx(), "older_than = '365d'\ndry_run = false").await);
    assert_eq!(number(&report, "rows_archived"), plan.rows as i64);
    assert_eq!(number(&report, "order_items_archived"), items.rows as i64);
    assert_eq!(number(&report, "rows_kept_critical"), plan.totals.kept_critical as i64);
    assert_eq!(number(&report, "rows_kept_open"), plan.totals.kept_open as i64);
}

#[tokio::test]
async fn a_plan_needs_nothing_installed_and_installs_nothing() {
    let site = Site::new(600).await;
    site.run("drop schema sexton cascade; drop index interface_exceptions_age").await;
    let definition = serde_json::from_value(site.definition.clone()).expect("a definition");
    let plan = explain(site.pool(), &definition, &order(365), 1_000).await.expect("a plan");
    assert!(plan.rows > 0);
    assert!(plan.scans_whole_table, "there is no index on the age any more: {:?}", plan.indexes);
    assert_eq!(site.count("select count(*) from pg_namespace where nspname = 'sexton'").await, 0);
}
