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
