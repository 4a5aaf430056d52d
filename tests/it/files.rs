//! `sexton check`, as people and programs see them.

use std::{fs, path::Path};

use sexton::cli::check;

/// A folder with files in it.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

const SETTINGS: &str = r#"
[database]
url = "postgres://nowhere/sexton"
[targets.collector]
url_file = "/not/on/this/machine"
[channels.ops]
log = {}
"#;

const JOB: &str = r#"
about = "checks"
alert = ["ops"]
[validate]
target = "collector"
[[validate.check]]
name = "rows"
sql = "select 1"
"#;

const SCHEDULE: &str = "[[at]]\nname = \"daily\"\ncron = \"0 2 * * *\"\nzone = \"Europe/Berlin\"\njob = \"checks\"\n";

fn args(folder: &Path, json: bool) -> check::Args {
    check::Args { config: Some(folder.join("sexton.toml")), json, ..check::Args::default() }
}

fn check(folder: &Path, json: bool) -> (u8, String) {
    let mut out = Vec::new();
    let code = check::run(&args(folder, json), &mut out).expect("written");
    let text = String::from_utf8(out).expect("text").replace(&format!("{}/", folder.display()), "");
    (code, text)
}

#[test]
fn good_files_pass_without_a_database_or_a_secret() {
    let folder = folder(&[
        ("sexton.toml", SETTINGS.as_bytes()),
        ("jobs/checks.toml", JOB.as_bytes()),
        ("schedules/daily.toml", SCHEDULE.as_bytes()),
    ]);
    assert_eq!(check(folder.path(), false), (0, "1 job, 1 schedule, 0 data sets: no problems\n".to_owned()));
}

#[test]
fn a_warning_does_not_fail_the_check() {
    let quiet = JOB.replace("alert = [\"ops\"]\n", "");
    let folder = folder(&[
        ("sexton.toml", SETTINGS.as_bytes()),
        ("jobs/checks.toml", quiet.as_bytes()),
        ("schedules/daily.toml", SCHEDULE.as_bytes()),
    ]);
    let (code, told) = check(folder.path(), false);
    assert_eq!(code, 0);
    insta::assert_snapshot!(told, @r#"
        warning: nobody is told when this job fails: it has no `alert`, and [alerts] has no default
        --> jobs/checks.toml
         = help: add alert = ["CHANNEL"] here, or default = ["CHANNEL"] to [alerts] in sexton.toml; alert = [] means the log only

        1 job, 1 schedule, 0 data sets: 1 warning
    "#);
}

fn broken() -> tempfile::TempDir {
    let job = JOB.replace("target =", "tagret =").replace("sql =", "sqll =").replace("\"ops\"", "\"opps\", 3");
    let schedule = SCHEDULE.replace("checks", "cheks").replace("0 2 * * *", "0 25 * * *");
    folder(&[
        ("sexton.toml", SETTINGS.as_bytes()),
        ("jobs/checks.toml", job.as_bytes()),
        ("jobs/half.toml", b"about = \"unfinished"),
        ("jobs/latin.toml", b"about = \"caf\xe9\"\n"),
        ("jobs/more/deep.toml", b""),
        ("schedules/daily.toml", schedule.as_bytes()),
        ("schedules/bom.toml", b"\xEF\xBB\xBF"),
        ("schedules/.half-written.toml", b"not read"),
        ("schedules/notes.txt", b"not read"),
    ])
}

#[test]
fn a_broken_set_of_files_is_told_whole() {
    let (code, told) = check(broken().path(), false);
    assert_eq!(code, 1);
    insta::assert_snapshot!(told, @r#"
        error: the settings have no channel `opps`
         --> jobs/checks.toml:3:10
          |
        3 | alert = ["opps", 3]
          |          ^^^^^^
          |
          = help: did you mean `ops`?

        error: must be a text, not the number `3`
         --> jobs/checks.toml:3:18
          |
        3 | alert = ["opps", 3]
          |                  ^

        error: [validate] needs `target`
         --> jobs/checks.toml:4:2
          |
        4 | [validate]
          |  ^^^^^^^^

        error: `tagret` is not a key here
         --> jobs/checks.toml:5:1
          |
        5 | tagret = "collector"
          | ^^^^^^
          |
          = help: did you mean `target`?

        error: `sqll` is not a key here
         --> jobs/checks.toml:8:1
          |
        8 | sqll = "select 1"
          | ^^^^
          |
          = help: did you mean `sql`?

        error: invalid basic string, expected `"`
         --> jobs/half.toml:1:20
          |
        1 | about = "unfinished
          |                    ^

        error: is no UTF-8 in line 1
        --> jobs/latin.toml
         = help: save it as UTF-8

        error: is a folder, and no folder is read here
        --> jobs/more
         = help: move its files one level up

        error: starts with a byte-order mark
        --> schedules/bom.toml
         = help: save it as UTF-8 without BOM

        error: `25` is no hour: number out of bounds
         --> schedules/daily.toml:3:11
          |
        3 | cron = "0 25 * * *"
          |           ^^
          |
          = help: write 0-23, lists `2,14`, ranges `8-17`, steps `*/6`

        error: there is no job `cheks`
         --> schedules/daily.toml:5:7
          |
        5 | job = "cheks"
          |       ^^^^^^^
          |
          = help: did you mean `checks`?

        3 files: 11 problems
    "#);
}

#[test]
fn the_same_is_told_to_programs() {
    let (code, told) = check(broken().path(), true);
    assert_eq!(code, 1);
    let report: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(report["ok"], false);
    let problems = report["problems"].as_array().expect("a list");
    assert_eq!(report["errors"], problems.len());
    let places: Vec<_> = problems.iter().map(|p| format!("{}:{}:{}", p["file"], p["line"], p["column"])).collect();
    insta::assert_snapshot!(places.join("\n"), @r#"
        "jobs/checks.toml":3:10
        "jobs/checks.toml":3:18
        "jobs/checks.toml":4:2
        "jobs/checks.toml":5:1
        "jobs/checks.toml":8:1
        "jobs/half.toml":1:20
        "jobs/latin.toml":null:null
        "jobs/more":null:null
        "schedules/bom.toml":null:null
        "schedules/daily.toml":3:11
        "schedules/daily.toml":5:7
    "#);
    insta::assert_snapshot!(format!("{:#}", problems[0]), @r#"
        {
          "column": 10,
          "file": "jobs/checks.toml",
          "help": "did you mean `ops`?",
          "line": 3,
          "message": "the settings have no channel `opps`",
          "severity": "error"
        }
    "#);
}

#[test]
fn broken_settings_are_told_and_the_files_beside_them_all_the_same() {
    let folder = folder(&[
        ("sexton.toml", b"[databse]\nurl = \"postgres://s3cret@db/x\"\n"),
        ("jobs/checks.toml", JOB.replace("sql =", "sqll =").as_bytes()),
        ("schedules/daily.toml", SCHEDULE.as_bytes()),
    ]);
    let (code, told) = check(folder.path(), false);
    assert_eq!(code, 1);
    assert!(!told.contains("s3cret"), "{told}");
    insta::assert_snapshot!(told, @r#"
        sexton.toml:1: databse: is not a setting
          help: did you mean `database`?

        error: `sqll` is not a key here
         --> jobs/checks.toml:8:1
          |
        8 | sqll = "select 1"
          | ^^^^
          |
          = help: did you mean `sql`?

        2 files: 2 problems (the settings are broken: names of targets, vaults and channels were not looked up)
    "#);
}

#[test]
fn a_missing_folder_is_a_problem() {
    let folder = folder(&[("sexton.toml", SETTINGS.as_bytes()), ("jobs/checks.toml", JOB.as_bytes())]);
    let (code, told) = check(folder.path(), false);
    assert_eq!(code, 1);
    assert!(told.contains("[files] of sexton.toml"), "{told}");
}

#[test]
fn the_shipped_files_fit_the_example_of_the_settings() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let asked = check::Args {
        jobs: Some(here.join("jobs")),
        schedules: Some(here.join("schedules")),
        config: Some(here.join("sexton.example.toml")),
        ..check::Args::default()
    };
    let mut out = Vec::new();
    let code = check::run(&asked, &mut out).expect("written");
    let told = String::from_utf8(out).expect("text");
    assert!(code == 0 && told.ends_with(": no problems\n"), "{told}");
}

/// What `check` says of retention for the shipped data set and these jobs.
fn retention(jobs: &[(&str, &str)]) -> String {
    let dataset = include_bytes!("../../jobs/datasets/interface_exceptions.toml");
    let mut files = vec![
        ("sexton.toml".to_owned(), SETTINGS.as_bytes().to_vec()),
        ("schedules/none.toml".to_owned(), Vec::new()),
        ("jobs/datasets/interface_exceptions.toml".to_owned(), dataset.to_vec()),
    ];
    for (name, table) in jobs {
        let text = table.replace("]\n", "]\ntarget = \"collector\"\ndataset = \"interface_exceptions\"\n");
        files.push((format!("jobs/{name}.toml"), format!("timeout = \"1h\"\nalert = []\n{text}").into_bytes()));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    let (code, told) = check(folder(&files).path(), false);
    assert_eq!(code, 0, "{told}");
    told.lines().take_while(|line| !line.contains("no problems")).collect::<Vec<_>>().join("\n")
}

#[test]
fn check_explains_what_the_shipped_retentions_mean_together() {
    let told = retention(&[
        ("archive", "[archive]\nolder_than = \"365d\"\ndry_run = false\n"),
        ("resolved", "[cleanup]\nresolved_for = \"90d\"\ndisposal = \"archive\"\n"),
        ("old", "[cleanup]\nolder_than = \"730d\"\ndisposal = \"archive\"\n"),
    ]);
    insta::assert_snapshot!(told, @r#"
        warning: the file has no schedule
         --> schedules/none.toml:1:1
          |
        1 |
          | ^
          |
          = help: write [[at]] with name, cron and job, or delete the file

        data set `interface_exceptions` on target `collector`: a row that is
          resolved for 90d: moves to the archive; critical and open rows stay: resolved (unless told otherwise it only counts)
          365d old: moves to the archive; critical and open rows stay: archive
          730d old: moves to the archive; critical and open rows stay: old (unless told otherwise it only counts)
          note: old finds only what archive has left, since both keep the same rows: it is a safety net
          note: no job purges the archive, so it grows for ever (from = "archive" does)

        3 jobs, 0 schedules, 1 data set: 1 warning
    "#);
}

#[test]
fn check_says_when_rows_are_deleted_that_were_never_archived() {
    let told = retention(&[
        ("archive", "[archive]\nolder_than = \"365d\"\n"),
        ("resolved", "[cleanup]\nresolved_for = \"90d\"\ndisposal = \"delete\"\n"),
        ("old", "[cleanup]\nolder_than = \"730d\"\ndisposal = \"delete\"\nkeep_open = false\n"),
        ("purge", "[cleanup]\nolder_than = \"300d\"\nfrom = \"archive\"\ndisposal = \"delete\"\n"),
    ]);
    insta::assert_snapshot!(told, @r#"
        warning: the file has no schedule
         --> schedules/none.toml:1:1
          |
        1 |
          | ^
          |
          = help: write [[at]] with name, cron and job, or delete the file

        data set `interface_exceptions` on target `collector`: a row that is
          resolved for 90d: is deleted for good; critical and open rows stay: resolved (unless told otherwise it only counts)
          365d old: moves to the archive; critical and open rows stay: archive (unless told otherwise it only counts)
          730d old: is deleted for good; critical rows stay: old (unless told otherwise it only counts)
          300d old: leaves the archive for good; critical and open rows stay: purge (unless told otherwise it only counts)
          note: resolved deletes after 90d what archive would archive only after 365d: it is never archived
          note: old only ever finds what archive has left, and deletes it unarchived
          note: the archive is purged after 300d, which is no later than rows arrive there

        4 jobs, 0 schedules, 1 data set: 1 warning
    "#);
}
