//! The kinds by name, with their types erased.

use futures::future::BoxFuture;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use std::sync::Arc;

use super::{ALL, Broken, Ctx, Env, Kind, Planned, counted};
use crate::{
    outcome::{Failure, Outcome},
    span::Span,
    state::OnLost,
};

/// A kind whose type is erased, so that all of them fit one list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name of its table in job files.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// What happens to a lost run, unless the job says otherwise.
    pub on_lost: OnLost,
    /// Whether another attempt goes on where the one before it was.
    pub resumes: bool,
    /// Whether it starts child processes.
    pub children: bool,
    /// Whether it is given the report of its job's last run.
    pub remembers: bool,
    /// What a job's `[params]` are to it.
    pub params: ParamsAre,
    /// On which side of its target's data it is: what dumps and what moves it never overlap.
    pub side: Option<&'static str>,
    /// How long its worker may be silent.
    pub lease: Span,
    /// The shape of its table: what an editor knows of it.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads a table from a job file; the error keeps the place in the file.
    pub inspect: fn(toml::de::ValueDeserializer<'_>) -> Result<Inspection, toml::de::Error>,
    /// What a table as a run carries it refers to.
    pub uses: fn(Value) -> Result<Uses, serde_json::Error>,
    /// What the work on a table as a run carries it would move; none for kinds that move no rows by rules.
    pub plan: fn(Value) -> Result<Option<Planned>, serde_json::Error>,
    /// Whether the work on a table could be done now; looked at before its time comes.
    pub ready: fn(Value, Arc<Env>) -> BoxFuture<'static, Result<(), Failure>>,
    /// Starts the work on a table as a run carries it.
    pub start: fn(Value, Ctx) -> BoxFuture<'static, Result<Outcome, Broken>>,
}

/// What a job's `[params]` are to its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamsAre {
    /// Keys of the kind's table, set by a parameter instead of in the file.
    Keys,
    /// Values handed to the work: bound in `sql`, in the environment of `exec`. The table never changes.
    Values,
}

/// What reading a table told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What it refers to.
    pub uses: Uses,
    /// What is wrong or doubtful.
    pub findings: Vec<Finding>,
    /// The parameters that the work refers to by name.
    pub binds: Vec<String>,
    /// The tables that the settings must allow.
    pub sources: Vec<Source>,
}

/// A table in a target, and the key that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The target.
    pub target: String,
    /// The key of the kind's table.
    pub key: &'static str,
    /// The table, as written.
    pub table: String,
}

/// The names that a table refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// Targets, from `sexton.toml`.
    pub targets: Vec<String>,
    /// Vaults, from `sexton.toml`.
    pub vaults: Vec<String>,
    /// The data set, from `jobs/datasets/`.
    pub dataset: Option<String>,
}

/// Something wrong or doubtful in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table's key that it is about.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether it only deserves a look; otherwise it is an error.
    pub warning: bool,
}

/// Erases a kind's type.
pub const fn entry<K: Kind>() -> Entry {
    Entry {
        name: K::NAME,
        about: K::ABOUT,
        on_lost: K::ON_LOST,
        resumes: K::RESUMES,
        children: K::CHILDREN,
        remembers: K::REMEMBERS,
        params: K::PARAMS,
        side: K::SIDE,
        lease: K::LEASE,
        schema: |generator| generator.subschema_for::<K>(),
        inspect: |table| {
            let kind = K::deserialize(table)?;
            Ok(Inspection { uses: kind.uses(), findings: kind.check(), binds: kind.binds(), sources: kind.sources() })
        },
        uses: |table| Ok(serde_json::from_value::<K>(table)?.uses()),
        plan: |table| Ok(serde_json::from_value::<K>(table)?.plan()),
        ready: |table, env| {
            Box::pin(async move {
                match serde_json::from_value::<K>(table) {
                    Ok(kind) => kind.ready(env).await,
                    Err(error) => Err(Failure::never(format!("the table [{}] cannot be read: {error}", K::NAME))),
                }
            })
        },
        start: |table, ctx| {
            Box::pin(async move {
                let carried = table.clone();
                let kind: K = serde_json::from_value(table).map_err(|error| {
                    Failure::never(format!("the run's [{}] table cannot be read: {error}", K::NAME))
                        .help("correct the job's file and trigger a new run; this one keeps the table it was made with")
                })?;
                let job = ctx.run.job.clone();
                let ended = kind.run(ctx).await;
                if let Ok(Outcome::Done(report)) = &ended {
                    counted::count(&job, K::NAME, &carried, report);
                }
                ended
            })
        },
    }
}

/// A kind by name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
