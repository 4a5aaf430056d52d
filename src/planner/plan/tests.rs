//! Claims about plans: which decision each slot gets.

use super::*;
use crate::{slots::Cron, span::Span};

fn schedule(cron: &str) -> Schedule {
    Schedule {
        name: "s".into(),
        job: "j".into(),
        cron: Cron::parse(cron).expect(cron),
        cron_text: cron.into(),
        zone: chrono_tz::UTC,
        catch_up: CatchUp::Latest,
        catch_up_window: None,
        overlap: Overlap::AllowAll,
        enabled: true,
        params: Default::default(),
        then: vec![],
        file: "schedules/s.toml".into(),
    }
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-05-04T{time}Z").parse().expect(time)
}

/// The plan as text: `decision first-last xN`.
fn planned(schedule: &Schedule, watermark: &str, now: &str, live: bool) -> Vec<String> {
    planned_with(schedule, watermark, now, live, &[])
}

fn planned_with(schedule: &Schedule, watermark: &str, now: &str, live: bool, pauses: &[Pause]) -> Vec<String> {
    let facts = Facts { schedule, watermark: at(watermark), now: at(now), live, pauses, closing: false };
    let decisions = plan(&facts);
    let clock = |at: DateTime<Utc>| at.format("%H:%M:%S").to_string();
    decisions
        .iter()
        .map(|d| {
            let late = if d.caught_up { " caught up" } else { "" };
            match d.slots {
                1 => format!("{}{late} {}", d.decided.word(), clock(d.from)),
                n => format!("{}{late} {}-{} x{n}", d.decided.word(), clock(d.from), clock(d.until)),
            }
        })
        .collect()
}

#[test]
fn a_slot_that_is_due_fires_and_one_that_is_not_waits() {
    let hourly = schedule("0 * * * *");
    assert_eq!(planned(&hourly, "01:00:00", "01:59:59", false), [""; 0]);
    assert_eq!(planned(&hourly, "01:00:00", "02:00:00", false), ["fired 02:00:00"]);
    assert_eq!(planned(&hourly, "01:00:00", "02:01:00", false), ["fired 02:00:00"]);
    assert_eq!(planned(&hourly, "02:00:00", "02:00:30", false), [""; 0]);
}

#[test]
fn of_missed_slots_the_latest_is_caught_up() {
    let hourly = schedule("0 * * * *");
    assert_eq!(planned(&hourly, "01:00:00", "02:01:01", false), ["fired caught up 02:00:00"]);
    let expected = ["coalesced 02:00:00-04:00:00 x3", "fired caught up 05:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), expected);
    // One that is on time stands for all that were missed.
    let expected = ["coalesced 02:00:00-04:00:00 x3", "fired 05:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "05:00:10", false), expected);
}

#[test]
fn catch_up_skip_lets_missed_slots_go() {
    let hourly = Schedule { catch_up: CatchUp::Skip, ..schedule("0 * * * *") };
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), ["missed_expired 02:00:00-05:00:00 x4"]);
    let expected = ["missed_expired 02:00:00-04:00:00 x3", "fired 05:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "05:00:10", false), expected);
}

#[test]
fn slots_outside_the_window_are_gone_and_the_rest_is_caught_up() {
    let window = |text: &str| text.parse::<Span>().ok();
    let hourly = Schedule { catch_up_window: window("2h"), ..schedule("0 * * * *") };
    let expected = ["missed_expired 02:00:00-03:00:00 x2", "coalesced 04:00:00", "fired caught up 05:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), expected);
    let hourly = Schedule { catch_up_window: window("10m"), ..hourly };
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), ["missed_expired 02:00:00-05:00:00 x4"]);
    // A window that is shorter than the grace takes nothing from it.
    let hourly = Schedule { catch_up_window: window("1s"), ..hourly };
    assert_eq!(planned(&hourly, "04:30:00", "05:00:30", false), ["fired 05:00:00"]);
}

#[test]
fn overlap_skip_fires_nothing_while_a_run_is_live() {
    let second = Schedule { overlap: Overlap::Skip, ..schedule("* * * * * *") };
    assert_eq!(planned(&second, "01:00:00", "01:00:03", true), ["skipped_overlap 01:00:01-01:00:03 x3"]);
    let expected = ["fired 01:00:01", "skipped_overlap 01:00:02-01:00:03 x2"];
    assert_eq!(planned(&second, "01:00:00", "01:00:03", false), expected);
    let hourly = Schedule { overlap: Overlap::Skip, ..schedule("0 * * * *") };
    assert_eq!(planned(&hourly, "01:00:00", "02:30:00", true), ["skipped_overlap 02:00:00"]);
}

#[test]
fn allow_all_fires_every_slot_that_is_on_time() {
    let second = schedule("* * * * * *");
    assert_eq!(planned(&second, "01:00:00", "01:00:02", true), ["fired 01:00:01", "fired 01:00:02"]);
}

#[test]
fn a_time_that_comes_twice_is_decided_as_the_schedule_states() {
    use crate::slots::{Dst, Passes};
    let utc = |time: &str| format!("2026-10-25T{time}Z").parse().expect(time);
    let decided = |overlap| {
        let cron = Cron::parse("30 2 * * *").expect("an expression").with_dst(Dst { gap: None, overlap });
        let berlin = Schedule { cron, zone: chrono_tz::Europe::Berlin, ..schedule("30 2 * * *") };
        let (watermark, now) = (utc("00:00:00"), utc("01:30:10"));
        let facts = Facts { schedule: &berlin, watermark, now, live: false, pauses: &[], closing: false };
        let decisions = plan(&facts);
        decisions.iter().map(|d| (d.decided, d.from, d.slots)).collect::<Vec<_>>()
    };
    let (first, second) = (utc("00:30:00"), utc("01:30:00"));
    assert_eq!(decided(None), [(Decided::Fired, first, 1)]);
    assert_eq!(decided(Some(Passes::Last)), [(Decided::Fired, second, 1)]);
    assert_eq!(decided(Some(Passes::Both)), [(Decided::Coalesced, first, 1), (Decided::Fired, second, 1)]);
}

#[test]
fn a_year_of_seconds_is_one_row_and_takes_no_time() {
    let second = Schedule { overlap: Overlap::Skip, ..schedule("* * * * * *") };
    let watermark = at("00:00:00") - TimeDelta::days(365);
    let facts = Facts { schedule: &second, watermark, now: at("00:00:00"), live: false, pauses: &[], closing: false };
    let decisions = plan(&facts);
    let rows: Vec<_> = decisions.iter().map(|d| (d.decided, d.slots)).collect();
    let expected = [(Decided::Coalesced, 365 * 86_400 - 61), (Decided::Fired, 1), (Decided::SkippedOverlap, 60)];
    assert_eq!(rows, expected);
}

#[test]
fn decisions_cover_every_slot_once_and_in_order() {
    for cron in ["*/20 * * * * *", "* * * * *", "7 3-9/2 * * *", "0 0 * * *"] {
        for (overlap, catch_up) in [(Overlap::Skip, CatchUp::Latest), (Overlap::AllowAll, CatchUp::Skip)] {
            for live in [true, false] {
                let schedule = Schedule { overlap, catch_up, ..schedule(cron) };
                let (watermark, now) = (at("01:00:20"), at("09:07:40"));
                let pauses = [pause("02:00:00", Some("03:30:30")), pause("03:00:00", Some("04:00:00"))];
                let facts = Facts { schedule: &schedule, watermark, now, live, pauses: &pauses, closing: false };
                let decisions = plan(&facts);
                let due = schedule.cron.between(schedule.zone, watermark, now, usize::MAX);
                assert_eq!(decisions.iter().map(|d| d.slots).sum::<u64>(), due.len() as u64, "{cron}");
                assert_eq!(decisions.first().map(|d| d.from), due.first().copied(), "{cron}");
                assert_eq!(decisions.last().map(|d| d.until), due.last().copied(), "{cron}");
                assert!(decisions.windows(2).all(|pair| pair[0].until < pair[1].from), "{cron} {decisions:?}");
            }
        }
    }
}

fn pause(from: &str, until: Option<&str>) -> Pause {
    Pause {
        id: 1,
        schedule: None,
        reason: "a deploy".into(),
        author: "ann".into(),
        made_at: at(from),
        ends_at: until.map(at),
    }
}

#[test]
fn nothing_is_decided_in_a_pause_and_its_slots_are_skipped_afterwards() {
    let hourly = schedule("0 * * * *");
    let open = [pause("02:30:00", None)];
    assert_eq!(planned_with(&hourly, "02:00:00", "05:00:10", false, &open), [""; 0]);
    let over = [pause("02:30:00", Some("05:30:00"))];
    let expected = ["skipped_paused 03:00:00-05:00:00 x3"];
    assert_eq!(planned_with(&hourly, "02:00:00", "05:30:00", false, &over), expected);
    let expected = ["skipped_paused 03:00:00-05:00:00 x3", "fired 06:00:00"];
    assert_eq!(planned_with(&hourly, "02:00:00", "06:00:00", false, &over), expected);
    // Before its revision ends, what is due by now is decided.
    let facts = Facts {
        schedule: &hourly,
        watermark: at("02:00:00"),
        now: at("05:00:10"),
        live: false,
        pauses: &open,
        closing: true,
    };
    let closed: Vec<_> = plan(&facts).iter().map(|d| (d.decided, d.slots)).collect();
    assert_eq!(closed, [(Decided::SkippedPaused, 3)]);
    // A slot at the first instant is in it; one at its end is not.
    let exact = [pause("03:00:00", Some("05:00:00"))];
    let expected = ["skipped_paused 03:00:00-04:00:00 x2", "fired 05:00:00"];
    assert_eq!(planned_with(&hourly, "02:00:00", "05:00:00", false, &exact), expected);
}

#[test]
fn what_a_pause_kept_from_being_decided_is_as_late_as_after_an_outage() {
    let hourly = schedule("0 * * * *");
    let over = [pause("03:30:00", Some("04:30:00"))];
    let expected = ["coalesced 02:00:00-03:00:00 x2", "skipped_paused 04:00:00", "fired caught up 05:00:00"];
    assert_eq!(planned_with(&hourly, "01:00:00", "05:30:00", false, &over), expected);
    let expected = ["coalesced 02:00:00", "fired caught up 03:00:00", "skipped_paused 04:00:00"];
    assert_eq!(planned_with(&hourly, "01:00:00", "04:45:00", false, &over), expected);
    let never = Schedule { catch_up: CatchUp::Skip, ..hourly };
    let expected = ["missed_expired 02:00:00-03:00:00 x2", "skipped_paused 04:00:00", "fired 05:00:00"];
    assert_eq!(planned_with(&never, "01:00:00", "05:00:20", false, &over), expected);
}

#[test]
fn lengths_are_said_in_two_units() {
    assert_eq!(words(TimeDelta::seconds(60)), "1m");
    assert_eq!(words(TimeDelta::seconds(7_505)), "2h 5m");
    assert_eq!(words(TimeDelta::seconds(86_401)), "1d");
    assert_eq!(words(TimeDelta::milliseconds(300)), "0s");
}
