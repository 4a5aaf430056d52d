//! Claims about plans: which decision each slot gets.

use super::*;
use crate::{
    catalog::{CatchUp, Overlap, Policy, TICK},
    slots::Cron,
    span::Span,
    windows::{self, When, Window},
};

fn schedule(cron: &str) -> Schedule {
    Schedule {
        name: "s".into(),
        job: "j".into(),
        cron: Cron::parse(cron).expect(cron),
        cron_text: cron.into(),
        zone: chrono_tz::UTC,
        policy: Policy { overlap: Overlap::AllowAll, ..Policy::default() },
        windows: vec![],
        enabled: true,
        params: Default::default(),
        then: vec![],
        file: "schedules/s.toml".into(),
    }
}

fn with(mut schedule: Schedule, change: impl FnOnce(&mut Policy)) -> Schedule {
    change(&mut schedule.policy);
    schedule
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-05-04T{time}Z").parse().expect(time)
}

/// The plan as text: `decision first-last xN`.
fn planned(schedule: &Schedule, watermark: &str, now: &str, live: bool) -> Vec<String> {
    planned_with(schedule, watermark, now, live, &[])
}

fn planned_with(schedule: &Schedule, watermark: &str, now: &str, live: bool, pauses: &[Pause]) -> Vec<String> {
    let facts = Facts { pauses, crowd: crowd(live), ..facts(schedule, at(watermark), at(now)) };
    shown(&plan(&facts))
}

/// No window at all.
static OPEN: Windows<'static> = Windows(Vec::new());

fn facts<'a>(schedule: &'a Schedule, watermark: DateTime<Utc>, now: DateTime<Utc>) -> Facts<'a> {
    Facts {
        schedule,
        watermark,
        now,
        crowd: Crowd::default(),
        windows: &OPEN,
        deferred: None,
        pauses: &[],
        closing: false,
    }
}

fn crowd(live: bool) -> Crowd {
    Crowd { live: u64::from(live), behind: 0 }
}

fn shown(decisions: &[Decision]) -> Vec<String> {
    let clock = |at: DateTime<Utc>| at.format("%H:%M:%S").to_string();
    decisions
        .iter()
        .map(|d| {
            let late = if d.is_caught_up() { " caught up" } else { "" };
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
    let hourly = with(schedule("0 * * * *"), |policy| policy.catch_up = CatchUp::Skip);
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), ["missed_expired 02:00:00-05:00:00 x4"]);
    let expected = ["missed_expired 02:00:00-04:00:00 x3", "fired 05:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "05:00:10", false), expected);
}

#[test]
fn slots_outside_the_window_are_gone_and_the_rest_is_caught_up() {
    let window = |text: &str| text.parse::<Span>().ok();
    let hourly = with(schedule("0 * * * *"), |policy| policy.catch_up_window = window("2h"));
    let expected = ["missed_expired 02:00:00-03:00:00 x2", "coalesced 04:00:00", "fired caught up 05:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), expected);
    let hourly = with(hourly, |policy| policy.catch_up_window = window("10m"));
    assert_eq!(planned(&hourly, "01:00:00", "05:30:00", false), ["missed_expired 02:00:00-05:00:00 x4"]);
    // A window that is shorter than the grace takes nothing from it.
    let hourly = with(hourly, |policy| policy.catch_up_window = window("1s"));
    assert_eq!(planned(&hourly, "04:30:00", "05:00:30", false), ["fired 05:00:00"]);
}

#[test]
fn overlap_skip_fires_nothing_while_a_run_is_live() {
    let second = with(schedule("* * * * * *"), |policy| policy.overlap = Overlap::Skip);
    assert_eq!(planned(&second, "01:00:00", "01:00:03", true), ["skipped_overlap 01:00:01-01:00:03 x3"]);
    let expected = ["fired 01:00:01", "skipped_overlap 01:00:02-01:00:03 x2"];
    assert_eq!(planned(&second, "01:00:00", "01:00:03", false), expected);
    let hourly = with(schedule("0 * * * *"), |policy| policy.overlap = Overlap::Skip);
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
        let decisions = plan(&facts(&berlin, watermark, now));
        decisions.iter().map(|d| (d.decided, d.from, d.slots)).collect::<Vec<_>>()
    };
    let (first, second) = (utc("00:30:00"), utc("01:30:00"));
    assert_eq!(decided(None), [(Decided::Fired, first, 1)]);
    assert_eq!(decided(Some(Passes::Last)), [(Decided::Fired, second, 1)]);
    assert_eq!(decided(Some(Passes::Both)), [(Decided::Coalesced, first, 1), (Decided::Fired, second, 1)]);
}

#[test]
fn a_year_of_seconds_is_one_row_and_takes_no_time() {
    let second = with(schedule("* * * * * *"), |policy| policy.overlap = Overlap::Skip);
    let watermark = at("00:00:00") - TimeDelta::days(365);
    let decisions = plan(&facts(&second, watermark, at("00:00:00")));
    let rows: Vec<_> = decisions.iter().map(|d| (d.decided, d.slots)).collect();
    let expected = [(Decided::Coalesced, 365 * 86_400 - 61), (Decided::Fired, 1), (Decided::SkippedOverlap, 60)];
    assert_eq!(rows, expected);
}

#[test]
fn decisions_cover_every_slot_once_and_in_order() {
    use CatchUp::{All, Latest, Skip};
    let overlaps = [
        Overlap::Skip,
        Overlap::BufferOne,
        Overlap::BufferLatest,
        Overlap::BufferAll,
        Overlap::CancelOther,
        Overlap::TerminateOther,
        Overlap::AllowAll,
    ];
    let crowds = [(0, 0), (1, 0), (1, 2), (0, 1)].map(|(live, behind)| Crowd { live, behind });
    let span = |text: &str| text.parse::<Span>().expect(text);
    let pauses = [pause("02:00:00", Some("03:30:30")), pause("03:00:00", Some("04:00:00"))];
    for cron in ["*/50 30-40 2-4 * * *", "* * * * *", "7 3-9/2 * * *", "0 0 * * *", "@every 50m"] {
        for (overlap, catch_up) in overlaps.iter().flat_map(|overlap| [Skip, Latest, All].map(|rule| (*overlap, rule)))
        {
            for (crowd, moved) in crowds.iter().flat_map(|crowd| ["0s", "37s", "2h"].map(|moved| (*crowd, moved))) {
                let schedule = with(schedule(cron), |policy| {
                    policy.overlap = overlap;
                    policy.catch_up = catch_up;
                    policy.catch_up_max = 7;
                    policy.catch_up_window = (catch_up == All).then(|| span("90m"));
                    policy.grace = span("5m");
                    (policy.splay, policy.jitter) = (span(moved), span(moved));
                });
                let (watermark, now) = (at("01:00:20"), at("09:07:40"));
                let facts = Facts { crowd, pauses: &pauses, ..facts(&schedule, watermark, now) };
                let decisions = plan(&facts);
                let case = format!("{cron} {overlap:?} {catch_up:?} {crowd:?} {moved}: {decisions:?}");
                let due = schedule.cron.between(schedule.zone, watermark, now, usize::MAX);
                let due: Vec<_> = due.into_iter().filter(|slot| schedule.start(*slot) <= now).collect();
                assert_eq!(decisions.iter().map(|d| d.slots).sum::<u64>(), due.len() as u64, "{case}");
                assert_eq!(decisions.first().map(|d| d.from), due.first().copied(), "{case}");
                assert_eq!(decisions.last().map(|d| d.until), due.last().copied(), "{case}");
                assert!(decisions.windows(2).all(|pair| pair[0].until < pair[1].from), "{case}");
                let makes = |d: &Decision| matches!(d.decided, Decided::Fired | Decided::Deferred);
                assert!(decisions.iter().all(|d| d.launch.is_some() == makes(d)), "{case}");
                assert!(decisions.iter().all(|d| d.launch.is_none() || d.slots == 1), "{case}");
                let fired = decisions.iter().filter(|d| d.decided == Decided::Fired).count() as u64;
                let may = if crowd.live + crowd.behind > 0 { 0 } else { 1 };
                assert!(overlap == Overlap::AllowAll || fired <= may, "{case}");
            }
        }
    }
}

#[test]
fn catch_up_all_fires_each_slot_up_to_its_cap_and_tells_of_the_rest() {
    let hourly = with(schedule("0 * * * *"), |policy| policy.catch_up = CatchUp::All);
    let expected = ["fired caught up 02:00:00", "fired caught up 03:00:00", "fired 04:00:00"];
    assert_eq!(planned(&hourly, "01:00:00", "04:00:30", false), expected);
    let two = with(hourly.clone(), |policy| policy.catch_up_max = 2);
    let expected = ["missed_expired 02:00:00-03:00:00 x2", "fired caught up 04:00:00", "fired caught up 05:00:00"];
    assert_eq!(planned(&two, "01:00:00", "05:30:00", false), expected);
    let recent = with(two, |policy| policy.catch_up_window = "40m".parse::<Span>().ok());
    let expected = ["missed_expired 02:00:00-04:00:00 x3", "fired caught up 05:00:00"];
    assert_eq!(planned(&recent, "01:00:00", "05:30:00", false), expected);
    // Those before and after a pause count together.
    let over = [pause("03:30:00", Some("04:30:00"))];
    let expected =
        ["fired caught up 02:00:00", "fired caught up 03:00:00", "skipped_paused 04:00:00", "fired caught up 05:00:00"];
    assert_eq!(planned_with(&hourly, "01:00:00", "05:30:00", false, &over), expected);
    // With overlap, each waits for the one before.
    let queue = with(hourly, |policy| policy.overlap = Overlap::BufferAll);
    let expected = ["fired caught up 02:00:00", "deferred caught up 03:00:00", "deferred 04:00:00"];
    assert_eq!(planned(&queue, "01:00:00", "04:00:30", false), expected);
}

#[test]
fn a_schedule_says_how_late_is_late() {
    let hourly = with(schedule("0 * * * *"), |policy| {
        policy.grace = "10m".parse().expect("a length");
        policy.catch_up = CatchUp::Skip;
    });
    assert_eq!(planned(&hourly, "01:00:00", "02:10:00", false), ["fired 02:00:00"]);
    assert_eq!(planned(&hourly, "01:00:00", "02:10:01", false), ["missed_expired 02:00:00"]);
}

#[test]
fn what_overlaps_waits_or_takes_the_others_place_as_the_schedule_says() {
    let launched = |overlap, live, behind| {
        let hourly = with(schedule("0 * * * *"), |policy| policy.overlap = overlap);
        let crowd = Crowd { live, behind };
        let decisions = plan(&Facts { crowd, ..facts(&hourly, at("01:00:00"), at("02:00:05")) });
        let last = decisions.last().expect("a decision");
        (last.decided, last.launch.map(|launch| (launch.behind, launch.instead)))
    };
    use Instead::{Everybody, Nobody, Waiting};
    for overlap in [Overlap::BufferOne, Overlap::BufferLatest, Overlap::BufferAll, Overlap::CancelOther] {
        assert_eq!(launched(overlap, 0, 0), (Decided::Fired, Some((false, Nobody))), "{overlap:?}");
    }
    assert_eq!(launched(Overlap::BufferOne, 1, 0), (Decided::Deferred, Some((true, Nobody))));
    assert_eq!(launched(Overlap::BufferOne, 1, 1), (Decided::SkippedOverlap, None));
    assert_eq!(launched(Overlap::BufferLatest, 1, 1), (Decided::Deferred, Some((true, Waiting))));
    assert_eq!(launched(Overlap::BufferAll, 1, 999), (Decided::Deferred, Some((true, Nobody))));
    assert_eq!(launched(Overlap::BufferAll, 1, 1000), (Decided::SkippedOverlap, None));
    let gently = (Decided::Deferred, Some((true, Everybody { at_once: false })));
    assert_eq!(launched(Overlap::CancelOther, 1, 0), gently);
    let at_once = (Decided::Deferred, Some((true, Everybody { at_once: true })));
    assert_eq!(launched(Overlap::TerminateOther, 1, 0), at_once);
    assert_eq!(launched(Overlap::AllowAll, 9, 9), (Decided::Fired, Some((false, Nobody))));
}

#[test]
fn of_slots_that_take_each_others_place_the_newest_stays() {
    let second = |overlap| with(schedule("* * * * * *"), |policy| policy.overlap = overlap);
    let expected = ["coalesced 01:00:01-01:00:02 x2", "fired 01:00:03"];
    assert_eq!(planned(&second(Overlap::CancelOther), "01:00:00", "01:00:03", false), expected);
    let expected = ["coalesced 01:00:01-01:00:02 x2", "deferred 01:00:03"];
    assert_eq!(planned(&second(Overlap::BufferLatest), "01:00:00", "01:00:03", true), expected);
    let expected = ["fired 01:00:01", "coalesced 01:00:02", "deferred 01:00:03"];
    assert_eq!(planned(&second(Overlap::BufferLatest), "01:00:00", "01:00:03", false), expected);
    let expected = ["fired 01:00:01", "deferred 01:00:02", "skipped_overlap 01:00:03"];
    assert_eq!(planned(&second(Overlap::BufferOne), "01:00:00", "01:00:03", false), expected);
}

#[test]
fn a_slot_whose_start_is_moved_is_decided_then_and_is_late_from_then() {
    let hourly = with(schedule("0 * * * *"), |policy| {
        policy.splay = "30m".parse().expect("a length");
        policy.catch_up = CatchUp::Skip;
    });
    let start = hourly.start(at("02:00:00"));
    assert!(start > at("02:00:00") && start < at("02:30:00"), "{start}");
    let decided = |now| shown(&plan(&facts(&hourly, at("01:30:00"), now)));
    assert_eq!(decided(start - TICK), [""; 0]);
    assert_eq!(decided(start), ["fired 02:00:00"]);
    assert_eq!(decided(start + TimeDelta::seconds(60)), ["fired 02:00:00"]);
    assert_eq!(decided(start + TimeDelta::seconds(61)), ["missed_expired 02:00:00"]);
    // The last act of a revision decides it ahead; its run waits for the start.
    let decisions = plan(&Facts { closing: true, ..facts(&hourly, at("01:30:00"), at("02:00:01")) });
    assert_eq!(decisions[0].launch.and_then(|launch| launch.due_at), Some(start));
    assert_eq!(decisions[0].lateness(at("02:00:01")), TimeDelta::zero());
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
    let facts = Facts { pauses: &open, closing: true, ..facts(&hourly, at("02:00:00"), at("05:00:10")) };
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
    let never = with(hourly, |policy| policy.catch_up = CatchUp::Skip);
    let expected = ["missed_expired 02:00:00-03:00:00 x2", "skipped_paused 04:00:00", "fired 05:00:00"];
    assert_eq!(planned_with(&never, "01:00:00", "05:00:20", false, &over), expected);
}

fn window(from: &str, until: &str, slots: windows::Slots) -> Window {
    Window {
        name: "night".into(),
        about: None,
        when: When::listed(vec![at(from)..at(until)]),
        zone: chrono_tz::UTC,
        only: false,
        slots,
        mute: false,
        everywhere: false,
    }
}

#[test]
fn what_a_window_closes_is_skipped_as_one() {
    let hourly = schedule("0 * * * *");
    let night = window("02:00:00", "05:00:00", windows::Slots::Skip);
    let windows = Windows(vec![&night]);
    let planned = |watermark, now| shown(&plan(&Facts { windows: &windows, ..facts(&hourly, at(watermark), at(now)) }));
    // The first instant is in it, the last is not.
    assert_eq!(planned("01:30:00", "02:00:00"), ["skipped_window 02:00:00"]);
    assert_eq!(planned("01:30:00", "05:00:00"), ["skipped_window 02:00:00-04:00:00 x3", "fired 05:00:00"]);
    // What was late before it is caught up, also while it is closed: the slot is not in it.
    let expected = ["fired caught up 01:00:00", "skipped_window 02:00:00-03:00:00 x2"];
    assert_eq!(planned("00:30:00", "03:30:00"), expected);
    // A pause comes first.
    let pauses = [pause("03:00:00", Some("03:30:00"))];
    let both = Facts { windows: &windows, pauses: &pauses, ..facts(&hourly, at("01:30:00"), at("04:00:00")) };
    let expected = ["skipped_window 02:00:00", "skipped_paused 03:00:00", "skipped_window 04:00:00"];
    assert_eq!(shown(&plan(&both)), expected);
    // Of a maintenance window, what lies outside is closed.
    let only = Window { only: true, ..night.clone() };
    let windows = Windows(vec![&only]);
    let facts = Facts { windows: &windows, ..facts(&hourly, at("00:30:00"), at("05:00:30")) };
    let expected = [
        "skipped_window 01:00:00",
        "coalesced 02:00:00-03:00:00 x2",
        "fired caught up 04:00:00",
        "skipped_window 05:00:00",
    ];
    assert_eq!(shown(&plan(&facts)), expected);
}

#[test]
fn a_window_that_defers_keeps_one_run_until_it_is_over() {
    let hourly = with(schedule("0 * * * *"), |policy| policy.overlap = Overlap::Skip);
    let night = window("02:00:00", "05:30:00", windows::Slots::Defer);
    let windows = Windows(vec![&night]);
    let planned = |watermark, now, deferred: Option<&str>| {
        let deferred = deferred.map(at);
        plan(&Facts { windows: &windows, deferred, ..facts(&hourly, at(watermark), at(now)) })
    };
    let first = planned("01:30:00", "02:00:10", None);
    assert_eq!(shown(&first), ["deferred 02:00:00"]);
    let launch = first[0].launch.expect("a run");
    assert_eq!((launch.due_at, launch.behind), (Some(at("05:30:00")), true));
    // The one that waits stands for those that come after it.
    assert_eq!(shown(&planned("02:00:00", "03:00:00", Some("05:30:00"))), ["coalesced 03:00:00"]);
    assert_eq!(shown(&planned("01:30:00", "04:00:00", None)), ["deferred 02:00:00", "coalesced 03:00:00-04:00:00 x2"]);
    // Nobody was there to defer them: they are late like any others.
    let expected = ["coalesced 02:00:00-04:00:00 x3", "fired caught up 05:00:00"];
    assert_eq!(shown(&planned("01:30:00", "05:45:00", None)), expected);
}

#[test]
fn lengths_are_said_in_two_units() {
    assert_eq!(words(TimeDelta::seconds(60)), "1m");
    assert_eq!(words(TimeDelta::seconds(7_505)), "2h 5m");
    assert_eq!(words(TimeDelta::seconds(86_401)), "1d");
    assert_eq!(words(TimeDelta::milliseconds(300)), "0s");
}
