//! Checks: what ops write about rows that must not be (`[[check]]` of a data set, `[[validate.check]]` of a job), and
//! the SQL that finds them.
//!
//! A check becomes one query that returns the bad rows ([`Query`]). It is plain text without parameters, so that a
//! job runs it and `sexton db install` can store it for a function that people call.

mod archive;
mod facts;
mod form;
mod problems;
mod stored;
mod text;
mod threshold;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use facts::Facts;
pub use form::{
    Accepted, ArchiveConsistency, Bound, Fault, Form, Freshness, NotNull, Range, Reference, Unique, Values, Volume,
};
pub use stored::{MIGRATED, stored};
pub use text::{Cannot, Query};
pub use threshold::{Seen, Threshold, ThresholdError};

/// One check; it has exactly one of the forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name; `snake_case`, as it is a report entry too.
    pub name: String,
    /// What a bad row means, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The suites that it belongs to; a job names one or several.
    #[serde(default = "full", skip_serializing_if = "is_full")]
    pub suite: Vec<String>,
    /// How bad a bad row is.
    #[serde(default)]
    pub severity: Severity,
    /// What must be there, else the check is skipped: `schema.table` or `schema.table.column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What is worth a warning; any bad row, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Threshold>,
    /// What fails the run; for severity `error` any bad row, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Threshold>,
    /// Form: every value refers to a row that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Form: no two rows have the same values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// Form: every row has a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_null: Option<NotNull>,
    /// Form: every value is one of a set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// Form: every value lies between bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// Form: the newest value is not too old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    /// Form: there are neither too few rows nor too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// Form: the data set's main tables and its archive agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_consistency: Option<ArchiveConsistency>,
    /// Form: a query that returns the bad rows, best only the columns that name them: they are what samples show.
    /// `:ids` in it is the list that the run was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// For `sql`: the columns of its result that name a row; all of them, if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// For `sql`: the table whose rows are looked at, which percentages are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// How bad a bad row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never warns or fails by itself.
    Info,
    /// Warns, and fails only past a threshold.
    #[default]
    Warning,
    /// Must not be: any bad row fails, unless the check has a threshold of its own.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The suite of checks that name none.
pub const FULL: &str = "full";

fn full() -> Vec<String> {
    vec![FULL.to_owned()]
}

fn is_full(suite: &[String]) -> bool {
    suite == [FULL]
}

impl Check {
    /// Its form; `None` where it has none, and the first where it has several ([`problems`](Self::problems) says so).
    pub fn form(&self) -> Option<Form<'_>> {
        self.forms().into_iter().next().map(|(_, form)| form)
    }

    fn forms(&self) -> Vec<(&'static str, Form<'_>)> {
        let all = [
            ("reference", self.reference.as_ref().map(Form::Reference)),
            ("unique", self.unique.as_ref().map(Form::Unique)),
            ("not_null", self.not_null.as_ref().map(Form::NotNull)),
            ("accepted", self.accepted.as_ref().map(Form::Accepted)),
            ("range", self.range.as_ref().map(Form::Range)),
            ("freshness", self.freshness.as_ref().map(Form::Freshness)),
            ("volume", self.volume.as_ref().map(Form::Volume)),
            ("archive_consistency", self.archive_consistency.as_ref().map(Form::ArchiveConsistency)),
            ("sql", self.sql.as_deref().map(Form::Sql)),
        ];
        all.into_iter().filter_map(|(name, form)| Some((name, form?))).collect()
    }

    /// What is worth a warning.
    pub fn warns_at(&self) -> Option<Threshold> {
        let any = self.severity != Severity::Info;
        self.warn.clone().or_else(|| any.then(Threshold::any))
    }

    /// What fails the run.
    pub fn fails_at(&self) -> Option<Threshold> {
        let any = self.severity == Severity::Error && self.warn.is_none();
        self.fail.clone().or_else(|| any.then(Threshold::any))
    }
}
