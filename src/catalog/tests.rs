//! Claims about sets of files: what they give, and what is told of broken ones.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{Catalog, CatchUp, Files, Names, Overlap, Parsed};
use crate::span::Span;

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
fn what_the_kind_refuses_is_refused_before_a_run_is_made() {
    let loose = ARCHIVE.replace(", min = \"30d\"", "");
    let catalog = catalog(&files(&[("jobs/archive.toml", &loose)]));
    let problems = catalog.resolve("archive", &params(json!({ "older_than": "1h" }))).expect_err("refused");
    assert_eq!(problems[0].param.as_deref(), Some("older_than"), "{problems:?}");
}

#[test]
fn a_set_of_files_has_one_digest_and_another_set_has_another() {
    let one = files(&[]);
    assert_eq!(one.digest(), files(&[]).digest());
    assert_eq!(one.digest().len(), 64);
    assert_ne!(one.digest(), files(&[("jobs/archive.toml", CLEANUP)]).digest());
}

#[test]
fn everything_that_is_wrong_in_a_job_is_told_at_once() {
    let broken = r#"
abuot = "x"
timeout = "soon"
priority = 1.5
retry = { attempts = 0 }
expect = { bytes = "many" }
alert = "ops"
on_breach = "cry"
[params]
dry_run = { type = "boolean", default = "yes" }
rows = { type = "integer", default = 3, min = 5 }
reason = { default = "x" }
max_rows = { type = "integer", default = 5 }
[archive]
tagret = "collector"
dataset = "thinsg"
older_than = "365"
max_rows = 4
[cleanup]
"#;
    insta::assert_snapshot!(told(&files(&[("jobs/broken.toml", broken)])), @r#"
        error: `abuot` is not a key of a job
         --> jobs/broken.toml:2:1
          |
        2 | abuot = "x"
          | ^^^^^
          |
          = help: did you mean `about`?

        error: `soon` is not a length of time (write a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `15m`, `365d`)
         --> jobs/broken.toml:3:11
          |
        3 | timeout = "soon"
          |           ^^^^^^

        error: must be a whole number, not the number `1.5`
         --> jobs/broken.toml:4:12
          |
        4 | priority = 1.5
          |            ^^^

        error: `attempts` counts the first one, so it is at least 1
         --> jobs/broken.toml:5:22
          |
        5 | retry = { attempts = 0 }
          |                      ^
          |
          = help: write retry = { attempts = 3, first = "1m", most = "15m" }

        error: `many` is not a threshold (write a comparison and a number, size or time: `">= 1 MiB"`, `"< 30m"`, `"<= 100"`)
         --> jobs/broken.toml:6:20
          |
        6 | expect = { bytes = "many" }
          |                    ^^^^^^

        error: must be a list of channels
         --> jobs/broken.toml:7:9
          |
        7 | alert = "ops"
          |         ^^^^^
          |
          = help: write alert = ["ops"], the names of channels in sexton.toml; [] for the log only

        error: `cry` is not one of the words that it can be
         --> jobs/broken.toml:8:13
          |
        8 | on_breach = "cry"
          |             ^^^^^
          |
          = help: write one of: tell, fail

        error: must be true or false, not "yes"
          --> jobs/broken.toml:10:41
           |
        10 | dry_run = { type = "boolean", default = "yes" }
           |                                         ^^^^^

        error: must be at least 5, not 3
          --> jobs/broken.toml:11:38
           |
        11 | rows = { type = "integer", default = 3, min = 5 }
           |                                      ^

        error: the parameter `reason` has no type
          --> jobs/broken.toml:12:1
           |
        12 | reason = { default = "x" }
           | ^^^^^^
           |
           = help: add type = "boolean", "integer", "number", "text", "duration" or "strings"

        error: `max_rows` is set in [archive] too
          --> jobs/broken.toml:13:1
           |
        13 | max_rows = { type = "integer", default = 5 }
           | ^^^^^^^^
           |
           = help: a parameter gets its value from [params] alone: move it there as its `default` and delete it from [archive]

        error: [archive] needs `target`
          --> jobs/broken.toml:14:2
           |
        14 | [archive]
           |  ^^^^^^^

        error: `tagret` is not a key here
          --> jobs/broken.toml:15:1
           |
        15 | tagret = "collector"
           | ^^^^^^
           |
           = help: did you mean `target`?

        error: there is no data set `thinsg`
          --> jobs/broken.toml:16:11
           |
        16 | dataset = "thinsg"
           |           ^^^^^^^^
           |
           = help: did you mean `things`?

        error: `365` is not a length of time (write a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `15m`, `365d`)
          --> jobs/broken.toml:17:14
           |
        17 | older_than = "365"
           |              ^^^^^

        error: a second kind, `cleanup`, beside `archive`
          --> jobs/broken.toml:19:2
           |
        19 | [cleanup]
           |  ^^^^^^^
           |
           = help: a job does one thing: make a second file and name it in `then`
    "#);
}

#[test]
fn a_job_says_one_thing_to_do() {
    insta::assert_snapshot!(told(&files(&[
        ("jobs/Bad name.toml", "[archiv]\n"),
        ("jobs/nothing.toml", "about = \"x\"\n"),
        ("jobs/Archive.toml", CLEANUP),
    ])), @r#"
        error: `Bad name` cannot be the name of a job
         --> jobs/Bad name.toml:1:1
          |
        1 | [archiv]
          | ^
          |
          = help: use letters, digits, `-` and `_`, at most 100 of them

        error: `archiv` is no kind
         --> jobs/Bad name.toml:1:2
          |
        1 | [archiv]
          |  ^^^^^^
          |
          = help: did you mean `archive`?

        error: differs from jobs/Archive.toml in nothing but upper and lower case
        --> jobs/archive.toml
         = help: rename one of them

        error: the job says nothing to do: it has no table named after a kind
         --> jobs/nothing.toml:1:1
          |
        1 | about = "x"
          | ^
          |
          = help: the kinds are: [kind], …
    "#);
}

#[test]
fn everything_that_is_wrong_in_a_schedule_is_told_at_once() {
    let broken = r#"
every = 1
[[at]]
name = "weekly"
cron = "0 3 * *"
zone = "Europe/Berln"
job = "archve"
then = ["cleanup", "nothing"]
catch_up = "lates"
overlap = "skip"
colour = "red"
[[at]]
name = "never"
cron = "0 0 30 2 *"
job = "cleanup"
then = ["cleanup"]
params = { dry_runn = false, dry_run = "no" }
[[at]]
"#;
    insta::assert_snapshot!(told(&files(&[("schedules/broken.toml", broken)])), @r#"
        error: `every` is not a key of a schedule file
         --> schedules/broken.toml:2:1
          |
        2 | every = 1
          | ^^^^^
          |
          = help: write [[at]] with name, cron and job, or [[window]]

        error: `0 3 * *` has 4 fields, not 5, 6 or 7
         --> schedules/broken.toml:5:9
          |
        5 | cron = "0 3 * *"
          |         ^^^^^^^
          |
          = help: write `minute hour day-of-month month day-of-week`, as in `30 2 * * sun`, with a second before them and a year after them where you need one

        error: there is no time zone `Europe/Berln`
         --> schedules/broken.toml:6:8
          |
        6 | zone = "Europe/Berln"
          |        ^^^^^^^^^^^^^^
          |
          = help: did you mean `Europe/Berlin`?

        error: there is no job `archve`
         --> schedules/broken.toml:7:7
          |
        7 | job = "archve"
          |       ^^^^^^^^
          |
          = help: did you mean `archive`?

        error: there is no job `nothing`
         --> schedules/broken.toml:8:20
          |
        8 | then = ["cleanup", "nothing"]
          |                    ^^^^^^^^^
          |
          = help: make jobs/nothing.toml

        error: `lates` is not one of the words that it can be
         --> schedules/broken.toml:9:12
          |
        9 | catch_up = "lates"
          |            ^^^^^^^
          |
          = help: did you mean `latest`?

        error: `colour` is not a key of a schedule
          --> schedules/broken.toml:11:1
           |
        11 | colour = "red"
           | ^^^^^^
           |
           = help: its keys are: name, job, cron, zone, dst, windows, enabled, params, then, catch_up, catch_up_window, catch_up_max, grace, overlap, splay, jitter, pause_on_failure

        error: `0 0 30 2 *` never fires: no year has such a day
          --> schedules/broken.toml:14:13
           |
        14 | cron = "0 0 30 2 *"
           |             ^^
           |
           = help: write a day that one of its months has; `L` is the last day of any month

        error: `cleanup` would follow itself
          --> schedules/broken.toml:16:9
           |
        16 | then = ["cleanup"]
           |         ^^^^^^^^^
           |
           = help: take it out of `then`

        error: no job of this schedule has a parameter `dry_runn`
          --> schedules/broken.toml:17:12
           |
        17 | params = { dry_runn = false, dry_run = "no" }
           |            ^^^^^^^^
           |
           = help: did you mean `dry_run`?

        error: must be true or false, not "no"
          --> schedules/broken.toml:17:40
           |
        17 | params = { dry_runn = false, dry_run = "no" }
           |                                        ^^^^

        error: a schedule needs `name`
          --> schedules/broken.toml:18:1
           |
        18 | [[at]]
           | ^^^^^^
           |
           = help: write [[at]] with name, cron and job

        error: a schedule needs `job`
          --> schedules/broken.toml:18:1
           |
        18 | [[at]]
           | ^^^^^^
           |
           = help: write [[at]] with name, cron and job

        error: a schedule needs `cron`
          --> schedules/broken.toml:18:1
           |
        18 | [[at]]
           | ^^^^^^
           |
           = help: write [[at]] with name, cron and job

        error: a second schedule named `weekly`; the first is in schedules/broken.toml
         --> schedules/weekly.toml:3:8
          |
        3 | name = "weekly"
          |        ^^^^^^^^
          |
          = help: give it another name: the name is how its slots are known
    "#);
}

#[test]
fn text_that_is_no_toml_is_told_with_every_place_and_raises_no_false_alarm() {
    let told = told(&files(&[("jobs/cleanup.toml", "about = \n[cleanup\ntarget = 'x\n")]));
    insta::assert_snapshot!(told, @r#"
        error: string values must be quoted, expected literal string
         --> jobs/cleanup.toml:1:9
          |
        1 | about = 
          |         ^

        error: unclosed table, expected `]`
         --> jobs/cleanup.toml:2:9
          |
        2 | [cleanup
          |         ^
    "#);
}

#[test]
fn a_data_set_is_checked_too() {
    insta::assert_snapshot!(told(&files(&[
        ("jobs/datasets/things.toml", "tabel = \"x\"\nkey = []\nage = \"\"\narchive = { suffix = \"_a\" }\n"),
        ("jobs/datasets/others.toml", "table = \"x\"\nkey = []\nage = \"\"\narchive = { suffix = \"_a\" }\n"),
    ])), @r#"
        error: a row must be named by at least one column; list the primary key's
         --> jobs/datasets/others.toml:2:7
          |
        2 | key = []
          |       ^^

        error: no column is named; name the one that tells how old a row is
         --> jobs/datasets/others.toml:3:7
          |
        3 | age = ""
          |       ^^

        error: `tabel` is not a key here
         --> jobs/datasets/things.toml:1:1
          |
        1 | tabel = "x"
          | ^^^^^
          |
          = help: did you mean `table`?

        error: the data set needs `table`
         --> jobs/datasets/things.toml:1:1
          |
        1 | tabel = "x"
          | ^
    "#);
}

#[test]
fn names_are_held_against_the_settings() {
    let files = files(&[]);
    let names = |known: &str| Names {
        targets: [known.to_owned()].into(),
        channels: ["opps".to_owned()].into(),
        ..Names::default()
    };
    let problems = catalog(&files).check_names(&names("colector"));
    let told: Vec<_> = problems.iter().map(|problem| problem.render(&files, false)).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
        error: the settings have no channel `ops`
         --> jobs/archive.toml:3:10
          |
        3 | alert = ["ops"]
          |          ^^^^^
          |
          = help: did you mean `opps`?

        error: the settings have no target `collector`
         --> jobs/archive.toml:9:10
          |
        9 | target = "collector"
          |          ^^^^^^^^^^^
          |
          = help: did you mean `colector`?

        warning: nobody is told when this job fails: it has no `alert`, and [alerts] has no default
        --> jobs/cleanup.toml
         = help: add alert = ["CHANNEL"] here, or default = ["CHANNEL"] to [alerts] in sexton.toml; alert = [] means the log only

        error: the settings have no target `collector`
         --> jobs/cleanup.toml:5:10
          |
        5 | target = "collector"
          |          ^^^^^^^^^^^
          |
          = help: did you mean `colector`?
    "#);
}

#[test]
fn a_source_that_the_settings_do_not_allow_is_told() {
    let job = |source: &str| {
        format!("[migrate]\ntarget = \"collector\"\ndataset = \"interface_exceptions\"\nsource = \"{source}\"\n")
    };
    let named = [("jobs/good.toml", job("public.legacy_a")), ("jobs/bad.toml", job("private.b"))];
    let mut all = shipped();
    all.0.extend(named.map(|(path, text)| (path.to_owned(), format!("alert = []\n{text}"))));
    let names = Names {
        targets: ["collector".to_owned()].into(),
        vaults: ["main".to_owned()].into(),
        sources: [("collector".to_owned(), crate::db::Sources::new(["public.legacy_*".to_owned()]))].into(),
        default_alert: true,
        ..Names::default()
    };
    let problems = catalog(&all).check_names(&names);
    let told: Vec<_> = problems.iter().map(|problem| problem.render(&all, false)).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
        error: the settings do not allow `private.b` as a source in target `collector`
         --> jobs/bad.toml:5:10
          |
        5 | source = "private.b"
          |          ^^^^^^^^^^^
          |
          = help: add sources = ["private.b"] to [targets.collector] in sexton.toml; allowed are: public.legacy_*
    "#);
}

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

/// A half-written file is what a reload in the wrong moment sees.
#[test]
fn no_prefix_of_a_file_panics() {
    let whole = shipped();
    for (path, text) in whole.0.iter().chain(&files(&[]).0) {
        // Enough of them: each is a parse of the whole set.
        let stride = 1 + text.len() / 60;
        for at in (0..text.len()).step_by(stride).filter(|at| text.is_char_boundary(*at)) {
            let mut cut = whole.clone();
            cut.0.insert(path.clone(), text[..at].to_owned());
            told(&cut);
        }
    }
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
fn a_run_carries_what_it_needs_and_its_gates() {
    let files: Files = [
        (
            "jobs/limits.toml",
            "[kind.sql]\nconcurrency = 2\n[target.main]\nconcurrency = 4\nrate = { most = 10, per = \"1m\" }\n",
        ),
        (
            "jobs/a.toml",
            "concurrency = { key = \"tenant\", most = 1 }\nrate = { most = 5, per = \"1s\" }\nexclusive = \"night\"\n\
             needs = [\"region=eu\"]\n[params]\ntenant = { type = \"text\", default = \"x\" }\n\
             [sql]\ntarget = \"main\"\nsql = \"select :tenant\"\n",
        ),
        ("jobs/b.toml", "timeout = \"1h\"\n[exec]\nargv = [\"true\"]\n"),
    ]
    .into_iter()
    .collect();
    let parsed = Catalog::parse(&files);
    let catalog = parsed.catalog.unwrap_or_else(|| panic!("{:?}", parsed.problems));
    let spec = catalog.resolve("a", &BTreeMap::from([("tenant".to_owned(), "acme".into())])).expect("it resolves");
    assert_eq!(spec.needs, ["region=eu", "target:main"]);
    let gates: Vec<_> = spec.limits.iter().map(|gate| (gate.name.as_str(), gate.most, gate.rate.is_some())).collect();
    assert_eq!(
        gates,
        [
            ("exclusive:night", Some(1), false),
            ("job:a", None, true),
            ("key:a:acme", Some(1), false),
            ("kind:sql", Some(2), false),
            ("target:main", Some(4), true),
        ]
    );
    let plain = catalog.resolve("b", &BTreeMap::new()).expect("it resolves");
    assert!(plain.needs.is_empty() && plain.limits.is_empty(), "it has the lane of all that is free");
}

#[test]
fn limits_that_mean_nothing_are_refused_with_what_to_write() {
    let files: Files = [
        ("jobs/limits.toml", "[kind.sqll]\nconcurrency = 2\n[target.main]\nconcurrency = 0\nexclusive = 1\n[pool.x]\n"),
        (
            "jobs/a.toml",
            "concurrency = { key = \"tenent\", most = 1 }\nrate = { most = 0, per = \"0s\" }\nexclusive = true\n\
             needs = [\"target:x\"]\n[params]\ntenant = { type = \"text\", default = \"x\" }\n\
             [sql]\ntarget = \"main\"\nsql = \"select :tenant\"\n",
        ),
    ]
    .into_iter()
    .collect();
    let parsed = Catalog::parse(&files);
    assert!(parsed.catalog.is_none());
    let told: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    for part in [
        "jobs/a.toml:1:23: `tenent` is no parameter of this job",
        "jobs/a.toml:2:17: 0 would let nothing run, ever",
        "jobs/a.toml:2:26: must be longer than nothing",
        "jobs/a.toml:3:13: must be the name of a group, or false",
        "jobs/a.toml:4:10: `target:x` is no label",
        "jobs/limits.toml:1:7: `sqll` is no kind",
        "jobs/limits.toml:4:15: 0 would let nothing run, ever",
        "jobs/limits.toml:5:1: `exclusive` is not a key of a limit",
        "jobs/limits.toml:6:2: `pool` is not a key of limits.toml",
    ] {
        assert!(told.iter().any(|problem| problem == part), "{part} is not in {told:#?}");
    }
}

/// The page for ops is what the files take.
#[test]
fn the_page_about_limits_shows_files_that_are_taken() {
    let page = include_str!("../../docs/limits.md");
    let shown = page.split("```toml\n").skip(1).map(|part| part.split("```").next().expect("an end"));
    let files: Files = shown
        .map(|text| {
            let path = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the path");
            (path.to_owned(), text.to_owned())
        })
        .collect();
    assert_eq!(files.0.len(), 2);
    let mut parsed = Catalog::parse(&files);
    parsed.check_names(&Names { targets: ["collector".to_owned()].into(), default_alert: true, ..Names::default() });
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let catalog = parsed.catalog.expect("a catalog");
    let spec =
        catalog.resolve("export-tenant", &BTreeMap::from([("tenant".to_owned(), "acme".into())])).expect("it resolves");
    let text = |wait: crate::lanes::Wait| wait.to_string();
    let rate =
        spec.limits.iter().find(|gate| gate.name == "job:export-tenant").and_then(|gate| gate.rate).expect("a rate");
    let until = chrono::DateTime::parse_from_rfc3339("2026-01-01T14:03:10Z").expect("a time").to_utc();
    for said in [
        text(crate::lanes::Wait::Full { gate: "kind:backup".into(), most: 2 }),
        text(crate::lanes::Wait::Side { gate: "data:collector".into(), theirs: "dump".into(), own: "move".into() }),
        text(crate::lanes::Wait::Rate { gate: "job:export-tenant".into(), rate, until }),
        text(crate::lanes::Wait::Nobody { needs: spec.needs[..1].to_vec() }),
    ] {
        assert!(page.contains(&said), "{said}");
    }
}

#[test]
fn what_dumps_and_what_moves_rows_are_on_two_sides_of_their_target() {
    let read =
        |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a shipped file");
    let shipped = ["backup-collector", "archive-exceptions", "cleanup-old", "analyze"];
    let texts = |more: &'static str| -> Files {
        let jobs = shipped
            .iter()
            .map(|name| format!("jobs/{name}.toml"))
            .map(|path| (path.clone(), format!("{more}{}", read(&path))));
        let dataset = "jobs/datasets/interface_exceptions.toml";
        jobs.chain([(dataset.to_owned(), read(dataset))]).collect()
    };
    let side = |catalog: &Catalog, job: &str| {
        let spec = catalog.resolve(job, &BTreeMap::new()).expect("it resolves");
        spec.limits.iter().find(|gate| gate.name == "data:collector").and_then(|gate| gate.side.clone())
    };
    let usual = Catalog::parse(&texts("")).catalog.expect("a catalog");
    let sides = shipped.map(|job| side(&usual, job));
    assert_eq!(sides.each_ref().map(Option::as_deref), [Some("dump"), Some("move"), Some("move"), None]);
    let overlapping = Catalog::parse(&texts("exclusive = false\n")).catalog.expect("a catalog");
    assert_eq!(side(&overlapping, "backup-collector"), None);
    let spec = usual.resolve("backup-collector", &BTreeMap::new()).expect("it resolves");
    assert_eq!(spec.needs, ["target:collector", "vault:main"]);
}
