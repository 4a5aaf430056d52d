//! What the database needs to make runs of a job by itself: the snapshot with defaults, and what of it hangs on parameters.
//!
//! `sexton.enqueue` sets values in it exactly as [`Catalog::resolve`] would. What only the kind can say against a value it
//! cannot know: such a run fails at its first attempt.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Catalog, Job, Limits, Param, Sort, limits, resolve::set};
use crate::{
    kinds::ParamsAre,
    lanes::{Gate, Rate},
    spec::Spec,
};

/// More combinations of values than this that decide what a run needs are not listed.
const MOST: usize = 256;

/// A job as `sexton.job` keeps it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What a run carries whose parameters all have their defaults.
    pub spec: Spec,
    /// The job, then each link of its chain.
    pub parts: Vec<Part>,
}

/// What of one part of a snapshot hangs on parameters.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    job: String,
    params: BTreeMap<String, Param>,
    /// Whether parameters are keys of the kind's table.
    keys: bool,
    /// Parameters that say what the run uses.
    steers: Vec<String>,
    /// Needs and gates by their values.
    lanes: Vec<Lane>,
    /// Gates whose names end in a parameter's value.
    keyed: Vec<Keyed>,
}

#[derive(Debug, Clone, Serialize)]
struct Lane {
    when: BTreeMap<String, Value>,
    needs: Vec<String>,
    limits: Vec<Gate>,
}

#[derive(Debug, Clone, Serialize)]
struct Keyed {
    param: String,
    gate: Value,
}

impl Catalog {
    /// What the database needs of every job, in the order of their names.
    pub fn offers(&self) -> Vec<Offer> {
        let nothing = BTreeMap::new();
        let offer = |job: &Job| Offer {
            spec: self.spec(job, &nothing).followed_by(self.links(&job.then, &nothing)),
            parts: std::iter::once(job)
                .chain(job.then.iter().filter_map(|next| self.jobs.get(&next.job)))
                .map(|job| self.part(job))
                .collect(),
        };
        self.jobs.values().map(offer).collect()
    }

    fn part(&self, job: &Job) -> Part {
        let keys = job.kind.params == ParamsAre::Keys;
        let mut values: BTreeMap<String, Value> =
            job.params.iter().map(|(name, param)| (name.clone(), sample(param))).collect();
        let usual = self.lane(job, &values);
        let mut steers = Vec::new();
        for (name, param) in job.params.iter().filter(|_| keys) {
            let before = values.get(name).cloned().unwrap_or_default();
            let steer = probes(param).into_iter().any(|value| {
                values.insert(name.clone(), value);
                self.lane(job, &values) != usual
            });
            values.insert(name.clone(), before);
            steers.extend(steer.then(|| name.clone()));
        }
        let mut whens = vec![BTreeMap::new()];
        for name in &steers {
            let choices = job.params.get(name).map(choices).unwrap_or_default();
            whens = (whens.iter())
                .flat_map(|when: &BTreeMap<String, Value>| {
                    choices.iter().map(|choice| {
                        let mut when = when.clone();
                        when.insert(name.clone(), choice.clone());
                        when
                    })
                })
                .take(MOST)
                .collect();
        }
        let lane = |when: BTreeMap<String, Value>| {
            let mut values = values.clone();
            values.extend(when.clone());
            let (needs, limits) = self.lane(job, &values);
            Lane { when, needs, limits }
        };
        Part {
            job: job.name.clone(),
            params: job.params.clone(),
            keys,
            lanes: whens.into_iter().map(lane).collect(),
            steers,
            keyed: keyed(&job.limits),
        }
    }

    /// Needs and gates of a run with these values, but for gates by a parameter's value.
    fn lane(&self, job: &Job, values: &BTreeMap<String, Value>) -> (Vec<String>, Vec<Gate>) {
        let mut table = job.table.clone();
        if job.kind.params == ParamsAre::Keys {
            values.iter().for_each(|(name, value)| set(&mut table, name, value));
        }
        let uses = (job.kind.uses)(table).unwrap_or_else(|_| job.uses.clone());
        let own = Limits {
            concurrency: job.limits.concurrency.clone().filter(|limit| limit.key.is_none()),
            rate: job.limits.rate.clone().filter(|pace| pace.key.is_none()),
            ..job.limits.clone()
        };
        limits::of_run(&job.name, job.kind, &own, &self.limits, &uses, values)
    }
}

fn keyed(limits: &Limits) -> Vec<Keyed> {
    let most = limits
        .concurrency
        .as_ref()
        .and_then(|limit| Some(Keyed { param: limit.key.clone()?, gate: json!({ "most": limit.most }) }));
    let rate = limits.rate.as_ref().and_then(|pace| {
        Some(Keyed { param: pace.key.clone()?, gate: json!({ "rate": Rate { most: pace.most, per: pace.per } }) })
    });
    most.into_iter().chain(rate).collect()
}

/// A value that the parameter takes.
fn sample(param: &Param) -> Value {
    let given = param.default.as_ref().or(param.min.as_ref()).or(param.max.as_ref()).cloned();
    match (given, param.one_of.first(), param.sort) {
        (Some(value), ..) => value,
        (None, Some(choice), Sort::Strings) => json!([choice]),
        (None, Some(choice), _) => choice.clone(),
        (None, None, Sort::Boolean) => json!(true),
        (None, None, Sort::Integer) => json!(1),
        (None, None, Sort::Number) => json!(1.0),
        (None, None, Sort::Text) => json!("value"),
        (None, None, Sort::Duration) => json!("1h"),
        (None, None, Sort::Strings) => json!(["value"]),
    }
}

/// Values that show whether the parameter decides what the run uses.
fn probes(param: &Param) -> Vec<Value> {
    match param.sort {
        Sort::Text if param.one_of.is_empty() => vec![json!("another value")],
        Sort::Strings => vec![json!(param.one_of), json!(["another value"])],
        _ => choices(param),
    }
}

/// All values that there are; of an open one, as far as is known.
fn choices(param: &Param) -> Vec<Value> {
    match param.sort {
        Sort::Boolean if param.one_of.is_empty() => vec![json!(true), json!(false)],
        Sort::Strings => param.default.iter().cloned().collect(),
        _ if param.one_of.is_empty() => param.default.iter().cloned().collect(),
        _ => param.one_of.clone(),
    }
}
