//! `[prove]`: backups, restored where it harms nothing and compared with what was dumped.

use std::{path::PathBuf, sync::Arc};

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Broken, Ctx, Finding, Kind, Suites, Uses, Validate};
use crate::{
    backups::{
        catalogue,
        manifest::Manifest,
        name::Verdict,
        proof::Proof,
        prove::{self, Wanted},
        seal::Identities,
        shelf::{Entry, shelf},
        work::{Ended, Work},
    },
    db::Targets,
    expect::size,
    outcome::{Failure, Outcome, Report},
    state::OnLost,
    vault::Vault,
};

/// Proofs of backups that were taken before, here or elsewhere.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prove {
    /// Where the backups are, by its name in `sexton.toml`.
    pub vault: String,
    /// What the backups are called.
    pub name: String,
    /// `newest`: the newest one, however often it was proven. `unproven`: every one that nobody has looked at.
    #[serde(default)]
    pub which: Which,
    /// Where scratch folders are made; the system's temporary folder without it.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
    /// How they are proven.
    #[serde(default)]
    pub proof: ProofOptions,
}

/// Which backups are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The newest one, again if need be.
    #[default]
    Newest,
    /// Every one that nobody has looked at.
    Unproven,
}

/// How a backup is proven.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProofOptions {
    /// The server that holds the copy, as a target; a throw-away server on this machine without it.
    pub on: Option<String>,
    /// A database that is larger (`100 GiB`) is restored in part: other tables each time.
    pub budget: Option<String>,
    /// The files of identities that open backups which were taken by another process.
    pub identity_files: Vec<PathBuf>,
    /// Whether amcheck looks at the copy.
    pub amcheck: bool,
    /// Connections that compare.
    pub jobs: u32,
    /// The data set whose checks are run on the copy.
    pub dataset: Option<String>,
    /// Which of its checks.
    pub suite: Option<Suites>,
}

impl Default for ProofOptions {
    fn default() -> Self {
        Self { on: None, budget: None, identity_files: Vec::new(), amcheck: true, jobs: 2, dataset: None, suite: None }
    }
}

impl ProofOptions {
    pub(super) fn check(&self, key: &str) -> Vec<Finding> {
        let finding = |inner: &str, message: String, help: &str| Finding {
            key: format!("{key}.{inner}"),
            message,
            help: Some(help.to_owned()),
            warning: false,
        };
        let mut findings = Vec::new();
        if let Some(text) = &self.budget
            && size(text).is_none()
        {
            findings.push(finding("budget", format!("`{text}` is no size"), "write 100 GiB, say"));
        }
        if self.suite.is_some() != self.dataset.is_some() {
            let help = "write both, dataset = \"NAME\" and suite = \"full\", or none";
            findings.push(finding("suite", "a suite is a data set's".to_owned(), help));
        }
        if self.jobs == 0 || self.jobs > 64 {
            findings.push(finding("jobs", format!("{} connections", self.jobs), "write a number from 1 to 64"));
        }
        findings
    }

    /// What its files open.
    pub(super) fn identities(&self) -> Result<Identities, Failure> {
        Identities::read(&self.identity_files)
    }

    /// Proves one backup.
    pub(super) async fn prove(
        &self,
        ctx: &Ctx,
        work: &Work<'_>,
        vault: &Vault,
        manifest: &Manifest,
        identities: &Identities,
        scratch: PathBuf,
    ) -> Result<Proof, Broken> {
        let inspect = |target| self.inspect(ctx, target).boxed();
        let wanted = Wanted {
            vault,
            manifest,
            identities,
            scratch: &scratch,
            on: self.on.as_deref().map(|name| ctx.target(name)).transpose()?,
            budget: self.budget.as_deref().and_then(size).map(|bytes| bytes as u64),
            amcheck: self.amcheck,
            jobs: self.jobs,
            inspect: self.suite.is_some().then_some(&inspect),
            run: ctx.run.id,
        };
        Ok(prove::prove(work, &wanted).await?)
    }

    /// Runs the data set's checks on a copy.
    async fn inspect(&self, ctx: &Ctx, target: crate::db::Target) -> Result<(Value, Vec<String>), Ended> {
        let table = json!({ "target": target.name, "dataset": self.dataset, "suite": match &self.suite {
            Some(Suites::One(name)) => json!(name),
            Some(Suites::Several(names)) => json!(names),
            None => Value::Null,
        } });
        let kind: Validate = serde_json::from_value(table)
            .map_err(|error| Failure::never(format!("the checks cannot be run: {error}")))?;
        let mut inner = ctx.clone();
        inner.env = Arc::new(super::Env { targets: Targets::new([target]), ..(*ctx.env).clone() });
        inner.previous_report = None;
        // Its progress is this run's.
        match kind.run(inner).await {
            Ok(Outcome::Done(report)) => Ok((json!(report.for_people()), Vec::new())),
            Ok(Outcome::Failed(failure)) => Ok((json!(failure.report.for_people()), vec![failure.why])),
            Ok(other) => Err(Failure::never(format!("the checks ended as {}", other.word())).into()),
            Err(Broken::Failed(failure)) => Err(failure.into()),
            Err(Broken::Stopped) => Err(Ended::Stopped),
        }
    }
}

/// Puts what a proof found into a report; a failure where it is not proven.
pub(super) fn judge(proof: &Proof, report: &mut Report) -> Option<Failure> {
    let proven = matches!(proof.verdict, Verdict::Proven | Verdict::Sampled);
    report.set("state", proof.verdict.to_string()).set("proven", i32::from(proven));
    if let Some(seconds) = proof.restore_seconds {
        report.set("restore_seconds", seconds);
    }
    if let Some(seconds) = proof.compare_seconds {
        report.set("compare_seconds", seconds);
    }
    report.set("compared_tables", proof.tables).set("compared_rows", proof.rows);
    if let Some(amcheck) = &proof.amcheck {
        report.set("amcheck", amcheck.clone());
    }
    if let Some(checks) = &proof.checks {
        report.set("checks", checks.clone());
    }
    if proven {
        return None;
    }
    let why = proof.why.clone().unwrap_or_else(|| "nobody said why".to_owned());
    let word = if proof.verdict == Verdict::Verified { "could not be proven" } else { "is not good" };
    let mut failure = Failure::never(format!("backup {} {word}: {why}", proof.backup));
    failure.help.clone_from(&proof.help);
    Some(failure)
}

impl Kind for Prove {
    const NAME: &'static str = "prove";
    const ABOUT: &'static str = "restores backups and compares them with what was dumped";
    const ON_LOST: OnLost = OnLost::Retry;
    const CHILDREN: bool = true;

    fn uses(&self) -> Uses {
        Uses {
            targets: self.proof.on.iter().cloned().collect(),
            vaults: vec![self.vault.clone()],
            dataset: self.proof.dataset.clone(),
        }
    }

    fn check(&self) -> Vec<Finding> {
        self.proof.check("proof")
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let vault = ctx.vault(&self.vault)?;
        let tell = ctx.tell();
        let work = ctx.work(&tell);
        let identities = self.proof.identities()?;
        let backups = shelf(&vault, Some(&self.name)).await?;
        let wanted: Vec<Entry> = match self.which {
            Which::Newest => backups.into_iter().take(1).collect(),
            Which::Unproven => backups.into_iter().filter(|entry| entry.verdict.is_none()).collect(),
        };
        if wanted.is_empty() {
            return match self.which {
                Which::Unproven => Ok(Outcome::Skipped(format!("every backup of {} was looked at", self.name))),
                Which::Newest => {
                    let why = format!("vault `{}` has no backup of {}", self.vault, self.name);
                    Err(Failure::never(why).help("check `name` and `vault`, and whether backups are taken").into())
                }
            };
        }
        let (mut report, mut failures) = (Report::new(), Vec::new());
        let count = wanted.len();
        for entry in wanted {
            ctx.go_on()?;
            let manifest = Manifest::read(&vault, &entry.stem).await?;
            report.set("backup", entry.stem.to_string());
            let scratch = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
            let proof = self.proof.prove(&ctx, &work, &vault, &manifest, &identities, scratch).await?;
            failures.extend(judge(&proof, &mut report));
            catalogue::note(ctx.env.catalogue.as_ref(), &vault, &self.name).await;
        }
        report.set("looked_at", count).set("not_proven", failures.len());
        match failures
            .into_iter()
            .reduce(|first, next| Failure { why: format!("{}; {}", first.why, next.why), ..first })
        {
            None => Ok(Outcome::Done(report)),
            Some(failure) => Ok(Outcome::Failed(failure.report(report))),
        }
    }
}
