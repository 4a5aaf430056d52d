//! What will happen in a campaign: a value that follows from its seed.

use std::{fmt, time::Duration};

use super::work::Work;
use crate::support::random::Random;

/// How large a campaign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) daemons: usize,
    /// How long things go wrong, before they are left in peace.
    pub(super) seconds: u64,
    /// Runs that are asked for in a second.
    pub(super) pace: u64,
}

/// All that will happen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) size: Size,
    pub(super) steps: Vec<(Duration, Step)>,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A run is asked for, whose worker may be silent for so many seconds.
    Ask(Work, u64),
    /// Somebody meddles with the run that was asked for as the so-manieth.
    Meddle(Meddle, usize),
    /// Something breaks.
    Break(Fault),
}

/// What people do to runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meddle {
    Cancel,
    Retry,
    Pause,
    Resume,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// kill -9 of a daemon; another takes its place after a while.
    Kill { daemon: usize, away: Duration },
    /// SIGTERM, as at a deploy.
    Terminate { daemon: usize, away: Duration },
    /// SIGTERM, and again at once.
    TerminateTwice { daemon: usize },
    /// A daemon stands still for longer than the leases, and goes on.
    Freeze { daemon: usize, length: Duration },
    /// All its connections end, and no new one is taken.
    Cut { daemon: usize, length: Duration },
    /// Its connections stay open and say nothing, for longer than the leases.
    Silence { daemon: usize, length: Duration },
    /// It commits, and never hears of it.
    LoseCommit { daemon: usize },
    /// The next answer, to whatever, is lost.
    LoseReply { daemon: usize },
    /// A fast shutdown of the server, and its start.
    Restart,
    /// kill -9 of the server.
    KillServer,
    /// Every connection of everybody is terminated by the server.
    KillBackends,
    /// A daemon is replaced by one that is struck when it comes by this point.
    Point { daemon: usize, name: &'static str, nth: usize, blow: &'static str },
}

/// How many faults there are to draw from, but for the points.
const KINDS: usize = 11;
/// Points where every daemon comes by that works on what a campaign asks for.
const STRUCK: [&str; 17] = [
    "plan.decided",
    "plan.committed",
    "claim.asked",
    "claim.committed",
    "attempt.begun",
    "attempt.done",
    "step.moved",
    "step.committed",
    "settle.written",
    "settle.committed",
    "beat.asked",
    "beat.heard",
    "outbox.decided",
    "outbox.committed",
    "outbox.claimed",
    "outbox.sent",
    "outbox.settled",
];

impl Plan {
    /// The campaign of this seed.
    pub(super) fn new(seed: u64, size: Size) -> Self {
        let mut random = Random::new(seed);
        let mut steps = faults(&mut random, size);
        steps.extend(asks(&mut random, size));
        steps.sort_by_key(|(at, _)| *at);
        Self { seed, size, steps }
    }

    /// What breaks.
    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        self.steps.iter().filter_map(|(_, step)| if let Step::Break(fault) = step { Some(*fault) } else { None })
    }
}

/// Deals from a deck that has every kind once and some points, until the time is over; at least one whole deck.
fn faults(random: &mut Random, size: Size) -> Vec<(Duration, Step)> {
    let points = 2;
    let count = (size.seconds as usize).max(KINDS + points);
    let pace = size.seconds as f64 / count as f64;
    let mut deck = Vec::new();
    let mut names = Vec::new();
    (0..count)
        .map(|nth| {
            if deck.is_empty() {
                deck = (0..KINDS + points).collect();
                random.shuffle(&mut deck);
            }
            if names.is_empty() {
                names = STRUCK.to_vec();
                random.shuffle(&mut names);
            }
            let kind = deck.pop().unwrap_or_default();
            let name = if kind >= KINDS { names.pop().unwrap_or_default() } else { "" };
            let late = random.below(100) as f64 / 100.0;
            let at = Duration::from_secs_f64((nth as f64 + late) * pace);
            (at, Step::Break(deal(kind, name, random, size)))
        })
        .collect()
}

fn deal(kind: usize, name: &'static str, random: &mut Random, size: Size) -> Fault {
    let daemon = random.below(size.daemons);
    let mut millis = |from, to| Duration::from_millis(random.between(from, to).unsigned_abs());
    match kind {
        0 => Fault::Kill { daemon, away: millis(0, 3000) },
        1 => Fault::Terminate { daemon, away: millis(0, 2000) },
        2 => Fault::TerminateTwice { daemon },
        3 => Fault::Freeze { daemon, length: millis(3000, 7000) },
        4 => Fault::Cut { daemon, length: millis(50, 5000) },
        5 => Fault::Silence { daemon, length: millis(2000, 8000) },
        6 => Fault::LoseCommit { daemon },
        7 => Fault::LoseReply { daemon },
        8 => Fault::Restart,
        9 => Fault::KillServer,
        10 => Fault::KillBackends,
        _ => {
            let blow = random.pick(&["kill", "kill", "kill", "err", "delay"]);
            Fault::Point { daemon, name, nth: 1 + random.below(2), blow }
        }
    }
}

fn asks(random: &mut Random, size: Size) -> Vec<(Duration, Step)> {
    let count = size.seconds * size.pace;
    let mut steps = Vec::new();
    let mut deck = Vec::new();
    for nth in 0..count {
        let at = random.between(0, size.seconds.cast_signed() * 900).unsigned_abs();
        if deck.is_empty() {
            deck = vec![0, 0, 0, 1, 1, 2, 2, 3, 4, 5];
            // Who kills daemons is rare: each takes four with it.
            deck.extend((nth == 0).then_some(6));
            random.shuffle(&mut deck);
        }
        let what = match deck.pop().unwrap_or_default() {
            0 => Work::Row(random.pick(&[0, 0, 300, 1500])),
            1 => Work::Archive,
            2 => Work::Ticks(random.pick(&[2, 10, 30])),
            3 => Work::HeldTicks(random.pick(&[5, 15])),
            4 => Work::Fails,
            5 => Work::Unreadable,
            _ => Work::Killer,
        };
        steps.push((Duration::from_millis(at), Step::Ask(what, random.pick(&[2, 3, 4]))));
        if random.chance(40) {
            let meddle = random.pick(&[Meddle::Cancel, Meddle::Retry, Meddle::Pause, Meddle::Resume]);
            let late = random.pick(&[0, 5, 30, 200, 1500]);
            steps.push((Duration::from_millis(at + late), Step::Meddle(meddle, nth as usize)));
        }
    }
    steps
}

impl Fault {
    /// Its sort, for counting.
    pub(super) fn sort(&self) -> String {
        let sort = match self {
            Self::Kill { .. } => "kill -9 of a daemon",
            Self::Terminate { .. } => "SIGTERM to a daemon",
            Self::TerminateTwice { .. } => "SIGTERM twice",
            Self::Freeze { .. } => "a daemon frozen",
            Self::Cut { .. } => "connections cut",
            Self::Silence { .. } => "connections silent",
            Self::LoseCommit { .. } => "reply to a COMMIT lost",
            Self::LoseReply { .. } => "reply lost",
            Self::Restart => "server restarted, fast",
            Self::KillServer => "kill -9 of the server",
            Self::KillBackends => "backends terminated",
            Self::Point { name, nth, blow, .. } => return format!("{name}:{nth}:{blow}"),
        };
        sort.to_owned()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { daemons, seconds, pace } = self.size;
        writeln!(f, "campaign, seed {}: {daemons} daemons, {seconds} s, {pace} runs a second", self.seed)?;
        self.steps.iter().try_for_each(|(at, step)| writeln!(f, "  {:>7.2} s {step:?}", at.as_secs_f64()))
    }
}

#[test]
fn a_plan_follows_from_its_seed_and_leaves_no_fault_out() {
    use std::collections::BTreeSet;
    let size = Size { daemons: 3, seconds: 8, pace: 6 };
    for seed in 0..100 {
        let plan = Plan::new(seed, size);
        assert_eq!(plan, Plan::new(seed, size));
        assert_ne!(plan.steps, Plan::new(seed + 1, size).steps);
        let sorts: BTreeSet<_> = plan.faults().map(|fault| fault.sort()).collect();
        assert_eq!(sorts.len(), KINDS + 2, "{plan}");
        assert!(plan.steps.is_sorted_by_key(|(at, _)| *at), "{plan}");
    }
    assert!(STRUCK.iter().all(|name| sexton::fault::POINTS.contains(name)));
}
