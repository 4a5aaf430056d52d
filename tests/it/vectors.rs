//! Instants that the test suites of other cron libraries expect, asked of the real binary: `sexton next --json`.
//!
//! Only facts are taken (expression, zone, where to begin, what comes next), and only those where the library and Vixie's rule
//! agree, or that a stated `dst` gives.

use std::process::Command;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Zone, `--dst-gap` and `--dst-overlap` (empty: Vixie's rule), expression, where to begin, and what comes next, in UTC.
type Vector = (&'static str, [&'static str; 2], &'static str, &'static str, &'static [&'static str]);

const VIXIE: [&str; 2] = ["", ""];

/// `robfig/cron`, `spec_test.go`: what it finds next. `n/step` is Quartz's for `n-59/step`.
const ROBFIG: [Vector; 15] = [
    ("UTC", VIXIE, "0 0-59/15 * * * *", "2012-07-09T14:59:59Z", &["2012-07-09T15:00:00Z"]),
    ("UTC", VIXIE, "0 5-59/15 * * * *", "2012-07-09T15:04:59Z", &["2012-07-09T15:05:00Z", "2012-07-09T15:20:00Z"]),
    ("UTC", VIXIE, "0 20-35/15 * * * *", "2012-07-09T15:45:00Z", &["2012-07-09T16:20:00Z"]),
    ("UTC", VIXIE, "0 20-35/15 * * * *", "2012-07-09T23:45:00Z", &["2012-07-10T00:20:00Z"]),
    ("UTC", VIXIE, "15-59/35 20-35/15 * * * *", "2012-07-09T23:35:51Z", &["2012-07-10T00:20:15Z"]),
    ("UTC", VIXIE, "15-59/35 20-35/15 1-23/2 * * *", "2012-07-09T23:35:51Z", &["2012-07-10T01:20:15Z"]),
    ("UTC", VIXIE, "15-59/35 20-35/15 10-12 * * *", "2012-07-09T23:35:51Z", &["2012-07-10T10:20:15Z"]),
    ("UTC", VIXIE, "15-59/35 20-35/15 * 9-20 * *", "2012-07-09T23:35:51Z", &["2012-07-10T00:20:15Z"]),
    ("UTC", VIXIE, "0 0 0 * Feb Mon", "2012-07-09T23:35:00Z", &["2013-02-04T00:00:00Z"]),
    ("UTC", VIXIE, "0 * * * * *", "2012-12-31T23:59:45Z", &["2013-01-01T00:00:00Z"]),
    ("UTC", VIXIE, "0 30 08 ? Jul Sun", "2012-07-15T08:29:59Z", &["2012-07-15T08:30:00Z", "2012-07-22T08:30:00Z"]),
    ("UTC", VIXIE, "@weekly", "2012-07-07T23:59:59Z", &["2012-07-08T00:00:00Z", "2012-07-15T00:00:00Z"]),
    ("UTC", VIXIE, "@monthly", "2012-06-30T23:59:59Z", &["2012-07-01T00:00:00Z", "2012-08-01T00:00:00Z"]),
    // What the gap swallowed waits for a year, where that is stated.
    ("America/New_York", ["skip", "first"], "0 30 2 11 Mar ?", "2012-03-11T05:00:00Z", &["2013-03-11T06:30:00Z"]),
    ("America/New_York", VIXIE, "0 30 2 04 Nov ?", "2012-11-04T04:00:00Z", &["2012-11-04T07:30:00Z"]),
];

/// `gorhill/cronexpr`, `cronexpr_test.go`: expressions.
const GORHILL: [Vector; 31] = [
    ("UTC", VIXIE, "* * * * * * *", "2013-01-01T00:00:59Z", &["2013-01-01T00:01:00Z"]),
    ("UTC", VIXIE, "* * * * * * *", "2016-02-28T23:59:59Z", &["2016-02-29T00:00:00Z"]),
    ("UTC", VIXIE, "* * * * * * *", "2012-12-31T23:59:59Z", &["2013-01-01T00:00:00Z"]),
    ("UTC", VIXIE, "*/5 * * * * * *", "2013-01-01T00:00:00Z", &["2013-01-01T00:00:05Z"]),
    ("UTC", VIXIE, "*/5 * * * * * *", "2013-02-28T23:59:59Z", &["2013-03-01T00:00:00Z"]),
    ("UTC", VIXIE, "* * * * *", "2013-01-01T00:00:59Z", &["2013-01-01T00:01:00Z"]),
    ("UTC", VIXIE, "* * * * *", "2013-01-01T23:59:00Z", &["2013-01-02T00:00:00Z"]),
    ("UTC", VIXIE, "17-43/5 * * * *", "2013-01-01T00:16:59Z", &["2013-01-01T00:17:00Z"]),
    ("UTC", VIXIE, "17-43/5 * * * *", "2013-01-01T00:30:00Z", &["2013-01-01T00:32:00Z"]),
    ("UTC", VIXIE, "17-43/5 * * * *", "2016-02-28T23:50:00Z", &["2016-02-29T00:17:00Z"]),
    ("UTC", VIXIE, "15-30/4,55 * * * *", "2013-01-01T00:16:00Z", &["2013-01-01T00:19:00Z"]),
    ("UTC", VIXIE, "15-30/4,55 * * * *", "2013-01-01T00:30:00Z", &["2013-01-01T00:55:00Z", "2013-01-01T01:15:00Z"]),
    ("UTC", VIXIE, "15-30/4,55 * * * *", "2012-12-31T23:55:00Z", &["2013-01-01T00:15:00Z"]),
    ("UTC", VIXIE, "0 0 * * MON", "2013-01-28T00:00:00Z", &["2013-02-04T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 * * MON", "2013-12-30T00:30:00Z", &["2014-01-06T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 * * fri", "2013-01-28T00:00:00Z", &["2013-02-01T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 * * 6,7", "2013-12-30T00:30:00Z", &["2014-01-04T00:00:00Z", "2014-01-05T00:00:00Z"]),
    (
        "UTC",
        VIXIE,
        "0 0 * * 6#5",
        "2013-09-02T08:44:30Z",
        &[
            "2013-11-30T00:00:00Z",
            "2014-03-29T00:00:00Z",
            "2014-05-31T00:00:00Z",
            "2014-08-30T00:00:00Z",
            "2014-11-29T00:00:00Z",
        ],
    ),
    ("UTC", VIXIE, "0 0 14W * *", "2013-03-31T00:00:00Z", &["2013-04-15T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 14W * *", "2013-08-31T00:00:00Z", &["2013-09-13T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 30W * *", "2013-03-02T00:00:00Z", &["2013-03-29T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 30W * *", "2013-06-02T00:00:00Z", &["2013-06-28T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 30W * *", "2013-09-02T00:00:00Z", &["2013-09-30T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 30W * *", "2013-11-02T00:00:00Z", &["2013-11-29T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 L * *", "2014-01-01T00:00:00Z", &["2014-01-31T00:00:00Z", "2014-02-28T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 L * *", "2016-02-15T00:00:00Z", &["2016-02-29T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 LW * *", "2013-09-02T00:00:00Z", &["2013-09-30T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 LW * *", "2013-11-02T00:00:00Z", &["2013-11-29T00:00:00Z"]),
    ("UTC", VIXIE, "0 0 LW * *", "2014-08-15T00:00:00Z", &["2014-08-29T00:00:00Z"]),
    ("UTC", VIXIE, "0 * * * * * 2050", "2013-08-31T00:00:00Z", &["2050-01-01T00:00:00Z"]),
    ("UTC", VIXIE, "*/5 * * * *", "2013-09-02T08:44:32Z", &["2013-09-02T08:45:00Z", "2013-09-02T08:50:00Z"]),
];

/// The same file, `TestDST`: its flags for the hour that is left out and the one that comes twice are ours by other names.
const GORHILL_DST: [Vector; 9] = [
    (
        "America/Los_Angeles",
        ["skip", "first"],
        "0 0 2 * * * *",
        "2014-03-09T09:00:00Z",
        &["2014-03-10T09:00:00Z", "2014-03-11T09:00:00Z"],
    ),
    (
        "America/Los_Angeles",
        ["after", "first"],
        "0 0 2 * * * *",
        "2014-03-09T09:00:00Z",
        &["2014-03-09T10:00:00Z", "2014-03-10T09:00:00Z"],
    ),
    (
        "America/Los_Angeles",
        ["skip", "first"],
        "0 0 * * * * *",
        "2014-03-09T09:00:00Z",
        &["2014-03-09T10:00:00Z", "2014-03-09T11:00:00Z"],
    ),
    (
        "America/Los_Angeles",
        ["skip", "first"],
        "0 */15 2 * * * *",
        "2014-03-09T09:00:00Z",
        &["2014-03-10T09:00:00Z", "2014-03-10T09:15:00Z", "2014-03-10T09:30:00Z"],
    ),
    (
        "America/Los_Angeles",
        ["after", "first"],
        "0 0 * * * * *",
        "2014-11-02T07:00:00Z",
        &["2014-11-02T08:00:00Z", "2014-11-02T10:00:00Z", "2014-11-02T11:00:00Z"],
    ),
    (
        "America/Los_Angeles",
        ["after", "last"],
        "0 0 * * * * *",
        "2014-11-02T07:00:00Z",
        &["2014-11-02T09:00:00Z", "2014-11-02T10:00:00Z", "2014-11-02T11:00:00Z"],
    ),
    (
        "America/Los_Angeles",
        VIXIE,
        "0 0 * * * * *",
        "2014-11-02T07:00:00Z",
        &["2014-11-02T08:00:00Z", "2014-11-02T09:00:00Z", "2014-11-02T10:00:00Z"],
    ),
    // The largest leap of all: the clock went from midnight to three.
    (
        "Asia/Ust-Nera",
        ["skip", "first"],
        "0 0 2 * * * *",
        "1981-03-30T17:00:00Z",
        &["1981-04-01T14:00:00Z", "1981-04-02T14:00:00Z"],
    ),
    (
        "Asia/Ust-Nera",
        ["after", "first"],
        "0 0 2 * * * *",
        "1981-03-30T17:00:00Z",
        &["1981-03-31T15:00:00Z", "1981-04-01T14:00:00Z"],
    ),
];

/// What the binary says comes next.
fn asked((zone, [gap, overlap], expression, from, expected): &Vector) -> Vec<DateTime<Utc>> {
    let count = expected.len().max(1).to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
    command.args(["next", "--json", "--cron", expression, "--zone", zone, "--from", from, "--count", &count]);
    for (flag, word) in [("--dst-gap", gap), ("--dst-overlap", overlap)].iter().filter(|(_, word)| !word.is_empty()) {
        command.args([*flag, word]);
    }
    let output = command.output().expect("sexton runs");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let instants = told.as_array().expect("a list").iter().filter_map(|instant| instant["at"].as_str());
    instants.map(|at| at.parse().expect("an instant")).collect()
}

#[test]
fn what_other_libraries_expect_comes_next() {
    let mut wrong = Vec::new();
    for vector in ROBFIG.iter().chain(&GORHILL).chain(&GORHILL_DST) {
        let expected: Vec<DateTime<Utc>> = vector.4.iter().map(|at| at.parse().expect("an instant")).collect();
        let told = asked(vector);
        if told != expected {
            wrong.push(format!(
                "{} {:?} {:?} from {}: {told:?}, not {expected:?}",
                vector.0, vector.1, vector.2, vector.3
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
