//! What is told of broken schedules, and of text that is no TOML.

use super::{files, shipped, told};

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
