//! Proves a backup: reads every byte back, restores it where it can harm nothing, and compares the copy with what was
//! dumped.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use futures::future::BoxFuture;
use serde_json::Value;
use sha2::Digest;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    copy::Copy,
    fingerprint::{self, Fingerprint, Leave, Scope, differences},
    load::{self, Broken, Load},
    manifest::Manifest,
    name::{Verdict, suffix},
    program::Access,
    proof::Proof,
    psql::psql,
    seal::Identities,
    subset::subset,
    tools,
    work::{Ended, Work},
};
use crate::{
    db::{Login, Target, failure},
    outcome::Failure,
    vault::Vault,
};

/// How long amcheck may look at one thing after another.
const AMCHECK: Duration = Duration::from_secs(3600);
/// How old a copy must be that a killed proof left on a named server, before it is removed.
const OLD: TimeDelta = TimeDelta::hours(24);
/// How many differences are told.
const TOLD: usize = 50;

/// Looks at a copy in a way of its own: the data set's checks, say. Returns what it found, and what is wrong.
pub type Inspect<'a> = dyn Fn(Target) -> BoxFuture<'a, Result<(Value, Vec<String>), Ended>> + Send + Sync + 'a;

/// Which backup is proven, and how.
pub struct Wanted<'a> {
    /// Where it is.
    pub vault: &'a Vault,
    /// Which it is.
    pub manifest: &'a Manifest,
    /// What opens it.
    pub identities: &'a Identities,
    /// Where scratch folders are made.
    pub scratch: &'a Path,
    /// The server that holds the copy; a throw-away one without it.
    pub on: Option<&'a Target>,
    /// Bytes of a database past which some of its tables alone are restored.
    pub budget: Option<u64>,
    /// Whether amcheck looks at the copy.
    pub amcheck: bool,
    /// Connections that restore and compare.
    pub jobs: u32,
    /// Looks at the copy in ways of its own.
    pub inspect: Option<&'a Inspect<'a>>,
    /// The run that asks.
    pub run: Uuid,
}

/// Proves a backup and writes down beside it what was found, good or bad.
///
/// # Errors
/// Only when nothing was found out: it was told to stop, or the vault could not be reached.
pub async fn prove(work: &Work<'_>, wanted: &Wanted<'_>) -> Result<Proof, Ended> {
    let stem = wanted.manifest.stem();
    let mut proof = Proof::new(&stem, wanted.run);
    match look(work, wanted, &mut proof).await {
        Ok(verdict) => proof.verdict = verdict,
        Err(Broken::Stopped) => return Err(Ended::Stopped),
        Err(Broken::Passing(failure)) => return Err(failure.into()),
        Err(Broken::Stored(failure) | Broken::Restore(failure)) => {
            proof.verdict = Verdict::Failed;
            (proof.why, proof.help) = (Some(failure.why), failure.help);
        }
        Err(Broken::Unable(failure)) => {
            // What can be known without a copy: whether it is what was stored.
            match load::read_back(work, wanted).await {
                Ok(()) => {
                    proof.verdict = Verdict::Verified;
                    (proof.why, proof.help) = (Some(failure.why), failure.help);
                }
                Err(Broken::Stored(bad)) => (proof.why, proof.help) = (Some(bad.why), bad.help),
                Err(broken) => return Err(broken.into()),
            }
        }
    }
    proof.at = Utc::now();
    proof.write(wanted.vault, &stem).await?;
    let (why, place) = (proof.why.as_deref().unwrap_or_default(), proof.place.as_deref().unwrap_or_default());
    match proof.verdict {
        Verdict::Proven | Verdict::Sampled => {
            tracing::info!(backup = %stem, rows = proof.rows, tables = proof.tables, place, "{stem} is {}", proof.verdict);
        }
        Verdict::Verified | Verdict::Failed => {
            tracing::error!(backup = %stem, why, place, "{stem} is not proven: {}", proof.verdict)
        }
    }
    Ok(proof)
}

async fn look(work: &Work<'_>, wanted: &Wanted<'_>, proof: &mut Proof) -> Result<Verdict, Broken> {
    let manifest = wanted.manifest;
    let major = manifest.major().unwrap_or(0);
    let of_target = wanted.on.and_then(|target| target.pg_bin.as_deref());
    let tools = tools::find(major, of_target, work.pg_bin, work.spawner).await.map_err(Broken::Unable)?;
    let copy = match wanted.on {
        None => Copy::throwaway(work, wanted.scratch, manifest).await.map_err(Broken::Unable)?,
        Some(target) => {
            sweep(target).await;
            let name = format!("sexton_proof_{}_{}", Utc::now().format("%Y%m%d%H%M%S"), suffix(wanted.run));
            Copy::on(target, &name)
        }
    };
    proof.place = Some(match wanted.on {
        None => format!("a throw-away server of PostgreSQL {major}"),
        Some(target) => format!("a new database on target {}", target.name),
    });
    let looked = restored(work, wanted, &tools, &copy, proof).await;
    copy.drop_it().await;
    looked
}

async fn restored(
    work: &Work<'_>,
    wanted: &Wanted<'_>,
    tools: &tools::Tools,
    copy: &Copy,
    proof: &mut Proof,
) -> Result<Verdict, Broken> {
    let manifest = wanted.manifest;
    copy.create(manifest).await.map_err(Broken::Unable)?;
    // On a server of our own its roles can be made; elsewhere they are whoever is there.
    let roles = match manifest.globals().filter(|_| copy.is_throwaway()) {
        Some(part) => {
            let sql = load::text(wanted.vault, part, wanted.identities).await?;
            let access = Access::new(copy.admin()).map_err(Broken::Unable)?;
            psql(work, &access, tools, without_tablespaces(&sql), true).await.map_err(Broken::Restore)?;
            true
        }
        None => false,
    };
    let mut flags = vec!["--no-tablespaces".to_owned()];
    if !roles {
        flags.extend(["--no-owner", "--no-privileges"].map(str::to_owned));
    }
    let access = Access::new(copy.login()).map_err(Broken::Unable)?;
    let mut order = Load {
        vault: wanted.vault,
        manifest,
        identities: wanted.identities,
        access: &access,
        tools,
        flags: &flags,
        entries: None,
        jobs: 1,
        scratch: wanted.scratch,
    };
    let sample = sample(wanted);
    let entries = match &sample {
        Some(tables) => {
            let all = load::entries(work, &order).await?;
            Some(subset(&all, &tables.iter().cloned().collect()))
        }
        None => None,
    };
    order.entries = entries.as_deref();
    let loaded = load::load(work, &order).await?;
    proof.restore_seconds = Some(rounded(loaded.seconds));
    let Some(source) = &manifest.fingerprint else {
        return Err(Broken::Unable(
            Failure::never("it was restored, but it was taken without a fingerprint to compare with")
                .help("set fingerprint = 2 in the backup's job"),
        ));
    };
    let begun = Instant::now();
    (work.tell)(0, Some(source.tables.len() as u64), "tables", Some("comparing"));
    let is = compare(work, wanted, copy.login(), sample.as_deref()).await?;
    let leave = Leave { owners: !roles, rest: sample.is_some(), ..Leave::default() };
    proof.differences = differences(source, &is, leave);
    (proof.tables, proof.rows) = (is.tables.len() as u64, is.rows());
    proof.compare_seconds = Some(rounded(begun.elapsed().as_secs_f64()));
    if wanted.amcheck {
        proof.amcheck = Some(match amcheck(copy).await {
            Ok(found) if found.is_empty() => "nothing is corrupt".to_owned(),
            Ok(found) => {
                proof.differences.extend(found.iter().map(|line| format!("amcheck: {line}")));
                "corrupt".to_owned()
            }
            Err(why) => format!("not run: {why}"),
        });
    }
    if let Some(inspect) = wanted.inspect {
        let target = Target::new("copy", copy.login().clone(), None);
        let looked = inspect(target.clone()).await;
        target.pool().close().await;
        let (found, wrong) = looked.map_err(|ended| match ended {
            Ended::Failed(failure) => Broken::Restore(failure),
            Ended::Stopped => Broken::Stopped,
        })?;
        proof.checks = Some(found);
        proof.differences.extend(wrong);
    }
    if proof.differences.is_empty() {
        return Ok(if sample.is_some() { Verdict::Sampled } else { Verdict::Proven });
    }
    let more = proof.differences.len().saturating_sub(3);
    let shown = proof.differences.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    proof.why = Some(format!("the copy is not what was dumped: {shown}{rest}"));
    proof.help = Some("`sexton backups show` lists them; keep the backups before it, and take a new one".to_owned());
    proof.differences.truncate(TOLD);
    Ok(Verdict::Failed)
}

async fn compare(
    work: &Work<'_>,
    wanted: &Wanted<'_>,
    login: &Login,
    only: Option<&[String]>,
) -> Result<Fingerprint, Broken> {
    let scope = Scope { left_out: &wanted.manifest.without_rows_of, only, connections: wanted.jobs.max(1) as usize };
    let done = std::sync::atomic::AtomicU64::new(0);
    let total = wanted.manifest.fingerprint.as_ref().map(|source| source.tables.len() as u64);
    let seen = |table: &str| {
        let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        (work.tell)(done, total, "tables", Some(table));
    };
    let looked = tokio::select! {
        looked = fingerprint::fingerprint(login, None, &scope, seen) => looked,
        () = work.stop.cancelled() => return Err(Broken::Stopped),
    };
    let mut is = looked.map_err(|error| Broken::Passing(failure(&error)))?;
    let sequences = fingerprint::sequences(login).await.map_err(|error| Broken::Passing(failure(&error)))?;
    is.sequences = fingerprint::between(&sequences, &sequences);
    Ok(is)
}

/// Some tables, in an order that is another each time, as many as the budget allows; none: all of them.
fn sample(wanted: &Wanted<'_>) -> Option<Vec<String>> {
    let (budget, source) = (wanted.budget?, wanted.manifest.fingerprint.as_ref()?);
    let all = wanted.manifest.source.database_bytes;
    if all <= budget {
        return None;
    }
    let mut tables: Vec<_> = source.tables.iter().collect();
    tables.sort_by_key(|(name, _)| sha2::Sha256::digest([wanted.run.as_bytes(), name.as_bytes()].concat()));
    let rows = source.rows().max(1) as f64 * (budget as f64 / all as f64);
    let mut taken = 0.0;
    let mut chosen = BTreeSet::new();
    for (name, table) in tables {
        if chosen.is_empty() || taken + table.rows as f64 <= rows {
            taken += table.rows as f64;
            chosen.insert(name.clone());
        }
    }
    Some(chosen.into_iter().collect())
}

/// What amcheck finds; an error where it cannot be run.
async fn amcheck(copy: &Copy) -> Result<Vec<String>, String> {
    let looking = async {
        let mut connection = copy.login().connect().await?;
        // In a schema of its own, wherever the database may have it already.
        for statement in [
            "set statement_timeout = 0",
            "create schema if not exists sexton_amcheck",
            "create extension if not exists amcheck schema sexton_amcheck",
            "alter extension amcheck set schema sexton_amcheck",
        ] {
            connection.execute(AssertSqlSafe(statement.to_owned())).await?;
        }
        let mut found = Vec::new();
        let indexes = sqlx::query(include_str!("../../sql/target/amcheck_indexes.sql"));
        match indexes.execute(&mut connection).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) => found.push(error.message().to_owned()),
            Err(error) => return Err(error),
        }
        let tables: Vec<(String, String)> =
            sqlx::query_as(include_str!("../../sql/target/amcheck_tables.sql")).fetch_all(&mut connection).await?;
        found.extend(tables.into_iter().map(|(name, what)| format!("{name}: {what}")));
        connection.close().await?;
        Ok(found)
    };
    match timeout(AMCHECK, looking).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.as_database_error().map_or(error.to_string(), |error| error.message().to_owned())),
        Err(_) => Err(format!("it did not end within {} s", AMCHECK.as_secs())),
    }
}

/// Roles alone: a tablespace needs a folder that the throw-away server has not.
fn without_tablespaces(sql: &str) -> String {
    sql.lines().filter(|line| !line.to_uppercase().contains("TABLESPACE")).collect::<Vec<_>>().join("\n")
}

/// Removes copies that killed proofs left on a named server.
async fn sweep(target: &Target) {
    let sweeping = async {
        let names: Vec<String> =
            sqlx::query_scalar(include_str!("../../sql/target/proof_copies.sql")).fetch_all(target.pool()).await?;
        let oldest = (Utc::now() - OLD).format("sexton_proof_%Y%m%d%H%M%S").to_string();
        for name in names.iter().filter(|name| name.as_str() < oldest.as_str()) {
            let statement = format!("drop database if exists {} with (force)", crate::dataset::quote::ident(name));
            target.pool().execute(AssertSqlSafe(statement)).await?;
            tracing::warn!(database = name, "removed the copy that a killed proof had left");
        }
        Ok::<_, sqlx::Error>(())
    };
    if let Err(error) = sweeping.await {
        tracing::warn!(%error, "copies of earlier proofs on target {} could not be looked for", target.name);
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
