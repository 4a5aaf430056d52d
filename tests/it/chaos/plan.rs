//! What will happen in a campaign: a value that follows from its seed.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::support::random::Random;

/// How large a campaign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) daemons: usize,
    pub(super) schedules: usize,
    /// How long things go wrong, before they are left in peace.
    pub(super) seconds: u64,
}

/// All that will happen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) size: Size,
    /// What the server's clock says at the start: shortly before clocks are changed somewhere.
    pub(super) start: DateTime<Utc>,
    /// Where they are changed.
    pub(super) zone: Tz,
    /// How far each daemon's own clock is ahead of the server's first, in seconds.
    pub(super) skews: Vec<i64>,
    /// What goes wrong, and when.
    pub(super) faults: Vec<(Duration, Fault)>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// kill -9 of a daemon; another takes its place after a while.
    Kill { daemon: usize, away: Duration },
    /// SIGTERM, as at a deploy; the next one may come before the old one is gone.
    Terminate { daemon: usize, away: Duration },
    /// A daemon stands still, as a machine that sleeps, and goes on.
    Freeze { daemon: usize, length: Duration },
    /// All its connections end, and no new one is taken.
    Cut { daemon: usize, length: Duration },
    /// Its connections stay open and say nothing.
    Silence { daemon: usize, length: Duration },
    /// A planner commits, and never hears of it.
    LoseCommit { daemon: usize },
    /// The next answer, to whatever, is lost.
    LoseReply { daemon: usize },
    /// A fast shutdown of the server, and its start.
    Restart,
    /// An immediate one, which recovers from its log.
    RestartAtOnce,
    /// kill -9 of the server.
    KillServer,
    /// The server's clock is set ahead by so many seconds.
    Forward(i64),
    /// The server's clock is set back by so many seconds.
    Back(i64),
    /// The files are edited, and a daemon is told.
    Reload { daemon: usize },
    /// Everything is paused, and resumed.
    Pause { length: Duration },
}

/// How many faults there are to draw from.
const KINDS: usize = 14;
/// The server's clock is stepped by at most this much, in seconds.
pub(super) const STEP: i64 = 300;

/// When clocks are changed, and where: an hour comes twice or is left out, half an hour comes twice, a year begins.
const EDGES: [(&str, Tz); 6] = [
    ("2026-10-25T01:00:00Z", Tz::Europe__Berlin),
    ("2026-11-01T06:00:00Z", Tz::America__New_York),
    ("2027-03-14T07:00:00Z", Tz::America__New_York),
    ("2027-03-28T01:00:00Z", Tz::Europe__Berlin),
    ("2027-04-03T15:00:00Z", Tz::Australia__Lord_Howe),
    ("2027-01-01T00:00:00Z", Tz::UTC),
];

impl Plan {
    /// The campaign of this seed.
    pub(super) fn new(seed: u64, size: Size) -> Self {
        let mut random = Random::new(seed);
        let (edge, zone) = random.pick(&EDGES);
        let edge: DateTime<Utc> = edge.parse().expect("an instant");
        let start = edge - Duration::from_secs(random.between(20, 240).unsigned_abs());
        let mut skews = vec![0; size.daemons];
        for skew in skews.iter_mut().step_by(3) {
            *skew = random.pick(&[-3600, -300, -65, 65, 300, 3600]);
        }
        let faults = faults(&mut random, size);
        Self { seed, size, start, zone, skews, faults }
    }
}

/// Deals from a deck that has every kind once, until the time is over; at least one whole deck.
fn faults(random: &mut Random, size: Size) -> Vec<(Duration, Fault)> {
    let count = (size.seconds as usize).max(KINDS);
    let pace = size.seconds as f64 / count as f64;
    let mut deck = Vec::new();
    let mut ahead = 0;
    (0..count)
        .map(|nth| {
            if deck.is_empty() {
                deck = (0..KINDS).collect();
                random.shuffle(&mut deck);
            }
            let fault = deal(deck.pop().unwrap_or_default(), random, size, &mut ahead);
            let late = random.below(100) as f64 / 100.0;
            (Duration::from_secs_f64((nth as f64 + late) * pace), fault)
        })
        .collect()
}

fn deal(kind: usize, random: &mut Random, size: Size, ahead: &mut i64) -> Fault {
    let daemon = random.below(size.daemons);
    let mut millis = |from, to| Duration::from_millis(random.between(from, to).unsigned_abs());
    match kind {
        0 => Fault::Kill { daemon, away: millis(0, 4000) },
        1 => Fault::Terminate { daemon, away: millis(0, 3000) },
        2 => Fault::Freeze { daemon, length: millis(500, 15_000) },
        3 => Fault::Cut { daemon, length: millis(50, 3000) },
        4 => Fault::Silence { daemon, length: millis(1000, 12_000) },
        5 => Fault::LoseCommit { daemon },
        6 => Fault::LoseReply { daemon },
        7 => Fault::Restart,
        8 => Fault::RestartAtOnce,
        9 => Fault::KillServer,
        10 | 11 => {
            // Not ever further away in one direction.
            let forward = if ahead.abs() > 2 * STEP { *ahead < 0 } else { kind == 10 };
            let step = random.between(5, STEP);
            *ahead += if forward { step } else { -step };
            if forward { Fault::Forward(step) } else { Fault::Back(step) }
        }
        12 => Fault::Reload { daemon },
        _ => Fault::Pause { length: millis(300, 1500) },
    }
}

impl Fault {
    /// Its sort, for counting.
    pub(super) fn sort(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill -9 of a daemon",
            Self::Terminate { .. } => "SIGTERM to a daemon",
            Self::Freeze { .. } => "a daemon frozen",
            Self::Cut { .. } => "connections cut",
            Self::Silence { .. } => "connections silent",
            Self::LoseCommit { .. } => "reply to a COMMIT lost",
            Self::LoseReply { .. } => "reply lost",
            Self::Restart => "server restarted, fast",
            Self::RestartAtOnce => "server restarted, immediate",
            Self::KillServer => "kill -9 of the server",
            Self::Forward(_) => "server's clock forward",
            Self::Back(_) => "server's clock back",
            Self::Reload { .. } => "files edited",
            Self::Pause { .. } => "paused and resumed",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { daemons, schedules, seconds } = self.size;
        writeln!(
            f,
            "chaos, seed {}: {daemons} daemons, {schedules} schedules, {seconds} s from {} ({})",
            self.seed, self.start, self.zone
        )?;
        writeln!(f, "  daemons' clocks ahead by {:?} s", self.skews)?;
        self.faults.iter().try_for_each(|(at, fault)| writeln!(f, "  {:>7.2} s {fault:?}", at.as_secs_f64()))
    }
}

#[test]
fn a_plan_follows_from_its_seed_and_leaves_no_fault_out() {
    let size = Size { daemons: 10, schedules: 1000, seconds: 20 };
    let sorts = |plan: &Plan| {
        plan.faults.iter().map(|(_, fault)| fault.sort()).collect::<std::collections::BTreeSet<_>>().len()
    };
    for seed in 0..100 {
        let plan = Plan::new(seed, size);
        assert_eq!(plan, Plan::new(seed, size));
        assert_ne!(plan.faults, Plan::new(seed + 1, size).faults);
        assert_eq!(sorts(&plan), KINDS, "{plan}");
        assert!(plan.faults.is_sorted_by_key(|(at, _)| *at), "{plan}");
        assert!(plan.faults.last().is_some_and(|(at, _)| *at <= Duration::from_secs(size.seconds)), "{plan}");
    }
}
