//! docs/backups.md does what it says: its blocks are read as files.

use std::collections::BTreeMap;

use sexton::catalog::{Catalog, Files};

#[test]
fn every_file_of_the_guide_is_a_good_one() {
    let text = include_str!("../../../docs/backups.md");
    let bodies = text.split("```toml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default());
    let files: BTreeMap<String, String> = bodies
        .map(|body| (body.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned(), body.to_owned()))
        .filter(|(name, _)| name.starts_with("jobs/") || name.starts_with("schedules/"))
        .collect();
    assert!(files.len() >= 2, "{files:?}");
    let parsed = Catalog::parse(&Files(files));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
}
