//! Claims about diffs: what is a change and what is not, and what it does.

use chrono::DateTime;

use super::{Diff, effects, too_many_removed};
use crate::{
    catalog::{Catalog, Files},
    settings::Share,
};

const JOB: &str = "about = \"x\"\ntimeout = \"1m\"\n[exec]\nargv = [\"true\"]\n";

fn at(name: &str, more: &str) -> String {
    format!("[[at]]\nname = \"{name}\"\njob = \"j\"\ncron = \"0 3 * * *\"\n{more}\n")
}

fn files(schedules: &str) -> Files {
    Files::from_iter([("jobs/j.toml", JOB), ("schedules/s.toml", schedules)])
}

#[test]
fn every_entry_and_key_that_changes_is_named() {
    let old = files(&(at("gone", "") + &at("edited", "overlap = \"skip\"") + &at("same", "")));
    let mut new = files(&(at("same", "# a word") + &at("fresh", "") + &at("edited", "zone = \"Asia/Tokyo\"")));
    new.0.insert("jobs/j.toml".into(), JOB.replace("1m", "2m").replace("\"true\"", "\"false\", \"x\""));
    let diff = Diff::between(&old, &new);
    insta::assert_snapshot!(diff.to_string(), @r#"
    ~ schedule edited
        overlap is gone, was "skip"
        zone = "Asia/Tokyo"
    + schedule fresh
    - schedule gone
    ~ job j
        exec.argv = ["false","x"], was ["true"]
        timeout = "2m", was "1m"
    "#);
    assert_eq!(
        diff.short(),
        "1 schedule changed (edited: overlap zone), 1 schedule added (fresh), 1 schedule removed (gone), \
         1 job changed (j: exec.argv timeout)"
    );
    assert!(diff.loses());
    let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
    let catalogs = [&old, &new].map(|files| Catalog::parse(files).catalog.expect("good"));
    let effects = effects(Some(&catalogs[0]), &catalogs[1], &diff, now);
    insta::assert_snapshot!(effects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @"
    edited fires next at 2023-11-15T18:00:00Z, not at 2023-11-15T03:00:00Z, with the new words of j
    fresh fires, first at 2023-11-15T03:00:00Z, with the new words of j
    gone no longer fires; its next slot was 2023-11-15T03:00:00Z
    same fires next at 2023-11-15T03:00:00Z as before, with the new words of j
    ");
}

#[test]
fn comments_spacing_and_where_an_entry_stands_are_no_change() {
    let old = files(&(at("a", "") + &at("b", "")));
    let mut new = files(&("# why\n".to_owned() + &at("b", "")));
    new.0.insert("schedules/other.toml".into(), at("a", "").replace(" = ", "="));
    let diff = Diff::between(&old, &new);
    assert!(diff.0.is_empty() && !diff.loses(), "{diff}");
}

#[test]
fn a_file_that_is_no_toml_is_compared_as_a_whole() {
    let old = files("[[at");
    assert_eq!(Diff::between(&old, &old).0, []);
    assert_eq!(Diff::between(&old, &files("[[at]")).short(), "1 file changed (schedules/s.toml: text)");
}

#[test]
fn more_than_the_share_may_not_go_at_once() {
    let all = |names: &[&str]| files(&names.iter().map(|name| at(name, "")).collect::<String>());
    let half = Share::percent(50);
    let old = all(&["a", "b", "c", "d"]);
    let told = |new: &[&str], most| too_many_removed(&old, &all(new), most).map(|problem| problem.message);
    assert_eq!(told(&["a", "b"], half), None);
    assert_eq!(told(&["a", "b", "x"], half), None);
    let three = "3 of the 4 schedules of the active revision are gone, and no more than 50% may go at once: b, c, d";
    assert_eq!(told(&["a"], half).as_deref(), Some(three));
    assert!(told(&[], half).is_some_and(|said| said.starts_with("all 4 schedules")), "all of them");
    assert_eq!(told(&[], Share::percent(100)), None);
    assert!(told(&["a", "b", "c"], Share::percent(0)).is_some());
    // Three that go while three others of the same job come were renamed.
    assert_eq!(told(&["a", "x", "y", "z"], half), None);
    let other = files(&["x", "y", "z"].map(|name| at(name, "").replace("\"j\"", "\"k\"")).concat());
    assert!(too_many_removed(&old, &other, half).is_some(), "of another job");
}
