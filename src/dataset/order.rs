//! Which rows go where: what a kind asks of a data set, in the words of the functions in the target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::span::Span;

/// Which rows go where.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Where they are taken from.
    pub from: Side,
    /// Where they go.
    pub disposal: Disposal,
    /// Which of them.
    pub select: Select,
    /// Whether critical rows stay.
    pub keep_critical: bool,
    /// Whether open rows stay.
    pub keep_open: bool,
    /// The most parent rows that one run takes.
    pub max_rows: Option<u64>,
    /// Who asked; written beside each archived row.
    pub by: String,
    /// Why; written beside each archived row.
    pub reason: String,
}

/// Main tables or their archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The data set's own tables.
    #[default]
    Main,
    /// Their archive.
    Archive,
}

/// Where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Disposal {
    /// To the archive.
    Archive,
    /// Nowhere: they are gone.
    Delete,
}

/// Which rows are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// Those whose age column is further back than this.
    Old(Span),
    /// Those that have been settled for longer than this.
    Resolved(Span),
}

impl Select {
    /// How far back the line is drawn.
    pub fn span(self) -> Span {
        match self {
            Self::Old(span) | Self::Resolved(span) => span,
        }
    }
}

impl Order {
    /// As `sexton.script` reads it. `patient`: a row whose children somebody else holds is left for later.
    pub(super) fn json(&self, patient: bool) -> Value {
        json!({
            "from": self.from,
            "to": match self.disposal {
                Disposal::Archive => "archive",
                Disposal::Delete => "nowhere",
            },
            "select": match self.select {
                Select::Old(_) => "old",
                Select::Resolved(_) => "resolved",
            },
            "keep_critical": self.keep_critical,
            "keep_open": self.keep_open,
            "by": self.by,
            "reason": self.reason,
            "patient": patient,
        })
    }
}
