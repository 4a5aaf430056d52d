//! The files that Sexton ships.

use std::collections::BTreeMap;

use serde_json::json;

use super::{catalog, shipped, told};

#[test]
fn every_shipped_file_is_without_a_problem() {
    let files = shipped();
    assert_eq!(told(&files), "");
    assert!(files.0.len() >= 9, "{:?}", files.0.keys());
}

#[test]
fn the_shipped_schedules_are_the_documented_ones() {
    let catalog = catalog(&shipped());
    let at = |name: &str| {
        let schedule = catalog.schedule(name).expect("the schedule");
        (schedule.cron_text.as_str(), schedule.zone.name(), schedule.job.as_str())
    };
    assert_eq!(at("nightly-backup"), ("0 2 * * *", "UTC", "backup-collector"));
    assert_eq!(at("daily-validation"), ("0 4 * * *", "UTC", "validate-full"));
    assert_eq!(at("weekly-data"), ("0 3 * * 0", "UTC", "archive-exceptions"));
    let weekly = catalog.spec_for(catalog.schedule("weekly-data").expect("the schedule")).expect("a spec");
    assert_eq!((&weekly.table["older_than"], &weekly.table["dry_run"]), (&json!("365d"), &json!(true)));
    let then: Vec<_> = weekly.then.iter().map(|spec| spec.job.as_str()).collect();
    assert_eq!(then, ["cleanup-resolved", "cleanup-old", "validate-full", "analyze"]);
    assert_eq!(weekly.then[0].table["resolved_for"], "90d");
    assert_eq!(weekly.then[1].table["older_than"], "730d");
    assert!(weekly.then[..2].iter().all(|spec| spec.table["dry_run"] == true));
    let backup = catalog.resolve("backup-collector", &BTreeMap::new()).expect("a spec");
    assert_eq!(backup.table["keep"]["days"], 30);
}
