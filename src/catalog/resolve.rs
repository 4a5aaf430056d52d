//! From a job and parameters to what a run carries.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{Catalog, Job, Next, Schedule, doc, limits};
use crate::{
    kinds::ParamsAre,
    spec::{FORMAT, Fails, Follows, Spec},
};

/// Why a trigger is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParamProblem {
    /// The parameter; `None` when it is about the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl std::fmt::Display for ParamProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl Catalog {
    /// What a run of `job` with these parameters carries, with all that the job's own file says comes after it; those
    /// inherit the parameters that they declare, too.
    ///
    /// # Errors
    /// Everything that is wrong: an unknown job, unknown or missing parameters, values that do not fit, and what the
    /// kind itself says against them.
    pub fn resolve(&self, job: &str, params: &BTreeMap<String, Value>) -> Result<Spec, Vec<ParamProblem>> {
        let Some(job) = self.jobs.get(job) else {
            return Err(vec![ParamProblem {
                param: None,
                message: format!("there is no job `{job}`"),
                help: Some(doc::suggest_or_list(job, self.jobs.keys().map(String::as_str))),
            }]);
        };
        let mut problems = Vec::new();
        let mut problem = |param: &str, message: String, help: Option<String>| {
            problems.push(ParamProblem { param: Some(param.to_owned()), message, help });
        };
        let mut values = BTreeMap::new();
        for (name, value) in params {
            match job.params.get(name).map(|param| param.accept(value)) {
                Some(Ok(value)) => {
                    values.insert(name.clone(), value);
                }
                Some(Err(wrong)) => problem(name, format!("`{name}` {wrong}"), None),
                None => {
                    let known = job.params.keys().map(String::as_str);
                    let all: Vec<_> = known.clone().collect();
                    let all = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
                    let near = doc::suggest(name, known).map(|near| format!("{near} ")).unwrap_or_default();
                    let help = format!("{near}what may be set: {all}");
                    problem(name, format!("`{}` has no parameter `{name}`", job.name), Some(help));
                }
            }
        }
        for (name, param) in job.params.iter().filter(|(name, _)| !params.contains_key(*name)) {
            if param.default.is_none() {
                let help = format!("give it a value: {}", param.sort);
                problem(name, format!("`{}` needs the parameter `{name}`", job.name), Some(help));
            }
        }
        let links = job.then.iter().filter_map(|next| self.jobs.get(&next.job));
        for link in links.clone() {
            for (name, value) in &values {
                if let Some(Err(wrong)) = link.params.get(name).map(|param| param.accept(value)) {
                    let help = format!("it is handed on to `{}`, which comes after `{}`", link.name, job.name);
                    problem(name, format!("`{name}` {wrong}"), Some(help));
                }
            }
        }
        let spec = self.spec(job, &values).followed_by(self.links(&job.then, &values));
        if problems.is_empty() {
            problems.extend(refusals(job, &spec.table));
        }
        if problems.is_empty() {
            let found = links.zip(&spec.then).map(|(link, spec)| refusals(link, &spec.table));
            problems.extend(found.flatten().map(|found| ParamProblem { param: None, ..found }));
        }
        if problems.is_empty() { Ok(spec) } else { Err(problems) }
    }

    /// What a run of this schedule carries, with all that follows it.
    pub fn spec_for(&self, schedule: &Schedule) -> Option<Spec> {
        let first = self.spec(self.jobs.get(&schedule.job)?, &schedule.params);
        let mut first = first.followed_by(self.links(&schedule.then, &schedule.params));
        // Whichever of them fails, the schedule has failed.
        let fails = |after| Fails { schedule: schedule.name.clone(), after };
        for spec in &mut first.then {
            spec.pause_on_failure = schedule.policy.pause_on_failure.map(fails);
        }
        first.pause_on_failure = schedule.policy.pause_on_failure.map(fails);
        Some(first)
    }

    /// The links of a chain, with the parameters that they declare. All jobs are known to be there.
    pub(super) fn links(&self, then: &[Next], values: &BTreeMap<String, Value>) -> Vec<Spec> {
        let link = |next: &Next| {
            let follows = Follows { after: next.after.clone(), on: next.on };
            Some(Spec { follows: Some(follows), ..self.spec(self.jobs.get(&next.job)?, values) })
        };
        then.iter().filter_map(link).collect()
    }

    /// The job with the values that it declares; those are known to fit.
    pub(super) fn spec(&self, job: &Job, values: &BTreeMap<String, Value>) -> Spec {
        let params: BTreeMap<String, Value> = job
            .params
            .iter()
            .filter_map(|(name, param)| Some((name.clone(), values.get(name).or(param.default.as_ref())?.clone())))
            .collect();
        let mut table = job.table.clone();
        if job.kind.params == ParamsAre::Keys {
            for (name, value) in &params {
                set(&mut table, name, value);
            }
        }
        // A parameter may say which target it is.
        let uses = (job.kind.uses)(table.clone()).unwrap_or_else(|_| job.uses.clone());
        let (needs, limits) = limits::of_run(&job.name, job.kind, &job.limits, &self.limits, &uses, &params);
        Spec {
            format: FORMAT,
            job: job.name.clone(),
            kind: job.kind.name.to_owned(),
            table,
            dataset: job.dataset.as_ref().and_then(|name| self.datasets.get(name)).cloned(),
            params,
            timeout: job.timeout,
            retry: job.retry,
            on_lost: job.on_lost,
            lease: job.kind.lease,
            priority: job.priority,
            alert: job.alert.clone().unwrap_or_else(|| self.default_alert.clone()),
            expect: job.expect.clone(),
            fail_on_breach: job.fail_on_breach,
            follows: None,
            then: Vec::new(),
            needs,
            limits,
            pause_on_failure: None,
        }
    }
}

/// Sets a dotted key.
pub(super) fn set(table: &mut Value, name: &str, value: &Value) {
    let mut at = table;
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        let Value::Object(map) = at else { return };
        if parts.peek().is_none() {
            map.insert(part.to_owned(), value.clone());
            return;
        }
        at = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
}

/// What the kind says against a table with these values in it.
fn refusals(job: &Job, table: &Value) -> Vec<ParamProblem> {
    let problem = |key: Option<&str>, message: String, help| ParamProblem {
        param: key.filter(|key| job.params.contains_key(*key)).map(str::to_owned),
        message,
        help,
    };
    // Through TOML text, because a kind reads TOML; a table that came from TOML goes back to it.
    let Ok(text) = toml::to_string(table) else { return Vec::new() };
    let Ok(read) = DeTable::parse(&text) else { return Vec::new() };
    let node = Spanned::new(read.span(), DeValue::Table(read.into_inner()));
    match (job.kind.inspect)(ValueDeserializer::from(node)) {
        Ok(inspection) => inspection
            .findings
            .into_iter()
            .filter(|finding| !finding.warning)
            .map(|finding| problem(Some(&finding.key), format!("{}: {}", finding.key, finding.message), finding.help))
            .collect(),
        Err(error) => {
            let said = doc::Said::new(error.message());
            let line = error.span().map(|span| text[..span.start].rfind('\n').map_or(0, |at| at + 1));
            let key = line.and_then(|at| text[at..].split(['=', '\n']).next()).map(str::trim);
            vec![problem(key, format!("[{}] {}: {}", job.kind.name, key.unwrap_or_default(), said.message), said.help)]
        }
    }
}
