//! Erasing and cleaning up, with an S3 that does not do what it says, or keeps no versions.

use std::time::Duration;

use chrono::Utc;
use sexton::vault::Kind;

use crate::support::{faulty::Fault, s3::S3};

#[tokio::test]
async fn what_a_service_only_says_to_have_removed_is_not_believed() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    s3.faults.plan_for("DELETE", Fault::Lie, 0, usize::MAX);
    let failed = vault.erase("k").await.expect_err("it is still there");
    assert!(failed.kind == Kind::Passing && failed.why.contains("still there"), "{failed}");
    // Said once and not done, it is said again.
    s3.faults.plan_for("DELETE", Fault::Lie, 0, 1);
    vault.erase("k").await.expect("erased");
    assert!(!s3.path("k").exists());
    vault.erase("k").await.expect("what is not there is fine");
}

#[tokio::test]
async fn what_cannot_be_removed_says_why() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    s3.faults.plan_for("DELETE", Fault::Status(403, "AccessDenied"), 0, usize::MAX);
    let failed = vault.erase("k").await.expect_err("it may not");
    assert_eq!(failed.kind, Kind::Refused, "{failed}");
    assert!(failed.help.expect("help").contains("DeleteObjectVersion"));
    assert!(s3.path("k").exists());
}

#[tokio::test]
async fn the_janitor_looks_at_when_an_upload_was_begun() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    let listed = |begun: chrono::DateTime<Utc>| {
        let text = format!(
            "<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u</UploadId><Initiated>{}</Initiated></Upload>\
             </ListMultipartUploadsResult>",
            begun.format("%Y-%m-%dT%H:%M:%SZ")
        );
        Fault::Answer(text.leak())
    };
    let hour = Duration::from_secs(3600);
    s3.faults.plan_for("GET", listed(Utc::now() - chrono::TimeDelta::minutes(50)), 0, 1);
    assert_eq!(vault.janitor("", hour).await.expect("looked"), 0);
    assert_eq!(s3.faults.calls().len(), 1, "a young one is not even asked about");
    s3.faults.plan_for("GET", listed(Utc::now() - chrono::TimeDelta::minutes(70)), 0, 1);
    // This service does not know the upload that it was made to list.
    let _ = vault.janitor("", hour).await;
    assert!(s3.faults.calls()[1].contains("uploadId=u"), "{:?}", s3.faults.calls());
}

#[tokio::test]
async fn a_service_without_locks_and_versions_says_so() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    assert!(!vault.can_lock().await.expect("asked"));
    assert_eq!(vault.janitor("", Duration::ZERO).await.expect("it lists no uploads"), 0);
}
