//! The campaign's schedules and jobs: many sorts, drawn from the seed, cheap enough for two cores.

use std::fmt::Write as _;

use chrono::{NaiveTime, Timelike};
use chrono_tz::Tz;

use super::plan::Plan;
use crate::support::random::Random;

/// A schedule, in a form that the campaign itself understands.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) cron: String,
    pub(super) zone: Tz,
    pub(super) when: When,
    pub(super) catch_up: &'static str,
    /// How late a slot may be and still count as on time, in seconds.
    pub(super) grace: i64,
    /// How much later than its slot a run may start, in seconds.
    pub(super) spread: i64,
    job: String,
    overlap: &'static str,
    more: String,
}

/// When it is due, without any cron library's help.
#[derive(Debug, Clone)]
pub(super) enum When {
    /// At the multiples of so many seconds since 1970.
    Every(i64),
    /// When the clock on the wall shows such a second, minute and hour. Fixed: with no wildcard and no step in them.
    Wall { parts: [Part; 3], fixed: bool },
    /// Not while a campaign lasts.
    Never,
}

/// One field: what it says, and which numbers it means.
#[derive(Debug, Clone)]
pub(super) struct Part {
    text: String,
    numbers: Vec<u32>,
}

impl Part {
    fn all() -> Self {
        Self { text: "*".to_owned(), numbers: (0..60).collect() }
    }

    fn step(step: u32) -> Self {
        Self { text: format!("*/{step}"), numbers: (0..60).step_by(step as usize).collect() }
    }

    fn list(numbers: Vec<u32>) -> Self {
        let text = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        Self { text, numbers }
    }
}

impl When {
    fn wall(parts: [Part; 3]) -> Self {
        // Every number of a field in a list is a wildcard in other words.
        let takes_all = parts.iter().zip([60, 60, 24]).any(|(part, most)| part.numbers.len() >= most);
        let fixed = !takes_all && parts.iter().all(|part| !part.text.contains('*'));
        Self::Wall { parts, fixed }
    }

    /// Whether the clock shows a time that is meant.
    pub(super) fn shows(&self, time: NaiveTime) -> bool {
        match self {
            Self::Wall { parts, .. } => {
                let shown = [time.second(), time.minute(), time.hour()];
                parts.iter().zip(shown).all(|(part, number)| part.numbers.contains(&number))
            }
            Self::Every(_) | Self::Never => false,
        }
    }

    fn cron(&self) -> String {
        match self {
            Self::Every(seconds) => format!("@every {seconds}s"),
            Self::Wall { parts: [second, minute, hour], .. } => {
                format!("{} {} {} * * *", second.text, minute.text, hour.text)
            }
            Self::Never => "0 0 12 1 8 *".to_owned(),
        }
    }
}

const ZONES: [Tz; 5] = [Tz::UTC, Tz::Asia__Kolkata, Tz::America__St_Johns, Tz::Pacific__Chatham, Tz::Europe__London];
const CATCH_UPS: [(&str, &str); 6] = [
    ("skip", ""),
    ("latest", ""),
    ("latest", "catch_up_window = \"90s\""),
    ("latest", "catch_up_window = \"1h\""),
    ("all", "catch_up_max = 3"),
    ("all", "catch_up_window = \"4m\""),
];
const OVERLAPS: [&str; 8] =
    ["skip", "allow_all", "allow_all", "buffer_one", "buffer_latest", "buffer_all", "cancel_other", "terminate_other"];
/// How many jobs the schedules share, and which of them are slow.
const JOBS: usize = 150;
const SLOW: usize = 12;

/// The schedules of a plan.
pub(super) fn schedules(plan: &Plan) -> Vec<Planned> {
    let mut random = Random::new(plan.seed ^ 0x5eed);
    (0..plan.size.schedules)
        .map(|number| {
            let when = when(number, &mut random);
            let zone = if random.chance(50) { plan.zone } else { random.pick(&ZONES) };
            let (catch_up, more) = random.pick(&CATCH_UPS);
            let grace = random.pick(&[60, 60, 60, 15]);
            let (splay, jitter) = (random.pick(&[0, 0, 0, 0, 20]), random.pick(&[0, 0, 0, 0, 10]));
            let mut more = format!("{more}\ngrace = \"{grace}s\"");
            for (key, seconds) in [("splay", splay), ("jitter", jitter)].iter().filter(|(_, seconds)| *seconds > 0) {
                let _ = write!(more, "\n{key} = \"{seconds}s\"");
            }
            Planned {
                name: format!("s-{number:04}"),
                cron: when.cron(),
                zone,
                when,
                catch_up,
                grace,
                spread: splay + jitter,
                job: format!("j-{:03}", random.below(JOBS)),
                overlap: random.pick(&OVERLAPS),
                more,
            }
        })
        .collect()
}

fn when(number: usize, random: &mut Random) -> When {
    let mut some = |most: i64, count: usize| {
        let mut numbers: Vec<u32> = (0..count).map(|_| random.between(0, most - 1).unsigned_abs() as u32).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Part::list(numbers)
    };
    match number % 100 {
        // A few are due all the time, however many schedules there are.
        0 if number < 300 => When::wall([Part::all(), Part::all(), Part::all()]),
        0..15 => When::Every(random.pick(&[20, 30, 45, 60])),
        15..25 => When::wall([Part::list(vec![0]), Part::all(), Part::all()]),
        25..45 => When::wall([some(60, 1), Part::all(), Part::all()]),
        45..60 => {
            let second = some(60, 1);
            When::wall([second, Part::step(random.pick(&[2, 3, 5])), Part::all()])
        }
        60..65 => When::wall([Part::step(30), some(60, 8), Part::all()]),
        65..75 => When::wall([some(60, 1), some(60, 12), Part::list((0..24).collect())]),
        75..85 => When::wall([some(60, 1), some(60, 12), Part::list((0..23).collect())]),
        85..90 => When::wall([some(60, 2), some(60, 8), Part::list(vec![0, 1, 2, 3, 12, 22, 23])]),
        90..95 => When::Every(random.pick(&[300, 3600])),
        _ => When::Never,
    }
}

/// The text of the schedules' file; another number, another revision.
pub(super) fn file(schedules: &[Planned], edition: usize) -> String {
    let mut text = format!("# Edition {edition}.\n");
    for Planned { name, cron, zone, job, catch_up, overlap, more, .. } in schedules {
        let _ = writeln!(
            text,
            "[[at]]\nname = \"{name}\"\njob = \"{job}\"\ncron = \"{cron}\"\nzone = \"{zone}\"\n\
             catch_up = \"{catch_up}\"\noverlap = \"{overlap}\"\n{more}"
        );
    }
    text
}

/// Names and texts of the jobs.
pub(super) fn jobs() -> Vec<(String, String)> {
    (0..JOBS)
        .map(|number| {
            let sql = if number < SLOW { "select pg_sleep(1.5)::text" } else { "select 1 as one" };
            let text = format!(
                "alert = []\non_lost = \"retry\"\ntimeout = \"5s\"\n\
                 retry = {{ attempts = 3, first = \"1s\", most = \"2s\" }}\n\
                 [sql]\ntarget = \"work\"\nsql = \"{sql}\"\n"
            );
            (format!("j-{number:03}"), text)
        })
        .collect()
}
