//! `sexton apply`: the files of this machine become the active revision, shown before and told afterwards.

use std::io::{self, Write};

use chrono::Utc;
use serde_json::json;

use super::{Occasion, Reloaded, Source, read::settled, take};
use crate::{
    catalog::{Catalog, Diff, Effect, Files, Problem, effects},
    cli::{self, ApplyArgs, AskError, Cli, exit},
    daemon::{instance, wire},
    ledger::{self, Revision},
    settings::Log,
};

/// What applying the files does.
struct Plan {
    current: Option<Revision>,
    files: Files,
    /// What `check` says.
    problems: Vec<Problem>,
    /// What needs a person's word.
    refused: Vec<Problem>,
    diff: Diff,
    effects: Vec<Effect>,
}

/// Checks, shows and applies.
pub(in crate::daemon) async fn run(cli: &Cli, args: &ApplyArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let settings = cli::load(cli.config.as_deref())?;
    // What is wrong is printed here, whole; the log would only repeat it.
    super::super::logging::start(&Log { level: "off".to_owned(), ..settings.log.clone() });
    let parts = wire::parts(&settings)?;
    cli::answers(&parts.login).await?;
    let by = cli::who();
    if let Some(why) = instance::differs(&parts.pool, settings.instance.as_deref()).await? {
        return Err(AskError::Said(why));
    }
    let reading = settled(&parts.source).await;
    let parsed = reading.parse(&parts.source);
    let mut connection = parts.pool.acquire().await?;
    let current = ledger::current(&mut connection).await?;
    let seen = ledger::seen(&mut connection, &reading.files.digest()).await?;
    drop(connection);
    let plan = plan(&parts.source, current, reading.files.clone(), parsed.catalog.as_ref(), parsed.problems, seen);
    let broken = plan.problems.iter().any(Problem::is_error);
    let stops = broken || (!plan.refused.is_empty() && !args.allow_removals);
    let mut reloaded = None;
    if !args.dry_run && !stops {
        let occasion = if args.allow_removals { Occasion::Insisted } else { Occasion::Asked };
        let taken = take::take_in(&parts.pool, &parts.source, &reading, occasion, &by).await;
        reloaded = Some(taken.map_err(|error| AskError::Said(error.to_string()))?);
    }
    // Another person may have applied in between; what they made active decides then.
    let kept = matches!(reloaded, Some(Reloaded::Kept { .. }));
    if cli.json {
        plan.json(args, reloaded.as_ref(), out)?
    } else {
        plan.print(args, reloaded.as_ref(), out)?
    }
    Ok(if stops || kept { exit::ERROR } else { exit::DONE })
}

fn plan(
    source: &Source,
    current: Option<Revision>,
    files: Files,
    catalog: Option<&Catalog>,
    problems: Vec<Problem>,
    seen: bool,
) -> Plan {
    let before = Files(current.as_ref().map(|current| current.files.clone()).unwrap_or_default());
    let diff = Diff::between(&before, &files);
    let old = Catalog::parse(&before).catalog;
    let effects = catalog.map(|new| effects(old.as_ref(), new, &diff, Utc::now())).unwrap_or_default();
    let refused = if current.is_some() { take::refused(source, &before, &files, seen) } else { Vec::new() };
    Plan { current, files, problems, refused, diff, effects }
}

impl Plan {
    fn json(&self, args: &ApplyArgs, reloaded: Option<&Reloaded>, out: &mut dyn Write) -> io::Result<()> {
        let report = json!({
            "dry_run": args.dry_run,
            "applied": matches!(reloaded, Some(Reloaded::Applied { .. })),
            "revision": reloaded.map(Reloaded::revision).or(self.current.as_ref().map(|current| current.id)),
            "problems": self.problems,
            "refused": self.refused,
            "changes": self.diff,
            "effects": self.effects,
        });
        writeln!(out, "{report:#}")
    }

    fn print(&self, args: &ApplyArgs, reloaded: Option<&Reloaded>, out: &mut dyn Write) -> io::Result<()> {
        for problem in self.problems.iter().chain(&self.refused) {
            writeln!(out, "{}\n", problem.render(&self.files, false))?;
        }
        write!(out, "{}", self.diff)?;
        for effect in &self.effects {
            writeln!(out, "  {effect}")?;
        }
        let active = match &self.current {
            Some(current) => format!("revision {} stays active", current.id),
            None => "no files are active yet".to_owned(),
        };
        let broken = self.problems.iter().any(Problem::is_error);
        match reloaded {
            Some(Reloaded::Applied { revision }) => {
                writeln!(out, "revision {revision} is active: {}; the daemons follow within seconds", self.diff.short())
            }
            Some(Reloaded::Unchanged { revision }) => writeln!(out, "revision {revision} is active already"),
            Some(other) => writeln!(out, "nothing is applied: revision {} was made meanwhile", other.revision()),
            None if broken => writeln!(out, "nothing is applied, since the files are broken; {active}"),
            None if !self.refused.is_empty() && !args.allow_removals => {
                writeln!(out, "nothing is applied without --allow-removals; {active}")
            }
            None => writeln!(out, "dry run: nothing is applied; {active}"),
        }
    }
}
