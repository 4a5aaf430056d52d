//! What a set of files gives: runs, their parameters and what follows them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ARCHIVE, CLEANUP, catalog, files, params, told};
use crate::{
    catalog::{Catalog, CatchUp, Files, Overlap},
    span::Span,
};

#[test]
fn a_schedule_gives_a_run_with_all_that_follows_it() {
    let catalog = catalog(&files(&[]));
    let weekly = catalog.schedule("weekly").expect("the schedule");
    assert_eq!((weekly.policy.catch_up, weekly.policy.overlap, weekly.enabled), (CatchUp::Latest, Overlap::Skip, true));
    let spec = catalog.spec_for(weekly).expect("a spec");
    assert_eq!(spec.timeout, Some(Span::seconds(3600)));
    assert_eq!(spec.table["older_than"], "400d");
    assert_eq!(spec.table["batch"], json!({ "target": "250ms", "rows": 100 }));
    assert_eq!(spec.dataset.expect("its data set")["table"], "public.things");
    // The parameter that both declare is inherited; the one that only the first declares is not.
    assert_eq!(spec.then.len(), 1);
    assert_eq!(spec.then[0].table["dry_run"], false);
    assert_eq!(spec.then[0].table["older_than"], "730d");
    assert_eq!(spec.then[0].params, params(json!({ "dry_run": false })));
}

#[test]
fn a_trigger_may_set_what_the_job_declares_and_nothing_else() {
    let catalog = catalog(&files(&[])).with_default_alert(vec!["all".into()]);
    let spec = catalog.resolve("archive", &params(json!({ "dry_run": "false", "batch.rows": "7" }))).expect("a spec");
    assert_eq!((&spec.table["dry_run"], &spec.table["batch"]["rows"]), (&json!(false), &json!(7)));
    assert_eq!(spec.alert, ["ops"]);
    assert_eq!(catalog.resolve("cleanup", &BTreeMap::new()).expect("a spec").alert, ["all"]);

    let refused = |job: &str, set: Value| {
        let problems = catalog.resolve(job, &params(set)).expect_err("refused");
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(
        refused("archive", json!({ "dry_runn": true, "target": "other", "batch.rows": 9000, "older_than": "3d" })),
        @r#"
        `batch.rows` must be at most 5000, not 9000
        `archive` has no parameter `dry_runn` (did you mean `dry_run`? what may be set: batch.rows, dry_run, older_than)
        `older_than` must be at least 30d, not 3d
        `archive` has no parameter `target` (what may be set: batch.rows, dry_run, older_than)
    "#
    );
    insta::assert_snapshot!(refused("archve", json!({})), @"there is no job `archve` (did you mean `archive`?)");
}

const PURGE: &str = r#"
[params]
days = { type = "integer", default = 7 }
[sql]
target = "collector"
sql = "delete from log where day < current_date - :days"
"#;

#[test]
fn parameters_of_sql_are_values_and_never_change_its_table() {
    let catalog = catalog(&files(&[("jobs/purge.toml", PURGE)]));
    let spec = catalog.resolve("purge", &params(json!({ "days": 9 }))).expect("a spec");
    assert_eq!(spec.params, params(json!({ "days": 9 })));
    assert_eq!(spec.table.as_object().expect("a table").keys().collect::<Vec<_>>(), ["sql", "target"]);
    assert!(catalog.resolve("purge", &params(json!({ "sql": "drop table log" }))).is_err());
}

#[test]
fn a_name_in_sql_that_no_parameter_has_is_found_before_it_ships() {
    let told = told(&files(&[("jobs/purge.toml", &PURGE.replace(":days", ":day"))]));
    insta::assert_snapshot!(told, @r#"
        error: `:day` is no parameter of this job
         --> jobs/purge.toml:6:51
          |
        6 | sql = "delete from log where day < current_date - :day"
          |                                                   ^^^^
          |
          = help: did you mean `days`?
    "#);
}

#[test]
fn what_every_run_is_told_is_no_parameter_and_needs_none() {
    let sql = |params: &str| {
        format!("{params}[sql]\ntarget = \"collector\"\nsql = \"select :nominal_at::timestamptz, :late_by::int\"\n")
    };
    catalog(&files(&[("jobs/asks.toml", &sql(""))]));
    let told = told(&files(&[("jobs/asks.toml", &sql("[params]\nlate_by = { type = \"integer\", default = 1 }\n"))]));
    assert!(told.contains("`late_by` is told to every run and cannot be a parameter"), "{told}");
}

#[test]
fn what_the_kind_refuses_is_refused_before_a_run_is_made() {
    let loose = ARCHIVE.replace(", min = \"30d\"", "");
    let catalog = catalog(&files(&[("jobs/archive.toml", &loose)]));
    let problems = catalog.resolve("archive", &params(json!({ "older_than": "1h" }))).expect_err("refused");
    assert_eq!(problems[0].param.as_deref(), Some("older_than"), "{problems:?}");
}

#[test]
fn a_priority_that_the_queue_does_not_take_is_found_before_it_ships() {
    let told = |priority: i64| {
        let job = format!("alert = []\ntimeout = \"1m\"\npriority = {priority}\n[exec]\nargv = [\"true\"]\n");
        let files = Files::from_iter([("jobs/one.toml", job)]);
        Catalog::parse(&files).problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for good in [-100, 0, 100] {
        assert_eq!(told(good), "", "{good}");
    }
    for bad in [-101, 101, 70_000] {
        assert!(told(bad).contains(&format!("`priority` must be -100 to 100, not {bad}")), "{}", told(bad));
    }
}

#[test]
fn a_set_of_files_has_one_digest_and_another_set_has_another() {
    let one = files(&[]);
    assert_eq!(one.digest(), files(&[]).digest());
    assert_eq!(one.digest().len(), 64);
    assert_ne!(one.digest(), files(&[("jobs/archive.toml", CLEANUP)]).digest());
}
