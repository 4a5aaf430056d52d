//! `sexton backups rebuild`: the catalogue, filled from the vaults.

use std::io::Write;

use serde_json::json;

use super::told;
use crate::{
    backups::catalogue::{self, Catalogue},
    cli::{AskError, Cli, exit, load, reach::queue_pool, vaults},
    db,
    vault::Vault,
};

/// Arguments of `backups rebuild`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only from this vault
    #[arg(long, value_name = "NAME")]
    pub vault: Option<String>,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let vaults = vaults(&load(cli.config.as_deref())?);
    let wanted = match &args.vault {
        Some(name) => vec![vaults.get(name).map_err(|unknown| AskError::Said(unknown.to_string()))?],
        None => vaults.iter().collect(),
    };
    let pool = queue_pool(cli.config.as_deref()).await?;
    db::migrate(&pool).await?;
    let catalogue = Catalogue::new(pool);
    let mut all = Vec::new();
    for vault in wanted {
        let synced = catalogue.rebuild(vault).await.map_err(told)?;
        all.push(json!({ "vault": vault.name(), "backups": synced.read }));
        if !cli.json {
            writeln!(out, "{} backups are known of vault {}", synced.read, vault.name())?;
        }
    }
    if cli.json {
        writeln!(out, "{:#}", json!(all))?;
    }
    Ok(exit::DONE)
}

/// Takes in what a command changed, where the queue's database can be reached. The vault is the truth either way.
pub(super) async fn note(cli: &Cli, vault: &Vault, name: &str) {
    match queue_pool(cli.config.as_deref()).await {
        Ok(pool) => catalogue::note(Some(&Catalogue::new(pool)), vault, name).await,
        Err(error) => tracing::warn!(%error, "the catalogue of backups is not up to date; a daemon puts it right"),
    }
}
