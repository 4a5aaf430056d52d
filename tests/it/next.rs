//! `sexton next`, as people and programs see it: both clocks, and what changes of the clocks do.

use std::fs;

use clap::Parser;
use serde_json::{Value, json};
use sexton::cli::{self, Cli};

const JOB: &str = r#"
alert = []
[validate]
target = "collector"
[[validate.check]]
name = "rows"
sql = "select 1"
"#;

/// A folder with these schedules, for the job `call`.
fn folder(schedules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("jobs/call.toml", JOB), ("schedules/all.toml", schedules)] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

fn schedule(name: &str, cron: &str, more: &str) -> String {
    format!("[[at]]\nname = \"{name}\"\ncron = \"{cron}\"\nzone = \"Europe/Berlin\"\njob = \"call\"\n{more}\n")
}

/// What a command line prints, and its exit code.
async fn sexton(words: &[&str]) -> (u8, String) {
    let cli = Cli::try_parse_from(std::iter::once(&"sexton").chain(words)).unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    let code = cli::ask(&cli, &mut out).await.expect("an answer");
    (code, String::from_utf8(out).expect("text"))
}

/// The same over a folder's files.
async fn of(folder: &tempfile::TempDir, command: &str, words: &[&str]) -> (u8, String) {
    let (jobs, schedules) = (folder.path().join("jobs"), folder.path().join("schedules"));
    let [jobs, schedules] = [&jobs, &schedules].map(|path| path.to_str().expect("a path"));
    sexton(&[&[command, "--jobs", jobs, "--schedules", schedules], words].concat()).await
}

async fn programs(words: &[&str]) -> Value {
    let (code, told) = sexton(&[&["next", "--json"], words].concat()).await;
    assert_eq!(code, 0, "{told}");
    serde_json::from_str(&told).expect("JSON")
}

fn column(told: &Value, key: &str) -> Vec<Value> {
    told.as_array().expect("a list").iter().map(|instant| instant[key].clone()).collect()
}

/// Text without the version of the time zone database, which is not ours to say.
fn without_version(told: &str) -> String {
    told.replace(sexton::slots::TZDB, "VERSION")
}

#[tokio::test]
async fn an_expression_is_shown_in_utc_strictly_after_the_instant() {
    let berlin = ["--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--count", "3"];
    let told = programs(&[&berlin[..], &["--from", "2026-03-28T00:00:00Z"]].concat()).await;
    let at = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(column(&told, "at"), at);
    assert_eq!(column(&told, "dst"), [json!(null), json!("after_gap"), json!(null)]);
    assert_eq!(column(&told, "stands_for"), [json!(null), json!("2026-03-29T02:30:00"), json!(null)]);
    assert_eq!(told[1]["local"], "2026-03-29T03:00:00+02:00");
    assert_eq!(told[1]["zone"], "Europe/Berlin");
    assert_eq!(told[1]["tzdb"], sexton::slots::TZDB);
    let told = programs(&[&berlin[..], &["--from", "2026-03-28T01:30:00Z"]].concat()).await;
    assert_eq!(told[0]["at"], at[1]);
    let told = programs(&[&berlin[..], &["--from", "2026-03-28T02:29:59.999+01:00"]].concat()).await;
    assert_eq!(told[0]["at"], at[0]);
}

#[tokio::test]
async fn an_expression_takes_another_rule_for_changes_of_the_clocks() {
    let asked = |gap, overlap, from, count| async move {
        let words = ["--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--from", from, "--count", count];
        programs(&[&words[..], &["--dst-gap", gap, "--dst-overlap", overlap]].concat()).await
    };
    let told = asked("skip", "both", "2026-03-28T12:00:00Z", "1").await;
    assert_eq!(told[0]["at"], "2026-03-30T00:30:00Z");
    let left_out = json!([{
        "at": "2026-03-29T01:00:00Z",
        "local": "2026-03-29T03:00:00+02:00",
        "dst": "after_gap",
        "stands_for": "2026-03-29T02:30:00",
    }]);
    assert_eq!(told[0]["left_out"], left_out);
    let told = asked("skip", "both", "2026-10-24T12:00:00Z", "3").await;
    assert_eq!(column(&told, "at"), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]);
    assert_eq!(column(&told, "dst"), [json!("first_pass"), json!("second_pass"), json!(null)]);
    let told = asked("after", "last", "2026-10-24T12:00:00Z", "1").await;
    assert_eq!(column(&told, "at"), ["2026-10-25T01:30:00Z"]);
    assert_eq!(told[0]["left_out"][0]["dst"], "first_pass");
    let told = asked("after", "first", "2026-10-25T00:30:00Z", "1").await;
    assert_eq!(
        (&told[0]["at"], &told[0]["left_out"][0]["dst"]),
        (&json!("2026-10-26T01:30:00Z"), &json!("second_pass"))
    );
}

#[tokio::test]
async fn people_see_what_the_clocks_do_to_each_slot() {
    let files = folder(
        &[
            schedule("vixie", "30 2 * * *", ""),
            schedule("stated", "30 2 * * *", "dst = { gap = \"skip\", overlap = \"last\" }"),
            schedule("real-time", "@every 1d", ""),
        ]
        .concat(),
    );
    let (code, spring) = of(&files, "next", &["--from", "2026-03-28T12:00:00Z", "--count", "5"]).await;
    assert_eq!(code, 0, "{spring}");
    insta::assert_snapshot!(without_version(&spring), @r#"
        2026-03-29T00:00:00Z  Sun 29 Mar 01:00:00 CET  real-time: call
        2026-03-29T01:00:00Z  Sun 29 Mar 03:00:00 CEST  vixie: call  (02:30 does not exist on 29 Mar: it fires after the gap)
        2026-03-29T01:00:00Z  Sun 29 Mar 03:00:00 CEST  stated: nothing  (02:30 does not exist on 29 Mar)
        2026-03-30T00:00:00Z  Mon 30 Mar 02:00:00 CEST  real-time: call
        2026-03-30T00:30:00Z  Mon 30 Mar 02:30:00 CEST  stated: call
        2026-03-30T00:30:00Z  Mon 30 Mar 02:30:00 CEST  vixie: call
        time zones: tzdb VERSION
    "#);
    let (_, autumn) = of(&files, "next", &["--from", "2026-10-24T12:00:00Z", "--count", "6"]).await;
    insta::assert_snapshot!(without_version(&autumn), @r#"
        2026-10-25T00:00:00Z  Sun 25 Oct 02:00:00 CEST  real-time: call
        2026-10-25T00:30:00Z  Sun 25 Oct 02:30:00 CEST  vixie: call  (02:30 comes twice: the first)
        2026-10-25T00:30:00Z  Sun 25 Oct 02:30:00 CEST  stated: nothing  (02:30 comes twice: the first)
        2026-10-25T01:30:00Z  Sun 25 Oct 02:30:00 CET  stated: call  (02:30 comes twice: the second)
        2026-10-25T01:30:00Z  Sun 25 Oct 02:30:00 CET  vixie: nothing  (02:30 comes twice: the second)
        2026-10-26T00:00:00Z  Mon 26 Oct 01:00:00 CET  real-time: call
        2026-10-26T01:30:00Z  Mon 26 Oct 02:30:00 CET  stated: call
        2026-10-26T01:30:00Z  Mon 26 Oct 02:30:00 CET  vixie: call
        time zones: tzdb VERSION
    "#);
}

#[tokio::test]
async fn an_h_needs_the_schedule_s_name_and_gives_what_the_file_gives() {
    let (code, told) = sexton(&["next", "--cron", "H 2 * * *"]).await;
    assert_eq!((code, told.contains("--name NAME")), (1, true), "{told}");
    let files = folder(&schedule("nightly", "H 2 * * *", ""));
    let from = ["--from", "2026-01-01T00:00:00Z", "--count", "1"];
    let (_, in_file) = of(&files, "next", &from).await;
    let words = ["next", "--cron", "H 2 * * *", "--name", "nightly", "--zone", "Europe/Berlin"];
    let (_, alone) = sexton(&[&words[..], &from].concat()).await;
    assert!(alone.starts_with("2026-01-01T01:48:00Z  Thu 01 Jan 02:48:00 CET\n"), "{alone}");
    assert!(in_file.starts_with("2026-01-01T01:48:00Z  Thu 01 Jan 02:48:00 CET  nightly: call\n"), "{in_file}");
}

#[tokio::test]
async fn check_warns_of_what_is_doubtful_and_refuses_what_cannot_be() {
    let files = folder(
        &[
            schedule("uneven", "*/7 * * * *", ""),
            schedule("either", "0 3 1-7 * mon", ""),
            schedule("silent", "*/15 * * * *", "dst = { overlap = \"first\" }"),
            schedule("over", "0 0 0 1 1 * 2020", ""),
        ]
        .concat(),
    );
    let (code, told) = of(&files, "check", &[]).await;
    assert_eq!(code, 0, "{told}");
    insta::assert_snapshot!(told, @r#"
        warning: schedule `over` is never due again: the years of `0 0 0 1 1 * 2020` are over
        --> schedules/all.toml
         = help: give it years to come, or delete it

        warning: `*/7` is uneven: the 60 minutes of an hour are no multiple of 7, so one step has another length
         --> schedules/all.toml:3:9
          |
        3 | cron = "*/7 * * * *"
          |         ^^^
          |
          = help: write a step that divides 60, or `@every 7m`, which counts real time

        warning: fires on every day that is `1-7` of the month or `mon` of the week, not only where both hold
         --> schedules/all.toml:9:19
          |
        9 | cron = "0 3 1-7 * mon"
          |                   ^^^
          |
          = help: write `+mon` for the days on which both hold; if either is meant, make two schedules

        warning: `*/15 * * * *` is an interval, and nothing fires on the second pass of an hour that comes twice
          --> schedules/all.toml:18:7
           |
        18 | dst = { overlap = "first" }
           |       ^^^^^^^^^^^^^^^^^^^^^
           |
           = help: leave `overlap` out, or write "both", for one that counts real time

        1 job, 4 schedules, 0 data sets: 4 warnings (no settings found: names of targets, vaults and channels were not looked up)
    "#);
    let files = folder(
        &[
            schedule("never", "0 0 30 2 *", ""),
            schedule("swallowed", "0 30 2 29 3 * 2026", "dst = { gap = \"skip\" }"),
            schedule("misspelt", "0 2 * * *", "dst = { gap = \"later\", overlp = \"both\" }"),
        ]
        .concat(),
    );
    let (code, told) = of(&files, "check", &[]).await;
    assert_eq!(code, 1);
    insta::assert_snapshot!(told, @r#"
        error: `0 0 30 2 *` never fires: no year has such a day
         --> schedules/all.toml:3:13
          |
        3 | cron = "0 0 30 2 *"
          |             ^^
          |
          = help: write a day that one of its months has; `L` is the last day of any month

        error: `0 30 2 29 3 * 2026` is never due
         --> schedules/all.toml:9:8
          |
        9 | cron = "0 30 2 29 3 * 2026"
          |        ^^^^^^^^^^^^^^^^^^^^
          |
          = help: does that day exist in that month, and does the clock show that time on it?

        error: `later` is not one of the words that it can be
          --> schedules/all.toml:18:15
           |
        18 | dst = { gap = "later", overlp = "both" }
           |               ^^^^^^^
           |
           = help: write one of: after, skip

        2 files: 3 problems (no settings found: names of targets, vaults and channels were not looked up)
    "#);
}

/// The words of a command line, some of them in quotes.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split(['\'', '"']).enumerate();
    let words = parts.map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
    words.flatten().collect()
}

/// The blocks of docs/schedules.md in one language.
fn blocks(language: &str) -> Vec<String> {
    let guide = include_str!("../../docs/schedules.md");
    let begin = format!("```{language}\n");
    guide.split(&begin).skip(1).filter_map(|rest| rest.split("```").next().map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_guide_s_file_and_commands_do_what_it_says() {
    let all = blocks("toml");
    let [file, ..] = &all[..] else { panic!("no block of TOML") };
    let files = folder(&file.replace("backup-collector", "call"));
    let (code, told) = of(&files, "check", &[]).await;
    assert!(code == 0 && told.contains("no problems"), "{told}");
    let late = all.iter().find(|text| text.contains("catch_up_max")).expect("late slots");
    let (code, told) = of(&folder(&late.replace("\"totals\"", "\"call\"")), "check", &[]).await;
    assert!(code == 0 && told.contains("no problems"), "{told}");
    // A block that begins with the name of a job's file is that file.
    let jobs = all.iter().filter_map(|text| Some((text.strip_prefix("# ")?.split_once(".toml")?.0, text)));
    for (name, text) in jobs.filter(|(name, _)| name.starts_with("jobs/")) {
        let files = folder(&schedule("one", "0 3 * * *", ""));
        fs::write(files.path().join(format!("{name}.toml")), format!("alert = []\n{text}")).expect("written");
        let (code, told) = of(&files, "check", &[]).await;
        assert!(code == 0 && told.contains("no problems"), "{text}\n{told}");
    }
    for line in blocks("console").iter().flat_map(|block| block.lines()) {
        let words = words(line);
        if words.contains(&"--cron") {
            let (code, told) = sexton(&words[1..]).await;
            assert_eq!(code, 0, "{line}: {told}");
        } else {
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_week_is_one_look() {
    let files = folder(
        &[
            schedule("nightly", "30 2 * * *", ""),
            schedule("weekly", "30 2 * * sun", ""),
            schedule("hourly", "15 * * * *", ""),
            schedule("evening", "*/10 18-19 * * mon-fri", ""),
            schedule("off", "* * * * *", "enabled = false"),
        ]
        .concat(),
    );
    let week = ["--week", "--zone", "Europe/Berlin", "--from", "2026-06-01T05:20:00Z"];
    let (code, told) = of(&files, "next", &week).await;
    assert_eq!(code, 0, "{told}");
    insta::assert_snapshot!(told, @r#"
        235 slots of 4 schedules in the week after 2026-06-01T05:20:00Z, by the hour (Europe/Berlin)

                   00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23       all
        Mon 01 Jun                       .  1  1  1  1  1  1  1  1  1  1  7  7  1  1  1  1        28
        Tue 02 Jun  1  1  2  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  7  7  1  1  1  1        37
        Wed 03 Jun  1  1  2  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  7  7  1  1  1  1        37
        Thu 04 Jun  1  1  2  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  7  7  1  1  1  1        37
        Fri 05 Jun  1  1  2  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  7  7  1  1  1  1        37
        Sat 06 Jun  1  1  2  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1        25
        Sun 07 Jun  1  1  3  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1        26
        Mon 08 Jun  1  1  2  1  1  1  1                                                            8

        most at once
          Sun 07 Jun 02:30  2 schedules start: nightly, weekly
        all of these work on the target `collector`
    "#);
    let (_, told) = of(&files, "next", &[&week[..], &["--json"]].concat()).await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((told["slots"].as_u64(), told["hours"].as_array().map(Vec::len)), (Some(235), Some(168)));
    assert_eq!(told["worst"][0]["schedules"], json!(["nightly", "weekly"]));
    assert_eq!(told["targets"][0]["target"], "collector");
}
