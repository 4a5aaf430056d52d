//! Looks up what an explanation hangs on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgPool;

use super::{
    facts::{self, Decision, Entry, Facts, Mark, Text, Then, Told},
    time::Asked,
    words::near,
};
use crate::{
    catalog::{Catalog, Files, Schedule},
    ledger::{self, Daemon, Decided, KnownSchedule, Planning, RecentSlot, Revision},
    queue::{self, Filter},
    requests::{RequestError, words::closed},
    windows::{Window, Windows},
};

/// The most runs of a chain that are told.
const CHAIN: i64 = 50;
/// The most later revisions that are searched for the first that has a schedule.
const LATER: usize = 20;

/// What holds for every instant of a schedule.
pub(super) struct Known {
    name: String,
    known: KnownSchedule,
    /// The files of today, and the schedule in them.
    today: Option<(Mark, Option<Schedule>)>,
    /// The windows that it keeps today.
    windows: Vec<Window>,
    /// The schedule as it was last, where the files of today do not have it.
    last: Option<Schedule>,
    planning: Planning,
    daemons: Vec<Daemon>,
}

impl Known {
    /// Looks for a schedule, which may have been removed.
    pub(super) async fn of(pool: &PgPool, name: &str) -> Result<Self, RequestError> {
        let Some(known) = ledger::known(pool, name).await? else {
            let all = ledger::schedules(pool).await?;
            let there = all.iter().filter(|known| known.removed_at.is_none()).map(|known| known.name.as_str());
            return Err(RequestError::UnknownSchedule { name: name.to_owned(), near: near(name, there) });
        };
        let mut connection = pool.acquire().await?;
        let current = ledger::current(&mut connection).await?;
        drop(connection);
        let (mut today, mut windows) = (None, Vec::new());
        if let Some(current) = current {
            let mark = Mark::from(&current);
            let found = read(current, name).ok().flatten();
            let (schedule, its) = found.map_or((None, Vec::new()), |(schedule, its)| (Some(schedule), its));
            (today, windows) = (Some((mark, schedule)), its);
        }
        let mut last = None;
        if today.as_ref().is_none_or(|(_, schedule)| schedule.is_none())
            && let Some(revision) = ledger::revision(pool, known.revision).await?
        {
            last = read(revision, name).ok().flatten().map(|(schedule, _)| schedule);
        }
        let (planning, daemons) = (ledger::planning(pool).await?, ledger::daemons(pool).await?);
        Ok(Self { name: name.to_owned(), known, today, windows, last, planning, daemons })
    }

    /// The schedule as it is, or was last.
    fn newest(&self) -> Option<&Schedule> {
        self.in_the_files().or(self.last.as_ref())
    }

    fn in_the_files(&self) -> Option<&Schedule> {
        self.today.as_ref().and_then(|(_, schedule)| schedule.as_ref())
    }

    /// The database's time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.planning.now
    }

    /// On whose clock a time is meant.
    pub(super) fn zone(&self) -> Tz {
        self.newest().map_or(Tz::UTC, |schedule| schedule.zone)
    }

    /// The last slot and, if it is still in the files, the next one.
    pub(super) fn last_and_next(&self) -> Vec<Asked> {
        let until = self.known.removed_at.unwrap_or(self.now());
        let last = self.newest().and_then(|schedule| facts::before(schedule, until));
        let next = self.in_the_files().and_then(|schedule| schedule.cron.next(schedule.zone, self.now()));
        let asked: Vec<_> = last.into_iter().chain(next).map(Asked::instant).collect();
        if asked.is_empty() { vec![Asked::instant(until)] } else { asked }
    }

    /// Everything about one instant.
    pub(super) async fn facts(&self, pool: &PgPool, asked: Asked) -> Result<Facts, RequestError> {
        let row = ledger::covering(pool, &self.name, asked.at).await?;
        let then = self.then(pool, asked.at, row.as_ref()).await?;
        let job = match &then {
            Then::There(entry) => &entry.text.job,
            _ => &self.known.job,
        };
        let decision = match row {
            Some(slot) => Some(self.decision(pool, slot, job).await?),
            None => None,
        };
        let now = self.now();
        let mut connection = pool.acquire().await?;
        let mut pauses = ledger::pauses(&mut connection, &[&self.name], asked.at.min(now)).await?;
        drop(connection);
        pauses.retain(|pause| pause.is_open(asked.at) || pause.is_open(now));
        let live = if asked.at > now { queue::live_at(pool, job, now).await? } else { Vec::new() };
        let windows = Windows(self.windows.iter().collect());
        let closed = if asked.at > now { closed(&windows, asked.at) } else { None };
        Ok(Facts {
            schedule: self.name.clone(),
            at: asked.at,
            missing: asked.missing,
            zone: match &then {
                Then::There(entry) => entry.text.zone,
                _ => self.zone(),
            },
            then,
            today: self.in_the_files().map(Text::from),
            watermark: Some(self.known.watermark),
            removed_at: self.known.removed_at,
            decision,
            pauses,
            closed,
            live,
            planning: self.planning.clone(),
            daemons: self.daemons.clone(),
        })
    }

    /// The schedule at an instant: in the words that decided it, else in those that were followed.
    async fn then(&self, pool: &PgPool, at: DateTime<Utc>, row: Option<&RecentSlot>) -> Result<Then, RequestError> {
        let revision = match row {
            Some(row) => ledger::revision(pool, row.revision).await?,
            None => None,
        };
        let revision = match revision {
            Some(revision) => Some(revision),
            None => ledger::revision_at(pool, at).await?,
        };
        let Some(revision) = revision else { return Ok(Then::NoFiles) };
        let followed = Mark::from(&revision);
        if let Some((today, schedule)) = &self.today
            && today.id == followed.id
        {
            let entry = schedule.as_ref().map(|schedule| Box::new(Entry::of(schedule, followed.clone(), at)));
            return Ok(entry.map_or(Then::Absent { followed, first: None }, Then::There));
        }
        match read(revision, &self.name) {
            Err(problem) => Ok(Then::Unreadable { followed, problem }),
            Ok(Some((schedule, _))) => Ok(Then::There(Box::new(Entry::of(&schedule, followed, at)))),
            Ok(None) => {
                let first = self.first_after(pool, followed.id).await?;
                Ok(Then::Absent { followed, first })
            }
        }
    }

    /// The first revision after one that has the schedule.
    async fn first_after(&self, pool: &PgPool, after: i64) -> Result<Option<Mark>, RequestError> {
        let mut after = after;
        for _ in 0..LATER {
            let Some(revision) = ledger::first_naming(pool, &self.name, after).await? else { break };
            let mark = Mark::from(&revision);
            if read(revision, &self.name).is_ok_and(|schedule| schedule.is_some()) {
                return Ok(Some(mark));
            }
            after = mark.id;
        }
        Ok(None)
    }

    /// A row of the ledger with what became of it.
    async fn decision(&self, pool: &PgPool, slot: RecentSlot, job: &str) -> Result<Decision, RequestError> {
        let mut decision = Decision { slot, run: None, chain: Vec::new(), in_the_way: Vec::new(), stand_in: None };
        if let Some(id) = decision.slot.run
            && let Some(run) = queue::find(pool, id).await?
        {
            let filter = Filter { chain: Some(run.chain), limit: CHAIN, ..Filter::default() };
            let chain = queue::list(pool, &filter).await?;
            decision.chain = chain.iter().rev().filter(|other| other.id != id).map(Told::from).collect();
            decision.run = Some(Told::from(&run));
        }
        match decision.slot.decision {
            Decided::SkippedOverlap => {
                decision.in_the_way = queue::live_at(pool, job, decision.slot.decided_at).await?;
            }
            Decided::Coalesced => {
                decision.stand_in = ledger::fired_after(pool, &self.name, decision.slot.until).await?;
            }
            _ => {}
        }
        Ok(decision)
    }
}

/// The schedule in the files of a revision, and the windows that it keeps; the first thing that is wrong, where they cannot be read.
fn read(revision: Revision, name: &str) -> Result<Option<(Schedule, Vec<Window>)>, String> {
    let files: BTreeMap<String, String> = revision.files;
    let parsed = Catalog::parse(&Files(files));
    match parsed.catalog {
        Some(catalog) => Ok(catalog.schedule(name).map(|schedule| {
            let windows = catalog.windows_of(schedule).0.into_iter().cloned().collect();
            (schedule.clone(), windows)
        })),
        None => {
            Err(parsed.problems.iter().find(|problem| problem.is_error()).map(ToString::to_string).unwrap_or_default())
        }
    }
}
