//! What is wrong with a check that can be seen without a database.

use super::{Check, Fault, Form, Values, text::now_plus};
use crate::dataset::Definition;

impl Check {
    /// What is wrong with it, and what to do. `dataset` is its data set, where it is known.
    pub fn problems(&self, dataset: Option<&Definition>) -> Vec<String> {
        let mut found = Vec::new();
        let name = &self.name;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            found.push(format!("`{name}` is no name for a check; use lower-case letters, digits and _"));
        }
        let forms: Vec<_> = self.forms().into_iter().map(|(form, _)| form).collect();
        match forms.as_slice() {
            [_] => {}
            [] => found.push(format!(
                "check `{name}` checks nothing; add one of reference, unique, not_null, accepted, range, freshness, \
                 volume, archive_consistency or sql"
            )),
            several => {
                found.push(format!("check `{name}` has several forms ({}); make a check of each", several.join(", ")))
            }
        }
        if self.suite.is_empty() {
            found.push(format!("check `{name}` is in no suite, so nothing runs it; write suite = [\"full\"]"));
        }
        let is_sql = matches!(self.form(), Some(Form::Sql(_)));
        if !is_sql && (!self.key.is_empty() || self.of.is_some()) {
            found.push(format!("check `{name}`: `key` and `of` are for the form `sql`; leave them out"));
        }
        let share = [&self.warn, &self.fail].into_iter().flatten().any(super::Threshold::is_share);
        if is_sql && share && self.of.is_none() {
            found.push(format!("check `{name}`: a share needs to know of what; add of = \"schema.table\""));
        }
        found.extend(
            self.form()
                .into_iter()
                .flat_map(|form| form_problems(form, dataset))
                .map(|said| format!("check `{name}`: {said}")),
        );
        found
    }
}

fn form_problems(form: Form<'_>, dataset: Option<&Definition>) -> Vec<String> {
    let mut found = Vec::new();
    let mut columns = |list: &[String], key: &str| {
        if list.is_empty() {
            found.push(format!("`{key}` is empty; list at least one column"));
        }
    };
    match form {
        Form::Reference(one) => columns(&one.along, "along"),
        Form::Unique(one) => columns(&one.columns, "columns"),
        Form::NotNull(one) => columns(&one.columns, "columns"),
        Form::Range(one) => columns(&one.columns, "columns"),
        _ => {}
    }
    match form {
        Form::Reference(one) if !one.key.is_empty() && one.key.len() != one.along.len() => {
            found.push("`key` and `along` differ in length; list the columns that match, in order".to_owned());
        }
        Form::Accepted(one) => match &one.values {
            Some(Values::These(list)) if list.is_empty() => {
                found.push("`values` is empty; list what is accepted, or leave it out to ask the catalog".to_owned());
            }
            Some(Values::Named(name)) if dataset.is_some_and(|set| !set.values.contains_key(name)) => {
                found.push(format!("the data set's [values] have no `{name}`; add {name} = [\"…\"] to them"));
            }
            _ => {}
        },
        Form::Range(one) => {
            if one.min.is_none() && one.max.is_none() {
                found.push("has no bound; add `min` or `max`".to_owned());
            }
            for bound in [&one.min, &one.max].into_iter().flatten() {
                if let super::Bound::Text(text) = bound
                    && text.trim_start().starts_with("now")
                    && now_plus(text).is_none()
                {
                    found.push(format!("`{text}` is no bound; write \"now\", \"now - 1d\" or \"now + 5m\""));
                }
            }
        }
        Form::Volume(one) => match (one.min, one.max) {
            (None, None) => found.push("has no bound; add `min` or `max`".to_owned()),
            (Some(min), Some(max)) if min > max => found.push("`min` is more than `max`".to_owned()),
            _ => {}
        },
        Form::ArchiveConsistency(one) => {
            if one.find == Fault::WrongCounts && (one.child.is_none() || one.column.is_none()) {
                found.push("\"wrong counts\" needs `child` (a table) and `column` (of the parent)".to_owned());
            }
            if one.find == Fault::TooYoung && one.older_than.is_none() {
                found.push("\"too young\" needs `older_than`, such as \"90d\"".to_owned());
            }
            if one.find == Fault::NamesInBoth && dataset.is_some_and(|set| set.known_by.is_none()) {
                found.push("\"names in both\" needs the data set's `known_by`".to_owned());
            }
        }
        Form::Sql(text) if text.trim().is_empty() => {
            found.push("has no SQL; write a query that returns bad rows".to_owned())
        }
        _ => {}
    }
    found
}
