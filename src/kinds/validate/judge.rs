//! What the findings of all checks mean for the run.

use serde_json::Value;

use super::{
    known::{self, Known, Memory, New},
    look::{Found, Rows},
};
use crate::{
    dataset::check::Check,
    outcome::{Again, Failure, Outcome, Report},
};

/// The longest text of samples that a report carries, in bytes.
const SAMPLES: usize = 4_000;

/// The checks so far.
#[derive(Debug, Default)]
pub(super) struct Judged {
    report: Report,
    memory: Memory,
    said: Vec<String>,
    failed: Vec<String>,
    help: Vec<String>,
    checks: u64,
    issues: u64,
    warned: u64,
    skipped: u64,
    broken: u64,
    later: bool,
}

impl Judged {
    /// Adds what a check found; `before` is what the last run knew of it.
    pub(super) fn add(&mut self, check: &Check, found: Found, before: Option<&Known>) {
        self.checks += 1;
        match found {
            Found::Rows(rows) => self.rows(check, rows),
            Found::Skipped { missing } => {
                self.skipped += 1;
                self.said.push(format!("{}: skipped, there is no {missing}", check.name));
                self.keep(check, before);
            }
            Found::Broken(failure) => {
                self.broken += 1;
                // One that may pass by itself makes the whole run worth another try.
                self.later |= failure.again == Again::Later;
                self.failed.push(format!("{} could not be run: {}", check.name, failure.why));
                self.help.extend(failure.help);
                self.keep(check, before);
            }
        }
    }

    /// What was known stays known: the next run that can look compares with it.
    fn keep(&mut self, check: &Check, before: Option<&Known>) {
        if let Some(before) = before {
            self.memory.set(&check.name, before.clone());
        }
    }

    fn rows(&mut self, check: &Check, rows: Rows) {
        let name = &check.name;
        self.issues += rows.count;
        self.report.set(format!("check.{name}"), rows.count);
        let mut new = String::new();
        if let Some(New { count, at_least }) = rows.new {
            self.report.set(format!("new.{name}"), count);
            if at_least {
                self.report.set(format!("new.{name}.at_least"), true);
            }
            new = format!(", {}{count} of them new", if at_least { "at least " } else { "" });
        }
        if rows.count > 0 {
            self.said.push(format!("{name}: {}", shown(&rows.samples)));
        }
        let seen = rows.seen();
        if let Some(fail) = check.fails_at().filter(|fail| fail.reached(seen)) {
            let about = check.about.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
            let of = rows.looked.map(|looked| format!(" of {looked}")).unwrap_or_default();
            self.failed.push(format!(
                "{name}: {} bad rows{of}{new}, fails at {fail}{about}: {}",
                rows.count,
                shown(&rows.samples[..rows.samples.len().min(3)])
            ));
        } else if check.warns_at().is_some_and(|warn| warn.reached(seen)) {
            self.warned += 1;
        }
        self.memory.set(name, rows.known);
    }

    /// How the run ends.
    pub(super) fn outcome(self) -> Outcome {
        let Self { mut report, said, failed, .. } = self;
        report.set("issues", self.issues);
        report.set("checks", self.checks);
        report.set("checks_failed", failed.len());
        report.set("checks_warned", self.warned);
        report.set("checks_skipped", self.skipped);
        report.set(known::ENTRY, self.memory.value());
        if !said.is_empty() {
            report.set("samples", capped(said.join("\n"), SAMPLES));
        }
        if failed.is_empty() {
            return Outcome::Done(report);
        }
        let why = format!("{} of {} checks failed: {}", failed.len(), self.checks, failed.join("; "));
        let mut help = self.help;
        help.dedup();
        if help.is_empty() || failed.len() as u64 > self.broken {
            help.push("look at the rows by the keys shown, or correct the check's SQL or thresholds".to_owned());
        }
        let failure = Failure::never(capped(why, SAMPLES)).report(report).help(capped(help.join("; "), SAMPLES));
        let again = if self.later { Again::Later } else { Again::Never };
        Outcome::Failed(Failure { again, ..failure })
    }
}

/// `{id 1, order 2}, {id 3, order 4}`
fn shown(samples: &[Value]) -> String {
    let one = |sample: &Value| match sample {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {text}"),
                    other => format!("{name} {other}"),
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    };
    samples.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn capped(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, fail: &str) -> Check {
        toml::from_str(&format!("name = '{name}'\nsql = 'select 1'\n{fail}")).expect("a check")
    }

    fn rows(count: u64) -> Found {
        Found::Rows(Rows { count, samples: vec![serde_json::json!({"id": 7})], ..Rows::default() })
    }

    fn judge(all: &[(&Check, Found)]) -> Outcome {
        let mut judged = Judged::default();
        all.iter().for_each(|(check, found)| judged.add(check, found.clone(), None));
        judged.outcome()
    }

    #[test]
    fn a_few_bad_rows_warn_and_many_fail() {
        let check = check("ages", "fail = '> 100'");
        let Outcome::Done(report) = judge(&[(&check, rows(100))]) else { panic!("not done") };
        assert_eq!(report.number("checks_warned"), Some(1.0));
        let Outcome::Failed(failure) = judge(&[(&check, rows(101))]) else { panic!("not failed") };
        assert_eq!(failure.why, "1 of 1 checks failed: ages: 101 bad rows, fails at > 100: {id 7}");
        assert_eq!(failure.again, Again::Never);
        assert_eq!(failure.report.number("issues"), Some(101.0));
    }

    #[test]
    fn severity_says_what_happens_without_thresholds() {
        let judged = |severity: &str| judge(&[(&check("a", &format!("severity = '{severity}'")), rows(1))]);
        let Outcome::Done(report) = judged("info") else { panic!("not done") };
        assert_eq!(report.number("checks_warned"), Some(0.0));
        let Outcome::Done(report) = judged("warning") else { panic!("not done") };
        assert_eq!(report.number("checks_warned"), Some(1.0));
        assert!(matches!(judged("error"), Outcome::Failed(_)));
    }

    #[test]
    fn issues_are_the_sum_and_a_skipped_check_is_counted() {
        let (a, b, c) = (check("a", ""), check("b", ""), check("c", ""));
        let skipped = Found::Skipped { missing: "public.x".to_owned() };
        let Outcome::Done(report) = judge(&[(&a, rows(3)), (&b, rows(4)), (&c, skipped)]) else { panic!("not done") };
        assert_eq!((report.number("issues"), report.number("checks_skipped")), (Some(7.0), Some(1.0)));
    }

    #[test]
    fn a_check_that_did_not_run_keeps_what_was_known() {
        let before = Known::new(1, "select 1", &[7]);
        let mut judged = Judged::default();
        judged.add(&check("a", ""), Found::Broken(Failure::later("a lock")), Some(&before));
        let Outcome::Failed(failure) = judged.outcome() else { panic!("not failed") };
        assert_eq!(Memory::read(Some(&failure.report)).of("a"), Some(&before));
        assert_eq!(failure.again, Again::Later);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(capped("äöü".to_owned(), 3), "ä…");
    }
}
