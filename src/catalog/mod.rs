//! The files that ops edit, read and checked as one whole.
//!
//! ```text
//! folders ── Files::read ──▶ texts ── Catalog::parse ──▶ jobs, schedules, data sets   or every problem at once
//! ```
//! Nothing here looks at a database or a clock: the same texts give the same answer everywhere.

mod calendar;
mod cut;
mod diff;
mod doc;
mod doubts;
mod files;
mod fingerprint;
mod job;
mod limits;
mod mention;
mod offer;
mod params;
mod policy;
mod problem;
mod resolve;
mod retention;
mod schedule;
pub mod schema;
#[cfg(test)]
mod tests;
mod then;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

pub use cut::{cut_off, only_trimmed};
pub use diff::{Change, Diff, Effect, How, Key, Noun, effects, too_many_removed};
pub use files::Files;
pub use fingerprint::Fingerprint;
pub use job::Job;
pub use limits::{Concurrency, Limits, Pace};
pub use mention::Names;
pub use offer::{Offer, Part};
pub use params::{Param, Role, Sort};
pub use policy::{BUFFER_MOST, CatchUp, Overlap, Policy};
pub use problem::{Problem, Severity};
pub use resolve::ParamProblem;
pub use retention::Retention;
pub use schedule::{Schedule, TICK};
pub use then::Next;

use crate::{dataset::Definition, windows::Window};
use doc::Doc;
use mention::Mention;

/// All jobs, schedules and data sets of one set of files.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By name.
    pub jobs: BTreeMap<String, Job>,
    /// By name.
    pub schedules: Vec<Schedule>,
    /// By name.
    pub datasets: BTreeMap<String, Value>,
    /// By name.
    pub windows: Vec<Window>,
    window_places: BTreeMap<String, Problem>,
    mentions: Vec<Mention>,
    default_alert: Vec<String>,
    limits: limits::Shared,
}

/// What parsing told.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The catalog; `None` when there is an error.
    pub catalog: Option<Catalog>,
    /// Everything that is wrong or doubtful, by file and place.
    pub problems: Vec<Problem>,
    mentions: Vec<Mention>,
}

impl Parsed {
    /// Adds what is wrong with the names that the settings define: targets, vaults, channels. Works on broken files
    /// too, so that people see everything at once.
    pub fn check_names(&mut self, names: &Names) {
        self.add(self.mentions.iter().filter_map(|mention| mention.check(names)).collect());
    }

    /// Adds what was found later; an error takes the catalog away.
    pub fn add(&mut self, problems: Vec<Problem>) {
        if problems.iter().any(Problem::is_error) {
            self.catalog = None;
        }
        self.problems.extend(problems);
        sort(&mut self.problems);
    }
}

impl Catalog {
    /// Reads the two folders and parses what is there.
    pub fn read(jobs: &Path, schedules: &Path) -> (Files, Parsed) {
        let (files, problems) = Files::read(jobs, schedules);
        let mut parsed = Self::parse(&files);
        parsed.add(problems);
        (files, parsed)
    }

    /// Parses a set of files and checks it as a whole.
    pub fn parse(files: &Files) -> Parsed {
        let mut catalog = Self::default();
        let mut problems = Vec::new();
        let named: BTreeSet<String> = files.0.keys().filter_map(|path| job_of(path)).map(str::to_owned).collect();
        let mut datasets = BTreeSet::new();
        for (path, text) in &files.0 {
            let mut doc = Doc::new(path, text);
            if let Some(name) = stem(path, "jobs/datasets/") {
                datasets.insert(name);
                name_of(&mut doc, name, "data set");
                if let Some(definition) = dataset(&mut doc) {
                    catalog.datasets.insert(name.to_owned(), definition);
                }
            } else if path == limits::FILE {
                catalog.limits = limits::shared(&mut doc, &mut catalog.mentions);
            } else if let Some(name) = job_of(path)
                && let Some(job) = job::read(&mut doc, name, &named, &mut catalog.mentions)
            {
                catalog.jobs.insert(name.to_owned(), job);
            }
            problems.extend(doc.problems());
        }
        for (path, text) in &files.0 {
            let job = job_of(path).and_then(|name| catalog.jobs.get(name));
            if let Some(job) = job.filter(|job| !job.then.is_empty()) {
                let mut doc = Doc::new(path, text);
                then::given(&mut doc, job, &catalog.jobs);
                problems.extend(doc.problems());
            }
        }
        problems.extend(same_but_for_case(&named));
        problems.extend(catalog.mentions.iter().filter_map(|mention| mention.check_dataset(&datasets)));
        let calendars = calendar::Calendars::read(files, &mut problems);
        let mut windows = window::Found::default();
        for (path, text) in files.0.iter().filter(|(path, _)| stem(path, "schedules/").is_some()) {
            let mut doc = Doc::new(path, text);
            window::read(&mut doc, &calendars, &mut windows);
            problems.extend(doc.problems());
        }
        let known = schedule::Known { jobs: &catalog.jobs, named: &named, windows: &windows.named };
        let mut seen = schedule::Seen::default();
        for (path, text) in files.0.iter().filter(|(path, _)| stem(path, "schedules/").is_some()) {
            let mut doc = Doc::new(path, text);
            catalog.schedules.extend(schedule::read(&mut doc, &known, &mut seen));
            problems.extend(doc.problems());
        }
        catalog.schedules.sort_by(|a, b| a.name.cmp(&b.name));
        let used = catalog.schedules.iter().flat_map(|schedule| &schedule.windows).map(String::as_str).collect();
        problems.extend(windows.unused(&used));
        catalog.window_places = windows.places();
        catalog.windows = windows.windows;
        catalog.windows.sort_by(|a, b| a.name.cmp(&b.name));
        sort(&mut problems);
        let broken = problems.iter().any(Problem::is_error);
        let mentions = catalog.mentions.clone();
        Parsed { catalog: (!broken).then_some(catalog), problems, mentions }
    }

    /// What is wrong with the names that the settings define: targets, vaults, channels.
    pub fn check_names(&self, names: &Names) -> Vec<Problem> {
        let mut problems: Vec<_> = self.mentions.iter().filter_map(|mention| mention.check(names)).collect();
        sort(&mut problems);
        problems
    }

    /// The same catalog, whose jobs without an `alert` key tell these channels.
    #[must_use]
    pub fn with_default_alert(mut self, channels: Vec<String>) -> Self {
        self.default_alert = channels;
        self
    }

    /// A schedule by name.
    pub fn schedule(&self, name: &str) -> Option<&Schedule> {
        let at = self.schedules.binary_search_by(|schedule| schedule.name.as_str().cmp(name)).ok()?;
        self.schedules.get(at)
    }
}

fn sort(problems: &mut [Problem]) {
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
}

/// The name that a path in a folder gives.
fn stem<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder)?.strip_suffix(".toml").filter(|stem| !stem.contains('/'))
}

/// The job that a file is.
fn job_of(path: &str) -> Option<&str> {
    stem(path, "jobs/").filter(|_| path != limits::FILE)
}

/// Says when a file's name is no good as the name of what it holds.
fn name_of(doc: &mut Doc<'_>, name: &str, what: &str) {
    name_at(doc, name, what, 0..0);
}

/// Names stand in URLs, metrics and shells.
fn name_at(doc: &mut Doc<'_>, name: &str, what: &str, at: Range<usize>) {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !plain || name.is_empty() || name.len() > 100 {
        let help = "use letters, digits, `-` and `_`, at most 100 of them";
        doc.error(at, format!("`{name}` cannot be the name of a {what}"), Some(help.into()));
    }
}

/// Reads a data set's file.
fn dataset(doc: &mut Doc<'_>) -> Option<Value> {
    let table = doc.parse()?;
    let (definition, whole) = doc.whole_table("the data set", 0..0, 0..doc.text.len(), &table, Definition::deserialize);
    if whole {
        for problem in definition.iter().flat_map(Definition::problems) {
            doc.error(doc::place(&table, problem.key).unwrap_or(0..0), problem.message, None);
        }
    }
    Some(Value::Object(doc::table_json(&table)))
}

/// Two files that are one on some file systems.
fn same_but_for_case(names: &BTreeSet<String>) -> Vec<Problem> {
    let mut lower: BTreeMap<String, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for name in names {
        if let Some(other) = lower.insert(name.to_lowercase(), name) {
            let message = format!("differs from jobs/{other}.toml in nothing but upper and lower case");
            problems.push(Problem::whole(format!("jobs/{name}.toml"), message, Some("rename one of them".into())));
        }
    }
    problems
}
