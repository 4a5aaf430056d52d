//! What the demo's summary says, each held against the databases, the vault or the inbox by other means than those
//! that did the work.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgPool};

use super::site::Site;
use crate::{
    cli::AskError,
    daemon::inbox::{Inbox, Post},
    queue::Run,
};

/// A sentence of the summary, and what was found: that it holds, or why it does not.
pub(super) struct Claim {
    pub(super) what: &'static str,
    pub(super) found: Result<String, String>,
}

/// What the tour has seen.
pub(super) struct Facts<'a> {
    pub(super) site: &'a Site,
    pub(super) inbox: &'a Inbox,
    pub(super) before: Counts,
    pub(super) between: Counts,
    pub(super) first: Vec<Run>,
    pub(super) second: Vec<Run>,
}

/// Rows of each table and of its archive.
pub(super) type Counts = BTreeMap<&'static str, (i64, i64)>;

const TABLES: [&str; 4] = ["interface_exceptions", "retry_attempts", "order_items", "exception_status_changes"];

/// Counts the rows of the exceptions tables and of their archives.
pub(super) async fn count(collector: &PgPool) -> Result<Counts, sqlx::Error> {
    let mut counts = Counts::new();
    for table in TABLES {
        let main: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from public.{table}")))
            .fetch_one(collector)
            .await?;
        let archive = format!("public.{table}_archive");
        let there: bool =
            sqlx::query_scalar("select to_regclass($1) is not null").bind(&archive).fetch_one(collector).await?;
        let archived: i64 = if there {
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {archive}"))).fetch_one(collector).await?
        } else {
            0
        };
        counts.insert(table, (main, archived));
    }
    Ok(counts)
}

/// Holds every claim.
pub(super) async fn hold(facts: &Facts<'_>, collector: &PgPool, queue: &PgPool) -> Result<Vec<Claim>, AskError> {
    let after = count(collector).await?;
    Ok(vec![
        Claim { what: "every slot that was due has one decision, and fired", found: slots(queue).await? },
        Claim { what: "each run ended as it should", found: endings(facts) },
        Claim { what: "the backup in the vault has the manifest's checksum and a readable head", found: backup(facts) },
        Claim { what: "a copy restored from the backup equals what was dumped", found: proven(facts) },
        Claim { what: "validation counts what is wrong", found: validation(facts, collector).await? },
        Claim { what: "the archive's dry run changed nothing", found: same(&facts.before, &facts.between) },
        Claim { what: "the real run moved what the dry run said", found: predicted(facts) },
        Claim { what: "no row was lost or doubled, children included", found: conserved(&facts.before, &after) },
        Claim { what: "no critical and no open row left main", found: kept(collector).await? },
        Claim { what: "one failure and one recovery were told, by mail and by webhook", found: told(facts.inbox) },
    ])
}

fn ensure(holds: bool, found: String) -> Result<String, String> {
    if holds { Ok(found) } else { Err(found) }
}

async fn slots(queue: &PgPool) -> Result<Result<String, String>, sqlx::Error> {
    let (fired, other, runs): (i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where decision = 'fired'), count(*) filter (where decision <> 'fired'), count(distinct run) \
         from sexton.slot where schedule like 'tour-%'",
    )
    .fetch_one(queue)
    .await?;
    Ok(ensure(fired == 8 && other == 0 && runs == 8, format!("{fired} fired, {other} decided otherwise, {runs} runs")))
}

fn endings(facts: &Facts<'_>) -> Result<String, String> {
    let runs: Vec<&Run> = facts.first.iter().chain(&facts.second).collect();
    let wrong: Vec<String> = runs
        .iter()
        .filter(|run| run.state != if run.schedule.as_deref() == Some("tour-partner-away") { "failed" } else { "done" })
        .map(|run| format!("{} is {}", run.job, run.state))
        .collect();
    let kinds: std::collections::BTreeSet<&str> = runs.iter().map(|run| run.kind.as_str()).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    if runs.len() != 12 {
        return Err(format!("{} runs ended, not 12; {}", runs.len(), wrong.join(", ")));
    }
    ensure(wrong.is_empty() && kinds.len() == 7, format!("12 runs of {}{}", kinds.join(", "), wrong.join("; ")))
}

fn backup(facts: &Facts<'_>) -> Result<String, String> {
    let manifests = files(&facts.site.vault, ".manifest.json");
    let [manifest] = manifests.as_slice() else {
        return Err(format!("{} manifests in the vault, not one", manifests.len()));
    };
    let text = fs::read_to_string(manifest).map_err(|error| error.to_string())?;
    let manifest: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let part = manifest.pointer("/parts/0").cloned().unwrap_or_default();
    let key = part.get("key").and_then(Value::as_str).unwrap_or_default();
    let object = facts.site.vault.join(key);
    let bytes = fs::read(&object).map_err(|error| format!("{key}: {error}"))?;
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if Some(digest.as_str()) != part.get("sha256").and_then(Value::as_str) {
        return Err(format!("{key} has SHA-256 {digest}, its manifest says another"));
    }
    let mut head = [0_u8; 5];
    let mut dump = zstd::Decoder::new(bytes.as_slice()).map_err(|error| error.to_string())?;
    dump.read_exact(&mut head).map_err(|error| error.to_string())?;
    ensure(&head == b"PGDMP", format!("{key}, {} bytes, SHA-256 {}…", bytes.len(), &digest[..12]))
}

/// The proof that lies beside the backup, its rows counted by the demo before.
fn proven(facts: &Facts<'_>) -> Result<String, String> {
    let proofs = files(&facts.site.vault, "-proven.json");
    let [proof] = proofs.as_slice() else {
        return Err(format!("{} proofs in the vault, not one", proofs.len()));
    };
    let read = |path: &PathBuf| -> Result<Value, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    let proof = read(proof)?;
    let manifest = files(&facts.site.vault, ".manifest.json");
    let manifest = read(manifest.first().ok_or("no manifest")?)?;
    for (table, (main, _)) in &facts.before {
        let dumped = manifest.pointer(&format!("/fingerprint/tables/public.{table}/rows")).and_then(Value::as_i64);
        if dumped != Some(*main) {
            return Err(format!("{table} had {main} rows, and the fingerprint says {dumped:?}"));
        }
    }
    let number = |name: &str| proof.get(name).and_then(Value::as_f64).unwrap_or(-1.0);
    Ok(format!(
        "{} rows of {} tables, restored in {:.1} s on a throw-away server",
        number("rows"),
        number("tables"),
        number("restore_seconds")
    ))
}

/// Every file below `folder` with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn of<'r>(runs: &'r [Run], schedule: &str, job: &str) -> Option<&'r Run> {
    runs.iter().find(|run| run.schedule.as_deref() == Some(schedule) && run.job == job)
}

fn number(run: Option<&Run>, name: &str) -> Option<i64> {
    run.and_then(|run| run.report.get(name)).and_then(Value::as_i64)
}

/// The check of the business rule, counted by a query of the demo's own on what the last validation saw.
async fn validation(facts: &Facts<'_>, collector: &PgPool) -> Result<Result<String, String>, sqlx::Error> {
    let counted: i64 = sqlx::query_scalar(
        "select count(*) from public.interface_exceptions where status in ('RESOLVED', 'CLOSED') and resolved_at is null",
    )
    .fetch_one(collector)
    .await?;
    let run = of(&facts.second, "tour-weekly", "validate-full");
    let said = number(run, "check.missing_resolution_timestamp").unwrap_or(0);
    let (issues, checks) = (number(run, "issues"), number(run, "checks"));
    Ok(ensure(
        said == counted && issues.is_some_and(|issues| issues >= said),
        format!(
            "{} issues in {} checks; resolved without a time: {said} said, {counted} counted",
            issues.unwrap_or(-1),
            checks.unwrap_or(-1)
        ),
    ))
}

fn same(before: &Counts, after: &Counts) -> Result<String, String> {
    let rows: i64 = after.values().map(|(main, _)| main).sum();
    ensure(before == after, format!("{rows} rows before and after"))
}

fn predicted(facts: &Facts<'_>) -> Result<String, String> {
    let dry = of(&facts.first, "tour-dry-run", "archive-exceptions");
    let real = of(&facts.second, "tour-weekly", "archive-exceptions");
    let names =
        ["rows_archived", "retry_attempts_archived", "order_items_archived", "exception_status_changes_archived"];
    let numbers = |run| names.iter().map(|name| number(run, name)).collect::<Vec<_>>();
    let (dry, real) = (numbers(dry), numbers(real));
    let shown = names.iter().zip(&real).map(|(name, n)| format!("{name}={}", n.unwrap_or(-1))).collect::<Vec<_>>();
    ensure(
        dry == real && real[0].is_some_and(|rows| rows > 0),
        if dry == real { shown.join(" ") } else { format!("{}; the dry run said {dry:?}", shown.join(" ")) },
    )
}

fn conserved(before: &Counts, after: &Counts) -> Result<String, String> {
    let all = |counts: &Counts| {
        counts.iter().map(|(table, (main, archive))| (*table, main + archive)).collect::<BTreeMap<_, _>>()
    };
    let shown: Vec<String> =
        after.iter().map(|(table, (main, archive))| format!("{table} {main} + {archive} archived")).collect();
    ensure(all(before) == all(after), shown.join(", "))
}

async fn kept(collector: &PgPool) -> Result<Result<String, String>, sqlx::Error> {
    let (critical, open): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where severity = 'CRITICAL'), count(*) filter (where status not in ('RESOLVED', 'CLOSED')) \
         from public.interface_exceptions_archive",
    )
    .fetch_one(collector)
    .await?;
    Ok(ensure(critical == 0 && open == 0, format!("{critical} critical and {open} open rows in the archive")))
}

fn told(inbox: &Inbox) -> Result<String, String> {
    let subjects: Vec<String> = inbox.mails().iter().map(|mail| mail.subject.clone()).collect();
    let titles: Vec<String> = inbox.posts().iter().map(title_of).filter(|title| !title.is_empty()).collect();
    let count = |texts: &[String], part: &str| texts.iter().filter(|text| text.contains(part)).count();
    let (failed, again) = ("check-partner failed", "check-partner works again");
    let found = [count(&subjects, failed), count(&subjects, again), count(&titles, failed), count(&titles, again)];
    ensure(
        found == [1, 1, 1, 1] && subjects.len() == 2 && titles.len() == 2,
        format!("{} mails and {} webhook messages: {}", subjects.len(), titles.len(), subjects.join(" · ")),
    )
}

/// The title of a webhook message; empty for other requests.
pub(super) fn title_of(post: &Post) -> String {
    let body: Value = serde_json::from_slice(&post.body).unwrap_or_default();
    body.get("title").and_then(Value::as_str).unwrap_or_default().to_owned()
}
