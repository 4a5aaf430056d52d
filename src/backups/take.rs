//! Takes one backup: dump and fingerprint in one snapshot, the globals, and the manifest last.

use chrono::{DateTime, Utc};
use sqlx::Error as SqlError;
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    dump::{Order, dump},
    fingerprint::{self, Fingerprint, Scope, Snapshot},
    globals::globals,
    manifest::{self, Manifest, Mode, Part, Role},
    name::{self, METADATA, Stem},
    parallel::{self, Parallel},
    pipe::{Packer, Packing},
    program::{Access, named},
    seal::Recipient,
    source::Facts,
    work::{Ended, Work},
};
use crate::{
    db::{Target, failure},
    fault,
    outcome::Failure,
    vault::Vault,
};

pub use super::parallel::Parallel as ParallelOptions;

/// How long nobody must have written to an unfinished upload before it is given up.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What is backed up, how, and where to.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// What the backup is called.
    pub name: &'a str,
    /// The database.
    pub target: &'a Target,
    /// Where it goes.
    pub vault: &'a Vault,
    /// Compression, and who may read.
    pub packing: Packing,
    /// One more who may read, whose identity lives in memory alone; see [`Manifest::ephemeral_recipient`].
    pub ephemeral: Option<Recipient>,
    /// Several connections, or one.
    pub parallel: Option<Parallel>,
    /// Tables whose rows are left out, as `pg_dump` patterns.
    pub exclude_table_data: &'a [String],
    /// Whether roles and other globals are included.
    pub globals: bool,
    /// Whether their password verifiers are.
    pub role_passwords: bool,
    /// How many connections take the fingerprint; none: it is not taken, and the backup cannot be proven.
    pub fingerprint: usize,
    /// The run that asks.
    pub run: Uuid,
    /// Its job.
    pub job: &'a str,
}

/// What was dumped, before it has its manifest.
struct Stored {
    parts: Vec<Part>,
    toc_entries: u64,
    warnings: u64,
    fingerprint: Option<Fingerprint>,
}

/// Takes a backup, whole or not at all.
///
/// # Errors
/// Says what went wrong; nothing that can be seen is left in the vault.
pub async fn take(work: &Work<'_>, wanted: &Wanted<'_>, facts: &Facts) -> Result<Manifest, Ended> {
    let now = Utc::now();
    let stem = Stem::new(wanted.name, now, wanted.run);
    let stored = store(work, wanted, facts, &stem).await;
    let manifest = match stored {
        Ok(stored) => {
            let manifest = describe(wanted, facts, now, &stem, stored);
            declare(work, wanted.vault, &manifest, &stem).await.map(|()| manifest)
        }
        Err(ended) => Err(ended),
    };
    match manifest {
        Ok(manifest) => {
            info!(run.id = %wanted.run, job = wanted.job, backup = %stem, restore = manifest.restore, "{} is backed up", wanted.name);
            Ok(manifest)
        }
        // Whatever has a name already is no backup, and goes.
        Err(ended) => {
            if let Err(error) = sweep(wanted.vault, wanted.name, wanted.run).await {
                warn!(
                    error = error.why,
                    "objects without a manifest stay behind; they are no backup, and the run's next attempt removes them"
                );
            }
            Err(ended)
        }
    }
}

async fn store(work: &Work<'_>, wanted: &Wanted<'_>, facts: &Facts, stem: &Stem) -> Result<Stored, Ended> {
    let estimate = facts.source.database_bytes;
    let mut packing = wanted.packing.clone();
    packing.recipients.extend(wanted.ephemeral.clone());
    let sealed = !packing.recipients.is_empty();
    let key = stem.dump(sealed);
    // A vault that refuses does so before pg_dump is started.
    let upload = match wanted.parallel {
        None => Some(wanted.vault.create(&key, estimate).await?),
        Some(_) => {
            wanted.vault.reachable().await?;
            None
        }
    };
    let access = Access::new(&wanted.target.login)?;
    let sql = |error: SqlError| near(wanted, failure(&error));
    let login = &wanted.target.login;
    let before = match wanted.fingerprint {
        0 => None,
        _ => Some(fingerprint::sequences(login).await.map_err(sql)?),
    };
    let snapshot = Snapshot::open(login).await.map_err(sql)?;
    let order = Order {
        access: &access,
        tools: &facts.tools,
        exclude_table_data: wanted.exclude_table_data,
        snapshot: Some(snapshot.id()),
        database_bytes: estimate,
    };
    let dumping = async {
        match (&wanted.parallel, upload) {
            (Some(parallel), _) => {
                let files = parallel::dump(work, &order, parallel).await?;
                let parts = parallel::store(work, &files, stem, &packing, wanted.vault, parallel.jobs).await?;
                Ok((parts, files.toc_entries, files.warnings))
            }
            (None, Some(upload)) => {
                let dumped = dump(work, &order, Packer::start(packing.clone(), upload)).await?;
                let part = dumped.sent.publish().await?.part(key.clone(), Role::Dump);
                Ok((vec![part], dumped.toc_entries, dumped.warnings))
            }
            (None, None) => Err(Failure::never("nothing was begun").into()),
        }
    };
    let looking = async {
        if before.is_none() {
            return Ok(None);
        }
        let scope = Scope { left_out: wanted.exclude_table_data, only: None, connections: wanted.fingerprint };
        let looked = tokio::select! {
            looked = fingerprint::fingerprint(login, Some(snapshot.id()), &scope, |_| {}) => looked,
            () = work.stop.cancelled() => return Err(Ended::Stopped),
        };
        looked.map(Some).map_err(|error| {
            let failure = sql(error);
            let why = format!("the fingerprint could not be taken: {}", failure.why);
            Ended::Failed(named(Failure { why, ..failure }))
        })
    };
    // A dump without its fingerprint is of no use, nor the other way round: the first to fail ends both.
    let ((mut parts, toc_entries, warnings), mut fingerprint) = tokio::try_join!(dumping, looking)?;
    if let (Some(fingerprint), Some(before)) = (&mut fingerprint, before) {
        let after = fingerprint::sequences(login).await.map_err(sql)?;
        fingerprint.sequences = fingerprint::between(&before, &after);
    }
    snapshot.close().await;
    if wanted.globals {
        let key = stem.globals(sealed);
        let packer = Packer::start(packing.clone(), wanted.vault.create(&key, 0).await?);
        let sent = globals(work, &access, &facts.tools, wanted.role_passwords, packer).await?;
        parts.push(sent.publish().await?.part(key, Role::Globals));
    }
    Ok(Stored { parts, toc_entries, warnings, fingerprint })
}

fn near(wanted: &Wanted<'_>, failure: Failure) -> Failure {
    Failure { why: format!("target `{}`: {}", wanted.target.name, failure.why), ..failure }
}

fn describe(wanted: &Wanted<'_>, facts: &Facts, now: DateTime<Utc>, stem: &Stem, stored: Stored) -> Manifest {
    let shown = |recipient: &Recipient| recipient.as_str().to_owned();
    let recipients = wanted.packing.recipients.iter().map(shown).collect();
    let ephemeral_recipient = wanted.ephemeral.as_ref().map(shown);
    let mode = if wanted.parallel.is_some() { Mode::Parallel } else { Mode::Single };
    let mut manifest = Manifest {
        format: manifest::FORMAT,
        name: wanted.name.to_owned(),
        created_at: now,
        restore: String::new(),
        restore_globals: None,
        run: wanted.run,
        job: wanted.job.to_owned(),
        seconds: (Utc::now() - now).to_std().ok().map(|lasted| (lasted.as_secs_f64() * 1e3).round() / 1e3),
        source: facts.source.clone(),
        tools: manifest::Tools { sexton: env!("CARGO_PKG_VERSION").to_owned(), pg_dump: facts.tools.version.clone() },
        mode,
        parts: stored.parts,
        toc_entries: stored.toc_entries,
        warnings: stored.warnings,
        compression: format!("zstd:{}", wanted.packing.level),
        recipients,
        ephemeral_recipient,
        without_rows_of: wanted.exclude_table_data.to_vec(),
        fingerprint: stored.fingerprint,
    };
    manifest.restore = manifest::stock::restore(&manifest, wanted.vault, stem);
    manifest.restore_globals = manifest::stock::globals(&manifest, wanted.vault);
    manifest
}

/// Makes what is stored a backup.
async fn declare(work: &Work<'_>, vault: &Vault, manifest: &Manifest, stem: &Stem) -> Result<(), Ended> {
    let broken = |error: std::io::Error| Failure::later(error.to_string());
    work.go_on()?;
    fault::point("backup.stored").await.map_err(broken)?;
    if !manifest.is_whole(vault).await? {
        let why = format!("vault `{}`: what was stored has not the size that was sent", vault.name());
        return Err(Failure::later(why).into());
    }
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|error| Failure::never(format!("the manifest cannot be written: {error}")))?;
    let (key, bytes) = (stem.manifest(), text.len() as u64);
    vault.put_new(&key, text).await?;
    // The word of a service that it has written something is not enough for the one object that everything hangs on.
    if vault.head(&key).await?.is_none_or(|object| object.bytes != bytes) {
        let why = format!("vault `{}`: the manifest was written, and is not there", vault.name());
        return Err(Failure::later(why).into());
    }
    fault::point("backup.declared").await.map_err(broken)?;
    Ok(())
}

/// The backups that this run has made already: those of an attempt that was killed before its end.
///
/// # Errors
/// When the vault cannot be read.
pub async fn made(vault: &Vault, name: &str, run: Uuid) -> Result<Vec<Manifest>, Failure> {
    let mut found = Vec::new();
    for object in vault.list(&format!("{METADATA}{name}_backup_")).await? {
        let Some((stem, rest)) = Stem::of_key(&object.key) else { continue };
        if stem.name != name || stem.run != name::suffix(run) || rest != ".manifest.json" {
            continue;
        }
        let Ok(manifest) = Manifest::read(vault, &stem).await else { continue };
        if manifest.run == run && manifest.is_whole(vault).await? {
            found.push(manifest);
        }
    }
    found.sort_by_key(|manifest| manifest.created_at);
    Ok(found)
}

/// Removes what attempts of this run left, but for whole backups.
///
/// # Errors
/// When the vault cannot be read or written.
pub async fn sweep(vault: &Vault, name: &str, run: Uuid) -> Result<(), Failure> {
    let (suffix, dumps) = (name::suffix(run), format!("{name}_backup_"));
    let whole: Vec<Stem> = made(vault, name, run).await?.iter().map(Manifest::stem).collect();
    let mut removed = 0;
    // The manifest goes first: a backup never has less than its manifest says.
    for prefix in [format!("{METADATA}{dumps}"), dumps] {
        removed += vault.sweep(&prefix, &suffix).await?;
        for object in vault.list(&prefix).await? {
            let of_run = Stem::of_key(&object.key)
                .is_some_and(|(stem, _)| stem.name == name && stem.run == suffix && !whole.contains(&stem));
            if of_run {
                vault.delete(&object.key).await?;
                removed += 1;
            }
        }
    }
    if removed > 0 {
        info!(%run, removed, "removed what an earlier attempt had begun");
    }
    // What runs that never got another attempt left: no listing shows it, and it is paid for.
    match vault.janitor(&format!("{name}_backup_"), ABANDONED).await {
        Ok(0) => {}
        Ok(abandoned) => info!(abandoned, "gave up unfinished uploads that nobody goes on with"),
        Err(error) => warn!(%error, "unfinished uploads could not be looked for"),
    }
    Ok(())
}
