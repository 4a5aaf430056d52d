//! A vault in a directory: what it erases and cleans up, and what it does when there is no room.

use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use chrono::Utc;
use sexton::vault::{Kind, LockMode, Options, Vault};

use super::read;

fn vault(folder: &Path) -> Vault {
    Vault::new("main", Options::Dir(folder.to_owned()))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Begins an upload whose writer is never heard of again.
async fn orphan(vault: &Vault, key: &str) {
    let mut upload = vault.create(key, 0).await.expect("an upload");
    upload.write(vec![1; 2 << 20]).await.expect("bytes");
    std::mem::forget(upload);
}

#[tokio::test]
async fn what_is_erased_is_gone_with_what_its_killed_writers_left() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    orphan(&vault, "k").await;
    // What a killed writer left is in nobody's way.
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    vault.put_new("k.sha", b"2".to_vec()).await.expect("stored");
    orphan(&vault, "k.zst").await;
    vault.erase("k").await.expect("erased");
    let left = files(folder.path());
    assert!(left.len() == 2 && left[0] == "k.sha" && left[1].starts_with("k.zst."), "{left:?}");
    vault.erase("k").await.expect("what is not there is fine");
    vault.erase("no/such").await.expect("nor its folder");
}

#[tokio::test]
async fn the_janitor_removes_old_leftovers_and_no_young_ones() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    for key in ["a/old", "b/old"] {
        orphan(&vault, key).await;
    }
    for name in ["a", "b"] {
        let path = folder.path().join(name);
        let file = fs::File::options().write(true).open(path.join(&files(&path)[0])).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(7200)).unwrap();
    }
    let mut living = vault.create("a/living", 0).await.expect("an upload");
    living.write(vec![1; 2 << 20]).await.expect("bytes");
    assert_eq!(vault.janitor("a/", Duration::from_secs(3600)).await.expect("cleaned"), 1);
    living.finish().await.expect("it lives on");
    assert_eq!(files(&folder.path().join("a")), ["living"]);
    assert_eq!(files(&folder.path().join("b")).len(), 1, "below another prefix");
}

#[tokio::test]
async fn a_folder_says_that_it_cannot_lock() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    vault.put_new("k", b"1".to_vec()).await.expect("stored");
    assert!(!vault.can_lock().await.expect("asked"));
    assert_eq!(vault.locked_until("k").await.expect("asked"), None);
    let refused = vault.lock("k", LockMode::Governance, Utc::now()).await.expect_err("it cannot");
    assert!(refused.kind == Kind::Refused && refused.help.is_some(), "{refused}");
}

#[tokio::test]
async fn uploads_share_the_bandwidth_of_their_vault() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path()).with_bandwidth(Some(512 << 10)).with_budget(Some(7));
    assert_eq!(vault.budget(), Some(7));
    let begun = Instant::now();
    let (mut first, mut second) = (vault.create("a", 0).await.unwrap(), vault.create("b", 0).await.unwrap());
    first.write(vec![1; 256 << 10]).await.expect("bytes");
    second.write(vec![1; 256 << 10]).await.expect("bytes");
    // Half a second's worth was taken before, and a quarter may be ahead.
    assert!(begun.elapsed() >= Duration::from_millis(250));
    first.finish().await.expect("stored");
    second.finish().await.expect("stored");
}

/// Runs again in a child that sees a disk of 8 MiB; a machine that forbids that (no `unshare`, no privileges) says so.
#[tokio::test]
async fn a_full_disk_costs_nothing_but_the_upload() {
    if let Some(folder) = std::env::var_os("SEXTON_TEST_SMALL_DISK") {
        return on_a_small_disk(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=8m sexton \"$1\" && exec \"$2\" --exact vault::folder::a_full_disk_costs_nothing_but_the_upload";
    let root = rustix::process::geteuid().is_root();
    let child = Command::new("unshare")
        .args(if root { &["--mount"][..] } else { &["--user", "--map-root-user", "--mount"] })
        .args(["sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().expect("this program"))
        .env("SEXTON_TEST_SMALL_DISK", folder.path())
        .output();
    let (ok, said) = child.map_or((false, String::new()), |output| {
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    });
    if said.contains("running 1 test") {
        assert!(ok && said.contains("1 passed"), "{said}");
    } else {
        // Past the capture of the test runner: nobody may believe that this was run.
        let _ =
            writeln!(std::io::stderr(), "\nSKIPPED: the test of a full disk may not mount a small one here: {said}");
    }
}

async fn on_a_small_disk(folder: &Path) {
    let vault = vault(folder);
    vault.put_new("kept", vec![7; 3 << 20]).await.expect("there is room");
    let mut upload = vault.create("large", 0).await.expect("an upload");
    let mut written = Ok(());
    for _ in 0..16 {
        written = upload.write(vec![1; 1 << 20]).await;
        if written.is_err() {
            break;
        }
    }
    let full = written.expect_err("no room");
    assert!(
        full.kind == Kind::Passing && full.help.as_ref().is_some_and(|help| help.contains("make room")),
        "{full:?}"
    );
    let _ = upload.abort().await;
    assert_eq!(files(folder), ["kept"], "what was written is given back");
    // The last block finds no room only when it is finished.
    let mut upload = vault.create("large", 0).await.expect("an upload");
    let whole = upload.write(vec![1; 5 << 20]).await.and(upload.write(vec![1; 1 << 19]).await);
    let finished = if whole.is_ok() { upload.finish().await.map(drop) } else { whole };
    assert_eq!(finished.expect_err("no room").kind, Kind::Passing);
    let full = vault.put_new("small", vec![1; 6 << 20]).await.expect_err("no room");
    assert_eq!(full.kind, Kind::Passing, "{full}");
    assert_eq!(files(folder), ["kept"]);
    assert!(read(&vault, "kept").await == vec![7; 3 << 20]);
    vault.erase("kept").await.expect("erased");
    let mut upload = vault.create("large", 0).await.expect("an upload");
    upload.write(vec![1; 6 << 20]).await.expect("room");
    upload.finish().await.expect("the next try has room");
    assert!(read(&vault, "large").await == vec![1; 6 << 20]);
}
