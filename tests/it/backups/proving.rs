//! A backup counts once a copy was restored from it and equals what was dumped.

use serde_json::{Value, json};
use sexton::{
    backups::{name::Verdict, proof::Proof, shelf::shelf},
    kinds::{Backup, Broken, Ctx, Kind},
    outcome::{Failure, Outcome, Report},
    vault::{Options, Vault, Vaults},
};

use crate::support::{Database, ctx, open_folder};

/// A database of every awkward thing.
pub(super) async fn awkward() -> Database {
    let database = Database::empty().await;
    sqlx::raw_sql(include_str!("awkward.sql")).execute(database.pool()).await.expect("the awkward things");
    database
}

/// A backup job of target `t` in vault `main`; `extra` wins.
pub(super) fn job(extra: Value) -> Backup {
    let mut table = json!({"target": "t", "vault": "main", "name": "shop", "waiver": "a test"});
    for (key, value) in extra.as_object().expect("a table") {
        table[key] = value.clone();
    }
    serde_json::from_value(table).expect("a backup job")
}

pub(super) async fn done(job: Backup, ctx: Ctx) -> Report {
    match job.run(ctx).await {
        Ok(Outcome::Done(report)) => report,
        other => panic!("not done: {other:?}"),
    }
}

pub(super) async fn failed(job: Backup, ctx: Ctx) -> Failure {
    match job.run(ctx).await {
        Err(Broken::Failed(failure)) | Ok(Outcome::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn every_awkward_thing_is_proven() {
    let (database, folder, scratch) = (awkward().await, tempfile::tempdir().unwrap(), open_folder("sexton-scratch-"));
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let ctx = ctx([database.target("t")], Vaults::new([vault()]));
    let report = done(job(json!({"scratch": scratch.path()})), ctx).await;
    assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"), "{report:?}");
    assert_eq!(report.get("amcheck").and_then(Value::as_str), Some("nothing is corrupt"));
    assert_eq!(report.number("compared_rows"), report.number("rows"));
    assert!(report.number("rows").unwrap() > 2_000.0, "{report:?}");
    let backups = shelf(&vault(), Some("shop")).await.unwrap();
    assert_eq!((backups.len(), backups[0].state()), (1, "proven"));
    let proof = Proof::newest(&vault(), &backups[0].keys).await.unwrap().expect("a proof");
    assert_eq!((proof.verdict, proof.differences), (Verdict::Proven, Vec::<String>::new()));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "the copy is gone");
}

#[tokio::test]
async fn a_flipped_bit_is_found_and_its_place_is_told() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let later = |extra: Value| {
        let mut table = json!({"vault": "main", "name": "shop"});
        for (key, value) in extra.as_object().unwrap() {
            table[key] = value.clone();
        }
        serde_json::from_value::<sexton::kinds::Prove>(table).unwrap()
    };
    let report = done(job(json!({"prove": "later"})), ctx([database.target("t")], Vaults::new([vault()]))).await;
    let path = folder.path().join(report.get("key").and_then(Value::as_str).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let failure = match later(json!({})).run(ctx([], Vaults::new([vault()]))).await {
        Ok(Outcome::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    };
    assert!(failure.why.contains(&format!("bytes 0-{}", bytes.len() - 1)), "{}", failure.why);
    assert_eq!(shelf(&vault(), Some("shop")).await.unwrap()[0].state(), "failed");
    // The bit is flipped back: another look finds it good.
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let looked = later(json!({})).run(ctx([], Vaults::new([vault()]))).await;
    assert!(matches!(looked, Ok(Outcome::Done(_))), "{looked:?}");
    assert_eq!(shelf(&vault(), Some("shop")).await.unwrap()[0].state(), "proven");
}

#[tokio::test]
async fn what_is_sealed_is_proven_by_a_key_that_is_forgotten_and_opened_by_its_recipients() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let (one, two) = (sexton::backups::seal::generate(), sexton::backups::seal::generate());
    let recipients = json!({"recipients": [one.1.as_str(), two.1.as_str()], "waiver": null});
    let report = done(job(recipients), ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"), "{report:?}");
    let key = folder.path().join("two.key");
    std::fs::write(&key, format!("# a key\n{}\n", two.0.reveal())).unwrap();
    let prove = |files: Value| {
        let table = json!({"vault": "main", "name": "shop", "proof": {"identity_files": files}});
        serde_json::from_value::<sexton::kinds::Prove>(table).unwrap()
    };
    let looked = prove(json!([key])).run(ctx([], Vaults::new([vault()]))).await;
    assert!(matches!(looked, Ok(Outcome::Done(_))), "{looked:?}");
    // A drill wants every recipient's key.
    let drill = |files: Value| {
        let table = json!({"vault": "main", "name": "shop", "identity_files": files});
        serde_json::from_value::<sexton::kinds::Drill>(table).unwrap()
    };
    let looked = drill(json!([key])).run(ctx([], Vaults::new([vault()]))).await;
    let Ok(Outcome::Failed(failure)) = looked else { panic!("{looked:?}") };
    assert!(failure.why.contains(one.1.as_str()) && !failure.why.contains(two.1.as_str()), "{failure:?}");
    let other = folder.path().join("one.key");
    std::fs::write(&other, one.0.reveal()).unwrap();
    let looked = drill(json!([key, other])).run(ctx([], Vaults::new([vault()]))).await;
    let Ok(Outcome::Done(report)) = looked else { panic!("{looked:?}") };
    assert_eq!((report.number("open"), report.number("closed")), (Some(2.0), Some(0.0)));
    // Without a key it can be read back, and no more.
    let looked = prove(json!([])).run(ctx([], Vaults::new([vault()]))).await;
    let Ok(Outcome::Failed(failure)) = looked else { panic!("{looked:?}") };
    assert!(failure.why.contains("none of the given identities"), "{failure:?}");
    assert_eq!(failure.report.get("state").and_then(Value::as_str), Some("verified"));
}

#[tokio::test]
async fn what_cannot_be_dumped_is_no_backup() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let job = job(json!({"scratch": folder.path(), "mode": "parallel", "scratch_budget": "1 kB"}));
    let failure = failed(job, ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert!(failure.why.contains("has room for 1000"), "{failure:?}");
    assert_eq!(vault().list("").await.unwrap(), []);
}

#[tokio::test]
async fn a_parallel_dump_is_proven_too() {
    let (database, folder, scratch) = (awkward().await, tempfile::tempdir().unwrap(), open_folder("sexton-scratch-"));
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let (one, two) = (sexton::backups::seal::generate(), sexton::backups::seal::generate());
    let job = job(json!({
        "recipients": [one.1.as_str(), two.1.as_str()], "scratch": scratch.path(), "mode": "parallel", "jobs": 3,
    }));
    let report = done(job, ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"), "{report:?}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "scratch is gone");
}

/// Edits the one manifest of a vault.
fn edit(folder: &std::path::Path, change: impl FnOnce(&mut Value)) {
    let metadata = folder.join("metadata");
    let path = std::fs::read_dir(metadata).unwrap().flatten().map(|entry| entry.path());
    let path = path.into_iter().find(|path| path.to_string_lossy().ends_with(".manifest.json")).expect("a manifest");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(path, manifest.to_string()).unwrap();
}

/// What a job of the kind `prove` makes of the newest backup: its verdict, and why.
async fn looked_at(folder: &std::path::Path, extra: Value) -> (String, String) {
    let vault = Vault::new("main", Options::Dir(folder.to_owned()));
    let mut table = json!({"vault": "main", "name": "shop"});
    for (key, value) in extra.as_object().unwrap() {
        table[key] = value.clone();
    }
    let kind: sexton::kinds::Prove = serde_json::from_value(table).unwrap();
    let (report, why) = match kind.run(ctx([], Vaults::new([vault]))).await {
        Ok(Outcome::Done(report)) => (report, String::new()),
        Ok(Outcome::Failed(failure)) => (failure.report, failure.why),
        other => panic!("{other:?}"),
    };
    (report.get("state").and_then(Value::as_str).unwrap().to_owned(), why)
}

#[tokio::test]
async fn a_copy_that_is_not_what_was_dumped_is_no_proof() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = Vault::new("main", Options::Dir(folder.path().to_owned()));
    done(job(json!({"prove": "later"})), ctx([database.target("t")], Vaults::new([vault]))).await;
    let rows = "/fingerprint/tables/public.a/rows";
    edit(folder.path(), |manifest| *manifest.pointer_mut(rows).unwrap() = json!(501));
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "failed");
    assert!(why.contains("table public.a has 500 rows, and 501 were dumped"), "{why}");
    // The same number of rows, but other ones.
    edit(folder.path(), |manifest| {
        *manifest.pointer_mut(rows).unwrap() = json!(500);
        *manifest.pointer_mut("/fingerprint/tables/public.a/sum").unwrap() = json!("1");
    });
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "failed");
    assert!(why.contains("table public.a has its 500 rows, but not the same ones"), "{why}");
    edit(folder.path(), |manifest| {
        *manifest.pointer_mut("/fingerprint/objects/public.a/columns").unwrap() = json!("another");
    });
    let (_, why) = looked_at(folder.path(), json!({})).await;
    assert!(why.contains("public.a: columns differ"), "{why}");
    // What this machine lacks is no fault of the backup's: it is read back, and that is all that is known.
    edit(folder.path(), |manifest| {
        manifest["source"]["extensions"][0]["name"] = json!("not_to_be_had");
    });
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "verified");
    assert!(why.contains("not_to_be_had"), "{why}");
    edit(folder.path(), |manifest| {
        manifest["source"]["extensions"][0]["name"] = json!("plpgsql");
        manifest["source"]["locale"]["collate"] = json!("xx_XX.UTF-8");
    });
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "verified");
    assert!(why.contains("xx_XX.UTF-8"), "{why}");
    edit(folder.path(), |manifest| manifest["source"]["server_version"] = json!("13.4"));
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "verified");
    assert!(why.contains("PostgreSQL 13 are needed"), "{why}");
}

#[tokio::test]
async fn what_was_cut_off_or_taken_away_is_found() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = Vault::new("main", Options::Dir(folder.path().to_owned()));
    let report = done(job(json!({"prove": "later"})), ctx([database.target("t")], Vaults::new([vault]))).await;
    let path = folder.path().join(report.get("key").and_then(Value::as_str).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "failed");
    assert!(why.contains(&format!("{} bytes, and {} were stored", bytes.len() - 7, bytes.len())), "{why}");
    std::fs::remove_file(&path).unwrap();
    let (state, why) = looked_at(folder.path(), json!({})).await;
    assert_eq!(state, "failed", "{why}");
}

#[tokio::test]
async fn a_proof_matches_however_much_is_written_while_it_is_dumped() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let stop = tokio_util::sync::CancellationToken::new();
    let writers: Vec<_> = (0..3)
        .map(|n| {
            let (pool, stop) = (database.pool().clone(), stop.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.is_cancelled() {
                    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
                        "insert into public.a(note) values ('w{n}-{written}');
                         update public.a set note = note || 'x' where id = (select min(id) + {n} from public.a);
                         delete from public.parted where id = (select min(id) + {n} from public.parted);
                         insert into public.parted(at, v) values (now(), random());
                         select nextval('public.s2')",
                    )))
                    .execute(&pool)
                    .await
                    .expect("a write");
                    written += 1;
                }
                written
            })
        })
        .collect();
    for _ in 0..3 {
        let report = done(job(json!({})), ctx([database.target("t")], Vaults::new([vault()]))).await;
        assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"), "{report:?}");
    }
    stop.cancel();
    for writer in writers {
        assert!(writer.await.unwrap() > 10, "nothing was written meanwhile");
    }
}

#[tokio::test]
async fn a_large_database_is_proven_in_part_and_says_so() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let report =
        done(job(json!({"proof": {"budget": "4 MB"}})), ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert_eq!(report.get("state").and_then(Value::as_str), Some("sampled"), "{report:?}");
    let (some, all) = (report.number("compared_tables").unwrap(), report.number("tables").unwrap());
    assert!(some >= 1.0 && some < all, "{some} of {all}");
    let backups = shelf(&vault(), Some("shop")).await.unwrap();
    assert!(backups[0].is_proven() && backups[0].state() == "sampled");
}

#[tokio::test]
async fn a_copy_on_a_named_server_is_gone_afterwards() {
    let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let prove = |bad: bool| {
        let (folder, database) = (folder.path(), &database);
        async move {
            if bad {
                edit(folder, |manifest| manifest["fingerprint"]["large_objects"]["rows"] = json!(99));
            }
            let table = json!({"vault": "main", "name": "shop", "proof": {"on": "scratch"}});
            let kind: sexton::kinds::Prove = serde_json::from_value(table).unwrap();
            kind.run(ctx([database.target("scratch")], Vaults::new([vault()]))).await
        }
    };
    done(job(json!({"prove": "later"})), ctx([database.target("t")], Vaults::new([vault()]))).await;
    let copies = || async {
        let made: i64 = sqlx::query_scalar("select count(*) from pg_database where datname like 'sexton_proof_%'")
            .fetch_one(database.pool())
            .await
            .unwrap();
        made
    };
    let looked = prove(false).await;
    assert!(matches!(looked, Ok(Outcome::Done(_))), "{looked:?}");
    assert_eq!(copies().await, 0);
    let looked = prove(true).await;
    assert!(matches!(looked, Ok(Outcome::Failed(_))), "{looked:?}");
    assert_eq!(copies().await, 0);
}

#[tokio::test]
async fn the_data_set_s_checks_are_run_on_the_copy() {
    let (site, folder) = (crate::data::Site::new(500).await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let ctx = || {
        let mut ctx = ctx([site.database.target("t")], Vaults::new([vault()]));
        ctx.dataset = Some(site.definition.clone());
        ctx
    };
    let checked = json!({"proof": {"dataset": "interface_exceptions", "suite": "full"}});
    let report = done(job(checked.clone()), ctx()).await;
    let checks = report.get("checks").and_then(|checks| checks.get("checks")).and_then(Value::as_u64);
    assert!(checks.is_some_and(|checks| checks > 5), "{report:?}");
    assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"));
}

#[tokio::test]
async fn a_second_independent_s3_holds_it_just_as_well() {
    let Some(second) = crate::support::second::second().await else { return };
    second.bucket("proven-backups", false).await;
    let database = awkward().await;
    let vault = || second.vault("proven-backups");
    let (one, two) = (sexton::backups::seal::generate(), sexton::backups::seal::generate());
    let recipients = json!({"vault": "second", "recipients": [one.1.as_str(), two.1.as_str()]});
    let report = done(job(recipients.clone()), ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"), "{report:?}");
    let mut parallel = recipients;
    (parallel["mode"], parallel["jobs"]) = (json!("parallel"), json!(2));
    let report = done(job(parallel), ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert_eq!(report.get("state").and_then(Value::as_str), Some("proven"), "{report:?}");
    let backups = shelf(&vault(), Some("shop")).await.unwrap();
    assert_eq!(backups.iter().map(|entry| entry.state()).collect::<Vec<_>>(), ["proven", "proven"]);
}
