//! A week's collisions: how many slots start in each hour, and which schedules start within the same minute.
//!
//! Nothing is listed slot by slot. Schedules that are due at the same instants are one rhythm, hours are counted as one,
//! and of a minute that starts often only that it starts counts: 100,000 schedules take seconds, and so does one of every
//! second.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Offset, SubsecRound, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{
    catalog::{Catalog, Schedule},
    slots::{Cron, Rhythm},
};

/// The hours of a week.
const HOURS: usize = 7 * 24;
/// Its minutes.
const MINUTES: usize = HOURS * 60;
/// The fullest minutes that are told, and those of each target.
const WORST: usize = 5;
/// The names that are told of each.
const NAMES: usize = 20;

/// A week, from an hour on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heat {
    /// The first instant that counts; the first hour may have begun before.
    pub from: DateTime<Utc>,
    /// The end of the last hour.
    pub until: DateTime<Utc>,
    /// The clock on which hours and days are meant.
    #[serde(serialize_with = "name_of")]
    pub zone: Tz,
    /// How many schedules are on.
    pub schedules: usize,
    /// How many slots start in the week.
    pub slots: u64,
    /// The hours, in order.
    pub hours: Vec<Hour>,
    /// The minutes in which most schedules start, at least two.
    pub worst: Vec<Clash>,
    /// The same for jobs that work on one target.
    pub targets: Vec<Clash>,
}

/// An hour of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// Its first instant.
    pub at: DateTime<Utc>,
    /// Slots that start in it.
    pub slots: u64,
}

/// Schedules that start within the same minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clash {
    /// The target that they work on, where that is what they share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The first such minute.
    pub at: DateTime<Utc>,
    /// In how many minutes of the week the same ones start.
    pub minutes: usize,
    /// How many schedules start.
    pub count: u32,
    /// The first of their names.
    pub schedules: Vec<String>,
}

fn name_of<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

/// Draws up the week after `from`: of every schedule that is on, by the hours of the clock of `zone`.
pub fn heat(catalog: &Catalog, zone: Tz, from: DateTime<Utc>) -> Heat {
    let week = Week::new(zone, from);
    let on: Vec<&Schedule> = catalog.schedules.iter().filter(|schedule| schedule.enabled).collect();
    let mut hours = vec![0_u64; HOURS];
    let mut all = Minutes::new();
    let mut by_target: BTreeMap<&str, Minutes> = BTreeMap::new();
    let rhythms = rhythms(&on);
    for (number, group) in rhythms.iter().enumerate() {
        let (counts, minutes) = week.walk(&group[0].cron, group[0].zone);
        for (hour, count) in hours.iter_mut().zip(&counts) {
            *hour += count * group.len() as u64;
        }
        let mark = mark(number);
        all.add(&minutes, group.len(), mark);
        let mut targets: BTreeMap<&str, usize> = BTreeMap::new();
        for target in group.iter().filter_map(|schedule| target(catalog, schedule)) {
            *targets.entry(target).or_default() += 1;
        }
        for (target, count) in targets {
            by_target.entry(target).or_insert_with(Minutes::new).add(&minutes, count, mark);
        }
    }
    let names = |minute: usize, wanted: Option<&str>| {
        let starts = |group: &&Vec<&Schedule>| week.starts_in(&group[0].cron, group[0].zone, minute);
        let mut names: Vec<String> = rhythms
            .iter()
            .filter(starts)
            .flatten()
            .filter(|schedule| wanted.is_none() || target(catalog, schedule) == wanted)
            .map(|schedule| schedule.name.clone())
            .collect();
        names.sort();
        names.truncate(NAMES);
        names
    };
    let clashes = |minutes: &Minutes, target: Option<&str>| -> Vec<Clash> {
        let told = minutes.worst().into_iter().map(|(first, minutes, count)| Clash {
            target: target.map(str::to_owned),
            at: week.minute(first),
            minutes,
            count,
            schedules: names(first, target),
        });
        told.collect()
    };
    Heat {
        from: week.from,
        until: week.begin + TimeDelta::hours(HOURS as i64),
        zone,
        schedules: on.len(),
        slots: hours.iter().sum(),
        hours: hours
            .iter()
            .enumerate()
            .map(|(n, slots)| Hour { at: week.begin + TimeDelta::hours(n as i64), slots: *slots })
            .collect(),
        worst: clashes(&all, None),
        targets: by_target.iter().flat_map(|(target, minutes)| clashes(minutes, Some(target))).collect(),
    }
}

/// The target that a schedule's job works on.
fn target<'c>(catalog: &'c Catalog, schedule: &Schedule) -> Option<&'c str> {
    catalog.jobs.get(&schedule.job)?.table.get("target")?.as_str()
}

/// Schedules that are due at the same instants, together.
fn rhythms<'s>(schedules: &[&'s Schedule]) -> Vec<Vec<&'s Schedule>> {
    let mut place: HashMap<(Rhythm, Tz), usize> = HashMap::new();
    let mut groups: Vec<Vec<&Schedule>> = Vec::new();
    for schedule in schedules {
        let at = *place.entry((schedule.cron.rhythm(), schedule.zone)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(schedule),
            None => groups.push(vec![schedule]),
        }
    }
    groups
}

/// A number that stands for a group, so that the sum of those of two different sets of groups differs.
fn mark(number: usize) -> u64 {
    let digest = Sha256::digest(number.to_le_bytes());
    digest[..8].iter().fold(0, |mark, byte| (mark << 8) | u64::from(*byte))
}

/// The smallest step between instants here.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

struct Week {
    /// The hour of the clock in which it begins.
    begin: DateTime<Utc>,
    from: DateTime<Utc>,
}

impl Week {
    fn new(zone: Tz, from: DateTime<Utc>) -> Self {
        let wall = from.with_timezone(&zone);
        let into = i64::from(wall.minute() * 60 + wall.second());
        Self { begin: from.trunc_subsecs(0) - TimeDelta::seconds(into), from }
    }

    fn minute(&self, n: usize) -> DateTime<Utc> {
        self.begin + TimeDelta::minutes(n as i64)
    }

    /// Slots count strictly after `from`, as everywhere in `next`.
    fn after(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        (at - TICK).max(self.from)
    }

    fn starts_in(&self, cron: &Cron, zone: Tz, minute: usize) -> bool {
        let (at, end) = (self.minute(minute), self.minute(minute + 1));
        cron.next(zone, self.after(at)).is_some_and(|slot| slot < end)
    }

    /// How many slots start in each hour, and the minutes in which any does.
    fn walk(&self, cron: &Cron, zone: Tz) -> (Vec<u64>, Vec<u16>) {
        let (mut counts, mut minutes) = (vec![0; HOURS], Vec::new());
        let mut known: Option<Pattern> = None;
        let mut at = self.from;
        let end = self.minute(MINUTES);
        while let Some(slot) = cron.next(zone, at).filter(|slot| *slot < end) {
            let hour = usize::try_from((slot - self.begin).num_hours()).unwrap_or(0);
            let (begin, over) = (self.minute(hour * 60), self.minute((hour + 1) * 60));
            let count = cron.count(zone, self.after(begin), over - TICK);
            counts[hour] = count;
            let of = Pattern::of(zone, begin, over, count);
            match known.as_ref().filter(|known| of.is_some() && known.same(of.as_ref()) && !cron.is_real_time()) {
                Some(known) => minutes.extend(known.minutes.iter().map(|minute| (hour * 60) as u16 + minute)),
                None => {
                    let listed = self.minutes_of(cron, zone, slot, over);
                    minutes.extend(listed.iter().map(|minute| (hour * 60) as u16 + minute));
                    known = of.map(|of| Pattern { minutes: listed, ..of }).or(known);
                }
            }
            at = over - TICK;
        }
        (counts, minutes)
    }

    /// The minutes of an hour in which a slot starts; the first one is known.
    fn minutes_of(&self, cron: &Cron, zone: Tz, first: DateTime<Utc>, over: DateTime<Utc>) -> Vec<u16> {
        let mut minutes = Vec::new();
        let mut next = Some(first);
        while let Some(slot) = next.filter(|slot| *slot < over) {
            let minute = (slot - self.begin).num_minutes();
            minutes.push((minute % 60) as u16);
            next = cron.next(zone, self.begin + TimeDelta::minutes(minute + 1) - TICK);
        }
        minutes
    }
}

/// The minutes of an hour of the schedule's clock that no change touches. Another such hour that has as many slots has the same, as which minutes
/// of an hour match does not hang on the hour.
struct Pattern {
    count: u64,
    minutes: Vec<u16>,
}

impl Pattern {
    fn of(zone: Tz, begin: DateTime<Utc>, over: DateTime<Utc>, count: u64) -> Option<Self> {
        let offset = |at: DateTime<Utc>| at.with_timezone(&zone).offset().fix().local_minus_utc();
        // The hour before may have been put forward, too, and fire at the first instant of this one.
        let plain = offset(begin - TimeDelta::hours(1)) == offset(over);
        let whole = begin.timestamp() + i64::from(offset(begin));
        (plain && whole % 3600 == 0).then(|| Self { count, minutes: Vec::new() })
    }

    fn same(&self, other: Option<&Self>) -> bool {
        other.is_some_and(|other| self.count == other.count)
    }
}

/// What starts in each minute of the week.
struct Minutes {
    count: Vec<u32>,
    marks: Vec<u64>,
}

impl Minutes {
    fn new() -> Self {
        Self { count: vec![0; MINUTES], marks: vec![0; MINUTES] }
    }

    fn add(&mut self, minutes: &[u16], schedules: usize, mark: u64) {
        for minute in minutes {
            let minute = usize::from(*minute);
            self.count[minute] += u32::try_from(schedules).unwrap_or(u32::MAX);
            self.marks[minute] = self.marks[minute].wrapping_add(mark);
        }
    }

    /// The fullest sets of schedules that start together: the first minute, how many minutes, how many schedules.
    fn worst(&self) -> Vec<(usize, usize, u32)> {
        let mut sets: HashMap<u64, (usize, usize, u32)> = HashMap::new();
        for (minute, count) in self.count.iter().enumerate().filter(|(_, count)| **count > 1) {
            sets.entry(self.marks[minute]).or_insert((minute, 0, *count)).1 += 1;
        }
        let mut sets: Vec<_> = sets.into_values().collect();
        sets.sort_by_key(|(first, _, count)| (std::cmp::Reverse(*count), *first));
        sets.truncate(WORST);
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Files;

    fn catalog(schedules: &[(&str, &str, &str)]) -> Catalog {
        let entry = |(name, job, cron): &(&str, &str, &str)| {
            format!("[[at]]\nname = \"{name}\"\njob = \"{job}\"\ncron = \"{cron}\"\nzone = \"Europe/Berlin\"\n")
        };
        let job = |target| format!("alert = []\n[sql]\ntarget = \"{target}\"\nsql = \"select 1\"\n");
        let files = [
            ("jobs/a.toml", job("one")),
            ("jobs/b.toml", job("one")),
            ("jobs/c.toml", job("two")),
            ("schedules/all.toml", schedules.iter().map(entry).collect()),
        ];
        let parsed = Catalog::parse(&Files(files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect()));
        parsed.catalog.unwrap_or_else(|| panic!("{:?}", parsed.problems))
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    /// The same, slot by slot.
    fn listed(catalog: &Catalog, heat: &Heat) -> (Vec<u64>, Vec<Vec<String>>) {
        let (mut hours, mut minutes) = (vec![0; HOURS], vec![Vec::new(); MINUTES]);
        for schedule in &catalog.schedules {
            for slot in schedule.cron.between(schedule.zone, heat.from, heat.until - TICK, usize::MAX) {
                let minute = (slot - heat.hours[0].at).num_minutes() as usize;
                hours[minute / 60] += 1;
                if !minutes[minute].contains(&schedule.name) {
                    minutes[minute].push(schedule.name.clone());
                }
            }
        }
        (hours, minutes)
    }

    #[test]
    fn a_week_is_the_same_as_slot_by_slot_also_when_clocks_change() {
        let catalog = catalog(&[
            ("daily", "a", "30 2 * * *"),
            ("other", "b", "30 2 * * mon-fri"),
            ("often", "c", "*/7 * * * *"),
            ("seconds", "a", "*/20 0-29 9-17 * * *"),
            ("real", "b", "@every 7m"),
            ("hours", "c", "30 */2 * * *"),
        ]);
        for from in ["2026-03-27T11:17:30Z", "2026-10-23T11:17:30Z", "2026-06-01T00:00:00Z"] {
            for zone in [Tz::UTC, Tz::Europe__Berlin, Tz::Asia__Kolkata] {
                let heat = heat(&catalog, zone, at(from));
                let (hours, minutes) = listed(&catalog, &heat);
                assert_eq!(heat.hours.iter().map(|hour| hour.slots).collect::<Vec<_>>(), hours, "{from} {zone}");
                let fullest = minutes.iter().map(Vec::len).max().unwrap_or(0);
                assert_eq!(heat.worst[0].count as usize, fullest, "{from} {zone}");
                for clash in &heat.worst {
                    let names = &minutes[(clash.at - heat.hours[0].at).num_minutes() as usize];
                    assert_eq!(&clash.schedules, names, "{from} {zone}");
                    assert_eq!(clash.minutes, minutes.iter().filter(|other| *other == names).count(), "{from} {zone}");
                }
            }
        }
    }

    #[test]
    fn jobs_of_one_target_collide_there_only() {
        let catalog = catalog(&[
            ("x", "a", "0 2 * * *"),
            ("y", "b", "0 2 * * *"),
            ("z", "c", "0 2 * * *"),
            ("w", "c", "5 2 * * *"),
        ]);
        let heat = heat(&catalog, Tz::UTC, at("2026-05-31T23:00:00Z"));
        let told = |clash: &Clash| (clash.target.clone(), clash.count, clash.minutes, clash.schedules.join(" "));
        assert_eq!(heat.worst.iter().map(told).collect::<Vec<_>>(), [(None, 3, 7, "x y z".to_owned())]);
        assert_eq!(
            heat.targets.iter().map(told).collect::<Vec<_>>(),
            [(Some("one".to_owned()), 2, 7, "x y".to_owned())]
        );
    }

    #[test]
    fn thousands_of_every_second_are_walked_as_one_rhythm() {
        let schedules: Vec<_> = (0..3_000).map(|n| format!("s{n}")).collect();
        let schedules: Vec<_> = schedules.iter().map(|name| (name.as_str(), "a", "* * * * * *")).collect();
        let catalog = catalog(&schedules);
        let heat = heat(&catalog, Tz::UTC, at("2026-06-01T00:00:00Z"));
        // Strictly after the first of them.
        assert_eq!(heat.slots, 3_000 * 604_799);
        assert_eq!((heat.worst.len(), heat.worst[0].minutes, heat.worst[0].count), (1, MINUTES, 3_000));
        assert_eq!(heat.worst[0].schedules.len(), NAMES);
    }
}
