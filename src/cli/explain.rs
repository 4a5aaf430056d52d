//! `sexton explain`: what a job would do to a target's rows, before it does.

use std::io::Write;

use serde_json::json;

use super::{AskError, Cli, OnceArgs, exit, load, targets};
use crate::{
    catalog::Catalog,
    dataset::{self, Definition, Disposal, Explained, Side},
    db, kinds, requests,
};

pub(super) async fn run(cli: &Cli, args: &OnceArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let settings = load(cli.config.as_deref())?;
    let (_, parsed) = Catalog::read(&settings.files.jobs, &settings.files.schedules);
    let catalog = parsed
        .catalog
        .ok_or_else(|| AskError::Said("the job files have mistakes; `sexton check` shows them".to_owned()))?;
    let spec = requests::resolve(&catalog, &args.job, &args.values())?;
    let entry = kinds::find(&spec.kind).ok_or_else(|| AskError::Said(format!("there is no kind `{}`", spec.kind)))?;
    let planned = (entry.plan)(spec.table)?.ok_or_else(|| {
        AskError::Said(format!("`{}` is a {} job: it moves no rows by rules, so there is no plan", args.job, spec.kind))
    })?;
    let definition: Definition = serde_json::from_value(spec.dataset.unwrap_or_default())?;
    let all = db::Targets::new(targets(&settings)?);
    let target = all.get(&planned.target).map_err(|unknown| AskError::Said(unknown.to_string()))?;
    let plan = dataset::explain(target.pool(), &definition, &planned.order, planned.batch).await;
    let plan = plan.map_err(|error| {
        let help = error.help(&planned.target).map(|help| format!(" ({help})")).unwrap_or_default();
        AskError::Said(format!("target `{}`: {error}{help}", planned.target))
    })?;
    if cli.json {
        let (seconds, measured) = plan.seconds();
        let plan = json!({
            "job": args.job, "target": planned.target, "dry_run": planned.dry_run, "plan": plan,
            "seconds": seconds, "measured": measured,
        });
        writeln!(out, "{plan:#}")?;
    } else {
        write!(out, "{}", told(&args.job, &planned, &plan))?;
    }
    Ok(exit::DONE)
}

/// The plan for people.
fn told(job: &str, planned: &kinds::Planned, plan: &Explained) -> String {
    let order = &planned.order;
    let verb = match order.disposal {
        Disposal::Archive => "move to the archive",
        Disposal::Delete => "are deleted",
    };
    let mut text = format!("{job}, on target `{}`", planned.target);
    if planned.dry_run {
        text.push_str(" (a dry run: it would only count)");
    }
    let all = match order.from {
        Side::Main => plan.totals.sizes.main,
        Side::Archive => plan.totals.sizes.archive,
    };
    let share = if all == 0 { 0.0 } else { plan.rows as f64 * 100.0 / all as f64 };
    text.push_str(&format!("\n\n{} of {all} rows ({share:.1} %) {verb}, with all that belongs to them:\n", plan.rows));
    for table in &plan.tables {
        let to = table.to.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
        text.push_str(&format!("  {:>12}  {}{to}\n", table.rows, table.table));
        if !table.triggers.is_empty() {
            text.push_str(&format!("                each fires the triggers {}\n", table.triggers.join(", ")));
        }
        if !table.publications.is_empty() {
            let names = table.publications.join(", ");
            text.push_str(&format!("                subscribers of {names} delete them, too\n"));
        }
    }
    text.push_str("\nof the rows that are old enough, these stay:\n");
    let more = plan.totals.eligible.saturating_sub(plan.rows);
    let stay = [
        (plan.totals.kept_held, "held (the data set's `hold`, or sexton.hold)"),
        (plan.totals.kept_critical, "critical"),
        (plan.totals.kept_open, "open"),
        (more, "past `max_rows`, or in the archive already under the same key"),
    ];
    for (rows, why) in stay.iter().filter(|(rows, _)| *rows > 0) {
        text.push_str(&format!("  {rows:>12}  {why}\n"));
    }
    if stay.iter().all(|(rows, _)| *rows == 0) {
        text.push_str("             none\n");
    }
    match plan.scans_whole_table {
        true => text.push_str(
            "\nno index helps to find them: every step reads the whole table; index the age column and the key\n",
        ),
        false => text.push_str(&format!("\nfound by the index {}\n", plan.indexes.join(", "))),
    }
    let wal: u64 = plan.tables.iter().map(|table| table.wal_bytes).sum();
    let (seconds, measured) = plan.seconds();
    let basis = if measured { "as fast as earlier runs here" } else { "assuming 20,000 rows a second" };
    text.push_str(&format!(
        "about {:.1} MiB of write-ahead log, {} steps of {} rows at first, {} ({basis}, without throttles)\n",
        wal as f64 / 1_048_576.0,
        plan.rows.div_ceil(planned.batch.max(1)),
        planned.batch,
        lasting(seconds),
    ));
    if !plan.changes.is_empty() {
        text.push_str("\nfirst, the archive is made to match (`--json` has every statement whole):\n");
        for change in &plan.changes {
            let mut lines = change.lines();
            let first = lines.next().unwrap_or_default();
            text.push_str(&format!("  {first}{}\n", if lines.next().is_some() { " … )" } else { "" }));
        }
    }
    text
}

/// Seconds for people.
fn lasting(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "less than a second".to_owned(),
        s if s < 120.0 => format!("about {s:.0} s"),
        s if s < 7_200.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3_600.0),
    }
}
