//! How a backup compares with the ones before it: numbers for thresholds.

use chrono::Utc;
use tracing::warn;

use crate::{
    backups::{catalogue::Usual, manifest::Manifest},
    kinds::Ctx,
    outcome::Report,
    vault::Vault,
};

/// With fewer proven backups than these, nobody can say what is usual.
const FEW: i64 = 3;

/// What a threshold can hold this backup against: what is usual, how long nothing was proven, and how full the vault is.
pub(super) async fn compare(ctx: &Ctx, vault: &Vault, manifest: &Manifest, report: &mut Report) {
    let usual = match &ctx.env.catalogue {
        Some(catalogue) => catalogue.usual(vault.name(), &manifest.name, &manifest.stem()).await,
        None => Ok(Usual::default()),
    };
    let usual = usual.unwrap_or_else(|error| {
        warn!(%error, "what is usual of {} could not be read", manifest.name);
        Usual::default()
    });
    let enough = usual.backups >= FEW;
    let ratio = |of: Option<f64>, usual: Option<f64>| {
        let ratio = of? / usual.filter(|usual| enough && *usual > 0.0)?;
        Some((ratio * 1e3).round() / 1e3)
    };
    let hours = usual.newest.map(|at| ((Utc::now() - at).num_seconds() as f64 / 36.0).round() / 100.0);
    let numbers = [
        ("size_vs_usual", ratio(Some(manifest.bytes() as f64), usual.bytes)),
        ("seconds_vs_usual", ratio(manifest.seconds, usual.seconds)),
        ("hours_since_proven", hours),
    ];
    for (name, number) in numbers {
        match number {
            Some(number) => report.set(name, number),
            None => report.unknown(name),
        };
    }
    let (Some(budget), Some(catalogue)) = (vault.budget(), &ctx.env.catalogue) else { return };
    match catalogue.figures().await {
        Ok(figures) => {
            let used = figures.vaults.get(vault.name()).copied().unwrap_or_default() as f64 / budget.max(1) as f64;
            report.set("vault_used", (used * 1e4).round() / 1e4);
        }
        Err(error) => warn!(%error, "how full vault {} is could not be read", vault.name()),
    }
}
