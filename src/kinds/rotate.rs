//! `[rotate]`: backups that the policy keeps no longer go; and what every kind that rotates shares.

use schemars::JsonSchema;
use serde::Deserialize;
use tracing::info;

use super::{Broken, Ctx, Finding, Kind, Uses};
use crate::{
    backups::{
        catalogue,
        keep::{Fate, Keep, Plan},
        rotate::{self, Rotated},
        work::{Ended, Work},
    },
    outcome::{Outcome, Report},
    state::OnLost,
    vault::Vault,
};

/// A rotation of the backups of one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Where the backups are, by its name in `sexton.toml`.
    pub vault: String,
    /// What the backups are called.
    pub name: String,
    /// How long they are kept.
    pub keep: Keep,
    /// Only say what would go.
    #[serde(default = "yes")]
    pub dry_run: bool,
}

fn yes() -> bool {
    true
}

impl Kind for Rotate {
    const NAME: &'static str = "rotate";
    const ABOUT: &'static str = "deletes the backups that nobody needs any more";
    const ON_LOST: OnLost = OnLost::Retry;

    fn uses(&self) -> Uses {
        Uses { vaults: vec![self.vault.clone()], ..Uses::default() }
    }

    fn check(&self) -> Vec<Finding> {
        check(&self.keep)
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let vault = ctx.vault(&self.vault)?;
        let tell = ctx.tell();
        let work = ctx.work(&tell);
        let mut report = Report::new().with("dry_run", self.dry_run);
        let ended = rotated(&work, &vault, &self.name, &self.keep, self.dry_run, &mut report).await;
        catalogue::note(ctx.env.catalogue.as_ref(), &vault, &self.name).await;
        match ended {
            Ok(()) => Ok(Outcome::Done(report)),
            Err(Ended::Failed(failure)) => Ok(Outcome::Failed(failure.report(report))),
            Err(Ended::Stopped) => Err(Broken::Stopped),
        }
    }
}

/// What is wrong with a policy.
pub(super) fn check(keep: &Keep) -> Vec<Finding> {
    let finding = |problem: &str| Finding {
        key: "keep".to_owned(),
        message: problem.to_owned(),
        help: Some("write keep = { days = 30, weekly = 8, monthly = 12 }".to_owned()),
        warning: false,
    };
    keep.problem().map(finding).into_iter().collect()
}

/// Plans, says so, and unless it is a dry run does it.
pub(super) async fn rotated(
    work: &Work<'_>,
    vault: &Vault,
    name: &str,
    keep: &Keep,
    dry_run: bool,
    report: &mut Report,
) -> Result<(), Ended> {
    let plan = rotate::plan(vault, name, keep, chrono::Utc::now()).await?;
    told(&plan, dry_run, report);
    if dry_run {
        return Ok(());
    }
    done(&rotate::rotate(work, vault, keep, &plan).await?, report);
    Ok(())
}

fn told(plan: &Plan, dry_run: bool, report: &mut Report) {
    let verb = if dry_run { "would delete" } else { "is about to delete" };
    let (mut count, mut bytes) = (0, 0);
    for item in plan.going() {
        let stem = &item.entry.stem;
        info!(backup = %stem, bytes = item.entry.bytes, "{verb} {stem}: {}", item.because());
        count += 1;
        bytes += item.entry.bytes;
    }
    report
        .set("backups", plan.items.len())
        .set("kept", plan.items.iter().filter(|item| item.fate == Fate::Keep).count())
        .set("plan", plan.hash());
    if dry_run {
        report.set("would_delete", count).set("would_delete_bytes", bytes);
        if let Some(why) = &plan.blocked {
            report.set("blocked", why.clone());
        }
    }
}

fn done(rotated: &Rotated, report: &mut Report) {
    report
        .set("deleted", rotated.deleted.len())
        .set("deleted_bytes", rotated.bytes)
        .set("locked", rotated.locked.len())
        .set("strays_removed", rotated.strays.len())
        .set("uploads_removed", rotated.uploads)
        .set("locks_extended", rotated.locks);
}
