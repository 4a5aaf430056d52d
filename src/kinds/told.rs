//! What every run is told of itself, by the same names wherever somebody else's work asks for it: `SEXTON_NAME` in the
//! environment of `exec`, `:name` in `sql` and in the body of `http`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::{Ctx, RunInfo};

/// The names, which no parameter of such a job can have.
pub const TOLD: [&str; 9] =
    ["run", "job", "attempt", "requested_by", "schedule", "nominal_at", "late_by", "caught_up", "previous_success_at"];

impl RunInfo {
    /// What it is told; null is what there is not.
    pub fn told(&self) -> [(&'static str, Value); TOLD.len()] {
        let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).into();
        let values = [
            self.id.to_string().into(),
            self.job.clone().into(),
            self.attempt.into(),
            self.requested_by.clone().into(),
            self.schedule.clone().into(),
            time(self.nominal_at),
            // Whole seconds: they are a number, and to PostgreSQL an interval as well.
            self.late_by.as_secs().into(),
            self.caught_up.into(),
            time(self.previous_success_at),
        ];
        let mut values = values.into_iter();
        TOLD.map(|name| (name, values.next().unwrap_or_default()))
    }
}

impl Ctx {
    /// The values that the work may name: its parameters, and what it is told.
    pub(super) fn values(&self) -> BTreeMap<String, Value> {
        let told = self.run.told().map(|(name, value)| (name.to_owned(), value));
        self.params.clone().into_iter().chain(told).collect()
    }
}
