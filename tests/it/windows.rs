//! Windows and calendars as files: what a folder gives, and the guide's examples.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use sexton::{
    catalog::{Catalog, Files},
    windows::Act,
};

const JOB: &str =
    "alert = []\n[validate]\ntarget = \"collector\"\n[[validate.check]]\nname = \"rows\"\nsql = \"select 1\"\n";
const HOLIDAYS: &[u8] = include_bytes!("../fixtures/holidays.ics");

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn write(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

fn read(folder: &Path) -> (Files, Catalog) {
    let (files, parsed) = Catalog::read(&folder.join("jobs"), &folder.join("schedules"));
    assert_eq!(parsed.problems, []);
    (files, parsed.catalog.expect("a catalog"))
}

#[test]
fn a_calendar_in_its_folder_is_part_of_the_files_and_of_their_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "jobs/wait.toml", JOB);
    let schedules = "[[window]]\nname = \"free\"\ncalendar = \"free\"\nzone = \"Europe/Berlin\"\neverywhere = true\n\
                     [[at]]\nname = \"a\"\njob = \"wait\"\ncron = \"0 3 * * *\"\n";
    write(folder.path(), "schedules/all.toml", schedules);
    // As programs on Windows write it.
    write(folder.path(), "schedules/calendars/free.ics", [b"\xEF\xBB\xBF", HOLIDAYS].concat());
    write(folder.path(), "schedules/calendars/README.md", "not a calendar");
    let (before, catalog) = read(folder.path());
    let paths: Vec<_> = before.0.keys().map(String::as_str).collect();
    assert_eq!(paths, ["jobs/wait.toml", "schedules/all.toml", "schedules/calendars/free.ics"]);
    assert!(catalog.windows_of(&catalog.schedules[0]).closed(at("2026-10-03T12:00:00Z")).is_some());
    let later = String::from_utf8_lossy(HOLIDAYS).replace("20201003", "20201004");
    write(folder.path(), "schedules/calendars/free.ics", later.replace("20201004\r\nDTSTAMP", "20201005\r\nDTSTAMP"));
    let (after, catalog) = read(folder.path());
    assert_ne!(before.digest(), after.digest());
    let windows = catalog.windows_of(&catalog.schedules[0]);
    assert!(
        windows.closed(at("2026-10-03T12:00:00Z")).is_none() && windows.closed(at("2026-10-04T12:00:00Z")).is_some()
    );
    // Half a calendar is none, and takes nothing else with it.
    write(folder.path(), "schedules/calendars/free.ics", &HOLIDAYS[..HOLIDAYS.len() / 2]);
    let (_, parsed) = Catalog::read(&folder.path().join("jobs"), &folder.path().join("schedules"));
    assert!(parsed.catalog.is_none());
    assert!(
        parsed.problems.iter().all(|problem| problem.file == "schedules/calendars/free.ics"),
        "{:?}",
        parsed.problems
    );
}

#[test]
fn the_guide_s_windows_do_what_it_says() {
    let guide = include_str!("../../docs/schedules.md");
    let section = guide.split("\n## ").find(|section| section.starts_with("Windows\n")).expect("the section");
    let mut blocks = section.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (schedules, days) = (blocks.next().expect("windows"), blocks.next().expect("a calendar"));
    assert_eq!(blocks.next(), None);
    let files: Files = [
        ("jobs/backup-collector.toml", JOB),
        ("schedules/guide.toml", schedules),
        ("schedules/calendars/german-holidays.toml", days),
    ]
    .into_iter()
    .collect();
    let parsed = Catalog::parse(&files);
    assert_eq!(parsed.problems, []);
    let catalog = parsed.catalog.expect("a catalog");
    let windows = catalog.windows_of(catalog.schedule("vacuum").expect("a schedule"));
    let closed = |time| windows.closed(at(time)).map(|closed| (closed.window, closed.act));
    assert_eq!(closed("2026-11-24T00:59:59Z"), Some(("quiet-hours", Act::Defer)));
    assert_eq!(closed("2026-11-24T01:00:00Z"), None);
    assert_eq!(closed("2026-11-24T05:00:00Z"), Some(("quiet-hours", Act::Defer)));
    assert_eq!(closed("2026-12-01T02:00:00Z"), Some(("month-end", Act::Defer)));
    assert_eq!(closed("2026-12-25T02:00:00Z"), Some(("holidays", Act::Skip)));
    assert_eq!(closed("2026-12-30T22:59:59Z"), Some(("holidays", Act::Skip)));
    assert_eq!(closed("2026-12-30T23:00:00Z"), Some(("move", Act::Skip)));
    let muted = windows.muted(at("2026-12-30T23:00:00Z")).map(|muted| (muted.window, muted.until));
    assert_eq!(muted, Some(("move", at("2027-01-02T06:00:00Z"))));
}
