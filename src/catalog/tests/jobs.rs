//! What is told of broken jobs and data sets.

use super::{CLEANUP, files, told};

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
