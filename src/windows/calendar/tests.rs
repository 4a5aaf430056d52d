//! Claims about calendars: what is exported by the usual programs, rules as RFC 5545 has them, and what is refused.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Busy, Calendar, When, lines, repeat, stamp};

/// Holidays in the shapes that Google, Outlook and Thunderbird export.
const HOLIDAYS: &str = include_str!("../../../tests/fixtures/holidays.ics");

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn stretches(calendar: &Calendar, zone: Tz) -> Vec<Range<DateTime<Utc>>> {
    match calendar.when(zone) {
        When::Listed(stretches) => stretches,
        When::Recurring { .. } => panic!("a calendar lists"),
    }
}

fn event(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
}

fn busy(lines: &str) -> Vec<Busy> {
    Calendar::ics(&event(lines)).unwrap_or_else(|unclear| panic!("{unclear:?}")).busy
}

/// The starts of a rule as `20260101`, until it has given so many.
fn starts(start: &str, rule: &str, most: usize) -> Vec<String> {
    let line = |text: &str| lines::lines(text).remove(0).expect("a line");
    let start = stamp::one(&line(&format!("DTSTART:{start}"))).expect("a start");
    let rule = repeat::parse(&line(&format!("RRULE:{rule}")), start).expect("a rule");
    rule.times(start.wall(), most).iter().map(|time| time.format("%Y%m%d").to_string()).collect()
}

#[test]
fn the_usual_programs_exports_are_read() {
    let calendar = Calendar::ics(HOLIDAYS).expect("a calendar");
    let berlin = stretches(&calendar, Tz::Europe__Berlin);
    let inside = |time: &str| berlin.iter().any(|stretch| stretch.contains(&at(time)));
    // A yearly day in Google's shape, free as all published holidays are.
    assert!(inside("2026-10-02T22:00:00Z") && inside("2041-10-03T12:00:00Z") && !inside("2026-10-03T22:00:00Z"));
    // Two days in one event, and one whose long line is folded.
    assert!(inside("2026-12-24T23:00:00Z") && inside("2026-12-26T22:59:59Z") && !inside("2026-12-26T23:00:00Z"));
    assert!(inside("2027-01-06T12:00:00Z"));
    // Outlook's zone by Windows' name: from 18:00 in Berlin; its alarm's own DURATION does not count.
    assert!(!inside("2026-12-31T16:59:59Z") && inside("2026-12-31T17:00:00Z") && !inside("2026-12-31T23:00:00Z"));
    // Thunderbird's: the first Sunday of each month, one left out, one moved to the Monday after, one cancelled.
    assert!(inside("2026-11-01T02:00:00Z") && !inside("2026-12-06T02:00:00Z"));
    assert!(!inside("2027-01-03T02:00:00Z") && inside("2027-01-04T02:00:00Z"));
    assert!(!inside("2027-02-07T02:00:00Z") && inside("2027-03-07T02:00:00Z"));
    // The same calendar on another clock.
    let new_york = stretches(&calendar, Tz::America__New_York);
    assert!(new_york.iter().any(|stretch| stretch.contains(&at("2026-10-04T03:59:59Z"))));
}

#[test]
fn no_beginning_of_a_calendar_is_one() {
    let text = HOLIDAYS.trim_end();
    // Every place in the last event and behind it, and some before.
    let places =
        (0..text.len()).filter(|end| text.is_char_boundary(*end) && (end % 29 == 0 || *end > text.len() - 100));
    for end in places {
        assert!(Calendar::ics(&text[..end]).is_err(), "{:?}", &text[end.saturating_sub(40)..end]);
    }
    assert!(Calendar::ics(text).is_ok());
}

#[test]
fn a_damaged_calendar_never_panics() {
    let mut seed = 1_u64;
    let mut roll = |sides: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % sides
    };
    for _ in 0..100 {
        let mut bytes = HOLIDAYS.as_bytes().to_vec();
        for _ in 0..=roll(4) {
            let place = roll(bytes.len());
            bytes[place] = b"0129-+;:,=TZPDW\n \xc3"[roll(18)];
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(unclear) = Calendar::ics(&text) {
            assert!(unclear.iter().all(|one| one.at.end <= text.len() && !one.why.is_empty()));
        }
    }
}

#[test]
fn a_day_has_the_hours_that_it_has_on_the_clock() {
    let hours = |day: &str, zone| {
        let calendar = Calendar { busy: busy(&format!("DTSTART;VALUE=DATE:{day}")) };
        let of = stretches(&calendar, zone);
        of.iter().map(|stretch| (stretch.end - stretch.start).num_hours()).collect::<Vec<_>>()
    };
    assert_eq!(hours("20260329", Tz::Europe__Berlin), [23]);
    assert_eq!(hours("20261025", Tz::Europe__Berlin), [25]);
    assert_eq!(hours("20261026", Tz::Europe__Berlin), [24]);
    // Midnight itself does not exist there.
    assert_eq!(hours("20260424", Tz::Africa__Cairo), [23]);
    // A day that was left out.
    assert_eq!(hours("20111230", Tz::Pacific__Apia), [0_i64; 0]);
}

#[test]
fn lengths_and_ends_are_as_they_are_written() {
    let fixed = |from: &str, until: &str| Busy::Fixed(at(from)..at(until));
    // An exact length with DTEND, also where the clocks are changed within it.
    let night = "DTSTART;TZID=Europe/Berlin:20260328T220000\nDTEND;TZID=Europe/Berlin:20260329T060000";
    assert_eq!(busy(night), [fixed("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")]);
    assert_eq!(
        busy("DTSTART:20260101T220000Z\nDURATION:PT8H30M"),
        [fixed("2026-01-01T22:00:00Z", "2026-01-02T06:30:00Z")]
    );
    let date = |day: u32| NaiveDate::from_ymd_opt(2026, 5, day).expect("a day");
    assert_eq!(busy("DTSTART;VALUE=DATE:20260501\nDURATION:P1W"), [Busy::Days(date(1)..date(8))]);
    assert_eq!(busy("DTSTART;VALUE=DATE:20260501\nDTEND;VALUE=DATE:20260501"), [Busy::Days(date(1)..date(2))]);
    let floating = date(1).and_hms_opt(8, 0, 0).expect("a time");
    assert_eq!(
        busy("DTSTART:20260501T080000\nDTEND:20260501T100000"),
        [Busy::Local(floating..floating + TimeDelta::hours(2))]
    );
    // It takes no time.
    assert_eq!(busy("DTSTART:20260501T080000Z"), []);
    assert_eq!(busy("STATUS:CANCELLED\nDTSTART;VALUE=DATE:20260501"), []);
    let listed = "DTSTART;VALUE=DATE:20260501\nRDATE;VALUE=DATE:20260503,20260505\nEXDATE;VALUE=DATE:20260501";
    assert_eq!(busy(listed), [Busy::Days(date(3)..date(4)), Busy::Days(date(5)..date(6))]);
    // A rule that ends in UTC, and an exception in UTC, of an event that is on a clock.
    let utc = "DTSTART;TZID=America/New_York:20260101T200000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260104T010000Z\nEXDATE:20260102T010000Z";
    assert_eq!(
        busy(utc),
        [fixed("2026-01-03T01:00:00Z", "2026-01-03T02:00:00Z"), fixed("2026-01-04T01:00:00Z", "2026-01-04T02:00:00Z")]
    );
}

#[test]
fn rules_repeat_as_rfc_5545_has_them() {
    // Its examples (3.8.5.3), as far as they are about days.
    let cases = [
        ("19970902", "FREQ=DAILY;INTERVAL=10;COUNT=5", "19970902 19970912 19970922 19971002 19971012"),
        ("19970902", "FREQ=WEEKLY;COUNT=4", "19970902 19970909 19970916 19970923"),
        ("19970902", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;COUNT=3", "19970902 19970916 19970930"),
        (
            "19970901",
            "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971004T000000Z;WKST=SU;BYDAY=MO,WE,FR",
            "19970901 19970903 19970905 19970915 19970917 19970919 19970929 19971001 19971003",
        ),
        ("19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "19970805 19970810 19970819 19970824"),
        ("19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "19970805 19970817 19970819 19970831"),
        ("19970905", "FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "19970905 19971003 19971107 19971205"),
        ("19970907", "FREQ=MONTHLY;INTERVAL=2;COUNT=4;BYDAY=1SU,-1SU", "19970907 19970928 19971102 19971130"),
        ("19970922", "FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "19970922 19971020 19971117"),
        ("19970928", "FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=3", "19970928 19971029 19971128"),
        ("19970930", "FREQ=MONTHLY;COUNT=4;BYMONTHDAY=1,-1", "19970930 19971001 19971031 19971101"),
        ("19970610", "FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "19970610 19970710 19980610 19980710"),
        ("19970519", "FREQ=YEARLY;BYDAY=20MO;COUNT=3", "19970519 19980518 19990517"),
        ("19970313", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=4", "19970313 19970320 19970327 19980305"),
        ("19980213", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", "19980213 19980313 19981113"),
        (
            "19961105",
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=3",
            "19961105 20001107 20041102",
        ),
        ("19970904", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19970904 19971007 19971106"),
        ("19970929", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=3", "19970929 19971030 19971127"),
        ("20070115", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "20070115 20070130 20070215 20070315 20070330"),
        // Thanksgiving, and a day that most years do not have.
        ("20261126", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3", "20261126 20271125 20281123"),
        ("20240229", "FREQ=YEARLY;COUNT=3", "20240229 20280229 20320229"),
        ("20260131", "FREQ=MONTHLY;COUNT=3", "20260131 20260331 20260531"),
    ];
    for (start, rule, expected) in cases {
        assert_eq!(starts(start, rule, 100).join(" "), expected, "{rule}");
    }
    // A rule without an end ends with the year 2100.
    assert_eq!(starts("20261225", "FREQ=YEARLY", 1_000).last().map(String::as_str), Some("21001225"));
    assert_eq!(starts("20260228", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 9), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let told = |lines: &str| {
        let text = event(lines);
        let unclear = Calendar::ics(&text).expect_err(lines);
        unclear
            .iter()
            .map(|one| format!("{}: {}", text[one.at.clone()].lines().next().unwrap_or_default(), one.why))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let cases = [
        ("DTSTART;VALUE=DATE:20261301", "DTSTART;VALUE=DATE:20261301: `20261301` is no date and no time"),
        ("SUMMARY:x", "BEGIN:VEVENT: an event without DTSTART"),
        (
            "DTSTART;TZID=Mars/Olympus:20260101T000000",
            "DTSTART;TZID=Mars/Olympus:20260101T000000: there is no time zone `Mars/Olympus`",
        ),
        (
            "DTSTART:20260102T000000Z\nDTEND:20260101T000000Z",
            "DTEND:20260101T000000Z: the event ends before it begins, at 20260102T000000Z",
        ),
        (
            "DTSTART;VALUE=DATE:20260102\nDTEND:20260103T000000Z",
            "DTEND:20260103T000000Z: DTSTART and DTEND are not of one sort",
        ),
        (
            "DTSTART:20260102T000000\nDTEND:20260103T000000Z",
            "DTEND:20260103T000000Z: one of DTSTART and DTEND has a time zone, the other has none",
        ),
        ("DTSTART:20260102T000000Z\nDURATION:8h", "DURATION:8h: `8h` is no length of time"),
        ("DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=HOURLY", "RRULE:FREQ=HOURLY: `FREQ=HOURLY` cannot be read in a rule"),
        (
            "DTSTART;VALUE=DATE:20260102\nRRULE:FREQ=YEARLY;BYWEEKNO=20",
            "RRULE:FREQ=YEARLY;BYWEEKNO=20: `BYWEEKNO=20` cannot be read in a rule",
        ),
        ("DTSTART;VALUE=DATE:20260102\nRRULE:COUNT=3", "RRULE:COUNT=3: the rule has no FREQ"),
        ("DTSTART;VALUE=DATE:20260102\nEXRULE:FREQ=DAILY", "EXRULE:FREQ=DAILY: EXRULE is not read"),
        ("DTSTART;VALUE=DATE:20260102\nno property", "no property: this is no line of an iCalendar file"),
        (
            "DTSTART;VALUE=DATE:20260102\nRDATE;VALUE=PERIOD:20260103T000000Z/PT1H",
            "RDATE;VALUE=PERIOD:20260103T000000Z/PT1H: `20260103T000000Z/PT1H` is a period, and RDATE takes only starts here",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(told(lines), expected);
    }
    assert_eq!(
        Calendar::ics("hello: world").expect_err("no calendar")[0].why,
        "an iCalendar file begins with BEGIN:VCALENDAR"
    );
    let nightly =
        |number: u32| format!("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20{:02}0101\nRRULE:FREQ=DAILY\nEND:VEVENT\n", number);
    let many: String = (0..9).map(nightly).collect();
    let error = Calendar::ics(&format!("BEGIN:VCALENDAR\n{many}END:VCALENDAR")).expect_err("too many");
    assert_eq!(error[0].why, "the calendar has more than 100000 events up to the end of 2100");
}
