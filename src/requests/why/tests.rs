//! Explanations, from facts made by hand.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::*;
use crate::{
    catalog::{Catalog, Files, Schedule},
    ledger::{Daemon, Decided, Planning},
    queue::LiveThen,
};

const JOB: &str = "timeout = \"1m\"\nalert = []\n[exec]\nargv = [\"true\"]\n";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn schedule(cron: &str, more: &str) -> Schedule {
    let text =
        format!("[[at]]\nname = \"nightly\"\njob = \"tidy\"\ncron = \"{cron}\"\nzone = \"Europe/Berlin\"\n{more}\n");
    let files = [("jobs/tidy.toml", JOB.to_owned()), ("schedules/all.toml", text)];
    let files = Files(files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect());
    Catalog::parse(&files).catalog.expect("good files").schedules.remove(0)
}

fn mark(id: i64) -> Mark {
    Mark { id, applied_at: at("2026-01-01T00:00:00Z"), applied_by: "anna".to_owned() }
}

/// A slot of `schedule` that nobody decided, a day after it; a daemon is there.
fn facts(schedule: &Schedule, slot: &str) -> Facts {
    let (at, now) = (at(slot), at(slot) + TimeDelta::days(1));
    Facts {
        schedule: "nightly".to_owned(),
        at,
        missing: None,
        zone: Tz::Europe__Berlin,
        then: Then::There(Box::new(Entry::of(schedule, mark(3), at))),
        today: Some(Text::from(schedule)),
        watermark: Some(now),
        removed_at: None,
        decision: None,
        pauses: Vec::new(),
        closed: None,
        live: Vec::new(),
        planning: Planning { now, decided_at: Some(now), decided_by: Some(id(7)), instance: None },
        daemons: vec![Daemon { daemon: id(7), host: "north".to_owned(), pid: 42, seen_at: now }],
    }
}

fn row(facts: &Facts, decision: Decided, reason: &str) -> Decision {
    let slot = RecentSlot {
        schedule: facts.schedule.clone(),
        nominal_at: facts.at,
        until: facts.at,
        slots: 1,
        decision,
        reason: reason.to_owned(),
        lateness: 0.4,
        revision: 3,
        decided_by: id(7),
        decided_at: facts.at + TimeDelta::milliseconds(400),
        run: None,
    };
    Decision { slot, run: None, chain: Vec::new(), in_the_way: Vec::new(), stand_in: None }
}

fn run(n: u128, job: &str, state: &str) -> Told {
    Told {
        id: id(n),
        job: job.to_owned(),
        state: state.to_owned(),
        due_at: at("2026-06-01T00:30:00Z"),
        started_at: Some(at("2026-06-01T00:30:01Z")),
        finished_at: Some(at("2026-06-01T00:31:01Z")),
        spent: 1,
        most_attempts: 3,
        failures: Vec::new(),
        why: None,
        help: None,
        cancel_by: None,
        pause_by: None,
    }
}

fn told(facts: &Facts) -> String {
    explain(facts).join("\n")
}

#[test]
fn a_slot_that_fired_is_told_with_its_run_and_what_followed() {
    let nightly = schedule("30 2 * * *", "");
    let mut facts = facts(&nightly, "2026-06-01T00:30:00Z");
    let mut decision = row(&facts, Decided::Fired, "on time");
    decision.slot.run = Some(id(1));
    let failed = Told {
        failures: vec!["no room".to_owned()],
        why: Some("no room left".to_owned()),
        help: Some("make room".to_owned()),
        spent: 3,
        ..run(1, "tidy", "failed")
    };
    decision.run = Some(failed);
    decision.chain = vec![Told { started_at: None, ..run(2, "sweep", "cancelled") }];
    facts.decision = Some(decision);
    assert_eq!(verdict(&facts), "fired");
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): it fired, and its run failed
        reason: on time
        decided at 2026-06-01T00:30:00Z, 0.4s after it was due, by daemon 00000000-0000-0000-0000-000000000007 (pid 42 on north)
        followed revision 3 (applied 2026-01-01T00:00:00Z by anna): `30 2 * * *` in Europe/Berlin, job tidy
        run 00000000-0000-0000-0000-000000000001 of tidy: failed at 2026-06-01T00:31:01Z, after 1m, attempt 3 of 3
        attempt 1: no room
        because: no room left
        help: make room
        then 00000000-0000-0000-0000-000000000002 of sweep: cancelled at 2026-06-01T00:31:01Z, attempt 1 of 3
    "#);
}

#[test]
fn a_slot_that_did_not_fire_is_told_with_what_was_in_its_way() {
    let nightly = schedule("30 2 * * *", "");
    let mut facts = facts(&nightly, "2026-06-01T00:30:00Z");
    let mut decision = row(&facts, Decided::SkippedOverlap, "a run of tidy was still live, and overlap = \"skip\"");
    decision.in_the_way = vec![LiveThen {
        id: id(5),
        state: "done".to_owned(),
        requested_by: "anna".to_owned(),
        created_at: at("2026-06-01T00:10:00Z"),
        finished_at: Some(at("2026-06-01T01:10:00Z")),
    }];
    facts.decision = Some(decision);
    facts.today = Some(Text::from(&schedule("30 3 * * *", "")));
    assert_eq!(verdict(&facts), "skipped_overlap");
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): it was skipped, as the job was still live
        reason: a run of tidy was still live, and overlap = "skip"
        decided at 2026-06-01T00:30:00Z, 0.4s after it was due, by daemon 00000000-0000-0000-0000-000000000007 (pid 42 on north)
        followed revision 3 (applied 2026-01-01T00:00:00Z by anna): `30 2 * * *` in Europe/Berlin, job tidy
        in the way: run 00000000-0000-0000-0000-000000000005, made at 2026-06-01T00:10:00Z by anna, done at 2026-06-01T01:10:00Z
        today its files say `30 3 * * *` in Europe/Berlin, job tidy
    "#);
}

#[test]
fn a_range_is_told_as_one_and_says_nothing_of_times_between_its_slots() {
    let hourly = schedule("0 * * * *", "");
    let mut ranged = facts(&hourly, "2026-06-01T05:00:00Z");
    let mut decision = row(&ranged, Decided::Coalesced, "the slot of 2026-06-01T09:00:00Z is newer and stands for it");
    decision.slot.nominal_at = at("2026-06-01T01:00:00Z");
    decision.slot.until = at("2026-06-01T08:00:00Z");
    decision.slot.slots = 8;
    let mut fired = row(&ranged, Decided::Fired, "caught up").slot;
    (fired.nominal_at, fired.run) = (at("2026-06-01T09:00:00Z"), Some(id(1)));
    decision.stand_in = Some(fired);
    ranged.decision = Some(decision.clone());
    assert_eq!(verdict(&ranged), "coalesced");
    insta::assert_snapshot!(told(&ranged), @r#"
        nightly, 2026-06-01T05:00:00Z (Mon 01 Jun 2026 07:00:00 CEST): it did not run; a newer slot stands for it
        reason: the slot of 2026-06-01T09:00:00Z is newer and stands for it
        one decision for 8 slots, 2026-06-01T01:00:00Z to 2026-06-01T08:00:00Z
        decided at 2026-06-01T05:00:00Z, 0.4s after the last of them was due, by daemon 00000000-0000-0000-0000-000000000007 (pid 42 on north)
        followed revision 3 (applied 2026-01-01T00:00:00Z by anna): `0 * * * *` in Europe/Berlin, job tidy
        in its place: the slot of 2026-06-01T09:00:00Z fired, run 00000000-0000-0000-0000-000000000001
    "#);

    let mut between = facts(&hourly, "2026-06-01T05:10:00Z");
    between.decision = Some(decision);
    assert_eq!(verdict(&between), "no_slot");
    insta::assert_snapshot!(told(&between), @r#"
        nightly, 2026-06-01T05:10:00Z (Mon 01 Jun 2026 07:10:00 CEST): that is no slot of it
        revision 3 (applied 2026-01-01T00:00:00Z by anna) says `0 * * * *` in Europe/Berlin, job tidy
        the slot before it: 2026-06-01T05:00:00Z (Mon 01 Jun 2026 07:00:00 CEST)
        the slot after it: 2026-06-01T06:00:00Z (Mon 01 Jun 2026 08:00:00 CEST)
    "#);
}

#[test]
fn clocks_are_told_where_they_are_the_reason() {
    let skipping = schedule("30 2 * * *", "dst = { gap = \"skip\" }");
    let mut gap = facts(&skipping, "2026-03-29T01:00:00Z");
    gap.missing = Some(at("2026-03-29T02:30:00Z").naive_utc());
    assert_eq!(verdict(&gap), "no_slot");
    insta::assert_snapshot!(told(&gap), @r#"
        nightly, 2026-03-29T01:00:00Z (Sun 29 Mar 2026 03:00:00 CEST): that is no slot of it
        29 Mar 2026 02:30 does not exist in Europe/Berlin: clocks were put forward, and this is the first instant after the gap
        it would stand for 02:30, which does not exist on that day in Europe/Berlin, and its `dst` leaves it out
        revision 3 (applied 2026-01-01T00:00:00Z by anna) says `30 2 * * *` in Europe/Berlin, job tidy
        the slot before it: 2026-03-28T01:30:00Z (Sat 28 Mar 2026 02:30:00 CET)
        the slot after it: 2026-03-30T00:30:00Z (Mon 30 Mar 2026 02:30:00 CEST)
    "#);

    let second_pass = facts(&schedule("30 2 * * *", ""), "2026-10-25T01:30:00Z");
    assert_eq!(verdict(&second_pass), "no_slot");
    insta::assert_snapshot!(explain(&second_pass)[..2].join("\n"), @r#"
        nightly, 2026-10-25T01:30:00Z (Sun 25 Oct 2026 02:30:00 CET): that is no slot of it
        02:30 comes twice on that day in Europe/Berlin; this is the second, and its `dst` leaves it out
    "#);

    let mut after = facts(&schedule("30 2 * * *", ""), "2026-03-29T01:00:00Z");
    after.decision = Some(row(&after, Decided::Fired, "on time"));
    insta::assert_snapshot!(explain(&after)[..2].join("\n"), @r#"
        nightly, 2026-03-29T01:00:00Z (Sun 29 Mar 2026 03:00:00 CEST): it fired; its run is no longer on record
        it stands for 02:30, which does not exist on that day in Europe/Berlin
    "#);
}

#[test]
fn what_is_to_come_is_told_with_what_may_keep_it() {
    let nightly = schedule("30 2 * * *", "");
    let mut facts = facts(&nightly, "2026-06-01T00:30:00Z");
    facts.planning.now = facts.at - TimeDelta::hours(3);
    facts.watermark = Some(facts.planning.now);
    assert_eq!(verdict(&facts), "to_come");
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): it is due in 3h
        revision 3 (applied 2026-01-01T00:00:00Z by anna) says `30 2 * * *` in Europe/Berlin, job tidy
        nothing is in its way: it will fire
    "#);

    facts.pauses = vec![Pause {
        id: 1,
        schedule: None,
        reason: "month end".to_owned(),
        author: "anna".to_owned(),
        made_at: at("2026-05-31T12:00:00Z"),
        ends_at: None,
    }];
    facts.live = vec![LiveThen {
        id: id(5),
        state: "running".to_owned(),
        requested_by: "bert".to_owned(),
        created_at: at("2026-05-31T20:00:00Z"),
        finished_at: None,
    }];
    (facts.planning.decided_at, facts.daemons) = (Some(at("2026-05-30T00:00:00Z")), Vec::new());
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): it is due in 3h
        revision 3 (applied 2026-01-01T00:00:00Z by anna) says `30 2 * * *` in Europe/Berlin, job tidy
        everything was paused by anna from 2026-05-31T12:00:00Z, until somebody resumes it: month end; it is skipped unless somebody resumes before
        still live: run 00000000-0000-0000-0000-000000000005, made at 2026-05-31T20:00:00Z by bert, running now; if it is then, that counts
        no slot of any schedule was decided since 2026-05-30T00:00:00Z (by daemon 00000000-0000-0000-0000-000000000007), and no daemon was heard of lately; `sexton run` decides it
    "#);

    if let Then::There(entry) = &mut facts.then {
        entry.enabled = false;
    }
    assert_eq!((verdict(&facts), told(&facts).contains("enabled = false")), ("off", true));
}

#[test]
fn what_is_not_decided_says_what_it_waits_for() {
    let nightly = schedule("30 2 * * *", "");
    let mut facts = facts(&nightly, "2026-06-01T00:30:00Z");
    facts.watermark = Some(at("2026-05-31T00:30:00Z"));
    assert_eq!(verdict(&facts), "undecided");
    let daemons = std::mem::take(&mut facts.daemons);
    facts.planning.decided_at = None;
    facts.planning.instance = Some("prod".to_owned());
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): it has been due for 1d and is not decided yet
        no slot of any schedule was ever decided, and no daemon was heard of lately; `sexton run`, with instance = "prod" decides it
        decided up to 2026-05-31T00:30:00Z; what was due since then waits, and nothing is lost
    "#);
    facts.daemons = daemons;
    assert!(told(&facts).contains("their logs say what keeps them"), "{}", told(&facts));
    facts.planning.now = facts.at + TimeDelta::seconds(2);
    assert!(told(&facts).contains("about to decide it"), "{}", told(&facts));
    let pause = Pause {
        id: 1,
        schedule: Some("nightly".to_owned()),
        reason: "month end".to_owned(),
        author: "anna".to_owned(),
        made_at: facts.at,
        ends_at: Some(at("2026-07-01T00:00:00Z")),
    };
    facts.pauses = vec![pause];
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): it has been due for 2s and is not decided yet
        it was paused by anna from 2026-06-01T00:30:00Z to 2026-07-01T00:00:00Z: month end; it is skipped once the pause is over
    "#);
}

#[test]
fn a_schedule_that_was_not_there_is_told_with_when_it_came() {
    let nightly = schedule("30 2 * * *", "");
    let mut facts = facts(&nightly, "2026-06-01T00:30:00Z");
    let later = Mark { id: 4, applied_at: at("2026-06-01T12:00:00Z"), applied_by: "bert".to_owned() };
    facts.then = Then::Absent { followed: mark(3), first: Some(later) };
    assert_eq!(verdict(&facts), "absent");
    insta::assert_snapshot!(told(&facts), @r#"
        nightly, 2026-06-01T00:30:00Z (Mon 01 Jun 2026 02:30:00 CEST): there was no such schedule
        revision 3 (applied 2026-01-01T00:00:00Z by anna) was followed, which does not have it
        revision 4 (applied 2026-06-01T12:00:00Z by bert) has it; slots count from there
    "#);
    facts.then = Then::Absent { followed: mark(3), first: None };
    facts.removed_at = Some(at("2026-01-01T00:00:00Z"));
    assert!(told(&facts).contains("removed from the files at 2026-01-01T00:00:00Z"), "{}", told(&facts));
    facts.then = Then::NoFiles;
    assert_eq!(verdict(&facts), "absent");
    facts.then = Then::There(Box::new(Entry::of(&nightly, mark(3), facts.at)));
    assert_eq!(verdict(&facts), "unrecorded");
}
