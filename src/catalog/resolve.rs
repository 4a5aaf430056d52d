//! From a job and parameters to what a run carries.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{Catalog, Job, Schedule, doc};
use crate::{
    kinds::ParamsAre,
    spec::{FORMAT, Spec},
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
    /// What a run of `job` with these parameters carries; it has no `then`.
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
        let spec = self.spec(job, &values);
        if problems.is_empty() {
            problems.extend(refusals(job, &spec.table));
        }
        if problems.is_empty() { Ok(spec) } else { Err(problems) }
    }

    /// What a run of this schedule carries, with all that follows it.
    pub fn spec_for(&self, schedule: &Schedule) -> Option<Spec> {
        let spec = |job: &String| self.jobs.get(job).map(|job| self.spec(job, &schedule.params));
        let mut first = spec(&schedule.job)?;
        first.then = schedule.then.iter().map(spec).collect::<Option<_>>()?;
        Some(first)
    }

    /// The job with the values that it declares; those are known to fit.
    fn spec(&self, job: &Job, values: &BTreeMap<String, Value>) -> Spec {
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
            then: Vec::new(),
        }
    }
}

/// Sets a dotted key.
fn set(table: &mut Value, name: &str, value: &Value) {
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
