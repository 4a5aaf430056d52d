//! Vaults, a folder and a real S3 protocol: an object is whole or not there.

mod faults;
mod folder;
mod gone;
mod reading;
mod second;

use std::fs;

use sexton::vault::{Kind, Options, Vault};
use tokio::io::AsyncReadExt;

use crate::support::s3::S3;

async fn read(vault: &Vault, key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    vault.get(key).await.expect("an object").read_to_end(&mut bytes).await.expect("its bytes");
    bytes
}

/// What every vault promises.
async fn keeps_its_promises(vault: &Vault) {
    // Larger than a part, so that S3 gets several.
    let block = vec![7_u8; 1 << 20];
    let mut upload = vault.create("a/large", 20 << 20).await.expect("an upload");
    for _ in 0..18 {
        upload.write(block.clone()).await.expect("a block");
    }
    assert!(vault.head("a/large").await.unwrap().is_none(), "it is seen before it is whole");
    let stored = upload.finish().await.expect("stored");
    assert_eq!(stored.bytes, 18 << 20);
    assert_eq!(vault.head("a/large").await.unwrap().expect("it is there").bytes, 18 << 20);
    let bytes = read(vault, "a/large").await;
    assert!(bytes.len() == 18 << 20 && bytes.iter().all(|byte| *byte == 7));

    let mut upload = vault.create("a/given-up", 0).await.unwrap();
    upload.write(block.clone()).await.unwrap();
    upload.abort().await.expect("given up");
    let mut upload = vault.create("a/dropped", 0).await.unwrap();
    upload.write(block).await.unwrap();
    drop(upload);
    let keys: Vec<String> = vault.list("a/").await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["a/large"]);

    let taken = vault.create("a/large", 0).await.map(drop).expect_err("there is one");
    assert_eq!(taken.kind, Kind::Exists, "{taken}");
    let (first, mut second) = (vault.create("a/twice", 0).await.unwrap(), vault.create("a/twice", 0).await.unwrap());
    second.write(b"second".to_vec()).await.unwrap();
    assert_eq!(first.finish().await.expect("the first, which has no bytes").bytes, 0);
    let late = second.finish().await.expect_err("the second to finish");
    assert_eq!(late.kind, Kind::Exists, "{late}");
    assert_eq!(read(vault, "a/twice").await, b"");
    vault.delete("a/twice").await.unwrap();

    vault.put_new("a/once", b"first".to_vec()).await.expect("the first");
    let twice = vault.put_new("a/once", b"second".to_vec()).await.expect_err("the second");
    assert_eq!(twice.kind, Kind::Exists, "{twice}");
    assert_eq!(read(vault, "a/once").await, b"first");

    vault.delete("a/large").await.expect("deleted");
    vault.delete("a/large").await.expect("what is not there is fine");
    assert_eq!(vault.get("a/large").await.map(|_| ()).expect_err("it is gone").kind, Kind::Missing);
}

#[tokio::test]
async fn a_folder_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new("main", Options::Dir(folder.path().to_owned()));
    vault.reachable().await.expect("reachable");
    keeps_its_promises(&vault).await;
}

#[tokio::test]
async fn an_s3_bucket_keeps_the_promises() {
    let s3 = S3::start().await;
    let vault = s3.vault("database-backups", true);
    vault.reachable().await.expect("reachable");
    keeps_its_promises(&vault).await;
    assert!(s3.path("database-backups/a/once").is_file(), "the prefix is part of the key");
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let s3 = S3::start().await;
    let vault = s3.vault("", true);
    s3.refuse(1);
    vault.put_new("k", b"v".to_vec()).await.expect("the second connection serves");
    assert_eq!(fs::read(s3.path("k")).unwrap(), b"v");
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_words_that_help() {
    let s3 = S3::start().await;
    let refused = s3.vault("", false).reachable().await.expect_err("refused");
    assert_eq!(refused.kind, Kind::Refused, "{refused}");
    let said = format!("{refused} {:?}", refused.help);
    assert!(said.contains("main") && !said.contains("another-secret-key"), "{said}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_never_made() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("unmounted");
    let refused = Vault::new("main", Options::Dir(gone.clone())).reachable().await.expect_err("refused");
    assert_eq!(refused.kind, Kind::Refused, "{refused}");
    assert!(refused.to_string().contains("unmounted"), "{refused}");
    assert!(!gone.exists());
}
