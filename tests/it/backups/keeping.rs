//! Which backups stay: plans, rotation, holds, the catalogue, and what the command line says of them.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use serde_json::{Value, json};
use sexton::{
    backups::{
        catalogue::{self, Catalogue},
        hold::Hold,
        keep::Keep,
        name::{Stem, Verdict},
        rotate,
        shelf::{look, shelf},
        work::{Ended, Work},
    },
    child::Spawner,
    cli::{self, Cli},
    db::forget::forget,
    kinds::{Broken, Ctx, Env, Kind, Rotate},
    outcome::{Failure, Outcome, Report},
    vault::{Options, Vault, Vaults},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::proving::{done as backed_up, failed as not_backed_up, job};
use crate::support::{Database, Site, ctx, open_folder, s3::S3, second::second};

fn folder_vault(folder: &Path) -> Vault {
    Vault::new("main", Options::Dir(folder.to_owned()))
}

fn hours_ago(hours: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::hours(hours)
}

/// Puts a backup into a vault as a run would have left it, but for its dump.
async fn put(vault: &Vault, name: &str, at: DateTime<Utc>, verdict: Option<Verdict>, bytes: usize) -> Stem {
    let run = Uuid::now_v7();
    let stem = Stem::new(name, at, run);
    vault.put_new(&stem.dump(false), vec![7; bytes]).await.expect("a dump");
    let manifest = json!({
        "format": 1, "name": name, "created_at": at, "restore": "pg_restore …", "run": run, "job": "nightly",
        "seconds": 10.0,
        "source": {"database": "shop", "host": "h", "server_version": "15.1", "system_identifier": null, "database_bytes": 9},
        "tools": {"sexton": "0", "pg_dump": "pg_dump 15"},
        "parts": [{"key": stem.dump(false), "role": "dump", "bytes": bytes, "sha256": "0", "dump_bytes": bytes * 3, "blocks": ["ab"]}],
        "toc_entries": 3, "warnings": 0, "compression": "zstd:3", "recipients": [], "without_rows_of": [],
    });
    vault.put_new(&stem.manifest(), manifest.to_string().into_bytes()).await.expect("a manifest");
    if let Some(verdict) = verdict {
        proof(vault, &stem, at + TimeDelta::minutes(1), verdict).await;
    }
    stem
}

async fn proof(vault: &Vault, stem: &Stem, at: DateTime<Utc>, verdict: Verdict) {
    let run = Uuid::now_v7();
    let proof = json!({
        "format": 1, "backup": stem.to_string(), "at": at, "run": run, "verdict": verdict, "why": null,
        "restore_seconds": 12.5,
    });
    vault.put_new(&stem.proof(at, run, verdict), proof.to_string().into_bytes()).await.expect("a proof");
}

async fn stems(vault: &Vault) -> Vec<String> {
    shelf(vault, Some("shop")).await.expect("a shelf").iter().map(|entry| entry.stem.to_string()).collect()
}

fn kind(keep: Value, dry_run: bool) -> Rotate {
    serde_json::from_value(json!({"vault": "main", "name": "shop", "keep": keep, "dry_run": dry_run})).expect("a job")
}

async fn done(kind: Rotate, vault: Vault) -> Report {
    match kind.run(ctx([], Vaults::new([vault]))).await {
        Ok(Outcome::Done(report)) => report,
        other => panic!("not done: {other:?}"),
    }
}

async fn failed(kind: Rotate, vault: Vault) -> Failure {
    match kind.run(ctx([], Vaults::new([vault]))).await {
        Err(Broken::Failed(failure)) | Ok(Outcome::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

/// A history of which, by `days = 7`, three go: the two oldest proven ones and an old unproven one.
async fn history(vault: &Vault) -> Vec<String> {
    let proven = Some(Verdict::Proven);
    let mut all = Vec::new();
    let days = [(0, proven), (1, proven), (8, None), (9, proven), (10, proven), (11, proven)];
    for (days, verdict) in days {
        all.push(put(vault, "shop", hours_ago(days * 24 + 1), verdict, 100).await);
    }
    // Another name that looks like this one is nobody's business.
    put(vault, "shop_backup_x", hours_ago(24 * 100), proven, 100).await;
    // One that would go is held, and one was until yesterday.
    Hold::new(&all[3], "alice", "an audit", None).write(vault, &all[3]).await.expect("a hold");
    let over = Some(hours_ago(24));
    Hold::new(&all[4], "alice", "an audit", over).write(vault, &all[4]).await.expect("a hold");
    all.iter().map(Stem::to_string).collect()
}

async fn rotates(vault: impl Fn() -> Vault) {
    let all = history(&vault()).await;
    let before = vault().list("").await.expect("a list");
    let dry = done(kind(json!({"days": 7}), true), vault()).await;
    assert_eq!(vault().list("").await.expect("a list"), before, "a dry run changes nothing");
    assert_eq!((dry.number("would_delete"), dry.number("would_delete_bytes")), (Some(3.0), Some(300.0)), "{dry:?}");
    let report = done(kind(json!({"days": 7}), false), vault()).await;
    assert_eq!((report.number("deleted"), report.number("deleted_bytes")), (Some(3.0), Some(300.0)), "{report:?}");
    assert_eq!(report.get("plan"), dry.get("plan"));
    assert_eq!(stems(&vault()).await, [all[0].clone(), all[1].clone(), all[3].clone()]);
    for gone in [&all[2], &all[4], &all[5]] {
        let left: Vec<_> = vault().list("").await.expect("a list");
        assert!(left.iter().all(|object| !object.key.contains(gone.as_str())), "{gone} is not gone: {left:?}");
    }
    assert_eq!(shelf(&vault(), Some("shop_backup_x")).await.expect("a shelf").len(), 1);
    let again = done(kind(json!({"days": 7}), false), vault()).await;
    assert_eq!((again.number("deleted"), again.number("kept")), (Some(0.0), Some(3.0)), "{again:?}");
}

#[tokio::test]
async fn what_the_plan_says_goes_from_a_folder_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    rotates(|| folder_vault(folder.path())).await;
}

#[tokio::test]
async fn what_the_plan_says_goes_from_a_bucket_and_nothing_else() {
    let s3 = S3::start().await;
    rotates(|| s3.vault("database-backups", true)).await;
}

#[tokio::test]
async fn nothing_goes_while_the_newest_is_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = || folder_vault(folder.path());
    history(&vault()).await;
    let newest = put(&vault(), "shop", Utc::now(), Some(Verdict::Failed), 100).await;
    let before = vault().list("").await.expect("a list");
    let failure = failed(kind(json!({"days": 7}), false), vault()).await;
    assert!(failure.why.contains(&newest.to_string()) && failure.why.contains("failed"), "{failure:?}");
    assert_eq!(vault().list("").await.expect("a list"), before);
    // It was looked at again, and is good.
    proof(&vault(), &newest, Utc::now() + TimeDelta::minutes(2), Verdict::Proven).await;
    assert_eq!(done(kind(json!({"days": 7}), false), vault()).await.number("deleted"), Some(3.0));
}

/// Rotates as a person does who was shown a plan.
async fn rotate_shown(vault: &Vault, keep: &Keep, shown: &sexton::backups::keep::Plan) -> Result<(), Failure> {
    let (spawner, stop) = (Spawner::start().expect("a spawner"), CancellationToken::new());
    let work = Work { spawner: &spawner, pg_bin: None, stop: &stop, tell: &|_, _, _, _| {} };
    match rotate::rotate(&work, vault, keep, shown).await {
        Ok(_) => Ok(()),
        Err(Ended::Failed(failure)) => Err(failure),
        Err(Ended::Stopped) => panic!("stopped"),
    }
}

#[tokio::test]
async fn only_what_was_shown_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = folder_vault(folder.path());
    history(&vault).await;
    let keep: Keep = "days=7".parse().expect("a policy");
    let shown = rotate::plan(&vault, "shop", &keep, Utc::now()).await.expect("a plan");
    let late = put(&vault, "shop", hours_ago(24 * 50), Some(Verdict::Proven), 100).await;
    let before = vault.list("").await.expect("a list");
    let failure = rotate_shown(&vault, &keep, &shown).await.expect_err("refused");
    assert!(failure.why.contains(&late.to_string()), "{failure:?}");
    assert_eq!(vault.list("").await.expect("a list"), before);
    // One less than was shown is no reason to refuse.
    let shown = rotate::plan(&vault, "shop", &keep, Utc::now()).await.expect("a plan");
    Hold::new(&late, "bob", "wanted", None).write(&vault, &late).await.expect("a hold");
    rotate_shown(&vault, &keep, &shown).await.expect("rotated");
    assert_eq!(stems(&vault).await.len(), 4);
}

#[tokio::test]
async fn what_has_no_manifest_goes_when_nobody_can_be_at_work_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = || folder_vault(folder.path());
    let kept = put(&vault(), "shop", hours_ago(1), Some(Verdict::Proven), 100).await;
    let old = SystemTime::now() - Duration::from_secs(49 * 3600);
    let stray = async |hours: i64, written_long_ago: bool| {
        let stem = Stem::new("shop", hours_ago(hours), Uuid::now_v7());
        for key in [stem.dump(false), stem.globals(false)] {
            vault().put_new(&key, b"half".to_vec()).await.expect("stored");
            if written_long_ago {
                let file = File::options().write(true).open(folder.path().join(key)).expect("a file");
                file.set_modified(old).expect("its time");
            }
        }
        stem.to_string()
    };
    let (left, young, at_work) = (stray(50, true).await, stray(20, true).await, stray(50, false).await);
    let report = done(kind(json!({"days": 7}), false), vault()).await;
    assert_eq!(report.number("strays_removed"), Some(1.0), "{report:?}");
    let strays: Vec<_> = look(&vault(), Some("shop")).await.expect("a shelf").strays;
    let strays: Vec<String> = strays.iter().map(|entry| entry.stem.to_string()).collect();
    assert!(!strays.contains(&left) && strays.contains(&young) && strays.contains(&at_work), "{strays:?}");
    assert_eq!(stems(&vault()).await, [kept.to_string()]);
}

#[tokio::test]
async fn a_lock_is_extended_to_the_plans_date_and_what_is_locked_is_told() {
    let Some(second) = second().await else { return };
    second.bucket("rotate", true).await;
    let vault = || second.vault("rotate");
    let proven = Some(Verdict::Proven);
    let mut all = Vec::new();
    for days in [0, 1, 20, 21] {
        all.push(put(&vault(), "shop", hours_ago(days * 24 + 1), proven, 100).await);
    }
    let until = Utc::now() + TimeDelta::days(3);
    vault().lock(&all[2].dump(false), sexton::vault::LockMode::Governance, until).await.expect("a lock");
    let table = json!({"vault": "second", "name": "shop", "keep": {"days": 7, "lock": "governance"}, "dry_run": false});
    let kind: Rotate = serde_json::from_value(table).expect("a job");
    let report = done(kind, vault()).await;
    assert_eq!((report.number("deleted"), report.number("locked")), (Some(1.0), Some(1.0)), "{report:?}");
    assert_eq!(report.number("locks_extended"), Some(4.0), "{report:?}");
    assert_eq!(stems(&vault()).await, all[..3].iter().map(Stem::to_string).collect::<Vec<_>>());
    let locked = vault().locked_until(&all[1].manifest()).await.expect("a look").expect("a lock");
    let wanted = all[1].taken_at + TimeDelta::days(7);
    assert!((locked - wanted).num_seconds().abs() <= 1, "{locked} is not {wanted}");
    // With its versions: nothing of the deleted one is kept behind a marker.
    let versions = second.client().list_object_versions().bucket("rotate").send().await.expect("versions");
    let gone = all[3].to_string();
    assert!(versions.versions().iter().all(|version| !version.key().unwrap_or_default().contains(&gone)));
}

fn with_catalogue(ctx: &Ctx, queue: &Database, vaults: Vaults) -> Ctx {
    let catalogue = Some(Catalogue::new(queue.pool().clone()));
    Ctx { env: Arc::new(Env { vaults, catalogue, ..(*ctx.env).clone() }), ..ctx.clone() }
}

#[tokio::test]
async fn a_backup_rotates_after_its_proof_alone_and_its_numbers_stand_beside_what_is_usual() {
    let (database, queue) = (Database::empty().await, Database::new().await);
    sqlx::raw_sql("create table t as select n, md5(n::text) from generate_series(1, 1000) n")
        .execute(database.pool())
        .await
        .expect("a table");
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), open_folder("sexton-scratch-"));
    let vault = || folder_vault(folder.path()).with_budget(Some(1 << 20));
    for hours in [5, 29, 53, 24 * 40] {
        put(&vault(), "shop", hours_ago(hours), Some(Verdict::Proven), 1000).await;
    }
    let rotating = |scratch: &Path| {
        let keep = json!({"days": 30, "min_proven": 2});
        job(json!({"scratch": scratch, "keep": keep, "rotate": true, "globals": false}))
    };
    let context = || with_catalogue(&ctx([database.target("t")], Vaults::default()), &queue, Vaults::new([vault()]));
    // Where no copy can be restored nothing is proven, and nothing goes.
    let failure = not_backed_up(rotating(&folder.path().join("not-there")), context()).await;
    assert!(failure.why.contains("could not be proven"), "{failure:?}");
    assert_eq!(stems(&vault()).await.len(), 5);

    let report = backed_up(rotating(scratch.path()), context()).await;
    assert_eq!((report.number("deleted"), report.number("proven")), (Some(1.0), Some(1.0)), "{report:?}");
    let size = report.number("size_vs_usual").expect("a ratio");
    let wanted = report.number("bytes").expect("bytes") / 1000.0;
    assert!((size - wanted).abs() < 0.001, "{size} is not {wanted}");
    assert!(report.number("seconds_vs_usual").is_some_and(|ratio| ratio > 0.0), "{report:?}");
    let hours = report.number("hours_since_proven").expect("hours");
    assert!((5.0..5.5).contains(&hours), "{hours}");
    assert!(report.number("vault_used").is_some_and(|used| used > 0.0 && used < 0.2), "{report:?}");

    let rows: Vec<(String, bool)> =
        sqlx::query_as("select state, deleted_at is not null from sexton.backup order by 2, 1")
            .fetch_all(queue.pool())
            .await
            .expect("the catalogue");
    let told: Vec<(&str, bool)> = rows.iter().map(|(state, gone)| (state.as_str(), *gone)).collect();
    let proven = ("proven", false);
    assert_eq!(told, [proven, proven, proven, proven, ("verified", false), ("proven", true)]);
    let grown: bool = sqlx::query_scalar("select bool_or(manifest ? 'fingerprint') from sexton.backup")
        .fetch_one(queue.pool())
        .await
        .expect("the catalogue");
    assert!(!grown, "what grows with the database is not kept");
    let figures = Catalogue::new(queue.pool().clone()).figures().await.expect("figures");
    assert_eq!(figures.counts.get(&("shop".to_owned(), "proven".to_owned())), Some(&4));
    assert!(figures.names[0].restore_seconds.is_some() && figures.names[0].seconds.is_some(), "{figures:?}");
}

#[tokio::test]
async fn without_enough_to_compare_with_a_threshold_waits() {
    let (database, folder) = (Database::empty().await, tempfile::tempdir().expect("a folder"));
    let expect = [("size_vs_usual".to_owned(), ">= 0.5".parse().expect("a threshold"))];
    // The second queue has no catalogue that could be read or written: that makes no backup bad.
    for queue in [Database::new().await, Database::empty().await] {
        let vaults = Vaults::new([folder_vault(folder.path())]);
        let context = with_catalogue(&ctx([database.target("t")], Vaults::default()), &queue, vaults);
        let report = backed_up(job(json!({"prove": "later", "globals": false})), context).await;
        assert_eq!(report.get("size_vs_usual"), None);
        assert_eq!(sexton::expect::breaches(expect.iter().map(|(name, expect)| (name, expect)), &report), []);
    }
}

/// What a command prints, and its exit code.
async fn said(args: &[&str]) -> (Result<u8, String>, String) {
    let mut out = Vec::new();
    let cli = Cli::try_parse_from([&["sexton"], args].concat()).expect("a command");
    let code = cli::ask(&cli, &mut out).await.map_err(|error| error.to_string());
    (code, String::from_utf8(out).expect("text"))
}

#[tokio::test]
async fn people_see_hold_plan_and_rotate_without_any_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = folder_vault(folder.path());
    let all = history(&vault).await;
    let from = format!("dir:{}", folder.path().display());
    let run = async |args: &[&str]| said(&[&["backups"], args, &["--from", &from]].concat()).await;

    let (code, text) = run(&["list", "--name", "shop"]).await;
    assert_eq!((code, text.lines().count()), (Ok(0), 7), "{text}");
    let (_, text) = run(&["list", "--name", "shop", "--json"]).await;
    let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&list[2]["state"], &list[0]["restore_seconds"]), (&json!("stored"), &json!(12.5)), "{text}");
    assert_eq!((&list[3]["held"], &list[4]["held"]), (&json!(true), &json!(false)), "an old hold holds nothing");
    assert_eq!(list[3]["hold"]["reason"], "an audit");

    let (code, text) = run(&["show", "latest", "--name", "shop"]).await;
    assert!(code == Ok(0) && text.contains(&all[0]) && text.contains("pg_restore …"), "{text}");
    assert!(run(&["show", "latest"]).await.0.is_err_and(|why| why.contains("--name")));
    assert!(run(&["show", "shop_backup_19"]).await.0.is_err_and(|why| why.contains("no backup")));

    let (code, text) = run(&["status", "--name", "shop", "--max-age", "25h"]).await;
    assert!(code == Ok(0) && text.contains("12.5 s"), "{text}");
    let (code, text) = run(&["status", "--name", "shop", "--max-age", "30m", "--json"]).await;
    let status: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &status["ok"]), (Ok(1), &json!(false)), "{text}");

    let (_, text) = run(&["plan", "--name", "shop", "--keep", "days=7", "--json"]).await;
    let plan: Value = serde_json::from_str(&text).expect("JSON");
    let number = plan[0]["number"].as_str().expect("a number").to_owned();
    let fates: Vec<_> = plan[0]["items"].as_array().expect("items").iter().map(|item| item["fate"].clone()).collect();
    assert_eq!(fates, ["keep", "keep", "delete", "keep", "delete", "delete"]);

    let (code, text) = run(&["rotate", "--name", "shop", "--keep", "days=7"]).await;
    assert!(code == Ok(0) && text.contains("nothing was deleted"), "{text}");
    assert_eq!(stems(&vault).await.len(), 6);
    assert_eq!(run(&["hold", &all[5], "--reason", "a lawsuit"]).await.0, Ok(0));
    let confirm = ["rotate", "--name", "shop", "--keep", "days=7", "--confirm", "--number", &number];
    assert!(run(&confirm).await.0.is_err_and(|why| why.contains("nothing was deleted")), "the plan is another one");
    assert_eq!(stems(&vault).await.len(), 6);
    assert_eq!(run(&["release", &all[5]]).await.0, Ok(0));
    let (code, text) = run(&confirm).await;
    assert!(code == Ok(0) && text.contains("3 deleted"), "{text}");
    assert_eq!(stems(&vault).await, [all[0].clone(), all[1].clone(), all[3].clone()]);
}

#[tokio::test]
async fn a_bucket_is_read_by_its_address_with_credentials_of_the_environment() {
    let s3 = S3::start().await;
    let stem = put(&s3.vault("database-backups", true), "shop", hours_ago(1), Some(Verdict::Proven), 100).await;
    let mut site = Site::new("this is no settings file");
    fs::remove_file(site.path("sexton.toml")).expect("removed");
    site.env("AWS_ACCESS_KEY_ID", "AKTEST");
    site.env("AWS_SECRET_ACCESS_KEY", "very-secret-key");
    let from = format!("s3://backups/database-backups?region=us-west-2&endpoint={}", s3.endpoint());
    let said = site.sexton(&["backups", "show", "latest", "--json", "--from", &from]).await;
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let shown: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!((&shown["backup"], &shown["state"]), (&json!(stem.to_string()), &json!("proven")));
}

#[tokio::test]
async fn an_empty_catalogue_is_filled_from_the_vault_and_jobs_say_how_long_backups_are_kept() {
    let queue = Database::empty().await;
    let site = Site::new(&format!(
        "[database]\nurl = \"{}\"\n[targets.t]\nurl = \"{}\"\n[vaults.main]\ndir = \"vault\"\nbudget = \"1 MiB\"\n",
        queue.url(),
        queue.url()
    ));
    site.job(
        "nightly",
        "timeout = \"5m\"\nalert = []\n[backup]\ntarget = \"t\"\nvault = \"main\"\nname = \"shop\"\nwaiver = \"a test\"\nkeep = { days = 7 }\n",
    );
    let vault = folder_vault(&site.path("vault"));
    let all = history(&vault).await;
    let config = site.path("sexton.toml").display().to_string();
    let run = async |args: &[&str]| said(&[&["backups"], args, &["--config", &config]].concat()).await;
    let (code, text) = run(&["rebuild"]).await;
    assert!(code == Ok(0) && text.contains('7'), "{text}");
    let (_, text) = run(&["plan"]).await;
    assert!(text.contains("kept by nightly") && text.contains("3 of 6 go"), "{text}");
    let (code, text) = run(&["rotate", "--confirm", "--json"]).await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, answer[0]["deleted"].as_array().map(Vec::len)), (Ok(0), Some(3)), "{text}");
    let count = |gone: bool| {
        let pool = queue.pool().clone();
        async move {
            let count = "select count(*) from sexton.backup where (deleted_at is not null) = $1";
            sqlx::query_scalar::<_, i64>(count).bind(gone).fetch_one(&pool).await.expect("a count")
        }
    };
    assert_eq!((count(false).await, count(true).await), (4, 3));
    // What is long gone is forgotten.
    let age = "update sexton.backup set deleted_at = now() - interval '401 days' where stem = $1";
    sqlx::query(age).bind(&all[5]).execute(queue.pool()).await.expect("older");
    forget(queue.pool(), catalogue::DELETED, catalogue::DELETED_AFTER).await.expect("forgotten");
    assert_eq!((count(false).await, count(true).await), (4, 2));
    // What the catalogue does not know costs nothing: the vault has it.
    sqlx::query("delete from sexton.backup").execute(queue.pool()).await.expect("forgotten");
    run(&["rebuild", "--vault", "main"]).await.0.expect("rebuilt");
    assert_eq!((count(false).await, count(true).await), (4, 0));
    let (_, text) = run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&status["vault"]["budget"], status["names"].as_array().map(Vec::len)), (&json!(1 << 20), Some(2)));
    assert!(stems(&vault).await.contains(&all[0]));
}
