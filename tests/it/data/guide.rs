//! docs/datasets.md does what it says: its blocks are read as files, and run.

use std::collections::BTreeMap;

use sexton::{
    catalog::{Catalog, Files},
    kinds,
};

use super::*;

/// The guide's blocks in one language, each with its first line's comment.
fn blocks(language: &str) -> Vec<(String, String)> {
    let text = include_str!("../../../docs/datasets.md");
    let mark = format!("```{language}\n");
    let bodies = text.split(&mark).skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default());
    bodies.map(|body| (body.lines().next().unwrap_or_default().to_owned(), body.to_owned())).collect()
}

async fn run(site: &Site, catalog: &Catalog, job: &str, params: &[(&str, serde_json::Value)]) -> Report {
    let params: BTreeMap<_, _> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let spec = catalog.resolve(job, &params).expect(job);
    let mut ctx = support::ctx([site.database.target("collector")], Vaults::default());
    ctx.dataset = spec.dataset.clone();
    let kind = kinds::find(&spec.kind).expect("a kind");
    done((kind.start)(spec.table, ctx).await)
}

#[tokio::test]
async fn a_stranger_s_table_is_archived_by_the_guide_alone() {
    let files: BTreeMap<String, String> =
        blocks("toml").into_iter().map(|(first, body)| (first.trim_start_matches("# ").to_owned(), body)).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    let parsed = Catalog::parse(&Files(files));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let catalog = parsed.catalog.expect("a catalog");
    let site = Site { database: Database::empty().await, definition: catalog.datasets["orders"].clone() };
    for (_, sql) in blocks("sql") {
        site.run(&sql).await;
    }
    dataset::install(site.database.pool(), false, &Default::default()).await.expect("an installation");

    let eligible = |table: &str, days: u32| {
        format!("select count(*) from {table} where placed_at < now() - interval '{days} days' and state = 'shipped'")
    };
    let old = site.count(&eligible("orders", 180)).await;
    assert!(old > 700, "{old}");

    let dry = run(&site, &catalog, "archive-orders", &[]).await;
    assert_eq!(site.count("select count(*) from orders").await, 1_000);
    let real = run(&site, &catalog, "archive-orders", &[("dry_run", false.into())]).await;
    assert_eq!((number(&dry, "rows_archived"), number(&real, "rows_archived")), (old, old));
    assert_eq!(number(&real, "order_lines_archived"), old * 3);
    assert_eq!(site.count("select count(*) from orders_archive").await, old);

    let back = run(&site, &catalog, "restore-orders", &[("dry_run", false.into())]).await;
    assert_eq!((number(&back, "rows_restored"), number(&back, "order_lines_restored")), (1, 3));
    assert_eq!(site.count("select count(*) from orders where number = 'O-181'").await, 1);

    let ended = site.count(&eligible("orders_archive", 730)).await;
    let purged = run(&site, &catalog, "purge-orders", &[("dry_run", false.into())]).await;
    assert!(ended > 200 && number(&purged, "rows_deleted") == ended, "{ended}");
    assert_eq!(site.count("select count(*) from orders_archive").await, old - 1 - ended);
    assert_eq!(
        site.count("select count(*) from order_lines_archive").await,
        3 * site.count("select count(*) from orders_archive").await
    );
}
