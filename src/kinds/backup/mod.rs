//! `[backup]`: a database, dumped with its own tools into a vault.

mod usual;

use std::{path::PathBuf, sync::Arc, time::Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    Broken, Ctx, Env, Finding, Kind, Uses,
    prove::{ProofOptions, judge},
    rotate,
};
use crate::{
    backups::{
        Packing, catalogue,
        keep::{Counts, Keep},
        manifest::{Manifest, Role},
        name, ready,
        seal::{Identities, Recipient},
        source,
        take::{self, ParallelOptions, Wanted},
        work::{Ended, Work},
    },
    expect::size,
    outcome::{Again, Failure, Outcome, Report},
    span::Span,
    state::OnLost,
    vault::Vault,
};

/// A backup of one database.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The database, by its name in `sexton.toml`.
    pub target: String,
    /// Where the backup goes, by its name in `sexton.toml`.
    pub vault: String,
    /// What the backup is called; the database's name without it.
    #[serde(default)]
    pub name: Option<String>,
    /// The level of zstd, 1 to 19.
    #[serde(default = "three")]
    pub compression: i32,
    /// Who may read it: age or ssh public keys, two at least.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Why there are fewer than two recipients.
    #[serde(default)]
    pub waiver: Option<String>,
    /// `single`: one stream from one connection. `parallel`: several connections, by way of a scratch folder.
    #[serde(default)]
    pub mode: Mode,
    /// How many connections dump in parallel mode.
    #[serde(default = "two")]
    pub jobs: u32,
    /// Where scratch folders are made; the system's temporary folder without it.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
    /// The most that a scratch folder may take, as `100 GiB`; what is free without it.
    #[serde(default)]
    pub scratch_budget: Option<String>,
    /// Tables whose rows are left out (their definition is not), as `pg_dump` patterns.
    #[serde(default)]
    pub exclude_table_data: Vec<String>,
    /// Whether roles and other globals of the server are included.
    #[serde(default = "yes")]
    pub globals: bool,
    /// Whether the roles' password verifiers are; only a superuser may read them.
    #[serde(default)]
    pub role_passwords: bool,
    /// How many connections take the fingerprint that a proof compares with; 0: none, and it cannot be proven.
    #[serde(default = "two")]
    pub fingerprint: u32,
    /// When it is proven: `after` it was taken, in the same run; `later`, by a job of the kind `prove`; or `never`.
    #[serde(default)]
    pub prove: When,
    /// How it is proven.
    #[serde(default)]
    pub proof: ProofOptions,
    /// How long backups are kept; for ever without it.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// Whether what `keep` keeps no longer is deleted; otherwise the plan is only told.
    #[serde(default)]
    pub rotate: bool,
    /// How old the newest proven backup may become before people are told, whatever else happens.
    #[serde(default)]
    pub max_age: Option<Span>,
}

/// When a backup is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// In the run that takes it.
    #[default]
    After,
    /// By a job of the kind `prove`, here or on another machine.
    Later,
    /// Not at all: nobody knows whether it can be restored.
    Never,
}

/// How a database is dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One stream from one connection.
    #[default]
    Single,
    /// Several connections, by way of a scratch folder.
    Parallel,
}

fn three() -> i32 {
    3
}

fn two() -> u32 {
    2
}

fn yes() -> bool {
    true
}

impl Kind for Backup {
    const NAME: &'static str = "backup";
    const ABOUT: &'static str = "dumps a database into a vault";
    const ON_LOST: OnLost = OnLost::Retry;
    const SIDE: Option<&'static str> = Some("dump");
    const CHILDREN: bool = true;

    fn uses(&self) -> Uses {
        let mut targets = vec![self.target.clone()];
        targets.extend(self.proof.on.clone());
        Uses { targets, vaults: vec![self.vault.clone()], dataset: self.proof.dataset.clone() }
    }

    fn check(&self) -> Vec<Finding> {
        let finding = |key: &str, message: String, help: &str| Finding {
            key: key.to_owned(),
            message,
            help: Some(help.to_owned()),
            warning: false,
        };
        let mut findings = Vec::new();
        if let Some(name) = &self.name
            && (name.is_empty() || name.len() > 100 || *name != name::tame(name))
        {
            let help = "use at most 100 letters, digits, `-` and `_`: it is the beginning of a file's name";
            findings.push(finding("name", format!("`{name}` cannot name a backup"), help));
        }
        if !(1..=19).contains(&self.compression) {
            let message = format!("{} is no level of zstd", self.compression);
            findings.push(finding("compression", message, "write a number from 1 (quick) to 19 (small)"));
        }
        for recipient in &self.recipients {
            if let Err(error) = recipient.parse::<Recipient>() {
                findings.push(finding("recipients", error.to_string(), "make one with age-keygen"));
            }
        }
        if self.recipients.len() < 2 && self.waiver.as_ref().is_none_or(|why| why.trim().is_empty()) {
            let message = match self.recipients.len() {
                0 => "nobody is named whom the backup is encrypted for".to_owned(),
                _ => "one recipient alone: were its key lost, so were every backup".to_owned(),
            };
            let help = "name two public keys of age-keygen, kept apart, or say why not: waiver = \"…\"";
            findings.push(finding("recipients", message, help));
        }
        if self.jobs == 0 || self.jobs > 64 {
            findings.push(finding("jobs", format!("{} connections", self.jobs), "write a number from 1 to 64"));
        }
        if let Some(text) = &self.scratch_budget
            && size(text).is_none()
        {
            findings.push(finding("scratch_budget", format!("`{text}` is no size"), "write 100 GiB, say"));
        }
        if self.role_passwords && (!self.globals || self.recipients.is_empty()) {
            let help = "add recipients and globals = true, or leave role_passwords out";
            findings.push(finding("role_passwords", "would be kept for everybody to read, or not at all".into(), help));
        }
        findings.extend(self.proof.check("proof"));
        if self.prove == When::After && self.fingerprint == 0 {
            let help = "set fingerprint = 2, or prove = \"never\"";
            findings.push(finding("prove", "cannot be proven without a fingerprint".into(), help));
        }
        findings.extend(self.keep.iter().flat_map(rotate::check));
        if self.rotate && self.keep.is_none() {
            let help = "write keep = { days = 30, weekly = 8, monthly = 12 }";
            findings.push(finding("rotate", "nothing says how long backups are kept".to_owned(), help));
        }
        if self.max_age.is_some() && self.name.is_none() {
            let help = "write name = \"…\", what the backups are called";
            findings.push(finding("max_age", "nothing says of which backups".to_owned(), help));
        }
        if self.prove == When::Never && self.keep.is_some_and(|keep| keep.counts == Counts::Proven) {
            let help = "prove them, or leave `keep` out".to_owned();
            let message = "none of them is ever proven, so none would ever be deleted".to_owned();
            findings.push(Finding { key: "keep".to_owned(), message, help: Some(help), warning: true });
        }
        findings
    }

    async fn ready(self, env: Arc<Env>) -> Result<(), Failure> {
        let scratch = self.scratch();
        let budget = |text: &Option<String>| text.as_deref().and_then(size).map(|bytes| bytes as u64);
        let proof = match (&self.proof.on, self.prove) {
            (_, When::Later | When::Never) => None,
            (Some(on), When::After) => Some(ready::Proof::On(env.target(on)?)),
            (None, When::After) => Some(ready::Proof::ThrowAway(&scratch, budget(&self.proof.budget))),
        };
        let vault = env.vault(&self.vault)?;
        let needs = ready::Needs {
            target: env.target(&self.target)?,
            vault: &vault,
            globals: self.globals,
            dump_scratch: (self.mode == Mode::Parallel).then(|| (scratch.as_path(), budget(&self.scratch_budget))),
            proof,
        };
        ready::ready(&env.work(&CancellationToken::new(), &|_, _, _, _| {}), &needs).await
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let target = ctx.target(&self.target)?;
        let vault = ctx.vault(&self.vault)?;
        let tell = ctx.tell();
        let work = ctx.work(&tell);
        let facts = source::look(target, &work).await?;
        let name = self.name.clone().unwrap_or_else(|| name::tame(&facts.source.database));
        ctx.go_on()?;
        let begun = Instant::now();
        take::sweep(&vault, &name, ctx.run.id).await?;
        let mut identities = self.proof.identities()?;
        let made = take::made(&vault, &name, ctx.run.id).await?.pop();
        // An attempt that was killed between its manifest and its outcome. What only its memory could open cannot be
        // proven any more, and another one is taken.
        let useful = made.filter(|made| {
            let opens = || made.recipients.iter().any(|recipient| identities.recipients().any(|r| r == recipient));
            self.prove != When::After || made.ephemeral_recipient.is_none() || opens()
        });
        let manifest = match useful {
            Some(manifest) => manifest,
            None => {
                let recipients = self.recipients.iter().map(|text| text.parse::<Recipient>()).collect::<Result<_, _>>();
                let recipients: Vec<_> = recipients.map_err(|error| Failure::never(error.to_string()))?;
                let ephemeral = (self.prove == When::After && !recipients.is_empty()).then(|| {
                    let (identity, recipient) = Identities::ephemeral();
                    identities = std::mem::take(&mut identities).and(identity);
                    recipient
                });
                let wanted = Wanted {
                    name: &name,
                    target,
                    vault: &vault,
                    packing: Packing { level: self.compression, recipients },
                    ephemeral,
                    parallel: self.parallel(),
                    exclude_table_data: &self.exclude_table_data,
                    globals: self.globals,
                    role_passwords: self.role_passwords,
                    fingerprint: self.fingerprint as usize,
                    run: ctx.run.id,
                    job: &ctx.run.job,
                };
                take::take(&work, &wanted, &facts).await?
            }
        };
        let mut report = told(&manifest).with("dump_seconds", (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3);
        let catalogue = ctx.env.catalogue.as_ref();
        catalogue::note(catalogue, &vault, &name).await;
        usual::compare(&ctx, &vault, &manifest, &mut report).await;
        if self.prove == When::After {
            let proof = self.proof.prove(&ctx, &work, &vault, &manifest, &identities, self.scratch()).await?;
            catalogue::note(catalogue, &vault, &name).await;
            if let Some(failed) = judge(&proof, &mut report) {
                return Ok(Outcome::Failed(failed.report(report)));
            }
        }
        let rotated = self.rotated(&work, &vault, &name, &mut report).await;
        if self.rotate {
            catalogue::note(catalogue, &vault, &name).await;
        }
        rotated.map(|()| Outcome::Done(report))
    }
}

impl Backup {
    fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }

    fn parallel(&self) -> Option<ParallelOptions> {
        (self.mode == Mode::Parallel).then(|| ParallelOptions {
            jobs: self.jobs,
            scratch: self.scratch(),
            budget: self.scratch_budget.as_deref().and_then(size).map(|bytes| bytes as u64),
        })
    }

    /// Rotates as the job says. A backup that is taken is not made bad by a list that cannot be read, but nobody may believe
    /// that old ones went when they did not.
    async fn rotated(&self, work: &Work<'_>, vault: &Vault, name: &str, report: &mut Report) -> Result<(), Broken> {
        let Some(keep) = &self.keep else { return Ok(()) };
        // The backup itself is none of it, so the report says no `dry_run`.
        report.set("rotation", if self.rotate { "done" } else { "planned" });
        match rotate::rotated(work, vault, name, keep, !self.rotate, report).await {
            Ok(()) => Ok(()),
            Err(Ended::Stopped) => Err(Broken::Stopped),
            Err(Ended::Failed(failure)) if !self.rotate => {
                warn!(error = failure.why, "no rotation of {name} could be planned");
                Ok(())
            }
            Err(Ended::Failed(failure)) => {
                let why = format!("the backup is taken, but older ones could not be rotated: {}", failure.why);
                Err(Failure { why, again: Again::Never, ..failure }.report(report.clone()).into())
            }
        }
    }
}

fn told(manifest: &Manifest) -> Report {
    let mut report = Report::new()
        .with("backup", manifest.stem().to_string())
        .with("bytes", manifest.bytes())
        .with("dump_bytes", manifest.dump_bytes())
        .with("toc_entries", manifest.toc_entries)
        .with("warnings", manifest.warnings)
        .with("restore", manifest.restore.clone());
    if let Some(part) = manifest.parts.iter().find(|part| part.role == Role::Dump) {
        report.set("sha256", part.sha256.clone()).set("key", part.key.clone());
    }
    if let Some(fingerprint) = &manifest.fingerprint {
        report
            .set("tables", fingerprint.tables.len())
            .set("rows", fingerprint.rows())
            .set("fingerprint_seconds", fingerprint.seconds);
    }
    report
}
