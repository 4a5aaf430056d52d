//! Which revision of the files is followed, and when each of its schedules is to be looked at.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{LONGEST, Options, PlanError, agenda::Agenda, error::within, fire::Fired};
use crate::{
    catalog::{Catalog, Files},
    ledger::{self, Watermark},
    metrics::NEXT_SLOT,
};

/// When to come back to a schedule that another planner holds, or that could not be decided.
const LOST: TimeDelta = TimeDelta::seconds(1);
/// With more schedules than this, none has a time series of its own.
const SERIES: usize = 1000;

/// A revision in this planner's hands.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) revision: i64,
    pub(super) catalog: Arc<Catalog>,
}

/// What a planner follows, between two ticks.
#[derive(Default)]
pub(super) struct Following {
    known: Option<Known>,
    pub(super) agenda: Agenda,
    /// The pauses that the agenda was made under.
    pauses: String,
}

impl Following {
    /// Nothing of it holds any more: what was being decided is not on the agenda.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Comes back to schedules that could not be decided.
    pub(super) fn put_off(&mut self, now: DateTime<Utc>, schedules: &[usize]) {
        for schedule in schedules {
            self.agenda.add(now + LOST, *schedule);
        }
    }

    /// Notes when to look at each of these schedules again.
    pub(super) fn come_back(
        &mut self,
        known: &Known,
        due: &[usize],
        held: &[Watermark],
        fired: &Fired,
        now: DateTime<Utc>,
    ) {
        let decided: HashMap<&str, DateTime<Utc>> =
            fired.decisions.iter().map(|(schedule, decision)| (schedule.as_str(), decision.until)).collect();
        let held: HashMap<&str, DateTime<Utc>> = held.iter().map(|mark| (mark.schedule.as_str(), mark.at)).collect();
        for place in due {
            let name = known.catalog.schedules[*place].name.as_str();
            match (decided.get(name), held.get(name)) {
                (Some(until), _) => self.expect(known, *place, *until, None),
                // Another planner was faster, or it is paused.
                (None, Some(watermark)) => self.expect(known, *place, *watermark, Some(now)),
                (None, None) => self.agenda.add(now + LOST, *place),
            }
        }
    }

    /// Notes when the first slot after a watermark starts; one that was to start, but could not by `tried`, some time later.
    fn expect(&mut self, known: &Known, place: usize, watermark: DateTime<Utc>, tried: Option<DateTime<Utc>>) {
        let schedule = &known.catalog.schedules[place];
        let Some(slot) = schedule.cron.next(schedule.zone, watermark) else { return };
        let start = schedule.start(slot);
        if known.catalog.schedules.len() <= SERIES {
            metrics::gauge!(NEXT_SLOT, "schedule" => schedule.name.clone()).set(slot.timestamp() as f64);
        }
        let again = tried.filter(|tried| start <= *tried).map(|tried| tried + LONGEST);
        self.agenda.add(again.unwrap_or(start), place);
    }

    /// The files of the current revision, with an agenda that was made since the last pause began or ended.
    pub(super) async fn know(
        &mut self,
        connection: &mut PgConnection,
        revision: i64,
        pauses: &str,
        options: &Options,
    ) -> Result<Known, PlanError> {
        if let Some(known) = self.known.clone().filter(|known| known.revision == revision) {
            if self.pauses != pauses {
                self.start_agenda(connection, &known, pauses, options.patience).await?;
            }
            return Ok(known);
        }
        let Some(current) = within(options.patience, ledger::current(connection)).await? else {
            return Err(PlanError::Database(sqlx::Error::RowNotFound));
        };
        let parsed = Catalog::parse(&Files(current.files));
        let catalog = parsed.catalog.ok_or_else(|| PlanError::Files {
            revision: current.id,
            problem: parsed
                .problems
                .iter()
                .find(|problem| problem.is_error())
                .map(ToString::to_string)
                .unwrap_or_default(),
        })?;
        let catalog = Arc::new(catalog.with_default_alert(options.default_alert.clone()));
        tracing::info!(
            revision = current.id,
            schedules = catalog.schedules.len(),
            jobs = catalog.jobs.len(),
            "following revision {} of the files, applied by {}",
            current.id,
            current.applied_by
        );
        let known = Known { revision: current.id, catalog };
        self.start_agenda(connection, &known, pauses, options.patience).await?;
        Ok(self.known.insert(known).clone())
    }

    /// Notes when each schedule is to be looked at, from its watermark.
    async fn start_agenda(
        &mut self,
        connection: &mut PgConnection,
        known: &Known,
        pauses: &str,
        patience: Duration,
    ) -> Result<(), PlanError> {
        let look = within(patience, ledger::look(connection)).await?;
        let places: HashMap<&str, usize> = known
            .catalog
            .schedules
            .iter()
            .enumerate()
            .map(|(place, schedule)| (schedule.name.as_str(), place))
            .collect();
        self.agenda = Agenda::default();
        for mark in look.watermarks.iter().filter(|mark| mark.revision == known.revision) {
            if let Some(place) = places.get(mark.schedule.as_str()) {
                self.expect(known, *place, mark.at, None);
            }
        }
        pauses.clone_into(&mut self.pauses);
        Ok(())
    }
}
