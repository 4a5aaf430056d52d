//! Everything that can go wrong with a call to S3, at every call: afterwards the object is whole, or the call failed with
//! the cause and nothing is to be seen; and the next try, with a service that works, puts everything right.

use std::{fs, sync::OnceLock, time::Duration};

use bytes::Bytes;
use sexton::vault::{Checksums, Kind, Limits, Options, S3Options, Stored, Upload, Vault, VaultError};

use crate::support::{
    faulty::Fault,
    s3::{S3, hasty},
};

/// Two parts: one of the smallest size, and a rest.
const SIZE: usize = (5 << 20) + 4000;
/// The calls of an upload: a look, a beginning, two parts, an end and a look.
const CALLS: usize = 6;

fn bytes() -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    let make = || (0..SIZE as u32 / 4).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    BYTES.get_or_init(make).clone()
}

async fn store(vault: &Vault, key: &str) -> Result<Stored, VaultError> {
    let upload = vault.create(key, SIZE as u64).await?;
    fill(upload).await
}

async fn fill(mut upload: Upload) -> Result<Stored, VaultError> {
    if let Err(error) = upload.write(bytes()).await {
        // As a backup does: what went wrong is told, whatever giving up says.
        let _ = upload.abort().await;
        return Err(error);
    }
    upload.finish().await
}

/// What is to be seen of an object: nothing, or all of it.
async fn whole(s3: &S3, vault: &Vault, key: &str, wanted: &[u8]) -> bool {
    let listed = vault.list(key).await.expect("listed").into_iter().any(|object| object.key == key);
    let Some(seen) = vault.head(key).await.expect("seen") else {
        assert!(!listed, "it is listed and not there");
        return false;
    };
    assert!(listed && seen.bytes == wanted.len() as u64, "{seen:?}");
    assert!(fs::read(s3.path(key)).expect("its file") == wanted, "what is to be seen is not what was sent");
    true
}

/// Uploads once for each call, of which `times` fail from that one on.
async fn at_every_call(fault: Fault, times: usize, checksums: Checksums) -> (usize, usize) {
    at_every_call_with(fault, times, checksums, hasty()).await
}

async fn at_every_call_with(fault: Fault, times: usize, checksums: Checksums, limits: Limits) -> (usize, usize) {
    let s3 = S3::start().await;
    let options = S3Options { checksums: Some(checksums), ..s3.options() };
    let vault = Vault::new("main", Options::S3(options)).with_limits(limits);
    store(&vault, "calm").await.expect("stored");
    s3.faults.end();
    store(&vault, "counted").await.expect("stored");
    assert_eq!(s3.faults.calls().len(), CALLS, "{:?}", s3.faults.calls());
    let (mut stored, mut failed) = (0, 0);
    for after in 0..CALLS {
        let key = format!("at-{after}");
        s3.faults.plan(fault, after, times);
        let done = store(&vault, &key).await;
        let seen = s3.faults.calls();
        s3.faults.end();
        let there = whole(&s3, &vault, &key, &bytes()).await;
        match done {
            Ok(done) => {
                assert_eq!(done.bytes, SIZE as u64);
                assert!(there, "{fault:?} at call {after}: it is said to be stored and is not there: {seen:#?}");
                stored += 1;
            }
            Err(error) => {
                told(&error, fault);
                // Where every call fails once the upload is complete, it can neither be seen nor removed: then it counts as
                // failed, and a backup without a manifest is none.
                let last = if fault == Fault::LoseReply { CALLS - 2 } else { CALLS - 1 };
                let unknowable = times == usize::MAX && after >= last;
                assert!(!there || unknowable, "{fault:?} at call {after}: {error}, and it is there: {seen:#?}");
                failed += 1;
                match store(&vault, &key).await {
                    Ok(_) => {}
                    Err(error) => assert!(there && error.kind == Kind::Exists, "{fault:?} at call {after}: {error}"),
                }
                assert!(whole(&s3, &vault, &key, &bytes()).await);
            }
        }
    }
    (stored, failed)
}

/// An error says what was tried, where, and what came back.
fn told(error: &VaultError, fault: Fault) {
    let said = error.to_string();
    assert!(said.contains("vault `main`") && said.contains("s3://backups/at-"), "{said}");
    if let Fault::Status(status, code) = fault {
        // An answer to HEAD has no body, so only the status says what it was.
        assert!(said.contains(code) || said.contains(&status.to_string()), "{said}");
        assert_eq!(error.kind, if status == 403 { Kind::Refused } else { Kind::Passing }, "{said}");
    }
}

/// What passes by itself is not even noticed.
async fn passes(fault: Fault) {
    assert_eq!(at_every_call(fault, 1, Checksums::None).await, (CALLS, 0), "{fault:?} once");
}

/// What stays fails at every call.
async fn stays(fault: Fault) {
    assert_eq!(at_every_call(fault, usize::MAX, Checksums::None).await.1, CALLS, "{fault:?} for good");
}

#[tokio::test]
async fn an_internal_error() {
    passes(Fault::Status(500, "InternalError")).await;
    stays(Fault::Status(500, "InternalError")).await;
}

#[tokio::test]
async fn a_service_that_wants_less() {
    passes(Fault::Status(503, "SlowDown")).await;
    stays(Fault::Status(503, "SlowDown")).await;
}

#[tokio::test]
async fn access_denied() {
    // It does not pass by itself, so it is not tried again; only the last look may be missed.
    let (stored, failed) = at_every_call(Fault::Status(403, "AccessDenied"), 1, Checksums::None).await;
    assert_eq!(stored + failed, CALLS);
    assert!(failed >= CALLS - 1, "{failed}");
    stays(Fault::Status(403, "AccessDenied")).await;
}

#[tokio::test]
async fn a_connection_that_is_cut() {
    passes(Fault::Cut).await;
    passes(Fault::CutMidway).await;
    stays(Fault::Cut).await;
    stays(Fault::CutMidway).await;
}

#[tokio::test]
async fn a_call_that_is_never_answered() {
    // Whoever waits briefly tries often: a busy machine may be slow by itself.
    let limits = Limits {
        attempt: Duration::from_secs(1),
        tries: 8,
        slowest: 4 << 20,
        call: Duration::from_secs(60),
        ..hasty()
    };
    assert_eq!(at_every_call_with(Fault::Silence, 1, Checksums::None, limits).await, (CALLS, 0));
}

#[tokio::test]
async fn an_answer_that_is_lost() {
    passes(Fault::LoseReply).await;
    let (stored, failed) = at_every_call(Fault::LoseReply, usize::MAX, Checksums::None).await;
    assert_eq!((stored, failed), (0, CALLS));
}

#[tokio::test]
async fn an_error_in_an_answer_that_says_ok() {
    // What a look is answered so has no meaning that a client could see; the ends of uploads are what S3 answers like this.
    for times in [1, usize::MAX] {
        let (stored, failed) = at_every_call(Fault::ErrorInside, times, Checksums::None).await;
        assert_eq!(stored + failed, CALLS);
    }
    let s3 = S3::start().await;
    let vault = s3.hasty();
    s3.faults.plan_for("POST", Fault::ErrorInside, 1, usize::MAX);
    let failed = store(&vault, "k").await.expect_err("its end is an error");
    assert!(failed.kind == Kind::Passing && failed.why.contains("InternalError"), "{failed}");
    assert!(vault.head("k").await.expect("seen").is_none());
    s3.faults.plan_for("POST", Fault::ErrorInside, 1, 1);
    store(&vault, "k").await.expect("the second try of the end serves");
}

#[tokio::test]
async fn a_service_that_knows_no_conditions() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    s3.faults.plan_for("POST", Fault::Status(501, "NotImplemented"), 1, 1);
    store(&vault, "k").await.expect("the end without a condition serves");
    assert!(whole(&s3, &vault, "k", &bytes()).await);
}

#[tokio::test]
async fn an_answer_that_says_ok_to_what_was_not_done() {
    let (stored, failed) = at_every_call(Fault::Lie, 1, Checksums::None).await;
    assert_eq!(stored + failed, CALLS);
}

#[tokio::test]
async fn an_answer_that_lies_about_what_was_stored() {
    for checksums in [Checksums::None, Checksums::Sha256] {
        let (stored, failed) = at_every_call(Fault::WrongEtag, usize::MAX, checksums).await;
        assert_eq!(stored + failed, CALLS);
    }
    // A part whose checksum is another one was not stored as it was sent; the calls after the parts tell none.
    assert_eq!(at_every_call(Fault::WrongChecksum, usize::MAX, Checksums::Sha256).await, (2, CALLS - 2));
}

#[tokio::test]
async fn a_small_object_is_there_once_whatever_happens_to_its_call() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    let faults = [
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::Cut,
        Fault::CutMidway,
        Fault::LoseReply,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let key = format!("at-{number}");
        s3.faults.plan(fault, 0, 1);
        vault.put_new(&key, b"manifest".to_vec()).await.expect("the second try serves");
        assert!(whole(&s3, &vault, &key, b"manifest").await);

        let key = format!("at-{number}-again");
        s3.faults.plan(fault, 0, usize::MAX);
        let failed = vault.put_new(&key, b"manifest".to_vec()).await.expect_err("it never serves");
        told(&failed, fault);
        s3.faults.end();
        whole(&s3, &vault, &key, b"manifest").await;
        vault.put_new(&key, b"manifest".to_vec()).await.expect("the same again is fine");
        assert!(whole(&s3, &vault, &key, b"manifest").await);
        let other = vault.put_new(&key, b"another".to_vec()).await.expect_err("another is not");
        assert_eq!(other.kind, Kind::Exists, "{other}");
    }
}
