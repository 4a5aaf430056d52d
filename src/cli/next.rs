//! `sexton next`: when schedules fire, as the planner will decide it.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::json;

use super::check;
use crate::{catalog::Schedule, slots::Cron};

/// Arguments of `next`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// One schedule by name [default: all that are on]
    #[arg(value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// How many instants
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    /// Instants strictly after this one, as RFC 3339 [default: now]
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<DateTime<Utc>>,
    /// A cron expression instead of the files
    #[arg(long, value_name = "EXPR", conflicts_with = "schedule")]
    pub cron: Option<String>,
    /// The expression's time zone
    #[arg(long, value_name = "ZONE", default_value = "UTC", requires = "cron")]
    pub zone: Tz,
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

/// One instant at which something fires.
struct Due<'a> {
    at: DateTime<Utc>,
    zone: Tz,
    schedule: Option<&'a Schedule>,
}

/// Prints when schedules fire next.
///
/// The number is the exit code: 0, or 1 when the files are broken or the name or expression is not known.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> io::Result<u8> {
    let from = args.from.unwrap_or_else(Utc::now);
    let count = usize::from(args.count);
    if let Some(text) = &args.cron {
        return match Cron::parse(text) {
            Ok(cron) => {
                let due = after(&cron, args.zone, from, count).map(|at| Due { at, zone: args.zone, schedule: None });
                print(&due.collect::<Vec<_>>(), args.json, out)
            }
            Err(error) => {
                writeln!(out, "{error}")?;
                Ok(1)
            }
        };
    }
    let looked = check::look(&check::Args {
        jobs: args.jobs.clone(),
        schedules: args.schedules.clone(),
        config: args.config.clone(),
        json: args.json,
    });
    let Some(catalog) = &looked.parsed.catalog else {
        looked.print(out)?;
        writeln!(out, "{}", looked.summary())?;
        return Ok(1);
    };
    let mut due: Vec<Due<'_>> = Vec::new();
    match &args.schedule {
        Some(name) => match catalog.schedule(name) {
            Some(schedule) => {
                if !schedule.enabled && !args.json {
                    writeln!(out, "{name} is switched off (enabled = false); it would fire at:")?;
                }
                due.extend(of(schedule, from, count));
            }
            None => {
                let known: Vec<_> = catalog.schedules.iter().map(|schedule| schedule.name.as_str()).collect();
                writeln!(out, "there is no schedule `{name}`; there are: {}", known.join(", "))?;
                return Ok(1);
            }
        },
        None => {
            for schedule in catalog.schedules.iter().filter(|schedule| schedule.enabled) {
                due.extend(of(schedule, from, count));
            }
            due.sort_by_key(|due| due.at);
            due.truncate(count);
        }
    }
    print(&due, args.json, out)
}

fn of(schedule: &Schedule, from: DateTime<Utc>, count: usize) -> impl Iterator<Item = Due<'_>> {
    after(&schedule.cron, schedule.zone, from, count).map(|at| Due {
        at,
        zone: schedule.zone,
        schedule: Some(schedule),
    })
}

fn after(cron: &Cron, zone: Tz, from: DateTime<Utc>, count: usize) -> impl Iterator<Item = DateTime<Utc>> {
    std::iter::successors(cron.next(zone, from), move |at| cron.next(zone, *at)).take(count)
}

fn print(due: &[Due<'_>], json: bool, out: &mut dyn Write) -> io::Result<u8> {
    let utc = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if json {
        let all: Vec<_> = due
            .iter()
            .map(|due| {
                json!({
                    "at": utc(due.at),
                    "local": due.at.with_timezone(&due.zone).to_rfc3339(),
                    "zone": due.zone.name(),
                    "schedule": due.schedule.map(|schedule| &schedule.name),
                    "job": due.schedule.map(|schedule| &schedule.job),
                    "then": due.schedule.map(|schedule| &schedule.then),
                })
            })
            .collect();
        writeln!(out, "{:#}", serde_json::Value::from(all))?;
        return Ok(0);
    }
    if due.is_empty() {
        writeln!(out, "nothing is due")?;
    }
    for due in due {
        let local = due.at.with_timezone(&due.zone).format("%a %d %b %H:%M:%S %Z");
        write!(out, "{}  {local}", utc(due.at))?;
        if let Some(schedule) = due.schedule {
            write!(out, "  {}: {}", schedule.name, schedule.job)?;
            for job in &schedule.then {
                write!(out, ", then {job}")?;
            }
        }
        writeln!(out)?;
    }
    Ok(0)
}
