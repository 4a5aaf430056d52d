//! The promises of a vault against a second, independent S3, and what only that one knows: versions, object lock,
//! unfinished uploads, encryption. Needs Python (see `support::second`).

use std::time::Duration;

use aws_sdk_s3::{Client, types::ChecksumMode};
use chrono::{DateTime, SubsecRound, Utc};
use sexton::vault::{Checksums, Kind, LockMode, Options, S3Options, Vault};

use super::{keeps_its_promises, read};
use crate::support::second::second;

const DAY: chrono::TimeDelta = chrono::TimeDelta::days(1);

fn days(count: i32) -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0) + DAY * count
}

/// How many versions and delete markers a bucket keeps of a key.
async fn kept(client: &Client, bucket: &str, key: &str) -> usize {
    let found = client.list_object_versions().bucket(bucket).prefix(key).send().await.expect("versions");
    let versions = found.versions().iter().filter(|version| version.key() == Some(key)).count();
    versions + found.delete_markers().iter().filter(|marker| marker.key() == Some(key)).count()
}

async fn unfinished(client: &Client, bucket: &str) -> Vec<String> {
    let found = client.list_multipart_uploads().bucket(bucket).send().await.expect("uploads");
    let mut keys: Vec<_> = found.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)).collect();
    keys.sort();
    keys
}

/// Begins an upload that nobody will ever end.
async fn orphan(vault: &Vault, key: &str, bytes: usize) {
    let mut upload = vault.create(key, 0).await.expect("an upload");
    upload.write(vec![1; bytes]).await.expect("a part");
    std::mem::forget(upload);
}

#[tokio::test]
async fn another_s3_keeps_the_promises() {
    let Some(second) = second().await else { return };
    second.bucket("promises", false).await;
    keeps_its_promises(&second.vault("promises")).await;
    second.bucket("promises-versioned", true).await;
    keeps_its_promises(&second.vault("promises-versioned")).await;
}

#[tokio::test]
async fn what_is_erased_is_gone_with_its_versions_markers_and_unfinished_uploads() {
    let Some(second) = second().await else { return };
    second.bucket("erase", true).await;
    let (vault, client) = (second.vault("erase"), second.client());
    for version in 0..3 {
        vault.put_new("a/k", vec![version]).await.expect("stored");
        vault.delete("a/k").await.expect("removed");
    }
    assert_eq!(kept(&client, "erase", "a/k").await, 6, "a delete alone leaves versions and markers");
    vault.put_new("a/k", b"last".to_vec()).await.expect("stored");
    vault.put_new("a/k2", b"another".to_vec()).await.expect("stored");
    let options = Options::S3(S3Options { prefix: "a".into(), ..second.options("erase") });
    let below = Vault::new("below", options);
    // Begun before there is an object of that name, as far as the service knows.
    for key in ["a/k", "a/k2"] {
        client.create_multipart_upload().bucket("erase").key(key).send().await.expect("begun");
    }

    below.erase("k").await.expect("erased");
    assert_eq!(kept(&client, "erase", "a/k").await, 0);
    assert_eq!(unfinished(&client, "erase").await, ["a/k2"], "only its own uploads are ended");
    assert_eq!(read(&vault, "a/k2").await, b"another");
    below.erase("k").await.expect("what is not there is fine");
}

#[tokio::test]
async fn what_is_locked_is_not_erased_and_says_until_when() {
    let Some(second) = second().await else { return };
    second.bucket("locked", true).await;
    let (vault, client) = (second.vault("locked"), second.client());
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    vault.delete("k").await.expect("removed");
    vault.put_new("k", b"2".to_vec()).await.expect("stored");
    let until = days(3);
    vault.lock("k", LockMode::Compliance, until).await.expect("locked");
    let refused = vault.erase("k").await.expect_err("it is locked");
    assert_eq!(refused.kind, Kind::Locked, "{refused}");
    assert!(refused.why.contains(&until.format("%Y-%m-%d %H:%M:%S").to_string()), "{refused}");
    assert_eq!(kept(&client, "locked", "k").await, 3, "then nothing of it is removed");
    assert_eq!(read(&vault, "k").await, b"2");
}

#[tokio::test]
async fn a_lock_gets_longer_and_stricter_and_never_less() {
    let Some(second) = second().await else { return };
    second.bucket("locks", true).await;
    second.bucket("lockless", false).await;
    let (vault, client) = (second.vault("locks"), second.client());
    assert!(vault.can_lock().await.expect("asked"));
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    assert_eq!(vault.locked_until("k").await.expect("asked"), None);

    let (soon, late) = (days(5), days(10));
    vault.lock("k", LockMode::Governance, soon).await.expect("locked");
    assert_eq!(vault.locked_until("k").await.expect("asked"), Some(soon));
    vault.lock("k", LockMode::Governance, late).await.expect("longer");
    vault.lock("k", LockMode::Governance, soon).await.expect("what is locked longer is fine");
    assert_eq!(vault.locked_until("k").await.expect("asked"), Some(late));
    vault.lock("k", LockMode::Compliance, soon).await.expect("stricter");
    let seen = client.head_object().bucket("locks").key("k").send().await.expect("seen");
    assert_eq!(seen.object_lock_mode().map(|mode| mode.as_str()), Some("COMPLIANCE"));
    assert_eq!(vault.locked_until("k").await.expect("asked"), Some(late), "and no shorter");
    vault.lock("k", LockMode::Governance, late + DAY).await.expect("longer");
    let seen = client.head_object().bucket("locks").key("k").send().await.expect("seen");
    assert_eq!(seen.object_lock_mode().map(|mode| mode.as_str()), Some("COMPLIANCE"), "and no laxer");
    assert_eq!(vault.locked_until("none").await.expect_err("none").kind, Kind::Missing);

    let vault = second.vault("lockless");
    assert!(!vault.can_lock().await.expect("asked"));
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    let refused = vault.lock("k", LockMode::Governance, soon).await.expect_err("no lock there");
    assert_eq!(refused.kind, Kind::Refused, "{refused}");
}

#[tokio::test]
async fn the_janitor_ends_uploads_that_nobody_writes_to_any_more() {
    let Some(second) = second().await else { return };
    second.bucket("janitor", false).await;
    let (vault, client) = (second.vault("janitor"), second.client());
    // This S3 says of every upload that it was begun in 2010.
    for key in ["a/old", "b/old"] {
        orphan(&vault, key, 1).await;
    }
    let mut living = vault.create("a/living", 0).await.expect("an upload");
    living.write(vec![7; 21 << 20]).await.expect("parts");
    assert_eq!(vault.janitor("a/", Duration::from_secs(3600)).await.expect("cleaned"), 1);
    assert_eq!(unfinished(&client, "janitor").await, ["a/living", "b/old"]);
    assert_eq!(living.finish().await.expect("it lives on").bytes, 21 << 20);
    assert_eq!(vault.janitor("", Duration::from_secs(u64::MAX)).await.expect("cleaned"), 0, "nothing is so old");
    assert_eq!(vault.sweep("b/", "old").await.expect("swept"), 1);
    assert_eq!(unfinished(&client, "janitor").await, [""; 0]);
}

#[tokio::test]
async fn objects_are_encrypted_classed_and_checked_as_the_settings_say() {
    let Some(second) = second().await else { return };
    second.bucket("options", false).await;
    let client = second.client();
    let kms = S3Options {
        prefix: "kms".into(),
        sse: Some("aws:kms".into()),
        kms_key_id: Some("alias/backups".into()),
        storage_class: Some("STANDARD_IA".into()),
        checksums: Some(Checksums::Sha256),
        ..second.options("options")
    };
    let plain = S3Options {
        prefix: "plain".into(),
        sse: Some("AES256".into()),
        checksums: Some(Checksums::Crc64),
        ..second.options("options")
    };
    for options in [kms, plain] {
        let (prefix, sse, checksums) = (options.prefix.clone(), options.sse.clone(), options.checksums);
        let (class, key) = (options.storage_class.clone(), options.kms_key_id.clone());
        let vault = Vault::new("options", Options::S3(options));
        vault.put_new("small", b"1".to_vec()).await.expect("stored");
        let mut upload = vault.create("large", 9 << 20).await.expect("an upload");
        upload.write(vec![3; 9 << 20]).await.expect("parts");
        upload.finish().await.expect("stored");
        for name in ["small", "large"] {
            let seen = client.head_object().bucket("options").key(format!("{prefix}/{name}"));
            let seen = seen.checksum_mode(ChecksumMode::Enabled).send().await.expect("seen");
            assert_eq!(seen.server_side_encryption().map(|sse| sse.as_str()), sse.as_deref(), "{prefix}/{name}");
            assert_eq!(seen.ssekms_key_id(), key.as_deref(), "{prefix}/{name}");
            assert_eq!(seen.storage_class().map(|class| class.as_str()), class.as_deref(), "{prefix}/{name}");
            match checksums {
                Some(Checksums::Sha256) => assert!(seen.checksum_sha256().is_some(), "{prefix}/{name}"),
                _ => assert!(seen.checksum_crc64_nvme().is_some(), "{prefix}/{name}"),
            }
        }
        // Of a CRC-64 of several parts it tells something else than that, and is not believed.
        if checksums == Some(Checksums::Sha256) {
            assert!(read(&vault, "large").await == vec![3; 9 << 20]);
        }
    }
}
