//! `sexton backups plan` and `rotate`: which backups stay, which go, why, and until when; and that it happens.

use std::{collections::BTreeSet, io::Write, sync::Arc};

use chrono::Utc;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{place::Place, rebuild, told, words};
use crate::{
    backups::{
        keep::{Fate, Item, Keep, Plan},
        name, rotate, shelf,
        work::{Ended, Work},
    },
    catalog::Catalog,
    child::Spawner,
    cli::{AskError, Cli, exit, load, targets, vaults},
    kinds::{Backup, Rotate},
    vault::Vault,
};

/// Arguments of `backups plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the backups of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Plan by this policy instead of the jobs': days=30,weekly=8,monthly=12,zone=Europe/Berlin
    #[arg(long, value_name = "POLICY")]
    pub keep: Option<Keep>,
    #[command(flatten)]
    /// Where they are.
    pub place: Place,
}

/// Arguments of `backups rotate`.
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    #[command(flatten)]
    /// What is planned.
    pub plan: Args,
    /// Delete what the plan says
    #[arg(long)]
    pub confirm: bool,
    /// Only if the plan is still the one with this number
    #[arg(long, value_name = "NUMBER", requires = "confirm")]
    pub number: Option<String>,
}

/// Backups of one name, and how they are kept.
struct Kept {
    job: Option<String>,
    vault: Arc<Vault>,
    name: String,
    keep: Keep,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let mut all = Vec::new();
    for kept in kept(cli, args).await? {
        let plan = rotate::plan(&kept.vault, &kept.name, &kept.keep, Utc::now()).await.map_err(told)?;
        if cli.json { all.push(as_json(&kept, &plan)) } else { print(out, &kept, &plan)? }
    }
    if cli.json {
        writeln!(out, "{:#}", json!(all))?;
    }
    Ok(exit::DONE)
}

pub(super) async fn rotate(cli: &Cli, args: &RotateArgs, out: &mut dyn Write) -> Result<u8, AskError> {
    let all = kept(cli, &args.plan).await?;
    if args.number.is_some() && all.len() != 1 {
        return Err(AskError::Said("--number is of one plan: say which with --name and --vault".to_owned()));
    }
    let spawner = Spawner::start()?;
    let stop = CancellationToken::new();
    let work = Work { spawner: &spawner, pg_bin: None, stop: &stop, tell: &|_, _, _, _| {} };
    let mut answers = Vec::new();
    for kept in all {
        let plan = rotate::plan(&kept.vault, &kept.name, &kept.keep, Utc::now()).await.map_err(told)?;
        let mut answer = as_json(&kept, &plan);
        if !cli.json {
            print(out, &kept, &plan)?;
        }
        if args.number.as_ref().is_some_and(|number| *number != plan.hash()) {
            return Err(AskError::Said(format!(
                "the plan is number {} now: the vault, the policy or the time changed; nothing was deleted",
                plan.hash()
            )));
        }
        if args.confirm {
            let rotated = rotate::rotate(&work, &kept.vault, &kept.keep, &plan).await;
            // Whatever happened, the catalogue is to have what is there.
            if args.plan.place.from.is_none() {
                rebuild::note(cli, &kept.vault, &kept.name).await;
            }
            let rotated = rotated.map_err(|ended| match ended {
                Ended::Failed(failure) => told(failure),
                Ended::Stopped => AskError::Said("stopped".to_owned()),
            })?;
            answer["deleted"] = json!(rotated.deleted);
            answer["deleted_bytes"] = json!(rotated.bytes);
            answer["locked"] = json!(rotated.locked);
            answer["strays_removed"] = json!(rotated.strays);
            answer["uploads_removed"] = json!(rotated.uploads);
            answer["locks_extended"] = json!(rotated.locks);
            if !cli.json {
                let (count, bytes) = (rotated.deleted.len(), words::size(rotated.bytes));
                writeln!(out, "{count} deleted, {bytes}; looked afterwards: they are gone")?;
                for (stem, until) in &rotated.locked {
                    writeln!(out, "{stem} is locked until {}: it stays till then", words::time(*until))?;
                }
                for stem in &rotated.strays {
                    writeln!(out, "removed what was left of {stem}, which had no manifest")?;
                }
                if rotated.uploads > 0 {
                    writeln!(out, "removed {} unfinished uploads", rotated.uploads)?;
                }
                if rotated.locks > 0 {
                    writeln!(out, "extended the locks of {} objects", rotated.locks)?;
                }
            }
        } else if !cli.json {
            writeln!(
                out,
                "nothing was deleted; --confirm deletes it, and --confirm --number {} only this",
                plan.hash()
            )?;
        }
        answers.push(answer);
    }
    if cli.json {
        writeln!(out, "{:#}", json!(answers))?;
    }
    Ok(exit::DONE)
}

/// What is kept how: by the policy of the command line, or by those of the job files.
async fn kept(cli: &Cli, args: &Args) -> Result<Vec<Kept>, AskError> {
    let kept = match args.keep {
        Some(keep) => {
            let vault = args.place.open(cli)?;
            let entries = shelf::shelf(&vault, args.name.as_deref()).await.map_err(told)?;
            let names: BTreeSet<String> = entries.into_iter().map(|entry| entry.stem.name).collect();
            names.into_iter().map(|name| Kept { job: None, vault: Arc::clone(&vault), name, keep }).collect()
        }
        None => of_jobs(cli, args)?,
    };
    if kept.is_empty() {
        let why = match args.keep {
            Some(_) => "the vault has no such backups",
            None => "no job of these backups says how long they are kept; add `keep` to it, or give --keep days=30",
        };
        return Err(AskError::Said(why.to_owned()));
    }
    Ok(kept)
}

fn of_jobs(cli: &Cli, args: &Args) -> Result<Vec<Kept>, AskError> {
    if args.place.from.is_some() {
        return Err(AskError::Said("a vault without settings has no jobs: give --keep days=30, say".to_owned()));
    }
    let settings = load(cli.config.as_deref())?;
    let (_, parsed) = Catalog::read(&settings.files.jobs, &settings.files.schedules);
    let catalog = parsed
        .catalog
        .ok_or_else(|| AskError::Said("the job files have mistakes; `sexton check` shows them".to_owned()))?;
    let (vaults, targets) = (vaults(&settings), targets(&settings)?);
    let mut all: Vec<Kept> = Vec::new();
    for job in catalog.jobs.keys() {
        // A job that cannot run without a parameter says nothing by itself.
        let Ok(spec) = catalog.resolve(job, &Default::default()) else { continue };
        let (vault, name, keep) = match spec.kind.as_str() {
            "backup" => {
                let backup: Backup = serde_json::from_value(spec.table)?;
                let target = targets.iter().find(|target| target.name == backup.target);
                let of_target = || target.map(|target| name::tame(&target.login.database_name()));
                let Some((keep, name)) = backup.keep.zip(backup.name.or_else(of_target)) else { continue };
                (backup.vault, name, keep)
            }
            "rotate" => {
                let rotate: Rotate = serde_json::from_value(spec.table)?;
                (rotate.vault, rotate.name, rotate.keep)
            }
            _ => continue,
        };
        let other = |wanted: &Option<String>, is: &str| wanted.as_ref().is_some_and(|wanted| wanted != is);
        let twice = all.iter().any(|k| k.vault.name() == vault && k.name == name && k.keep == keep);
        if other(&args.place.vault, &vault) || other(&args.name, &name) || twice {
            continue;
        }
        let vault = vaults.get(&vault).map_err(|unknown| AskError::Said(unknown.to_string()))?;
        all.push(Kept { job: Some(job.clone()), vault: Arc::clone(vault), name, keep });
    }
    Ok(all)
}

fn as_json(kept: &Kept, plan: &Plan) -> Value {
    let item = |item: &Item| {
        json!({
            "backup": item.entry.stem.to_string(),
            "taken_at": item.entry.stem.taken_at,
            "state": item.entry.state(),
            "bytes": item.entry.bytes,
            "fate": if item.fate == Fate::Keep { "keep" } else { "delete" },
            "reasons": item.reasons.iter().map(|reason| reason.words.as_str()).collect::<Vec<_>>(),
            "until": item.until(),
        })
    };
    json!({
        "job": kept.job,
        "vault": kept.vault.name(),
        "name": plan.name,
        "at": plan.at,
        "number": plan.hash(),
        "blocked": plan.blocked,
        "items": plan.items.iter().map(item).collect::<Vec<_>>(),
    })
}

fn print(out: &mut dyn Write, kept: &Kept, plan: &Plan) -> Result<(), AskError> {
    let by = kept.job.as_ref().map(|job| format!(", kept by {job}")).unwrap_or_default();
    writeln!(out, "{} in vault {}{by}", plan.name, kept.vault.name())?;
    let rows: Vec<_> = plan
        .items
        .iter()
        .map(|item| {
            let until = item.until().map(words::time).unwrap_or_default();
            let fate = if item.fate == Fate::Keep { "keep" } else { "DELETE" };
            let size = words::size(item.entry.bytes);
            [fate.to_owned(), item.entry.stem.to_string(), item.entry.state().to_owned(), size, until, item.because()]
        })
        .collect();
    words::table(out, ["", "backup", "state", "size", "until at least", "because"], &rows)?;
    let bytes: u64 = plan.going().map(|item| item.entry.bytes).sum();
    let (going, all) = (plan.going().count(), plan.items.len());
    writeln!(out, "{going} of {all} go, {}; this is plan number {}", words::size(bytes), plan.hash())?;
    if let Some(why) = &plan.blocked {
        writeln!(out, "but not now: {why}")?;
    }
    Ok(())
}
