//! The plan against plain counting: limits hold, sides never overlap, rates are kept, and everybody gets in.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn most(name: &str, most: u32) -> Gate {
    Gate { most: Some(most), ..Gate::new(name) }
}

fn side(side: &str) -> Gate {
    Gate { side: Some(side.to_owned()), ..Gate::new("data:x") }
}

fn rate(name: &str, most: u32, seconds: u64) -> Gate {
    Gate { rate: Some(Rate { most, per: Span::seconds(seconds) }), ..Gate::new(name) }
}

fn lane(gates: &[Gate]) -> Lane {
    Lane::new(&[], gates)
}

/// Runs in lanes 1, 2, …, each waiting since the second that is its rank; their numbers are their ids.
fn facts(lanes: &[Lane], waiting: &[(i32, i64)]) -> Facts {
    Facts {
        now: at(1000),
        slots: 100,
        lanes: (1..).zip(lanes.iter().cloned()).collect(),
        waiting: (1..)
            .zip(waiting)
            .map(|(id, (lane, rank))| Waiting { run: run(id), lane: *lane, rank: at(*rank), due_at: at(*rank) })
            .collect(),
        ..Facts::default()
    }
}

fn run(id: u128) -> Uuid {
    Uuid::from_u128(id)
}

fn running(lane: i32, second: i64) -> Holder {
    Holder { lane, started_at: at(second) }
}

#[test]
fn as_many_start_as_may() {
    let mut facts = facts(&[lane(&[most("job:a", 2)])], &[(1, 3), (1, 1), (1, 2)]);
    assert_eq!(plan(&facts).start, [run(2), run(3)], "in the order of their ranks");
    facts.running = vec![running(1, 0)];
    assert_eq!(plan(&facts).start, [run(2)]);
    facts.running.push(running(1, 0));
    let stuck = plan(&facts);
    assert!(stuck.start.is_empty());
    assert_eq!(stuck.waits[&1].to_string(), "waits: 2 of 2 runs of job a are running");
    facts.slots = 0;
    assert_eq!(plan(&facts), Plan::default());
}

#[test]
fn sides_take_turns_in_the_order_of_their_ranks() {
    let lanes = [lane(&[side("dump")]), lane(&[side("move")])];
    let mut facts = facts(&lanes, &[(1, 1), (2, 2), (1, 3)]);
    assert_eq!(plan(&facts).start, [run(1)], "the second dump does not overtake what moves");
    facts.running = vec![running(1, 0)];
    facts.waiting.remove(0);
    let stuck = plan(&facts);
    assert!(stuck.start.is_empty());
    assert_eq!(
        stuck.waits[&2].to_string(),
        "waits: the data of x is being dumped, and what moves rows never overlaps that"
    );
    assert_eq!(stuck.waits[&1].to_string(), "waits: a run that was there before waits for the data of x");
    facts.running = vec![];
    facts.waiting.remove(0);
    facts.waiting.push(Waiting { run: run(9), ..facts.waiting[0] });
    assert_eq!(plan(&facts).start.len(), 2, "two of the same side overlap");
}

#[test]
fn a_rate_lets_as_many_go_at_once_and_then_one_by_one() {
    let mut facts = facts(&[lane(&[rate("job:a", 2, 60)])], &[(1, 1), (1, 2), (1, 3)]);
    let first = plan(&facts);
    assert_eq!(first.start, [run(1), run(2)]);
    assert_eq!(first.spent["job:a"], at(1060));
    assert_eq!(first.again_at, Some(at(1030)));
    facts.rates = first.spent.into_iter().collect();
    facts.waiting.drain(..2);
    facts.now = at(1029);
    assert_eq!(plan(&facts).waits[&1].to_string(), "waits until 00:17:10: 2 runs a minute of job a");
    facts.now = at(1030);
    assert_eq!(plan(&facts).start, [run(3)]);
}

#[test]
fn what_no_gate_limits_goes_in_turn_with_what_does() {
    let mut facts = facts(&[lane(&[most("job:a", 1)])], &[(1, 5)]);
    facts.free = vec![at(1), at(9)];
    facts.slots = 1;
    assert_eq!((plan(&facts).start, plan(&facts).free), (vec![], 1));
    facts.slots = 2;
    assert_eq!((plan(&facts).start, plan(&facts).free), (vec![run(1)], 1));
    facts.running = vec![running(1, 0)];
    assert_eq!((plan(&facts).start, plan(&facts).free), (vec![], 2), "what waits at a gate takes no slot");
}

#[test]
fn needs_that_nobody_has_are_told_and_hold_up_nobody() {
    let gate = most("target:x", 1);
    let far = Lane::new(&["region=eu".to_owned(), "target:x".to_owned()], std::slice::from_ref(&gate));
    let near = Lane::new(&["target:x".to_owned()], &[gate]);
    let mut facts = facts(&[far, near], &[(1, 1), (2, 2)]);
    facts.has = vec!["target:x".to_owned()];
    let alone = plan(&facts);
    assert_eq!(alone.start, [run(2)]);
    assert_eq!(alone.waits[&1].to_string(), "waits: no daemon that is running has region=eu");
    facts.others = vec![vec!["region=eu".to_owned()]];
    assert_eq!(
        plan(&facts).waits[&1].to_string(),
        "waits: no daemon that is running has region=eu and target:x",
        "all are there, but on two daemons"
    );
    facts.others = vec![vec!["region=eu".to_owned(), "target:x".to_owned()]];
    let both = plan(&facts);
    assert!(both.start.is_empty(), "the other daemon's run was there before");
    assert!(!both.waits.contains_key(&1));
}

#[test]
fn a_backlog_at_one_gate_leaves_the_others_open() {
    let lanes = [lane(&[most("job:a", 1), most("target:x", 4)]), lane(&[most("target:x", 4)])];
    let mut facts = facts(&lanes, &[(1, 1), (1, 2), (1, 3), (2, 10), (2, 11), (2, 12), (2, 13)]);
    facts.running = vec![running(1, 0)];
    assert_eq!(plan(&facts).start, [run(4), run(5), run(6)]);
}

/// Two gates that are never free at the same time, because others come through each in turn.
#[test]
fn who_needs_two_busy_gates_is_not_starved() {
    let lanes = [lane(&[most("a", 1), most("b", 1)]), lane(&[most("a", 1)]), lane(&[most("b", 1)])];
    let mut held: Vec<(i32, i64, i64)> = vec![(2, 0, 3), (3, 0, 5)];
    for second in 1..60 {
        held.retain(|(.., until)| *until > second);
        let mut facts = facts(&lanes, &[(1, 1), (2, 2), (3, 2)]);
        facts.now = at(second);
        facts.running = held.iter().map(|(lane, since, _)| running(*lane, *since)).collect();
        for run in plan(&facts).start {
            match run.as_u128() {
                1 => return,
                lane => held.push((lane as i32, second, second + 4)),
            }
        }
    }
    panic!("it never got in");
}

/// A small generator, so that a seed replays a case.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % sides
    }
}

/// A world of daemons, lanes and arrivals, in which nothing is decided but by the plan.
struct World {
    lanes: HashMap<i32, Lane>,
    daemons: Vec<Vec<String>>,
    waiting: Vec<Waiting>,
    /// Lane, daemon, start, end.
    running: Vec<(i32, usize, i64, i64)>,
    rates: HashMap<String, DateTime<Utc>>,
    starts: BTreeMap<String, Vec<i64>>,
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let gates =
            [most("m1", 1), most("m2", 2), most("m3", 3), rate("r", 3, 12), Gate { most: Some(2), ..rate("rm", 2, 5) }];
        let lanes = 2 + dice.roll(5) as i32;
        let lanes = (1..=lanes).map(|id| {
            let mut own: Vec<Gate> = gates.iter().filter(|_| dice.roll(3) == 0).cloned().collect();
            match dice.roll(3) {
                0 => own.push(side("dump")),
                1 => own.push(side("move")),
                _ => {}
            }
            let needs: Vec<String> =
                ["eu", "us"].into_iter().filter(|_| dice.roll(4) == 0).map(str::to_owned).collect();
            (id, Lane::new(&needs, &own))
        });
        let lanes = lanes.collect();
        let has = |needs: &[&str]| needs.iter().map(|need| (*need).to_owned()).collect();
        Self {
            lanes,
            daemons: vec![has(&["eu", "us"]), has(&["us"]), has(&["eu"])],
            waiting: Vec::new(),
            running: Vec::new(),
            rates: HashMap::new(),
            starts: BTreeMap::new(),
        }
    }

    /// What one daemon sees: the first few of each lane.
    fn facts(&self, daemon: usize, second: i64, slots: usize) -> Facts {
        let mut waiting = self.waiting.clone();
        waiting.sort_by_key(|run| (run.rank, run.run));
        let mut seen: HashMap<i32, usize> = HashMap::new();
        waiting.retain(|run| {
            let seen = seen.entry(run.lane).or_default();
            *seen += 1;
            *seen <= slots
        });
        let others = self.daemons.iter().enumerate().filter(|(other, _)| *other != daemon);
        Facts {
            now: at(second),
            slots,
            has: self.daemons[daemon].clone(),
            others: others.map(|(_, has)| has.clone()).collect(),
            lanes: self.lanes.clone(),
            running: self.running.iter().map(|(lane, _, since, _)| running(*lane, *since)).collect(),
            waiting,
            free: Vec::new(),
            rates: self.rates.clone(),
        }
    }

    fn step(&mut self, daemon: usize, second: i64, dice: &mut Dice) {
        let busy = self.running.iter().filter(|(_, by, ..)| *by == daemon).count();
        let facts = self.facts(daemon, second, 3 - busy);
        let plan = plan(&facts);
        assert!(plan.start.len() <= facts.slots);
        for run in &plan.start {
            let place = self.waiting.iter().position(|waiting| waiting.run == *run).expect("it waits");
            let run = self.waiting.remove(place);
            assert!(self.lanes[&run.lane].fits(&self.daemons[daemon]), "a daemon takes what it has the needs of");
            self.running.push((run.lane, daemon, second, second + 1 + dice.roll(6) as i64));
            for gate in self.lanes[&run.lane].gates.iter().filter(|gate| gate.rate.is_some()) {
                self.starts.entry(gate.name.clone()).or_default().push(second);
            }
        }
        self.rates.extend(plan.spent);
    }

    /// Counts, without a plan.
    fn check(&self, seed: u64) {
        let mut held: BTreeMap<&str, Vec<&Gate>> = BTreeMap::new();
        for (lane, ..) in &self.running {
            for gate in &self.lanes[lane].gates {
                held.entry(&gate.name).or_default().push(gate);
            }
        }
        for (name, gates) in held {
            let most = gates.iter().filter_map(|gate| gate.most).min();
            assert!(most.is_none_or(|most| gates.len() <= most as usize), "seed {seed}: {name} is over its limit");
            assert!(gates.iter().all(|gate| gate.side == gates[0].side), "seed {seed}: the sides of {name} overlap");
        }
        for (name, starts) in &self.starts {
            let rate = self.lanes.values().flat_map(|lane| &lane.gates).find(|gate| gate.name == *name);
            let rate = rate.and_then(|gate| gate.rate).expect("a rate");
            for (first, from) in starts.iter().enumerate() {
                for (last, until) in starts.iter().enumerate().skip(first) {
                    let allowed =
                        u64::from(rate.most) + (until - from) as u64 * u64::from(rate.most) / rate.per.0.as_secs();
                    assert!(
                        (last - first + 1) as u64 <= allowed,
                        "seed {seed}: {name} starts too many from {from} to {until}"
                    );
                }
            }
        }
    }
}

#[test]
fn in_any_world_limits_hold_and_everybody_gets_in() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut world = World::new(&mut dice);
        let lanes = world.lanes.len() as u64;
        let mut next = 0;
        for second in 0..600 {
            world.running.retain(|(.., until)| *until > second);
            while second < 60 && dice.roll(2) == 0 {
                next += 1;
                let lane = 1 + dice.roll(lanes) as i32;
                // Priorities move ranks about.
                let rank = at(second - dice.roll(10) as i64);
                world.waiting.push(Waiting { run: run(next), lane, rank, due_at: at(second) });
            }
            let first = dice.roll(3) as usize;
            for daemon in 0..3 {
                world.step((first + daemon) % 3, second, &mut dice);
                world.check(seed);
            }
            if second >= 60 && world.waiting.is_empty() {
                break;
            }
        }
        assert!(world.waiting.is_empty(), "seed {seed}: {:?} never got in", world.waiting);
    }
}

/// Under a load that never ends, nobody waits longer than those who were there before and what they hold take.
#[test]
fn in_any_world_under_a_load_that_never_ends_the_first_gets_in() {
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let mut world = World::new(&mut dice);
        let lanes: Vec<i32> = world.lanes.keys().copied().collect();
        let mut next = 0;
        for second in 0..400 {
            world.running.retain(|(.., until)| *until > second);
            // Two of each lane always wait.
            for lane in &lanes {
                while world.waiting.iter().filter(|run| run.lane == *lane).count() < 2 {
                    next += 1;
                    world.waiting.push(Waiting { run: run(next), lane: *lane, rank: at(second), due_at: at(second) });
                }
            }
            let first = dice.roll(3) as usize;
            for daemon in 0..3 {
                world.step((first + daemon) % 3, second, &mut dice);
                world.check(seed);
            }
            let Some(oldest) = world.waiting.iter().min_by_key(|run| (run.rank, run.run)) else { continue };
            let waited = (at(second) - oldest.due_at).num_seconds();
            assert!(waited < 120, "seed {seed}: a run of {:?} has waited for {waited} s", world.lanes[&oldest.lane]);
        }
    }
}

#[test]
fn a_lane_is_the_same_in_whatever_order_it_is_said() {
    let (a, b) = (most("a", 1), rate("b", 1, 1));
    let one = Lane::new(&["x".to_owned(), "y".to_owned()], &[a.clone(), b.clone()]);
    assert_eq!(one, Lane::new(&["y".to_owned(), "x".to_owned(), "y".to_owned()], &[b, a]));
    assert_ne!(one, Lane::new(&one.needs, &[most("a", 2)]));
}
