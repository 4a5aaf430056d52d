//! `[drill]`: shows that every key which should open the backups still does.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Broken, Ctx, Finding, Kind, Uses};
use crate::{
    backups::{drill::drill, manifest::Manifest, seal::Identities, shelf::shelf},
    outcome::{Failure, Outcome, Report},
    state::OnLost,
};

/// A key drill on the newest backup of a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Where the backups are, by its name in `sexton.toml`.
    pub vault: String,
    /// What the backups are called.
    pub name: String,
    /// The files of the recipients' identities. They are the keys to everything: run this job on a machine that may
    /// have them, and mount them for it alone.
    pub identity_files: Vec<PathBuf>,
}

impl Kind for Drill {
    const NAME: &'static str = "drill";
    const ABOUT: &'static str = "shows that every key still opens the newest backup";
    const ON_LOST: OnLost = OnLost::Retry;

    fn uses(&self) -> Uses {
        Uses { vaults: vec![self.vault.clone()], ..Uses::default() }
    }

    fn check(&self) -> Vec<Finding> {
        if !self.identity_files.is_empty() {
            return Vec::new();
        }
        vec![Finding {
            key: "identity_files".to_owned(),
            message: "there is no key to try".to_owned(),
            help: Some("name the file of each recipient's identity".to_owned()),
            warning: false,
        }]
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let vault = ctx.vault(&self.vault)?;
        let tell = ctx.tell();
        let work = ctx.work(&tell);
        let identities = Identities::read(&self.identity_files)?;
        let backups = shelf(&vault, Some(&self.name)).await?;
        let Some(newest) = backups.first() else {
            let why = format!("vault `{}` has no backup of {}", self.vault, self.name);
            return Err(Failure::never(why).help("check `name` and `vault`").into());
        };
        let manifest = Manifest::read(&vault, &newest.stem).await?;
        let drilled = drill(&work, &vault, &manifest, &identities).await?;
        let closed: Vec<_> = drilled.iter().filter_map(|one| Some((&one.recipient, one.why.as_ref()?))).collect();
        let report = Report::new()
            .with("backup", newest.stem.to_string())
            .with("recipients", drilled.len())
            .with("open", drilled.len() - closed.len())
            .with("closed", closed.len());
        if closed.is_empty() {
            return Ok(Outcome::Done(report));
        }
        let told = closed.iter().map(|(recipient, why)| format!("{recipient}: {why}")).collect::<Vec<_>>().join("; ");
        let failure = Failure::never(format!("not every key opens backup {}: {told}", newest.stem))
            .help("find the key, or make a new one, put its public side into `recipients`, and take a backup at once");
        Ok(Outcome::Failed(failure.report(report)))
    }
}
