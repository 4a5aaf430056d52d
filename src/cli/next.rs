//! `sexton next`: when schedules fire, as the planner will decide it.

mod show;
mod week;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::json;

use super::{check, load, queue_login};
use crate::{
    db,
    requests::preview::{self, Due, Known, due, heat},
    slots::{Cron, CronError, Dst, Gap, Passes},
};

/// A preview does not wait long for a database that it can do without.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `next`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("clock").args(["cron", "week"])))]
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
    #[arg(long, value_name = "ZONE", default_value = "UTC", requires = "clock", value_parser = zone)]
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
pub async fn run(args: &Args, out: &mut dyn Write) -> io::Result<u8> {
    let from = args.from.unwrap_or_else(Utc::now);
    let count = usize::from(args.count);
    if let Some(text) = &args.cron {
        return match expression(args, text) {
            Ok(cron) => {
                let due = due::after(&cron, args.zone, None, from, count);
                print(&due, &[], args.json, out)?;
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
    let mut due = match &args.schedule {
        Some(name) => match catalog.schedule(name) {
            Some(schedule) => {
                if !schedule.enabled && !args.json {
                    writeln!(out, "{name} is switched off (enabled = false); it would fire at:")?;
                }
                preview::upcoming([schedule], from, count)
            }
            None => {
                let known: Vec<_> = catalog.schedules.iter().map(|schedule| schedule.name.as_str()).collect();
                writeln!(out, "there is no schedule `{name}`; there are: {}", known.join(", "))?;
                return Ok(1);
            }
        },
        None => preview::upcoming(catalog.schedules.iter().filter(|schedule| schedule.enabled), from, count),
    };
    let known = ask(&looked, args.config.as_deref(), &due).await;
    preview::touch(catalog, &mut due, known.as_ref().ok().and_then(Option::as_ref));
    let mut notes = preview::notes(&due, known.as_ref().ok().and_then(Option::as_ref));
    if let Err(why) = &known {
        notes.push(format!("pauses and how long runs take are not known: {why}"));
    }
    print(&due, &notes, args.json, out)?;
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

/// What the queue's database says, where settings name one; why not, where it does not answer.
async fn ask(looked: &check::Looked, config: Option<&Path>, due: &[Due<'_>]) -> Result<Option<Known>, String> {
    let Ok(Some(_)) = &looked.settings else { return Ok(None) };
    let asking = async {
        let settings = load(config).map_err(|error| error.to_string())?;
        let login = queue_login(&settings).map_err(|error| error.to_string())?;
        if login.has_several_hosts() {
            db::probe(&login).await.map_err(|error| format!("the queue's database {login}: {error}"))?;
        }
        let pool = db::queue_pool(&login, 1);
        let known = Known::ask(&pool, &preview::jobs(due)).await;
        pool.close().await;
        known.map(Some).map_err(|error| format!("the queue's database {login}: {error}"))
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| Err("the queue's database does not answer".to_owned()))
}

fn print(due: &[Due<'_>], notes: &[String], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json { writeln!(out, "{:#}", due::json(due)) } else { show::text(due, notes, out) }
}
