//! Whatever goes wrong with whichever call to the vault: a backup is there whole or not at all, it never costs an earlier
//! one, and the next attempt ends well.

use std::fs;

use serde_json::json;
use sexton::{
    backups::{manifest::Manifest, shelf::shelf},
    kinds::{Backup, Broken, Kind},
    outcome::Outcome,
    vault::Vaults,
};
use sha2::{Digest, Sha256};

use crate::support::{Database, ctx, faulty::Fault, next_attempt, s3::S3};

use super::proving::job;

fn plain() -> Backup {
    job(json!({"globals": true, "prove": "never", "fingerprint": 1}))
}

/// Every backup that can be seen is what its manifest says, byte by byte.
async fn all_are_whole(s3: &S3, what: &str) -> usize {
    let vault = s3.hasty();
    let backups = shelf(&vault, Some("shop")).await.unwrap();
    for entry in &backups {
        let manifest = Manifest::read(&vault, &entry.stem).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(manifest.parts.len(), 2, "{what}");
        for part in &manifest.parts {
            let bytes = fs::read(s3.path(&part.key)).unwrap_or_else(|error| panic!("{what}: {}: {error}", part.key));
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((bytes.len() as u64, digest), (part.bytes, part.sha256.clone()), "{what}: {}", part.key);
        }
    }
    backups.len()
}

#[tokio::test]
async fn whichever_call_fails_however_a_backup_is_whole_or_not_there() {
    let (database, s3) = (Database::empty().await, S3::start().await);
    sqlx::raw_sql("create table t(id int primary key, note text); insert into t select n, md5(n::text) from generate_series(1, 500) n")
        .execute(database.pool())
        .await
        .unwrap();
    let ctx = || ctx([database.target("t")], Vaults::new([s3.hasty()]));
    // The earlier one, and how many calls a backup takes.
    s3.faults.end();
    let first = plain().run(ctx()).await;
    assert!(matches!(first, Ok(Outcome::Done(_))), "{first:?}");
    let calls = s3.faults.calls().len();
    assert!(calls > 8, "{:?}", s3.faults.calls());
    let (mut good, mut failures) = (1, 0);
    let always = usize::MAX;
    // Every fault at some calls, every call with some faults; all with all takes minutes: SEXTON_TEST_SWEEP=all.
    let all = std::env::var("SEXTON_TEST_SWEEP").is_ok_and(|text| text == "all");
    let step = if all { 1 } else { 5 };
    for (nth, (fault, times)) in [
        (Fault::Status(403, "AccessDenied"), 1),
        (Fault::Status(500, "InternalError"), always),
        (Fault::Cut, 1),
        (Fault::Cut, always),
        (Fault::LoseReply, 1),
        (Fault::ErrorInside, 1),
        (Fault::Lie, 1),
    ]
    .into_iter()
    .enumerate()
    {
        for after in (nth % step..calls).step_by(step) {
            let what = format!("{fault:?} at call {after}, {times} times");
            let ctx = ctx();
            s3.faults.plan(fault, after, times);
            let ended = plain().run(ctx.clone()).await;
            let met = s3.faults.calls();
            s3.faults.end();
            match ended {
                Ok(Outcome::Done(_)) => {}
                Err(Broken::Failed(failure)) => {
                    failures += 1;
                    assert!(failure.why.contains("main") || failure.why.contains("vault"), "{what}: {failure:?}");
                    // A call that fails after the manifest was written leaves a backup, which then is whole.
                    let seen = all_are_whole(&s3, &what).await;
                    assert!(seen == good || seen == good + 1, "{what} left {seen}, not {good}: {met:?}");
                    let again = plain().run(next_attempt(&ctx)).await;
                    assert!(matches!(again, Ok(Outcome::Done(_))), "{what}: {again:?}");
                }
                other => panic!("{what}: {other:?}"),
            }
            good += 1;
            assert_eq!(all_are_whole(&s3, &what).await, good, "{what}: {met:?}");
        }
    }
    assert!(failures > calls / step, "only {failures} of the faults were felt");
    // Three objects each, and nothing else: what failed attempts had begun is gone.
    let objects = s3.hasty().list("").await.unwrap();
    assert_eq!(objects.len(), good * 3, "{objects:?}");
}
