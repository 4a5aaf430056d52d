//! What the retentions of all jobs on one data set mean together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Catalog;
use crate::{
    dataset::{Disposal, Select, Side},
    kinds::Planned,
    span::Span,
};

/// What becomes of the rows of a data set on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// The data set.
    pub dataset: String,
    /// The target.
    pub target: String,
    /// What happens to a row as it grows old, in order.
    pub rules: Vec<String>,
    /// What follows from the rules together.
    pub means: Vec<String>,
}

/// A job's rule.
struct Rule<'a> {
    job: &'a str,
    planned: Planned,
}

impl Rule<'_> {
    fn span(&self) -> Span {
        self.planned.order.select.span()
    }

    fn is(&self, from: Side, disposal: Disposal) -> bool {
        self.planned.order.from == from && self.planned.order.disposal == disposal
    }

    fn by_age(&self) -> bool {
        matches!(self.planned.order.select, Select::Old(_))
    }

    fn told(&self) -> String {
        let order = &self.planned.order;
        let when = match order.select {
            Select::Old(span) => format!("{span} old"),
            Select::Resolved(span) => format!("resolved for {span}"),
        };
        let what = match (order.from, order.disposal) {
            (Side::Main, Disposal::Archive) => "moves to the archive",
            (Side::Main, Disposal::Delete) => "is deleted for good",
            (Side::Archive, _) => "leaves the archive for good",
        };
        let stay = match (order.keep_critical, order.keep_open) {
            (true, true) => "; critical and open rows stay",
            (true, false) => "; critical rows stay",
            (false, true) => "; open rows stay",
            (false, false) => "; critical and open rows go, too",
        };
        let dry = if self.planned.dry_run { " (unless told otherwise it only counts)" } else { "" };
        format!("{when}: {what}{stay}: {}{dry}", self.job)
    }
}

impl Catalog {
    /// What the jobs' retentions mean together, for each data set and target that has any.
    pub fn retention(&self) -> Vec<Retention> {
        let mut groups: BTreeMap<(String, String), Vec<Rule<'_>>> = BTreeMap::new();
        for job in self.jobs.values() {
            // A job that cannot run without a parameter says nothing by itself.
            let Ok(spec) = self.resolve(&job.name, &BTreeMap::new()) else { continue };
            let (Ok(Some(planned)), Some(dataset)) = ((job.kind.plan)(spec.table), job.dataset.clone()) else {
                continue;
            };
            groups.entry((dataset, planned.target.clone())).or_default().push(Rule { job: &job.name, planned });
        }
        groups
            .into_iter()
            .map(|((dataset, target), mut rules)| {
                rules.sort_by_key(|rule| (rule.planned.order.from == Side::Archive, rule.span()));
                let means = means(&rules);
                Retention { dataset, target, rules: rules.iter().map(Rule::told).collect(), means }
            })
            .collect()
    }
}

/// What people have been surprised by.
fn means(rules: &[Rule<'_>]) -> Vec<String> {
    let mut means = Vec::new();
    let archive = rules.iter().find(|rule| rule.is(Side::Main, Disposal::Archive) && rule.by_age());
    for rule in rules.iter().filter(|rule| rule.is(Side::Main, Disposal::Delete)) {
        let job = rule.job;
        means.push(match archive {
            None => format!("no job archives by age, so what {job} deletes was never archived"),
            Some(archive) if rule.span() < archive.span() => format!(
                "{job} deletes after {} what {} would archive only after {}: it is never archived",
                rule.span(),
                archive.job,
                archive.span()
            ),
            Some(archive) => format!("{job} only ever finds what {} has left, and deletes it unarchived", archive.job),
        });
    }
    if let Some(archive) = archive {
        for rule in rules.iter().filter(|rule| rule.is(Side::Main, Disposal::Archive) && rule.job != archive.job) {
            let keeps_less = (archive.planned.order.keep_critical && !rule.planned.order.keep_critical)
                || (archive.planned.order.keep_open && !rule.planned.order.keep_open);
            if rule.by_age() && rule.span() >= archive.span() && !keeps_less {
                means.push(format!(
                    "{} finds only what {} has left, since both keep the same rows: it is a safety net",
                    rule.job, archive.job
                ));
            }
        }
    }
    let archived = rules.iter().any(|rule| rule.is(Side::Main, Disposal::Archive));
    let purge = rules.iter().filter(|rule| rule.planned.order.from == Side::Archive).map(Rule::span).min();
    match purge {
        None if archived => {
            means.push("no job purges the archive, so it grows for ever (from = \"archive\" does)".to_owned())
        }
        Some(purge) => {
            let newest = rules.iter().filter(|rule| rule.is(Side::Main, Disposal::Archive)).map(Rule::span).min();
            if newest.is_some_and(|newest| purge <= newest) {
                means.push(format!("the archive is purged after {purge}, which is no later than rows arrive there"));
            }
        }
        None => {}
    }
    means
}

impl Retention {
    /// For people.
    pub fn render(&self) -> String {
        let mut text = format!("data set `{}` on target `{}`: a row that is", self.dataset, self.target);
        for rule in &self.rules {
            text.push_str(&format!("\n  {rule}"));
        }
        for means in &self.means {
            text.push_str(&format!("\n  note: {means}"));
        }
        text
    }
}
