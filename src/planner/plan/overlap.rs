//! Whether a slot that may fire does, given the runs of its job that are live: the overlap rule.

use chrono::{DateTime, Utc};

use super::{Decision, Facts, Slots, add, words};
use crate::{
    catalog::{BUFFER_MOST, Overlap, Schedule},
    ledger::Decided,
    queue::Crowd,
};

/// The run that a decision makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// When it may start; `None` is now.
    pub due_at: Option<DateTime<Utc>>,
    /// Whether it waits until no other run of the job is live.
    pub behind: bool,
    /// Whether its slot was missed.
    pub caught_up: bool,
    /// Whose place it takes.
    pub instead: Instead,
}

/// Whose place a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Nobody's.
    Nobody,
    /// Of runs that wait behind others.
    Waiting,
    /// Of every live run of the job: they are asked to stop, or stopped at once.
    Everybody {
        /// Without time to stop in peace.
        at_once: bool,
    },
}

/// The rule, with the job's live runs as they are after each decision.
pub(super) struct Rule<'a> {
    schedule: &'a Schedule,
    now: DateTime<Utc>,
    crowd: Crowd,
    deferred: Option<DateTime<Utc>>,
}

impl<'a> Rule<'a> {
    pub(super) fn of(facts: &Facts<'a>) -> Self {
        Self { schedule: facts.schedule, now: facts.now, crowd: facts.crowd, deferred: facts.deferred }
    }

    /// Decides about a slot that may fire.
    pub(super) fn decide(&mut self, slot: DateTime<Utc>, caught_up: bool) -> Decision {
        use Overlap::*;
        let (alone, job) = (self.crowd.live + self.crowd.behind == 0, &self.schedule.job);
        match self.schedule.policy.overlap {
            AllowAll => self.fire(slot, caught_up),
            CancelOther | TerminateOther if alone => self.launched(slot, caught_up, Instead::Nobody, None),
            _ if alone => {
                self.crowd.live = 1;
                self.fire(slot, caught_up)
            }
            Skip => self.skip(slot, format!("a run of {job} was still live, and overlap = \"skip\"")),
            BufferOne if self.crowd.behind > 0 => {
                self.skip(slot, format!("a run of {job} was already waiting, and overlap = \"buffer_one\""))
            }
            BufferAll if self.crowd.behind >= BUFFER_MOST => {
                self.skip(slot, format!("{BUFFER_MOST} runs of {job} were already waiting"))
            }
            BufferOne | BufferAll => {
                self.crowd.behind += 1;
                let why = format!("it waits until no other run of {job} is live");
                self.launched(slot, caught_up, Instead::Nobody, Some(why))
            }
            BufferLatest => {
                self.crowd.behind = 1;
                let why = format!("it waits until no other run of {job} is live, unless a newer slot takes its place");
                self.launched(slot, caught_up, Instead::Waiting, Some(why))
            }
            CancelOther => {
                let why = format!("the live runs of {job} are asked to stop; it starts once they have");
                self.launched(slot, caught_up, Instead::Everybody { at_once: false }, Some(why))
            }
            TerminateOther => {
                let why = format!("the live runs of {job} are stopped at once; it starts when they are gone");
                self.launched(slot, caught_up, Instead::Everybody { at_once: true }, Some(why))
            }
        }
    }

    /// Decides about the slots of a time that a window closes until `opens_at`: the first waits for it and stands for all
    /// the others.
    pub(super) fn defer(&mut self, slots: Slots, window: &str, opens_at: DateTime<Utc>) -> Vec<Decision> {
        let stands = |slots| {
            let reason = format!("the run that waits for the end of window `{window}` stands for it");
            Decision::of(self.schedule, slots, Decided::Coalesced, reason)
        };
        if self.deferred.is_some_and(|until| until >= opens_at) {
            return vec![stands(slots)];
        }
        let reason = format!("window `{window}` is closed to it until {opens_at:?}");
        let launch = Launch {
            due_at: Some(opens_at),
            behind: self.schedule.policy.overlap != Overlap::AllowAll,
            caught_up: false,
            instead: Instead::Nobody,
        };
        let mut decisions = vec![Decision {
            launch: Some(launch),
            ..Decision::one(self.schedule, slots.first, Decided::Deferred, reason)
        }];
        decisions.extend(Slots::within(self.schedule, slots.first, slots.last).map(stands));
        self.deferred = Some(opens_at);
        self.crowd.behind += 1;
        decisions
    }

    /// Where the newest slot takes the place of others, those that were decided beside it never start.
    pub(super) fn settle(&self, decisions: &mut Vec<Decision>) {
        let replaces = |decision: &Decision| match self.schedule.policy.overlap {
            Overlap::BufferLatest => decision.decided == Decided::Deferred,
            Overlap::CancelOther | Overlap::TerminateOther => decision.launch.is_some(),
            _ => false,
        };
        let Some(newest) = decisions.iter().rposition(replaces) else { return };
        let stands = format!("the slot of {:?} is newer and takes its place", decisions[newest].from);
        let before = std::mem::take(decisions);
        for (place, mut decision) in before.into_iter().enumerate() {
            if place < newest && replaces(&decision) {
                decision = Decision { decided: Decided::Coalesced, reason: stands.clone(), launch: None, ..decision };
            }
            add(decisions, decision);
        }
    }

    fn fire(&self, slot: DateTime<Utc>, caught_up: bool) -> Decision {
        self.launched(slot, caught_up, Instead::Nobody, None)
    }

    fn skip(&self, slot: DateTime<Utc>, reason: String) -> Decision {
        Decision::one(self.schedule, slot, Decided::SkippedOverlap, reason)
    }

    /// A decision with a run, which waits for others where `behind` says why.
    fn launched(&self, slot: DateTime<Utc>, caught_up: bool, instead: Instead, behind: Option<String>) -> Decision {
        let due = self.schedule.start(slot);
        let late = if caught_up { format!("caught up, {} late", words(self.now - due)) } else { "on time".to_owned() };
        let launch = Launch {
            // What is caught up is due now: its place in the queue is not that of hours ago.
            due_at: (!caught_up).then_some(due),
            behind: behind.is_some(),
            caught_up,
            instead,
        };
        let (decided, reason) = match behind {
            Some(why) => (Decided::Deferred, format!("{late}; {why}")),
            None => (Decided::Fired, late),
        };
        Decision { launch: Some(launch), ..Decision::one(self.schedule, slot, decided, reason) }
    }
}
