//! Why a run that is ready does not start, in words.

use std::fmt;

use chrono::{DateTime, Utc};

use super::Rate;

/// What a ready run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// As many runs hold the gate as may.
    Full {
        /// The gate.
        gate: String,
        /// How many may hold it.
        most: u32,
    },
    /// Runs of another side hold the gate.
    Side {
        /// The gate.
        gate: String,
        /// Their side.
        theirs: String,
        /// The run's own.
        own: String,
    },
    /// Its rate is used up.
    Rate {
        /// The gate.
        gate: String,
        /// The rate.
        rate: Rate,
        /// Until then.
        until: DateTime<Utc>,
    },
    /// A run that was there before waits for the same gate.
    Behind {
        /// The gate.
        gate: String,
    },
    /// No living daemon has what it needs.
    Nobody {
        /// All that none of them has; or the whole of what it needs, when each is there but not on one daemon.
        needs: Vec<String>,
    },
}

impl Wait {
    /// The gate that it waits for.
    pub fn gate(&self) -> Option<&str> {
        match self {
            Self::Full { gate, .. } | Self::Side { gate, .. } | Self::Rate { gate, .. } | Self::Behind { gate } => {
                Some(gate)
            }
            Self::Nobody { .. } => None,
        }
    }

    /// Until when, where that is known.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate { until, .. } => Some(*until),
            _ => None,
        }
    }
}

/// `target:collector` as people say it: `target collector`.
fn said(gate: &str) -> String {
    match gate.split_once(':') {
        Some(("key", rest)) => match rest.split_once(':') {
            Some((job, value)) => format!("job {job} for {value}"),
            None => format!("job {rest}"),
        },
        Some(("exclusive", name)) => format!("the group {name}"),
        Some(("data", target)) => format!("the data of {target}"),
        Some((sort, name)) => format!("{sort} {name}"),
        None => gate.to_owned(),
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { gate, most: 1 } => {
                write!(f, "waits: a run of {} is running, and one may at a time", said(gate))
            }
            Self::Full { gate, most } => write!(f, "waits: {most} of {most} runs of {} are running", said(gate)),
            Self::Side { gate, theirs, own } if gate.starts_with("data:") => {
                let busy = if theirs == "dump" { "is being dumped" } else { "is being moved" };
                let then = if own == "dump" { "a dump" } else { "what moves rows" };
                write!(f, "waits: {} {busy}, and {then} never overlaps that", said(gate))
            }
            Self::Side { gate, theirs, .. } => {
                write!(f, "waits: {theirs} is running, and jobs of {} never overlap", said(gate))
            }
            Self::Rate { gate, rate, until } => {
                write!(f, "waits until {}: {rate} of {}", until.format("%H:%M:%S"), said(gate))
            }
            Self::Behind { gate } => write!(f, "waits: a run that was there before waits for {}", said(gate)),
            Self::Nobody { needs } => write!(f, "waits: no daemon that is running has {}", needs.join(" and ")),
        }
    }
}
