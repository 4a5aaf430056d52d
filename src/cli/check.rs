//! `sexton check`: every mistake in the files, before they ship. Needs no database.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use chrono::Utc;
use serde_json::json;

use crate::{
    catalog::{Catalog, Files, Names, Parsed, Problem, Schedule, Severity},
    db::Sources,
    settings::{Settings, SettingsError},
};

/// Arguments of `check`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// The folder of job files [default: the settings', else ./jobs]
    #[arg(long, value_name = "DIR")]
    pub jobs: Option<PathBuf>,
    /// The folder of schedule files [default: the settings', else ./schedules]
    #[arg(long, value_name = "DIR")]
    pub schedules: Option<PathBuf>,
    /// The settings; without any, names of targets, vaults and channels are not looked up.
    #[arg(skip)]
    pub config: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(skip)]
    pub json: bool,
}

/// What was looked at, and what it told.
pub(super) struct Looked {
    pub(super) settings: Result<Option<Settings>, SettingsError>,
    pub(super) files: Files,
    pub(super) parsed: Parsed,
}

/// Checks the files and prints what is wrong.
///
/// The number is the exit code: 0 for fine or warnings only, 1 for errors.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> io::Result<u8> {
    let looked = look(args);
    let errors = looked.errors();
    if args.json {
        let settings = looked.settings.as_ref().err().map(|error| &error.problems);
        let report = json!({
            "ok": errors == 0,
            "errors": errors,
            "warnings": looked.parsed.problems.len() - looked.file_errors(),
            "files": looked.files.0.len(),
            "settings": settings,
            "problems": looked.parsed.problems,
            "retention": looked.parsed.catalog.as_ref().map(Catalog::retention).unwrap_or_default(),
        });
        writeln!(out, "{report:#}")?;
    } else {
        looked.print(out)?;
        for retention in looked.parsed.catalog.as_ref().map(Catalog::retention).unwrap_or_default() {
            writeln!(out, "{}\n", retention.render())?;
        }
        writeln!(out, "{}", looked.summary())?;
    }
    Ok(u8::from(errors > 0))
}

/// Reads settings, if there are any, and the files.
pub(super) fn look(args: &Args) -> Looked {
    let path = Settings::find(args.config.as_deref());
    let settings = match &path {
        Some(path) => Settings::without_secrets(Some(path)).map(Some),
        None => Ok(None),
    };
    let known = settings.as_ref().ok().and_then(Option::as_ref);
    // Broken settings do not say where the files are; most likely they are in the usual place beside them.
    let beside = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let jobs = args.jobs.clone().or_else(|| known.map(|settings| settings.files.jobs.clone()));
    let schedules = args.schedules.clone().or_else(|| known.map(|settings| settings.files.schedules.clone()));
    let (files, mut parsed) = Catalog::read(
        &jobs.unwrap_or_else(|| beside.join("jobs")),
        &schedules.unwrap_or_else(|| beside.join("schedules")),
    );
    if let Some(settings) = known {
        parsed.check_names(&names(settings));
    }
    let mut over: Vec<_> = parsed.catalog.iter().flat_map(|catalog| &catalog.schedules).filter_map(over).collect();
    over.extend(parsed.catalog.iter().flat_map(|catalog| catalog.doubts(Utc::now())));
    parsed.add(over);
    Looked { settings, files, parsed }
}

/// A schedule whose years are over; the files alone cannot know what day it is.
fn over(schedule: &Schedule) -> Option<Problem> {
    let over = schedule.enabled && schedule.cron.next(schedule.zone, Utc::now()).is_none();
    over.then(|| {
        let message =
            format!("schedule `{}` is never due again: the years of `{}` are over", schedule.name, schedule.cron);
        let help = Some("give it years to come, or delete it".to_owned());
        Problem { severity: Severity::Warning, ..Problem::whole(schedule.file.clone(), message, help) }
    })
}

/// The names that the settings define.
pub fn names(settings: &Settings) -> Names {
    Names {
        targets: settings.targets.keys().cloned().collect(),
        vaults: settings.vaults.keys().cloned().collect(),
        channels: settings.channels.keys().cloned().collect(),
        sources: (settings.targets.iter())
            .map(|(name, target)| (name.clone(), Sources::new(target.sources.iter().cloned())))
            .collect(),
        default_alert: !settings.alerts.default.is_empty(),
    }
}

impl Looked {
    fn file_errors(&self) -> usize {
        self.parsed.problems.iter().filter(|problem| problem.is_error()).count()
    }

    fn errors(&self) -> usize {
        self.file_errors() + self.settings.as_ref().err().map_or(0, |error| error.problems.len())
    }

    /// Every problem, for people.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        if let Err(error) = &self.settings {
            writeln!(out, "{error}\n")?;
        }
        for problem in &self.parsed.problems {
            writeln!(out, "{}\n", problem.render(&self.files, colour))?;
        }
        Ok(())
    }

    /// One line about all of it.
    pub(super) fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let errors = self.errors();
        let warnings = self.parsed.problems.len() - self.file_errors();
        let found = match (errors, warnings) {
            (0, 0) => "no problems".to_owned(),
            (0, _) => count(warnings, "warning"),
            (_, 0) => count(errors, "problem"),
            _ => format!("{} and {}", count(errors, "problem"), count(warnings, "warning")),
        };
        let scope = match &self.settings {
            Ok(Some(_)) => "",
            Ok(None) => " (no settings found: names of targets, vaults and channels were not looked up)",
            Err(_) => " (the settings are broken: names of targets, vaults and channels were not looked up)",
        };
        let what = match &self.parsed.catalog {
            Some(catalog) => format!(
                "{}, {}, {}",
                count(catalog.jobs.len(), "job"),
                count(catalog.schedules.len(), "schedule"),
                count(catalog.datasets.len(), "data set"),
            ),
            None => count(self.files.0.len(), "file"),
        };
        format!("{what}: {found}{scope}")
    }
}

/// The problems as one text, for logs and errors elsewhere.
pub fn told(problems: &[Problem], files: &Files) -> String {
    problems.iter().map(|problem| problem.render(files, false)).collect::<Vec<_>>().join("\n\n")
}
