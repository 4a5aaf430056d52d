//! What windows and calendars in files give, and what is told of broken ones.

use chrono::{DateTime, Utc};

use super::{Catalog, Files};
use crate::windows::{Act, Slots};

const JOB: &str =
    "alert = [\"ops\"]\n[validate]\ntarget = \"collector\"\n[[validate.check]]\nname = \"rows\"\nsql = \"select 1\"\n";

fn files(schedules: &str, calendars: &[(&str, &str)]) -> Files {
    let all = [("jobs/wait.toml", JOB), ("schedules/s.toml", schedules)];
    all.into_iter().chain(calendars.iter().copied()).collect()
}

fn told(files: &Files) -> String {
    let told = |problem: &crate::catalog::Problem| problem.render(files, false);
    Catalog::parse(files).problems.iter().map(told).collect::<Vec<_>>().join("\n\n")
}

fn catalog(files: &Files) -> Catalog {
    Catalog::parse(files).catalog.unwrap_or_else(|| panic!("{}", told(files)))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

const AT: &str = "[[at]]\nname = \"nightly\"\njob = \"wait\"\ncron = \"0 2 * * *\"\n";

#[test]
fn a_schedule_has_the_windows_that_it_names_then_those_that_are_everywhere() {
    let schedules = format!(
        "{AT}windows = [\"month-end\", \"holidays\"]\n\
         [[at]]\nname = \"free\"\njob = \"wait\"\ncron = \"0 3 * * *\"\n{}",
        r#"
[[window]]
name = "everybody"
about = "The data centre moves"
from = 2026-12-24T18:00:00Z
until = 2027-01-02T06:00:00+01:00
slots = "defer"
mute = true
everywhere = true
[[window]]
name = "month-end"
cron = "0 22 L * *"
zone = "Europe/Berlin"
lasts = "8h"
[[window]]
name = "holidays"
calendar = "german"
zone = "Europe/Berlin"
"#
    );
    let days = "[[day]]\ndate = 2026-10-03\nname = \"Unity\"\n[[day]]\nfirst = 2026-12-25\nlast = 2026-12-26\n\
                [[day]]\nfrom = 2026-12-31T18:00:00\nuntil = 2027-01-01T00:00:00\n";
    let files = files(&schedules, &[("schedules/calendars/german.toml", days)]);
    assert_eq!(told(&files), "");
    let catalog = catalog(&files);
    let of = |name| catalog.windows_of(catalog.schedule(name).expect("a schedule"));
    let names = |name| of(name).0.iter().map(|window| window.name.clone()).collect::<Vec<_>>();
    assert_eq!(names("nightly"), ["month-end", "holidays", "everybody"]);
    assert_eq!(names("free"), ["everybody"]);
    let everybody = catalog.window("everybody").expect("a window");
    assert_eq!(
        (everybody.slots, everybody.mute, everybody.about.as_deref()),
        (Slots::Defer, true, Some("The data centre moves"))
    );
    let windows = of("nightly");
    let closed = |time| windows.closed(at(time)).map(|closed| (closed.window, closed.act));
    assert_eq!(closed("2026-10-02T22:00:00Z"), Some(("holidays", Act::Skip)));
    assert_eq!(closed("2026-10-03T22:00:00Z"), None);
    assert_eq!(closed("2026-11-30T21:00:00Z"), Some(("month-end", Act::Skip)));
    assert_eq!(closed("2026-12-26T22:59:59Z"), Some(("holidays", Act::Skip)));
    assert_eq!(closed("2026-12-26T23:00:00Z"), Some(("everybody", Act::Defer)));
    assert_eq!(closed("2026-12-31T17:00:00Z"), Some(("holidays", Act::Skip)));
    assert_eq!(closed("2027-01-02T05:00:00Z"), None);
}

#[test]
fn a_calendar_of_icalendar_is_part_of_the_files() {
    let schedules = format!(
        "{AT}windows = [\"free\"]\n[[window]]\nname = \"free\"\ncalendar = \"days\"\nzone = \"Europe/Berlin\"\n"
    );
    let ics = include_str!("../../../tests/fixtures/holidays.ics");
    let files = files(&schedules, &[("schedules/calendars/days.ics", ics)]);
    assert_eq!(told(&files), "");
    let catalog = catalog(&files);
    assert!(catalog.windows[0].contains(at("2026-10-03T12:00:00Z")));
    assert_eq!(catalog.schedules.len(), 1);
}

#[test]
fn mistakes_in_windows_are_told_with_their_place() {
    let schedules = format!(
        "{AT}windows = [\"month-edn\", \"sound\"]\n{}",
        r#"
[[window]]
name = "month-end"
cron = "0 22 L * *"
[[window]]
name = "two"
cron = "0 22 * * *"
lasts = "1h"
calendar = "german"
[[window]]
name = "none"
[[window]]
name = "back"
from = 2027-01-01T00:00:00Z
until = 2026-01-01T00:00:00Z
[[window]]
name = "day"
from = 2027-01-01
until = "2027-01-02T00:00:00Z"
[[window]]
name = "sound"
cron = "0 22 * * *"
lasts = "1h"
slot = "skip"
zone = "Europe/Berln"
[[window]]
name = "sound"
cron = "0 22 * * *"
lasts = "1h"
[[window]]
name = "always"
cron = "* * * * *"
lasts = "1m"
[[window]]
name = "long"
cron = "0 0 1 1 *"
lasts = "400d"
[[window]]
name = "never"
cron = "0 0 30 2 *"
lasts = "1h"
[[window]]
name = "outside"
cron = "0 22 * * *"
lasts = "1h"
slots = "fire"
only = true
[[window]]
name = "where"
calendar = "germn"
[[window]]
cron = "0 22 * * *"
lasts = "1h"
"#
    );
    let calendars = [
        (
            "schedules/calendars/german.toml",
            "[[day]]\ndate = \"2026-10-03\"\n[[day]]\nfirst = 2026-10-03\n[[day]]\nfrom = 2026-10-03\nuntil = 2026-10-04\n[[day]]\nfirst = 2026-10-04\nlast = 2026-10-03\n[[days]]\n",
        ),
        (
            "schedules/calendars/cut.ics",
            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;TZID=Mars/Olympus:20260101T000000\r\n",
        ),
    ];
    insta::assert_snapshot!(told(&files(&schedules, &calendars)));
}

#[test]
fn what_is_doubtful_in_windows_is_a_warning() {
    let schedules = format!(
        "{AT}windows = [\"nights\"]\n\
         [[at]]\nname = \"by-day\"\njob = \"wait\"\ncron = \"0 12 * * *\"\nwindows = [\"nights\", \"past\"]\n{}",
        r#"
[[window]]
name = "nights"
cron = "0 22 * * *"
lasts = "8h"
[[window]]
name = "past"
from = 2020-01-01T00:00:00Z
until = 2020-01-02T00:00:00Z
[[window]]
name = "idle"
cron = "0 22 * * *"
lasts = "8h"
[[window]]
name = "nothing"
cron = "0 22 * * *"
lasts = "8h"
slots = "fire"
everywhere = true
"#
    );
    let files = files(&schedules, &[]);
    let catalog = catalog(&files);
    let later = catalog.doubts(at("2026-11-24T00:00:00Z"));
    let later: Vec<_> = later.iter().map(|problem| problem.render(&files, false)).collect();
    insta::assert_snapshot!(format!("{}\n\n{}", told(&files), later.join("\n\n")));
    // At another time, one of them is not over yet.
    let early = catalog.doubts(at("2019-11-24T00:00:00Z"));
    assert!(!early.iter().any(|problem| problem.message.contains("past")), "{early:?}");
}

#[test]
fn a_deferred_slot_is_one_that_fires() {
    let of = |slots: &str| {
        let window =
            format!("[[window]]\nname = \"nights\"\ncron = \"0 22 * * *\"\nlasts = \"8h\"\nslots = \"{slots}\"\n");
        catalog(&files(&format!("{AT}windows = [\"nights\"]\n{window}"), &[])).doubts(at("2026-11-24T00:00:00Z")).len()
    };
    assert_eq!((of("skip"), of("defer")), (1, 0));
}
