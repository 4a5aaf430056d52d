//! Which waiting runs start now: a value from values, so that the claim, `sexton why` and the tests print the same.
//!
//! Runs are looked at in the order of their ranks, over all lanes. One that does not fit closes the gates that stop it
//! to all that come later, so those only get emptier until it fits: nobody overtakes it there. What it would fit
//! through stays open, or a backlog at one gate would hold up the others. Only a run that *was* overtaken, since its
//! gates were never free at the same time, keeps its place in all of them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Gate, Lane, Rate, Wait};

/// What there is to decide on.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// How many runs may start here.
    pub slots: usize,
    /// What this daemon has.
    pub has: Vec<String>,
    /// What each of the other living daemons has.
    pub others: Vec<Vec<String>>,
    /// The lanes of those that run and wait.
    pub lanes: HashMap<i32, Lane>,
    /// What runs behind gates.
    pub running: Vec<Holder>,
    /// What is ready behind gates: the first of each lane.
    pub waiting: Vec<Waiting>,
    /// The ranks of the first ready runs without gates that this daemon may take, lowest first.
    pub free: Vec<DateTime<Utc>>,
    /// By gate: when its rate is whole again.
    pub rates: HashMap<String, DateTime<Utc>>,
}

/// A running attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its lane.
    pub lane: i32,
    /// Since when.
    pub started_at: DateTime<Utc>,
}

/// A ready run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// It.
    pub run: Uuid,
    /// Its lane.
    pub lane: i32,
    /// Lower goes first.
    pub rank: DateTime<Utc>,
    /// Since when it waits.
    pub due_at: DateTime<Utc>,
}

/// What is decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The runs behind gates that start here.
    pub start: Vec<Uuid>,
    /// How many of the runs without gates start here.
    pub free: usize,
    /// By gate whose rate is spent by that: when it is whole again.
    pub spent: BTreeMap<String, DateTime<Utc>>,
    /// When a rate lets the next one go, if one waits for that alone.
    pub again_at: Option<DateTime<Utc>>,
    /// By lane: why the first of those that stay does.
    pub waits: BTreeMap<i32, Wait>,
}

/// Decides.
pub fn plan(facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    let mut gates = Gates::of(facts);
    let mut free = facts.free.iter().peekable();
    let mut waiting: BinaryHeap<_> =
        facts.waiting.iter().map(|run| Reverse((run.rank, run.run, run.lane, run.due_at))).collect();
    let mut taken: HashMap<i32, Taken> = HashMap::new();
    while plan.start.len() + plan.free < facts.slots {
        let gated = waiting.peek().map(|Reverse((rank, ..))| *rank);
        if let Some(rank) = free.peek()
            && gated.is_none_or(|gated| **rank <= gated)
        {
            free.next();
            plan.free += 1;
            continue;
        }
        let Some(Reverse((_, run, lane_id, due_at))) = waiting.pop() else { break };
        let Some(lane) = facts.lanes.get(&lane_id) else { continue };
        match *taken.entry(lane_id).or_insert_with(|| Taken::of(lane, facts)) {
            Taken::ByNobody => {
                plan.waits.entry(lane_id).or_insert_with(|| nobody(lane, facts));
                continue;
            }
            by => {
                let stops = gates.stops(lane, facts.now);
                if stops.is_empty() {
                    // What another daemon takes keeps its place, too: the order holds over all of them.
                    let spent = gates.enter(lane, facts.now);
                    if by == Taken::Here {
                        plan.start.push(run);
                        plan.spent.extend(spent);
                    }
                    continue;
                }
                // If something else stops it, too, then its end wakes us.
                let until: Option<Vec<_>> = stops.iter().map(Wait::until).collect();
                if let Some(until) = until.and_then(|all| all.into_iter().max()) {
                    plan.again_at = Some(plan.again_at.map_or(until, |at| at.min(until)));
                }
                gates.close(lane, &stops, due_at, facts.now);
                plan.waits.entry(lane_id).or_insert_with(|| stops[0].clone());
            }
        }
    }
    plan
}

/// Who may take a lane's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Here,
    Elsewhere,
    ByNobody,
}

impl Taken {
    fn of(lane: &Lane, facts: &Facts) -> Self {
        if lane.fits(&facts.has) {
            Self::Here
        } else if facts.others.iter().any(|has| lane.fits(has)) {
            Self::Elsewhere
        } else {
            Self::ByNobody
        }
    }
}

/// Says what no living daemon has.
fn nobody(lane: &Lane, facts: &Facts) -> Wait {
    let daemons: Vec<Vec<String>> = std::iter::once(&facts.has).chain(&facts.others).cloned().collect();
    Wait::Nobody { needs: lane.nobody(&daemons).unwrap_or_default() }
}

/// How the gates stand.
struct Gates<'f>(HashMap<&'f str, State<'f>>);

#[derive(Default)]
struct State<'f> {
    /// How many hold it, and those that keep a place in it.
    held: u32,
    /// The sides of those.
    sides: Vec<&'f str>,
    /// When the newest attempt that holds it began.
    newest: Option<DateTime<Utc>>,
    /// When its rate is whole again.
    whole_at: Option<DateTime<Utc>>,
    /// Whether somebody waits for it.
    closed: bool,
}

impl<'f> Gates<'f> {
    fn of(facts: &'f Facts) -> Self {
        let rates = facts.rates.iter();
        let mut gates: HashMap<&str, State<'_>> =
            rates.map(|(name, at)| (name.as_str(), State { whole_at: Some(*at), ..State::default() })).collect();
        for holder in &facts.running {
            for gate in facts.lanes.get(&holder.lane).iter().flat_map(|lane| &lane.gates) {
                let state = gates.entry(&gate.name).or_default();
                state.hold(gate);
                state.newest = state.newest.max(Some(holder.started_at));
            }
        }
        Self(gates)
    }

    /// What stops a run of the lane, gate by gate; nothing when it fits.
    fn stops(&self, lane: &Lane, now: DateTime<Utc>) -> Vec<Wait> {
        let fresh = State::default();
        lane.gates.iter().filter_map(|gate| self.0.get(gate.name.as_str()).unwrap_or(&fresh).stops(gate, now)).collect()
    }

    /// Lets a run of the lane through; gives the rates that this spends.
    fn enter(&mut self, lane: &'f Lane, now: DateTime<Utc>) -> Vec<(String, DateTime<Utc>)> {
        let mut spent = Vec::new();
        for gate in &lane.gates {
            let whole_at = self.0.entry(&gate.name).or_default().enter(gate, now);
            spent.extend(whole_at.map(|at| (gate.name.clone(), at)));
        }
        spent
    }

    /// Closes what stops a run of the lane to those that come later.
    fn close(&mut self, lane: &'f Lane, stops: &[Wait], due_at: DateTime<Utc>, now: DateTime<Utc>) {
        let stopping = |gate: &Gate| stops.iter().any(|wait| wait.gate() == Some(&gate.name));
        let stood: Vec<&State<'_>> =
            lane.gates.iter().filter(|gate| stopping(gate)).filter_map(|gate| self.0.get(gate.name.as_str())).collect();
        // Whoever is behind another is not overtaken by those whom that one lets through.
        let behind = stood.iter().any(|state| state.closed);
        let overtaken = !behind && stood.iter().filter_map(|state| state.newest).any(|newest| newest > due_at);
        for gate in &lane.gates {
            if stopping(gate) {
                self.0.entry(&gate.name).or_default().closed = true;
            } else if overtaken {
                self.0.entry(&gate.name).or_default().enter(gate, now);
            }
        }
    }
}

impl<'f> State<'f> {
    fn hold(&mut self, gate: &'f Gate) {
        self.held += 1;
        if let Some(side) = gate.side.as_deref().filter(|side| !self.sides.contains(side)) {
            self.sides.push(side);
        }
    }

    /// Takes a place, and of the rate; gives when that is whole again.
    fn enter(&mut self, gate: &'f Gate, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.hold(gate);
        let rate = gate.rate.as_ref()?;
        self.whole_at = Some(self.whole_at.map_or(now, |at| at.max(now)) + interval(rate));
        self.whole_at
    }

    fn stops(&self, gate: &Gate, now: DateTime<Utc>) -> Option<Wait> {
        let name = || gate.name.clone();
        if let Some(own) = &gate.side
            && let Some(theirs) = self.sides.iter().find(|side| *side != own)
        {
            return Some(Wait::Side { gate: name(), theirs: (*theirs).to_owned(), own: own.clone() });
        }
        if let Some(most) = gate.most.filter(|most| self.held >= *most) {
            return Some(Wait::Full { gate: name(), most });
        }
        if self.closed {
            return Some(Wait::Behind { gate: name() });
        }
        let rate = gate.rate?;
        let until = self.whole_at? - (TimeDelta::from_std(rate.per.0).unwrap_or(TimeDelta::MAX) - interval(&rate));
        (until > now).then(|| Wait::Rate { gate: name(), rate, until })
    }
}

/// From one start to the next when there is no rest.
fn interval(rate: &Rate) -> TimeDelta {
    let micros = rate.per.0.as_micros().div_ceil(u128::from(rate.most.max(1)));
    TimeDelta::microseconds(i64::try_from(micros).unwrap_or(i64::MAX / 4))
}
