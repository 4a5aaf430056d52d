//! How this daemon's files stand to the active revision, on record for everybody, and told when it is trouble.

use chrono::Utc;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{PATIENCE, Reading, ReloadError, Reloaded, Source, first};
use crate::{
    catalog::Problem,
    ledger::{self, FilesState, Pulse, Station},
    metrics::{FILES_DRIFTED, FILES_GOOD, FILES_REVISION},
    outbox::{self, Fact, What},
};

/// How many problems an event and its message carry.
const TOLD: usize = 20;

/// How the files of one daemon stand.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) state: FilesState,
    /// The active revision that they were last compared with.
    pub(super) revision: i64,
    /// Their own digest.
    pub(super) digest: String,
    why: Option<String>,
    help: Option<String>,
    problems: Vec<Problem>,
}

impl Standing {
    /// What a reload found.
    pub(super) fn after(reloaded: &Reloaded, reading: &Reading, source: &Source) -> Self {
        let digest = reading.files.digest();
        match reloaded {
            Reloaded::Applied { revision } | Reloaded::Unchanged { revision } => Self::current(*revision, digest),
            Reloaded::Drifted { revision } => Self {
                why: Some(format!("the files in {} are an older revision than {revision}", folder(source))),
                ..Self::drifted(*revision, digest)
            },
            Reloaded::Kept { revision, problems } => {
                // A text with a NUL in it, which a crash may leave behind, is none for the database.
                let errors = problems.iter().filter(|problem| problem.is_error()).cloned().map(without_nul);
                let errors: Vec<_> = errors.collect();
                Self {
                    state: FilesState::Broken,
                    revision: *revision,
                    digest,
                    why: Some(format!("the files are broken, so revision {revision} stays: {}", first(&errors))),
                    help: help(&errors),
                    problems: errors,
                }
            }
        }
    }

    fn current(revision: i64, digest: String) -> Self {
        Self { state: FilesState::Current, revision, digest, why: None, help: None, problems: Vec::new() }
    }

    fn drifted(revision: i64, digest: String) -> Self {
        let help = "bring them up to date, or `sexton apply` them to make them the current revision";
        Self { state: FilesState::Drifted, help: Some(help.to_owned()), ..Self::current(revision, digest) }
    }

    /// How they stand now that `pulse` is what is active; files that are broken stay so until they are read again.
    pub(super) fn beside(&self, pulse: &Pulse, source: &Source) -> Self {
        let (revision, digest) = (pulse.revision, self.digest.clone());
        if revision == self.revision {
            return self.clone();
        }
        if pulse.digest == digest {
            return Self::current(revision, digest);
        }
        match self.state {
            FilesState::Broken => Self { revision, ..self.clone() },
            FilesState::Current | FilesState::Drifted => Self {
                why: Some(format!(
                    "the files in {} are not those of revision {revision}, which {} applied",
                    folder(source),
                    pulse.applied_by
                )),
                ..Self::drifted(revision, digest)
            },
        }
    }

    /// Writes it down, shows it in the metrics, and tells of it. False if nothing is told, since others are in trouble
    /// that is not over.
    pub(super) async fn record(&self, pool: &PgPool, source: &Source) -> Result<bool, ReloadError> {
        self.write(pool, source, true).await
    }

    /// The same without telling anybody.
    pub(super) async fn note(&self, pool: &PgPool, source: &Source) -> Result<bool, ReloadError> {
        self.write(pool, source, false).await
    }

    async fn write(&self, pool: &PgPool, source: &Source, tell: bool) -> Result<bool, ReloadError> {
        self.measure();
        let work = async {
            let mut transaction = pool.begin().await?;
            let station = Station {
                daemon: source.me,
                folder: folder(source),
                digest: self.digest.clone(),
                state: self.state,
                why: self.why.clone(),
            };
            let others = ledger::save_station(&mut transaction, &station).await?;
            // Trouble is over when it is over everywhere.
            let told = tell && (self.state != FilesState::Current || others == 0);
            if told {
                outbox::record(&mut transaction, &[self.fact(source)]).await?;
            }
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(told)
        };
        let told = tokio::time::timeout(PATIENCE, work).await.map_err(|_| ReloadError::Silent(PATIENCE))??;
        if let Some(why) = self.why.as_ref().filter(|_| told) {
            tracing::error!(revision = self.revision, problems = self.problems.len(), help = self.help, "{why}");
        }
        Ok(told)
    }

    /// Sets the figures.
    pub(super) fn measure(&self) {
        let flag = |state| if self.state == state { 1.0 } else { 0.0 };
        metrics::gauge!(FILES_GOOD).set(flag(FilesState::Current));
        metrics::gauge!(FILES_DRIFTED).set(flag(FilesState::Drifted));
        metrics::gauge!(FILES_REVISION).set(self.revision as f64);
    }

    fn fact(&self, source: &Source) -> Fact {
        let detail = |more: Value| {
            let mut detail = json!({ "why": self.why, "help": self.help, "revision": self.revision });
            if let (Some(detail), Value::Object(more)) = (detail.as_object_mut(), more) {
                detail.extend(more);
            }
            detail
        };
        let (what, detail) = match self.state {
            FilesState::Current => {
                (What::FilesMended, json!({ "why": "the files are good again", "revision": self.revision }))
            }
            FilesState::Drifted => (What::FilesDrifted, detail(json!({}))),
            FilesState::Broken => {
                let shown: Vec<_> = self.problems.iter().take(TOLD).collect();
                (What::FilesBroken, detail(json!({ "count": self.problems.len(), "problems": shown })))
            }
        };
        let channels = source.default_alert.clone();
        Fact { job: outbox::FILES.to_owned(), run: None, at: Utc::now(), what, channels, detail }
    }
}

/// What to do: what the only problem says, else where all of them are shown.
fn help(errors: &[Problem]) -> Option<String> {
    match errors {
        [only] if only.help.is_some() => only.help.clone(),
        _ => Some("`sexton apply --dry-run` shows every problem; mended files are taken in by themselves".to_owned()),
    }
}

fn without_nul(problem: Problem) -> Problem {
    let clean = |text: String| text.replace('\0', "\u{2400}");
    Problem { message: clean(problem.message), help: problem.help.map(clean), ..problem }
}

/// Where the files are, in one text.
fn folder(source: &Source) -> String {
    match (source.jobs.parent(), source.schedules.parent()) {
        (Some(jobs), Some(schedules)) if jobs == schedules => jobs.display().to_string(),
        _ => format!("{} and {}", source.jobs.display(), source.schedules.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::Names, settings::Share};

    fn source() -> Source {
        Source {
            jobs: "/etc/sexton/jobs".into(),
            schedules: "/etc/sexton/schedules".into(),
            names: Names::default(),
            default_alert: Vec::new(),
            most_removed: Share::percent(50),
            me: uuid::Uuid::nil(),
        }
    }

    fn pulse(revision: i64, digest: &str) -> Pulse {
        Pulse { revision, digest: digest.into(), applied_by: "somebody".into(), others: 0, known: true }
    }

    #[test]
    fn files_drift_when_somebody_applies_others_and_are_current_when_theirs_come_back() {
        let ours = Standing::current(1, "a".into());
        assert_eq!(ours.beside(&pulse(1, "a"), &source()), ours);
        let drifted = ours.beside(&pulse(2, "b"), &source());
        assert_eq!((drifted.state, drifted.revision), (FilesState::Drifted, 2));
        assert_eq!(
            drifted.why.as_deref(),
            Some("the files in /etc/sexton are not those of revision 2, which somebody applied")
        );
        let back = drifted.beside(&pulse(3, "a"), &source());
        assert_eq!((back.state, back.revision, back.why), (FilesState::Current, 3, None));
    }

    #[test]
    fn files_that_mean_the_same_as_the_active_ones_stay_current_only_beside_those() {
        // Only a comment was lost, so their digest is another.
        let trimmed = Standing::current(4, "trimmed".into());
        assert_eq!(trimmed.beside(&pulse(4, "whole"), &source()).state, FilesState::Current);
        assert_eq!(trimmed.beside(&pulse(5, "other"), &source()).state, FilesState::Drifted);
    }

    #[test]
    fn broken_files_stay_broken_until_they_are_what_is_active() {
        let problem = Problem::whole("jobs/j.toml", "is bad\0", None);
        let kept = Reloaded::Kept { revision: 1, problems: vec![problem] };
        let reading = Reading::default();
        let broken = Standing::after(&kept, &reading, &source());
        assert!(broken.why.as_ref().is_some_and(|why| why.ends_with("is bad\u{2400}")), "{broken:?}");
        assert_eq!(broken.beside(&pulse(2, "b"), &source()).state, FilesState::Broken);
        assert_eq!(broken.beside(&pulse(2, &reading.files.digest()), &source()).state, FilesState::Current);
    }
}
