//! `[backup]`: a database, dumped with its own tools into a vault.
//!
//! A backup exists once its manifest does, and that is written last: after `pg_dump` ended well, the table of
//! contents was read, and the vault has every byte. Whatever goes wrong before leaves nothing that can be seen.

mod dump;
mod manifest;
mod passfile;
mod pipe;
mod plan;
mod tools;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::{io::AsyncReadExt, time::timeout};
use tracing::{info, warn};

use self::{
    dump::{Dumped, Order, dump},
    manifest::Manifest,
    plan::{Fate, Summary},
    tools::Tools,
};
use super::{Broken, Ctx, Finding, Kind, Uses, database_failure};
use crate::{
    db::Target,
    outcome::{Failure, Outcome, Report},
    state::OnLost,
    vault::{Stored, Upload, Vault, VaultError},
};

pub use plan::Keep;

/// A backup of one database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// How long backups are kept; for ever without it. Only a plan is made until backups can be proven.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// Tables whose rows are left out (their definition is not), as `pg_dump` patterns.
    #[serde(default)]
    pub exclude_table_data: Vec<String>,
}

fn three() -> i32 {
    3
}

/// How long the target may take to say what it is.
const LOOK: Duration = Duration::from_secs(30);
/// How large a manifest may be that is read back.
const MANIFEST: u64 = 16 * 1024 * 1024;

impl Kind for Backup {
    const NAME: &'static str = "backup";
    const ABOUT: &'static str = "dumps a database into a vault";
    const ON_LOST: OnLost = OnLost::Retry;
    const CHILDREN: bool = true;

    fn uses(&self) -> Uses {
        Uses { targets: vec![self.target.clone()], vaults: vec![self.vault.clone()], dataset: None }
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
            && (name.is_empty() || name.len() > 100 || *name != tame(name))
        {
            let help = "use at most 100 letters, digits, `-` and `_`: it is the beginning of a file's name";
            findings.push(finding("name", format!("`{name}` cannot name a backup"), help));
        }
        if !(1..=19).contains(&self.compression) {
            let message = format!("{} is no level of zstd", self.compression);
            findings.push(finding("compression", message, "write a number from 1 (quick) to 19 (small)"));
        }
        if self.keep.is_some_and(|keep| keep.days == 0 || keep.min_proven == 0) {
            let help = "write keep = { days = 30, min_proven = 2 }";
            findings.push(finding("keep", "would keep nothing".to_owned(), help));
        }
        findings
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let target = ctx.target(&self.target)?;
        let vault = Arc::clone(ctx.env.vaults.get(&self.vault).map_err(|unknown| {
            Failure::never(unknown.to_string())
                .help(format!("add [vaults.{}] with `dir` or `s3` to sexton.toml", self.vault))
        })?);
        let source = look(target).await?;
        let of_daemon = ctx.env.pg_bin.as_deref();
        let tools = tools::find(source.major(), target.pg_bin.as_deref(), of_daemon, &ctx.env.spawner).await?;
        let name = self.name.clone().unwrap_or_else(|| tame(&source.database));
        ctx.go_on()?;
        let begun = (Utc::now(), Instant::now());
        let manifest = match finished(&vault, &name, &ctx).await? {
            // An attempt that was killed between its manifest and its outcome.
            Some(manifest) => manifest,
            None => {
                sweep(&vault, &name, &ctx).await?;
                self.take(&ctx, target, &vault, &tools, &source, &name, begun.0).await?
            }
        };
        let mut report = told(&manifest).with("dump_seconds", (begun.1.elapsed().as_secs_f64() * 1e3).round() / 1e3);
        self.rotate(&vault, &name, begun.0, &mut report).await;
        Ok(Outcome::Done(report))
    }
}

impl Backup {
    /// Takes a new backup, whole or not at all.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of its own, found in the preflight")]
    async fn take(
        &self,
        ctx: &Ctx,
        target: &Target,
        vault: &Vault,
        tools: &Tools,
        source: &Source,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Manifest, Broken> {
        let stem = manifest::stem(name, now, ctx.run.id);
        let key = manifest::dump_key(&stem);
        let estimate = source.database_bytes.unsigned_abs();
        // A vault that refuses does so before pg_dump is started.
        let mut upload = vault.create(&key, estimate).await.map_err(Failure::from)?;
        let order = Order {
            target,
            tools,
            exclude_table_data: &self.exclude_table_data,
            level: self.compression,
            database_bytes: estimate,
        };
        let dumped = match dump(ctx, &order, &mut upload).await {
            Ok(dumped) => dumped,
            Err(broken) => {
                give_up(upload).await;
                return Err(broken);
            }
        };
        let stored = upload.finish().await.map_err(Failure::from)?;
        let manifest = self.manifest(ctx, target, vault, tools, source, name, now, &key, &dumped, stored);
        // From here the dump has its name, but is no backup; a failure takes it away again.
        if let Err(broken) = declare(ctx, vault, &manifest, &stem).await {
            if let Err(error) = vault.delete(&key).await {
                warn!(%error, "a dump without a manifest stays behind; it is no backup and can be removed");
            }
            return Err(broken);
        }
        info!(run.id = %ctx.run.id, job = %ctx.run.job, key, restore = manifest.restore, "{name} is backed up");
        Ok(manifest)
    }

    #[expect(clippy::too_many_arguments, reason = "a manifest is all of this")]
    fn manifest(
        &self,
        ctx: &Ctx,
        target: &Target,
        vault: &Vault,
        tools: &Tools,
        source: &Source,
        name: &str,
        now: DateTime<Utc>,
        key: &str,
        dumped: &Dumped,
        stored: Stored,
    ) -> Manifest {
        let host = target.login.libpq().into_iter().find(|(key, _)| *key == "PGHOST").map(|(_, host)| host);
        Manifest {
            format: manifest::FORMAT,
            name: name.to_owned(),
            created_at: now,
            restore: manifest::restore_command(&vault.read_command(key), &source.database),
            run: ctx.run.id,
            job: ctx.run.job.clone(),
            source: manifest::Source {
                database: source.database.clone(),
                host: host.unwrap_or_default(),
                server_version: source.version.clone(),
                system_identifier: source.system_identifier.clone(),
                database_bytes: source.database_bytes.unsigned_abs(),
            },
            tools: manifest::Tools { sexton: env!("CARGO_PKG_VERSION").to_owned(), pg_dump: tools.version.clone() },
            parts: vec![manifest::Part {
                key: key.to_owned(),
                bytes: stored.bytes,
                sha256: stored.sha256,
                dump_bytes: dumped.bytes,
            }],
            toc_entries: dumped.toc_entries,
            warnings: dumped.warnings,
            compression: format!("zstd:{}", self.compression),
            recipients: Vec::new(),
            without_rows_of: self.exclude_table_data.clone(),
        }
    }

    /// Tells what a rotation would do. A backup that is taken is not made bad by a list that cannot be read.
    async fn rotate(&self, vault: &Vault, name: &str, now: DateTime<Utc>, report: &mut Report) {
        let backups = match backups(vault, name).await {
            Ok(backups) => backups,
            Err(error) => {
                warn!(%error, "the backups of {name} could not be listed, so no rotation was planned");
                return;
            }
        };
        report.set("backups", backups.len());
        let Some(keep) = self.keep else { return };
        let items = plan::plan(backups, keep, now);
        let going: Vec<_> = items.iter().filter(|item| item.fate == Fate::Delete).collect();
        for item in &going {
            info!(key = item.key, bytes = item.bytes, "would delete {}: {}", item.key, item.because);
        }
        let bytes: u64 = going.iter().map(|item| item.bytes).sum();
        report.set("would_delete", going.len()).set("would_delete_bytes", bytes);
    }
}

/// What the server says of itself and the database.
#[derive(Debug, sqlx::FromRow)]
struct Source {
    database: String,
    version: String,
    version_number: i32,
    database_bytes: i64,
    #[sqlx(skip)]
    system_identifier: Option<String>,
}

impl Source {
    fn major(&self) -> u32 {
        self.version_number.unsigned_abs() / 10_000
    }
}

async fn look(target: &Target) -> Result<Source, Failure> {
    let near = |failure: Failure| Failure { why: format!("target `{}`: {}", target.name, failure.why), ..failure };
    let facts = sqlx::query_as::<_, Source>(include_str!("../../../sql/target/source.sql")).fetch_one(target.pool());
    let mut source = match timeout(LOOK, facts).await {
        Ok(source) => source.map_err(|error| near(database_failure(&error)))?,
        Err(_) => return Err(near(Failure::later(format!("it did not answer within {} s", LOOK.as_secs())))),
    };
    // Not everybody may read it, and nothing depends on it.
    let identifier = sqlx::query_scalar(include_str!("../../../sql/target/system_identifier.sql"));
    source.system_identifier = timeout(LOOK, identifier.fetch_one(target.pool())).await.ok().and_then(Result::ok);
    Ok(source)
}

/// The backup that this run has made already, if it has.
async fn finished(vault: &Vault, name: &str, ctx: &Ctx) -> Result<Option<Manifest>, Failure> {
    let suffix = manifest::suffix(ctx.run.id);
    for found in vault.list(&format!("metadata/{name}_backup_")).await? {
        if !found.key.contains(&suffix) || found.bytes > MANIFEST {
            continue;
        }
        let mut bytes = Vec::new();
        let mut body = vault.get(&found.key).await?;
        let read = timeout(LOOK, body.read_to_end(&mut bytes)).await;
        let Ok(Ok(_)) = read else {
            return Err(Failure::later(format!("vault `{}`: {} could not be read", vault.name(), found.key)));
        };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { continue };
        if manifest.run == ctx.run.id && is_whole(vault, &manifest).await? {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

async fn is_whole(vault: &Vault, manifest: &Manifest) -> Result<bool, VaultError> {
    for part in &manifest.parts {
        if vault.head(&part.key).await?.is_none_or(|object| object.bytes != part.bytes) {
            return Ok(false);
        }
    }
    Ok(!manifest.parts.is_empty())
}

/// Removes what killed attempts of this run left.
async fn sweep(vault: &Vault, name: &str, ctx: &Ctx) -> Result<(), Failure> {
    let suffix = manifest::suffix(ctx.run.id);
    let dumps = format!("{name}_backup_");
    let manifests = format!("metadata/{dumps}");
    let mut removed = 0;
    // The manifest goes first: a backup never has less than its manifest says.
    for prefix in [manifests, dumps] {
        removed += vault.sweep(&prefix, &suffix).await?;
        for object in vault.list(&prefix).await? {
            if object.key.contains(&suffix) {
                vault.delete(&object.key).await?;
                removed += 1;
            }
        }
    }
    if removed > 0 {
        info!(run.id = %ctx.run.id, removed, "removed what an earlier attempt had begun");
    }
    Ok(())
}

/// Makes a stored dump a backup.
async fn declare(ctx: &Ctx, vault: &Vault, manifest: &Manifest, stem: &str) -> Result<(), Broken> {
    ctx.go_on()?;
    if !is_whole(vault, manifest).await.map_err(Failure::from)? {
        let why = format!("vault `{}`: what was stored has not the size that was sent", vault.name());
        return Err(Failure::later(why).into());
    }
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|error| Failure::never(format!("the manifest cannot be written: {error}")))?;
    vault.put_new(&manifest::manifest_key(stem), text).await.map_err(Failure::from)?;
    Ok(())
}

async fn give_up(upload: Upload) {
    if let Err(error) = upload.abort().await {
        warn!(%error, "an unfinished upload stays behind; the run's next attempt removes it");
    }
}

/// All complete backups of this name: those with a manifest and a dump.
async fn backups(vault: &Vault, name: &str) -> Result<Vec<Summary>, VaultError> {
    let dumps = vault.list(&format!("{name}_backup_")).await?;
    let manifests = vault.list(&format!("metadata/{name}_backup_")).await?;
    let declared = |key: &str| {
        let stem = key.strip_suffix(".dump.zst").unwrap_or(key);
        let wanted = manifest::manifest_key(stem);
        manifests.binary_search_by(|object| object.key.cmp(&wanted)).is_ok()
    };
    let complete = dumps.into_iter().filter(|dump| declared(&dump.key));
    let summary = |dump: crate::vault::Object| {
        Some(Summary { taken_at: plan::taken_at(&dump.key, name)?, key: dump.key, bytes: dump.bytes })
    };
    Ok(complete.filter_map(summary).collect())
}

fn told(manifest: &Manifest) -> Report {
    let mut report = Report::new()
        .with("bytes", manifest.parts.iter().map(|part| part.bytes).sum::<u64>())
        .with("dump_bytes", manifest.parts.iter().map(|part| part.dump_bytes).sum::<u64>())
        .with("toc_entries", manifest.toc_entries)
        .with("warnings", manifest.warnings)
        .with("restore", manifest.restore.clone());
    if let Some(part) = manifest.parts.first() {
        report.set("sha256", part.sha256.clone()).set("key", part.key.clone());
    }
    report
}

/// A name that is safe as the beginning of a key.
fn tame(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    name.chars().map(keep).collect()
}
