//! `sexton next`: when schedules fire, as the planner will decide it.

mod show;
mod week;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::json;

use super::check;
use crate::{
    catalog::Schedule,
    requests::preview::heat,
    slots::{Cron, CronError, Dst, Gap, Passes},
};
use show::Due;

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
    /// Draw the collisions of the coming week: how many slots start in each hour, and which start together
    #[arg(long, conflicts_with_all = ["cron", "schedule", "count"])]
    pub week: bool,
    /// A cron expression instead of the files
    #[arg(long, value_name = "EXPR", conflicts_with = "schedule")]
    pub cron: Option<String>,
    /// The expression's time zone; of a week, the clock that it is drawn on
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub zone: Tz,
    /// Times that its clocks jump over: after, skip [default: Vixie's rule]
    #[arg(long, value_name = "WHAT", requires = "cron")]
    pub dst_gap: Option<Gap>,
    /// Times that come twice: first, last, both [default: Vixie's rule]
    #[arg(long, value_name = "PASS", requires = "cron")]
    pub dst_overlap: Option<Passes>,
    /// The schedule's name, from which the expression's `H` is made
    #[arg(long, value_name = "NAME", requires = "cron")]
    pub name: Option<String>,
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

fn zone(text: &str) -> Result<Tz, &'static str> {
    text.parse().map_err(|_| "write an IANA name: UTC, Europe/Berlin, America/New_York")
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
        return match expression(args, text) {
            Ok(cron) => {
                let due = show::after(&cron, args.zone, None, from, count);
                print(&due, args.json, out)?;
                for lint in cron.lints().iter().filter(|_| !args.json) {
                    writeln!(out, "note: {}; {}", lint.why, lint.help)?;
                }
                Ok(0)
            }
            Err(error) if args.name.is_none() && Cron::named(text, "").is_ok() => {
                writeln!(out, "{}; give it with --name NAME", error.why)?;
                Ok(1)
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
    if args.week {
        let heat = heat::heat(catalog, args.zone, from);
        if args.json {
            writeln!(out, "{:#}", json!(heat))?;
        } else {
            let ink = if io::stdout().is_terminal() { week::Ink::Shades } else { week::Ink::Numbers };
            write!(out, "{}", week::drawn(&heat, ink))?;
        }
        return Ok(0);
    }
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
    print(&due, args.json, out)?;
    Ok(0)
}

/// The expression of the command line.
fn expression(args: &Args, text: &str) -> Result<Cron, CronError> {
    let cron = match &args.name {
        Some(name) => Cron::named(text, name)?,
        None => Cron::parse(text)?,
    };
    Ok(cron.with_dst(Dst { gap: args.dst_gap, overlap: args.dst_overlap }))
}

fn of(schedule: &Schedule, from: DateTime<Utc>, count: usize) -> Vec<Due<'_>> {
    show::after(&schedule.cron, schedule.zone, Some(schedule), from, count)
}

fn print(due: &[Due<'_>], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json { writeln!(out, "{:#}", show::json(due)) } else { show::text(due, out) }
}
