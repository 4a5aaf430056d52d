//! Claims about sets of files: what they give, and what is told of broken ones.

mod jobs;
mod limits;
mod names;
mod runs;
mod schedules;
mod shipped;
mod windows;

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{Catalog, Files, Parsed};

const ARCHIVE: &str = r#"
timeout = "1h"
alert = ["ops"]
[params]
dry_run = { type = "boolean", default = true }
"batch.rows" = { type = "integer", default = 100, min = 1, max = 5000 }
older_than = { type = "duration", default = "365d", min = "30d" }
[archive]
target = "collector"
dataset = "things"
batch = { target = "250ms" }
"#;

const CLEANUP: &str = r#"
[params]
dry_run = { type = "boolean", default = true }
[cleanup]
target = "collector"
dataset = "things"
older_than = "730d"
disposal = "delete"
"#;

const DATASET: &str = r#"
table = "public.things"
key = ["id"]
age = "made_at"
archive = { suffix = "_archive" }
"#;

const WEEKLY: &str = r#"
[[at]]
name = "weekly"
cron = "0 3 * * 0"
zone = "Europe/Berlin"
job = "archive"
then = ["cleanup"]
params = { dry_run = false, older_than = "400d" }
"#;

fn files(extra: &[(&str, &str)]) -> Files {
    let good = [
        ("jobs/archive.toml", ARCHIVE),
        ("jobs/cleanup.toml", CLEANUP),
        ("jobs/datasets/things.toml", DATASET),
        ("schedules/weekly.toml", WEEKLY),
    ];
    good.into_iter().chain(extra.iter().copied()).collect()
}

fn shipped() -> Files {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (files, problems) = Files::read(&here.join("jobs"), &here.join("schedules"));
    assert_eq!(problems, []);
    files
}

fn told(files: &Files) -> String {
    let Parsed { problems, .. } = Catalog::parse(files);
    let told = problems.iter().map(|problem| problem.render(files, false)).collect::<Vec<_>>().join("\n\n");
    // A new kind is no news here.
    let kinds: Vec<_> = crate::kinds::ALL.iter().map(|kind| format!("[{}]", kind.name)).collect();
    told.replace(&kinds.join(", "), "[kind], …")
}

fn catalog(files: &Files) -> Catalog {
    Catalog::parse(files).catalog.unwrap_or_else(|| panic!("{}", told(files)))
}

fn params(of: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(of).expect("an object")
}
