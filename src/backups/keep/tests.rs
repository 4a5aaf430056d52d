//! Claims about plans, held against random histories and a second way to reckon.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeZone};
use chrono_tz::Tz;

use super::*;
use crate::backups::hold::Hold;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn entry(taken_at: DateTime<Utc>, run: u64, verdict: Option<Verdict>) -> Entry {
    let taken_at = DateTime::from_timestamp(taken_at.timestamp(), 0).expect("a time");
    let stem = crate::backups::name::Stem { name: "shop".to_owned(), taken_at, run: format!("{run:012x}") };
    let verdict = verdict.map(|verdict| (taken_at + TimeDelta::hours(1), verdict));
    Entry { stem, keys: vec![], bytes: 1, verdict, hold: None, modified: None }
}

fn keep(text: &str) -> Keep {
    text.parse().expect("a policy")
}

fn newest_first(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| (b.stem.taken_at, &b.stem).cmp(&(a.stem.taken_at, &a.stem)));
    entries
}

fn fates(plan: &Plan) -> BTreeMap<String, Fate> {
    plan.items.iter().map(|item| (item.entry.stem.to_string(), item.fate)).collect()
}

fn staying(plan: &Plan) -> Vec<Entry> {
    plan.items.iter().filter(|item| item.fate == Fate::Keep).map(|item| item.entry.clone()).collect()
}

const ZONES: [Tz; 6] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    // Here clocks are changed at midnight.
    Tz::America__Sao_Paulo,
    Tz::Asia__Beirut,
    // Here a day was left out.
    Tz::Pacific__Apia,
];

/// A history, a policy and a time to plan at.
fn case(seed: u64) -> (Vec<Entry>, Keep, DateTime<Utc>) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let now = at("2010-01-01T00:00:00Z") + TimeDelta::seconds(dice.roll(17 * 366 * 86_400) as i64);
    let count = dice.roll(60);
    // Dense ones have many a bucket, sparse ones many buckets.
    let spread = [2, 40, 400, 2_000][dice.roll(4) as usize];
    let likely_proven = dice.roll(4);
    let entries = (0..count).map(|run| {
        let ahead = if dice.roll(20) == 0 { TimeDelta::days(3) } else { TimeDelta::zero() };
        let taken_at = now + ahead - TimeDelta::seconds(dice.roll(spread * 86_400) as i64);
        let verdict = match dice.roll(4) {
            roll if roll < likely_proven => Some([Verdict::Proven, Verdict::Sampled][dice.roll(2) as usize]),
            _ => [None, Some(Verdict::Verified), Some(Verdict::Failed)][dice.roll(3) as usize],
        };
        let mut entry = entry(taken_at, run, verdict);
        if dice.roll(15) == 0 {
            let until = [None, Some(now + TimeDelta::days(2)), Some(now - TimeDelta::days(2))][dice.roll(3) as usize];
            entry.hold = Some(Hold::new(&entry.stem, "alice", "an audit", until));
        }
        entry
    });
    let entries = newest_first(entries.collect());
    let mut rule = |most: u64| if dice.roll(2) == 0 { None } else { Some(dice.roll(most) as u32 + 1) };
    let rules = [rule(5), rule(40), rule(10), rule(8), rule(14), rule(5)];
    let keep = Keep {
        last: rules[0],
        days: rules[1],
        daily: rules[2],
        weekly: rules[3],
        monthly: rules[4],
        yearly: rules[5].or(Some(1)),
        min_proven: dice.roll(3) as u32 + 1,
        zone: ZONES[dice.roll(6) as usize],
        counts: if dice.roll(4) == 0 { Counts::Verified } else { Counts::Proven },
        lock: None,
    };
    (entries, keep, now)
}

#[test]
fn whatever_the_history_enough_proven_ones_stay() {
    for seed in 0..4_000 {
        let (entries, keep, now) = case(seed);
        let plan = plan("shop", entries.clone(), &keep, now);
        let left = staying(&plan);
        let proven = |entries: &[Entry]| entries.iter().filter(|e| e.is_proven() && e.stem.taken_at <= now).count();
        assert!(proven(&left) >= proven(&entries).min(keep.min_proven as usize), "{seed}: {keep:?}");
        let newest = entries.iter().find(|entry| entry.stem.taken_at <= now);
        assert!(newest.is_none_or(|newest| left.contains(newest)), "{seed}: the newest goes");
        for item in &plan.items {
            let stays = item.entry.stem.taken_at > now || item.entry.hold_at(now).is_some();
            assert!(!stays || item.fate == Fate::Keep, "{seed}: {item:?}");
            assert!(!item.because().is_empty(), "{seed}: {item:?}");
        }
    }
}

#[test]
fn an_unproven_one_never_evicts_a_proven_one() {
    for seed in 0..4_000 {
        let (entries, keep, now) = case(seed);
        let keep = Keep { counts: Counts::Proven, ..keep };
        let all = fates(&plan("shop", entries.clone(), &keep, now));
        let proven: Vec<Entry> = entries.into_iter().filter(Entry::is_proven).collect();
        for (stem, fate) in fates(&plan("shop", proven, &keep, now)) {
            assert_eq!(all[&stem], fate, "{seed}: {stem}");
        }
    }
}

#[test]
fn a_plan_that_was_executed_leaves_nothing_to_do() {
    for seed in 0..4_000 {
        let (entries, keep, now) = case(seed);
        let left = staying(&plan("shop", entries, &keep, now));
        let again = plan("shop", left, &keep, now);
        assert_eq!(again.going().count(), 0, "{seed}: {keep:?}");
    }
}

#[test]
fn what_a_plan_says_of_the_time_to_come_is_true() {
    for seed in 0..400 {
        let (entries, keep, now) = case(seed);
        let first = plan("shop", entries.clone(), &keep, now);
        for item in &first.items {
            let Some(until) = item.until() else { continue };
            assert!(until > now, "{seed}: {item:?}");
            let before = fates(&plan("shop", entries.clone(), &keep, until - TimeDelta::seconds(1)));
            assert_eq!(before[&item.entry.stem.to_string()], Fate::Keep, "{seed}: {item:?}");
        }
        // Time alone brings nothing back.
        let later = fates(&plan("shop", entries.clone(), &keep, now + TimeDelta::hours(1)));
        for item in first.going() {
            assert_eq!(later[&item.entry.stem.to_string()], Fate::Delete, "{seed}: {item:?}");
        }
    }
}

/// Walks back day by day on the clock of the zone and collects the last so many labels.
fn last_labels(now: DateTime<Utc>, zone: Tz, format: &str, count: u32) -> Vec<String> {
    let today = now.with_timezone(&zone).date_naive();
    let mut labels: Vec<String> = Vec::new();
    for date in today.iter_days_back() {
        let label = date.format(format).to_string();
        if labels.last() != Some(&label) {
            labels.push(label);
        }
        if labels.len() > count as usize {
            labels.pop();
            break;
        }
    }
    labels
}

trait Back {
    fn iter_days_back(self) -> impl Iterator<Item = NaiveDate>;
}

impl Back for NaiveDate {
    fn iter_days_back(self) -> impl Iterator<Item = NaiveDate> {
        std::iter::successors(Some(self), NaiveDate::pred_opt)
    }
}

#[test]
fn the_newest_proven_of_each_bucket_stays_as_a_second_reckoning_finds_it() {
    for seed in 0..1_500 {
        let (entries, keep, now) = case(seed);
        let keep = Keep { counts: Counts::Proven, ..keep };
        let all = fates(&plan("shop", entries.clone(), &keep, now));
        let sorts = [(keep.daily, "%Y-%m-%d"), (keep.weekly, "%G-W%V"), (keep.monthly, "%Y-%m"), (keep.yearly, "%Y")];
        for (count, format) in sorts {
            for label in count.map(|count| last_labels(now, keep.zone, format, count)).unwrap_or_default() {
                let within = |entry: &&Entry| {
                    let local = entry.stem.taken_at.with_timezone(&keep.zone);
                    entry.is_proven() && entry.stem.taken_at <= now && local.format(format).to_string() == label
                };
                if let Some(newest) = entries.iter().find(within) {
                    assert_eq!(all[&newest.stem.to_string()], Fate::Keep, "{seed}: {label} {keep:?}");
                }
            }
        }
    }
}

#[test]
fn weeks_are_those_of_iso_8601() {
    let sunday = at("2027-01-03T12:00:00Z");
    let monday = at("2027-01-04T12:00:00Z");
    assert_eq!(Sort::Week.label(Sort::Week.of(sunday, Tz::UTC)), "week 2026-W53");
    assert_eq!(Sort::Week.label(Sort::Week.of(monday, Tz::UTC)), "week 2027-W01");
    assert_eq!(Sort::Week.of(monday, Tz::UTC) - Sort::Week.of(sunday, Tz::UTC), 1);
    assert_eq!(Sort::Week.begins(Sort::Week.of(monday, Tz::UTC), Tz::UTC), at("2027-01-04T00:00:00Z"));
}

#[test]
fn a_day_begins_where_the_clock_of_its_zone_says() {
    // In São Paulo midnight was left out on this day, in Beirut it came twice.
    let day = Sort::Day.of(at("2018-11-04T12:00:00Z"), Tz::America__Sao_Paulo);
    assert_eq!(Sort::Day.begins(day, Tz::America__Sao_Paulo), at("2018-11-04T03:00:00Z"));
    let day = Sort::Day.of(at("2020-10-25T12:00:00Z"), Tz::Asia__Beirut);
    let begins = Sort::Day.begins(day, Tz::Asia__Beirut);
    assert_eq!(begins, Tz::Asia__Beirut.with_ymd_and_hms(2020, 10, 25, 0, 0, 0).latest().expect("a time").to_utc());
    // 23:30 UTC is the next day in Berlin already.
    let late = at("2026-03-01T23:30:00Z");
    assert_eq!(Sort::Day.label(Sort::Day.of(late, Tz::Europe__Berlin)), "2026-03-02");
}

#[test]
fn a_failed_newest_one_blocks_and_words_say_why() {
    let now = at("2026-06-01T12:00:00Z");
    let day = |days: i64, verdict| entry(now - TimeDelta::days(days), days as u64, verdict);
    let proven = Some(Verdict::Proven);
    let entries = vec![day(0, Some(Verdict::Failed)), day(1, proven), day(2, proven), day(3, None), day(40, proven)];
    let made = plan("shop", entries.clone(), &keep("days=30"), now);
    assert!(made.blocked.as_ref().is_some_and(|why| why.contains("failed")), "{made:?}");
    let good = plan("shop", entries[1..].to_vec(), &keep("days=30"), now);
    assert_eq!(good.blocked, None);
    let words: Vec<String> = good.items.iter().map(Item::because).collect();
    assert_eq!(
        words,
        [
            "the newest; while among the newest 2 proven ones; not 30 days old",
            "while among the newest 2 proven ones; not 30 days old",
            "stored, and not 30 days old",
            "30 days old",
        ]
    );
    assert_eq!(good.items[3].fate, Fate::Delete);
    assert_eq!(good.items[1].until(), Some(at("2026-06-29T12:00:00Z")));
    assert_ne!(good.hash(), plan("shop", entries[1..4].to_vec(), &keep("days=30"), now).hash());
    assert_eq!(good.beyond(&plan("shop", entries[1..4].to_vec(), &keep("days=30"), now)).len(), 1);
}

#[test]
fn a_policy_is_read_and_its_mistakes_are_found() {
    let read = keep("{ last=3, weekly=8, zone=\"Europe/Berlin\", counts=verified }");
    assert_eq!((read.last, read.weekly, read.min_proven, read.counts), (Some(3), Some(8), 2, Counts::Verified));
    for text in
        ["", "min_proven=2", "days=0", "days=30,min_proven=0", "weeks=3", "days", "days=40000", "days=1,zone=Mars"]
    {
        assert!(text.parse::<Keep>().is_err(), "{text}");
    }
}
