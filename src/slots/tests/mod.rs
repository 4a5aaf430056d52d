//! Claims about slots on the days on which clocks were changed, and about what can be read.

mod fuzz;
mod oracle;
mod vectors;

use chrono::{Duration, TimeZone};

use super::*;

fn cron(text: &str) -> Cron {
    Cron::parse(text).expect(text)
}

fn utc(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().expect(text)
}

/// The slots of one span, as local times with their offset.
fn local(text: &str, zone: Tz, from: &str, until: &str) -> Vec<String> {
    let cron = cron(text);
    let edge = |text: &str| zone.from_local_datetime(&text.parse().expect(text)).earliest().expect(text).to_utc();
    cron.between(zone, edge(from), edge(until), 1000)
        .iter()
        .map(|slot| slot.with_timezone(&zone).format("%dT%H:%M%:z").to_string())
        .collect()
}

#[test]
fn a_fixed_time_in_a_gap_fires_once_after_it() {
    for (text, expected) in [
        ("30 2 * * *", "29T03:00+02:00"),
        ("15,45 2 * * *", "29T03:00+02:00"),
        // Listed times are fixed too (croner itself counts a list as an interval), and 03:00 itself is not doubled.
        ("0 2,3 * * *", "29T03:00+02:00"),
    ] {
        let slots = local(text, Tz::Europe__Berlin, "2026-03-29T00:00:00", "2026-03-29T12:00:00");
        assert_eq!(slots, [expected], "{text}");
    }
    let slots = local("30 2,14 * * *", Tz::Europe__Berlin, "2026-03-29T00:00:00", "2026-03-30T00:00:00");
    assert_eq!(slots, ["29T03:00+02:00", "29T14:30+02:00"]);
    // Cairo's gap is at midnight: the day is not lost.
    let slots = local("0 0 * * *", Tz::Africa__Cairo, "2026-04-23T12:00:00", "2026-04-25T12:00:00");
    assert_eq!(slots, ["24T01:00+03:00", "25T00:00+03:00"]);
    let slots = local("10 2 * * *", Tz::Australia__Lord_Howe, "2026-10-04T00:00:00", "2026-10-04T12:00:00");
    assert_eq!(slots, ["04T02:30+11:00"]);
}

#[test]
fn a_fixed_time_that_comes_twice_fires_on_the_first_pass() {
    let slots = local("30 2 * * *", Tz::Europe__Berlin, "2026-10-25T00:00:00", "2026-10-25T12:00:00");
    assert_eq!(slots, ["25T02:30+02:00"]);
    let slots = local("30 1 * * *", Tz::America__New_York, "2026-11-01T00:00:00", "2026-11-01T12:00:00");
    assert_eq!(slots, ["01T01:30-04:00"]);
    let slots = local("45 1 * * *", Tz::Australia__Lord_Howe, "2026-04-05T00:00:00", "2026-04-05T12:00:00");
    assert_eq!(slots, ["05T01:45+11:00"]);
    // From inside the second pass, the next one is tomorrow's.
    let next = cron("30 1 * * *").next(Tz::America__New_York, utc("2026-11-01T06:10:00"));
    assert_eq!(next, Some(utc("2026-11-02T06:30:00")));
}

#[test]
fn an_interval_counts_real_time() {
    let slots = local("*/30 * * * *", Tz::America__New_York, "2026-11-01T00:45:00", "2026-11-01T02:00:00");
    assert_eq!(slots, ["01T01:00-04:00", "01T01:30-04:00", "01T01:00-05:00", "01T01:30-05:00", "01T02:00-05:00"]);
    let slots = local("*/30 * * * *", Tz::America__New_York, "2026-03-08T01:00:00", "2026-03-08T03:30:00");
    assert_eq!(slots, ["08T01:30-05:00", "08T03:00-04:00", "08T03:30-04:00"]);
    // Only in the hour that does not exist: nothing that day.
    let slots = local("*/30 2 * * *", Tz::America__New_York, "2026-03-08T00:00:00", "2026-03-09T02:00:00");
    assert_eq!(slots, ["09T02:00-04:00"]);
    let slots = local("*/15 1 * * *", Tz::Australia__Lord_Howe, "2026-04-05T01:00:00", "2026-04-05T03:00:00");
    let expected = ["05T01:15+11:00", "05T01:30+11:00", "05T01:45+11:00", "05T01:30+10:30", "05T01:45+10:30"];
    assert_eq!(slots, expected);
    assert_eq!(
        cron("* * * * * *")
            .between(Tz::Europe__Berlin, utc("2026-10-24T23:00:00"), utc("2026-10-25T03:00:00"), 99_999)
            .len(),
        4 * 3600
    );
}

/// The slots of a night in Berlin (29 March has no 02:00 to 03:00, 25 October has it twice), with what was stated.
fn berlin(text: &str, gap: Option<Gap>, overlap: Option<Passes>) -> [Vec<String>; 2] {
    ["2026-03-29", "2026-10-25"].map(|day| {
        let zone = Tz::Europe__Berlin;
        let edge = |time: &str| format!("{day}T{time}").parse().map(|wall| zone.from_local_datetime(&wall).earliest());
        let edge = |time: &str| edge(time).expect("a time").expect("an instant").to_utc();
        let cron = cron(text).with_dst(Dst { gap, overlap });
        let slots = cron.between(zone, edge("01:45:00"), edge("04:15:00"), 99);
        slots.iter().map(|slot| slot.with_timezone(&zone).format("%H:%M%:z").to_string()).collect()
    })
}

#[test]
fn what_a_schedule_states_holds_for_fixed_times_and_for_intervals() {
    let (fixed, interval) = ("30 2,3 * * *", "*/30 2 * * *");
    let late = "03:30+02:00";
    let both = vec!["02:30+02:00", "02:30+01:00", "03:30+01:00"];
    assert_eq!(berlin(fixed, None, None), [vec!["03:00+02:00", late], vec!["02:30+02:00", "03:30+01:00"]]);
    assert_eq!(berlin(fixed, Some(Gap::Skip), Some(Passes::Both)), [vec![late], both]);
    let last = vec!["02:30+01:00", "03:30+01:00"];
    assert_eq!(berlin(fixed, Some(Gap::After), Some(Passes::Last)), [vec!["03:00+02:00", late], last]);
    let (first, second) = (["02:00+02:00", "02:30+02:00"], ["02:00+01:00", "02:30+01:00"]);
    let none: Vec<&str> = Vec::new();
    assert_eq!(berlin(interval, None, None), [none.clone(), [first, second].concat()]);
    assert_eq!(berlin(interval, Some(Gap::After), Some(Passes::First)), [vec!["03:00+02:00"], first.to_vec()]);
    assert_eq!(berlin(interval, Some(Gap::Skip), Some(Passes::Last)), [none, second.to_vec()]);
}

#[test]
fn a_day_that_a_zone_leaves_out_is_a_gap() {
    let slots = local("0 12 * * *", Tz::Pacific__Apia, "2011-12-29T00:00:00", "2012-01-01T00:00:00");
    assert_eq!(slots, ["29T12:00-10:00", "31T00:00+14:00", "31T12:00+14:00"]);
    let slots = local("0 */12 * * *", Tz::Pacific__Apia, "2011-12-29T00:00:00", "2011-12-31T12:00:00");
    assert_eq!(slots, ["29T12:00-10:00", "31T00:00+14:00", "31T12:00+14:00"]);
}

#[test]
fn previews_know_what_the_clocks_did() {
    let (berlin, fixed, interval) = (Tz::Europe__Berlin, cron("30 2 * * *"), cron("*/30 * * * *"));
    assert_eq!(fixed.shift(berlin, utc("2026-03-29T01:00:00")), Some(Shift::AfterGap));
    assert_eq!(fixed.shift(berlin, utc("2026-10-25T00:30:00")), Some(Shift::FirstPass));
    assert_eq!(interval.shift(berlin, utc("2026-10-25T01:30:00")), Some(Shift::SecondPass));
    assert_eq!(interval.shift(berlin, utc("2026-03-29T01:00:00")), None);
    let jumped = "2026-03-29T02:30:00".parse().ok();
    assert_eq!(fixed.swallowed(berlin, utc("2026-03-29T01:00:00")), jumped);
    assert_eq!(fixed.swallowed(berlin, utc("2026-03-30T00:30:00")), None);
    // A slot of its own that stands for others, too, is touched as well.
    assert_eq!(cron("0 2,3 * * *").shift(berlin, utc("2026-03-29T01:00:00")), Some(Shift::AfterGap));
}

#[test]
fn counting_and_the_latest_agree_with_the_list() {
    let crons =
        ["30 2 * * *", "0,30 2,3 * * *", "*/7 * * * *", "*/20 */3 1-3 * * *", "0 0 1 1 *", "5,6 30 * * * *"].map(cron);
    for zone in [Tz::UTC, Tz::Europe__Berlin, Tz::Australia__Lord_Howe, Tz::Africa__Cairo, Tz::Asia__Kathmandu] {
        for (from, until) in [
            ("2026-03-01T07:11:13", "2026-04-30T05:00:00"),
            ("2026-10-20T00:00:00", "2026-11-03T02:59:59"),
            ("2026-10-25T00:20:00", "2026-10-25T00:20:01"),
            ("2026-01-01T00:00:00", "2026-01-01T00:00:00"),
        ] {
            for cron in &crons {
                let slots = cron.between(zone, utc(from), utc(until), usize::MAX);
                assert_eq!(cron.count(zone, utc(from), utc(until)), slots.len() as u64, "{cron} {zone} {from}");
                assert_eq!(cron.latest(zone, utc(from), utc(until)), slots.last().copied(), "{cron} {zone} {from}");
            }
        }
    }
    for (gap, overlap) in [(Gap::After, Passes::Last), (Gap::Skip, Passes::First), (Gap::After, Passes::Both)] {
        let (from, until) = (utc("2026-03-20T00:00:00"), utc("2026-10-30T00:00:00"));
        for cron in ["0,30 2,3 * * *", "*/20 * * * *", "@every 95m"].map(cron) {
            let cron = cron.with_dst(Dst { gap: Some(gap), overlap: Some(overlap) });
            let slots = cron.between(Tz::Europe__Berlin, from, until, usize::MAX);
            assert_eq!(cron.count(Tz::Europe__Berlin, from, until), slots.len() as u64, "{cron} {gap:?} {overlap:?}");
            assert_eq!(cron.latest(Tz::Europe__Berlin, from, until), slots.last().copied(), "{cron}");
        }
    }
    let second = cron("* * * * * *");
    assert_eq!(second.count(Tz::Europe__Berlin, utc("2025-12-31T12:00:00"), utc("2026-12-31T12:00:00")), 365 * 86_400);
    let latest = second.latest(Tz::Europe__Berlin, utc("2025-12-31T12:00:00"), utc("2026-12-31T12:00:00"));
    assert_eq!(latest, Some(utc("2026-12-31T12:00:00")));
}

#[test]
fn five_six_and_seven_fields_and_nicknames_are_read() {
    let zone = Tz::UTC;
    let from = utc("2026-01-01T00:00:00.500");
    for (text, expected) in [
        ("30 2 * * sun", "2026-01-04T02:30:00"),
        ("* * * * * *", "2026-01-01T00:00:01"),
        ("*/10 30 2 * * *", "2026-01-01T02:30:00"),
        ("0 0 0 29 2 * 2028", "2028-02-29T00:00:00"),
        ("0 0 L * *", "2026-01-31T00:00:00"),
        ("0 0 3W * *", "2026-01-02T00:00:00"),
        ("0 0 * * fri#2", "2026-01-09T00:00:00"),
        ("0 0 * feb-MAR friL", "2026-02-27T00:00:00"),
        ("0 0 29 2 +mon", "2044-02-29T00:00:00"),
        ("  @daily ", "2026-01-02T00:00:00"),
        ("@Weekly", "2026-01-04T00:00:00"),
        ("@midnight", "2026-01-02T00:00:00"),
    ] {
        assert_eq!(cron(text).next(zone, from), Some(utc(expected)), "{text}");
    }
    assert_eq!(cron("0 0 0 1 1 * 2020").next(zone, from), None);
    assert_eq!(cron(" @daily ").to_string(), "@daily");
}

#[test]
fn vixies_rule_says_what_is_fixed() {
    for (text, fixed) in [
        ("30 2,14 * * *", true),
        ("0 8-17 * * 1-5", true),
        ("@daily", true),
        ("0,30 30 2 * * *", true),
        ("@hourly", false),
        ("*/10 2 * * *", false),
        ("*/10 0 2 * * *", false),
        ("0-59 2 * * *", false),
    ] {
        assert_eq!(cron(text).is_fixed(), fixed, "{text}");
    }
}

#[test]
fn what_is_no_cron_expression_says_where_and_what_to_write() {
    for (text, at, why, help) in [
        ("", "", "empty", "minute hour"),
        ("* * * *", "* * * *", "4 fields", "minute hour"),
        ("61 2 * * *", "61", "is no minute", "0-59"),
        ("0 24 * * *", "24", "is no hour", "0-23"),
        ("0 0 32 * *", "32", "is no day of the month", "1-31"),
        ("0 0 * 13 *", "13", "is no month", "jan-dec"),
        ("0 0 * * fun", "fun", "is no day of the week", "sun-sat"),
        ("mon 0 * * *", "mon", "letter", "0-59"),
        ("0 0 * * L", "L", "needs a day", "friL"),
        ("5/10 0 * * *", "5/10", "is no minute", "5-59/10"),
        ("0 22-2 * * *", "22-2", "is no hour", "as two"),
        ("0 5,,6 * * *", "5,,6", "empty", "0-23"),
        ("@reboot", "@reboot", "nickname", "@hourly"),
        ("0 0 30 2 *", "30", "never fires", "L"),
        ("0 0 31 4,6,9,11 *", "31", "never fires", "L"),
    ] {
        let error = Cron::parse(text).expect_err(text);
        assert_eq!(&text[error.at.clone()], at, "{text}: {error}");
        assert!(error.why.contains(why), "{text}: {error}");
        assert!(error.help.contains(help), "{text}: {error}");
    }
}
