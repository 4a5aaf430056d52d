//! Reading: all the bytes of one object, or an error.

use std::{fs, io};

use sexton::vault::{Kind, Options, Vault, VaultError};
use tokio::io::AsyncReadExt;

use crate::support::{
    faulty::Fault,
    s3::{S3, hasty},
};

/// Three mebibytes in which every place looks different.
fn bytes() -> Vec<u8> {
    (0..3_u32 << 18).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

async fn read(vault: &Vault, key: &str, at: u64) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    vault.open_at(key, at).await.map_err(io::Error::other)?.read_to_end(&mut found).await?;
    Ok(found)
}

fn cause(error: io::Error) -> VaultError {
    error.downcast().expect("a vault's error")
}

#[tokio::test]
async fn a_read_goes_on_where_its_connection_broke() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    vault.put_new("k", bytes()).await.expect("stored");
    for fault in [Fault::CutReply(1_000_000), Fault::StallReply(1_000_000), Fault::CutReply(1), Fault::Cut] {
        // Two in a row break, the third one serves.
        s3.faults.plan_for("GET", fault, 0, 2);
        assert!(read(&vault, "k", 0).await.expect("read") == bytes(), "{fault:?}");
    }
    // Each of these brings a good piece, so they may be more than the tries that are made in vain.
    s3.faults.plan_for("GET", Fault::CutReply(1 << 20), 0, 2);
    assert!(read(&vault, "k", 5).await.expect("read") == bytes()[5..]);
}

#[tokio::test]
async fn a_read_that_breaks_again_and_again_fails_and_says_where() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    vault.put_new("k", bytes()).await.expect("stored");
    for fault in [Fault::CutReply(100), Fault::StallReply(100)] {
        s3.faults.plan_for("GET", fault, 0, usize::MAX);
        let failed = cause(read(&vault, "k", 0).await.expect_err("it never gets far"));
        assert_eq!(failed.kind, Kind::Passing, "{failed}");
        assert!(failed.to_string().contains("of 3145728"), "{failed}");
    }
    s3.faults.plan_for("GET", Fault::Cut, 0, usize::MAX);
    let failed = cause(read(&vault, "k", 0).await.expect_err("it never begins"));
    assert!(failed.kind == Kind::Passing && failed.why.contains("connection closed"), "{failed}");
}

#[tokio::test]
async fn an_object_that_is_replaced_while_it_is_read_is_an_error() {
    let s3 = S3::start().await;
    let vault = s3.hasty();
    vault.put_new("k", bytes()).await.expect("stored");
    s3.faults.plan_for("GET", Fault::CutReply(1_000_000), 0, 1);
    let mut body = vault.get("k").await.expect("opened");
    let mut first = vec![0; 1000];
    body.read_exact(&mut first).await.expect("the first bytes");
    vault.delete("k").await.expect("removed");
    let mut others = bytes();
    others.reverse();
    vault.put_new("k", others).await.expect("stored");
    let failed = cause(body.read_to_end(&mut first).await.expect_err("two objects are not one"));
    assert!(failed.why.contains("replaced"), "{failed}");
}

#[tokio::test]
async fn a_read_can_begin_anywhere() {
    let s3 = S3::start().await;
    let folder = tempfile::tempdir().unwrap();
    for vault in [s3.hasty(), Vault::new("main", Options::Dir(folder.path().to_owned()))] {
        vault.put_new("k", bytes()).await.expect("stored");
        vault.put_new("empty", Vec::new()).await.expect("stored");
        for at in [0, 1, (3 << 20) - 1, 3 << 20] {
            assert!(read(&vault, "k", at).await.expect("read") == bytes()[at as usize..], "{vault} from {at}");
        }
        assert_eq!(read(&vault, "empty", 0).await.expect("read"), b"");
        let past = cause(read(&vault, "k", (3 << 20) + 1).await.expect_err("past the end"));
        assert_eq!(past.kind, Kind::Refused, "{past}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_while_it_is_read_is_an_error_and_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new("main", Options::Dir(folder.path().to_owned())).with_limits(hasty());
    vault.put_new("k", bytes()).await.expect("stored");
    let mut body = vault.get("k").await.expect("opened");
    let mut found = vec![0; 10];
    body.read_exact(&mut found).await.expect("the first bytes");
    let file = fs::File::options().write(true).open(folder.path().join("k")).unwrap();
    file.set_len(2 << 20).unwrap();
    let failed = cause(body.read_to_end(&mut found).await.expect_err("cut"));
    assert!(failed.to_string().contains("ends after 2097152 of 3145728 bytes"), "{failed}");
}
