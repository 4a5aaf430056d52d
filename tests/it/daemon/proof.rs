//! kill -9 of the daemon while a backup is being proven: no copy stays, no backup is lost, and the next attempt ends with
//! a proven one.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::support::{Database, Site, eventually};

use super::{collector, run_when, site};

/// A `pg_restore` that stalls for as long as the file `hold` exists; the other programs are the real ones.
fn stalling_pg_restore(site: &Site, real: &Path) {
    let folder = site.path("pg");
    fs::create_dir_all(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
    for entry in fs::read_dir(real).expect("the programs").flatten() {
        if entry.file_name() != "pg_restore" {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).expect("a link");
        }
    }
    let (real, here) = (real.display(), site.folder().display());
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*|*--list*) exec {real}/pg_restore \"$@\" ;; esac\n\
         if [ -e {here}/hold ]; then echo $$ > {here}/pid; exec sleep 60; fi\n\
         exec {real}/pg_restore \"$@\"\n"
    );
    let path = folder.join("pg_restore");
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
}

fn files(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(ending)).collect()
}

/// Kills the daemon in the middle of a proof and starts another: the site at its end, and what is in its vault's
/// metadata.
async fn killed_while_proving(recipients: &str) -> (Site, Vec<String>, Vec<String>) {
    let (queue, target) = (Database::new().await, collector(500).await);
    let spawner = sexton::child::Spawner::start().expect("a spawner");
    let fetched = crate::support::options(false).programs.unwrap_or_default();
    let programs = sexton::embedded::find(&fetched, &spawner).await.expect("PostgreSQL").remove(0).dir;
    let mut site = site(&queue.url(), &target.url(), "");
    stalling_pg_restore(&site, &programs);
    let scratch = site.path("scratch");
    fs::create_dir(&scratch).unwrap();
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o711)).unwrap();
    site.env("SEXTON_PG_BIN", &site.path("pg").display().to_string());
    site.write("hold", "");
    site.job(
        "backup",
        &format!(
            "timeout = \"5m\"\n[backup]\ntarget = \"collector\"\nvault = \"main\"\nname = \"shop\"\nwaiver = \"a test\"\n\
             scratch = \"{}\"\nrecipients = [{recipients}]\n",
            scratch.display()
        ),
    );
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let triggered = site.sexton(&["trigger", "backup"]).await;
    assert!(triggered.status.success(), "{triggered:?}");
    eventually("the restore stalls", || async { fs::read_to_string(site.path("pid")).ok() }).await;
    let copies = files(&scratch, "");
    assert_eq!(copies.len(), 1, "{copies:?}");
    let postmaster = fs::read_to_string(scratch.join(&copies[0]).join("data/postmaster.pid")).unwrap();
    let postmaster: u32 = postmaster.lines().next().unwrap().trim().parse().unwrap();
    daemon.kill_9().await;
    eventually("the throw-away server died with its daemon", || async {
        (!Path::new(&format!("/proc/{postmaster}")).exists()).then_some(())
    })
    .await;
    fs::remove_file(site.path("hold")).unwrap();
    let daemon = site.daemon(&["run"]).await;
    let run = run_when(queue.pool(), "backup", "is done", |run| run.state == "done").await;
    daemon.terminate().await;
    assert_eq!(run.report.get("state").and_then(Value::as_str), Some("proven"), "{run:?}");
    assert_eq!(files(&scratch, ""), Vec::<String>::new(), "a copy stays behind");
    let metadata = site.path("vault/metadata");
    let (manifests, proofs) = (files(&metadata, ".manifest.json"), files(&metadata, "-proven.json"));
    (site, manifests, proofs)
}

#[tokio::test]
async fn a_proof_whose_daemon_is_killed_is_made_by_the_next_one() {
    let (_site, manifests, proofs) = killed_while_proving("").await;
    assert_eq!((manifests.len(), proofs.len()), (1, 1), "{manifests:?} {proofs:?}");
}

#[tokio::test]
async fn what_only_the_killed_daemon_could_open_is_taken_again() {
    let (one, two) = (sexton::backups::seal::generate().1, sexton::backups::seal::generate().1);
    let recipients = format!("\"{}\", \"{}\"", one.as_str(), two.as_str());
    let (_site, manifests, proofs) = killed_while_proving(&recipients).await;
    assert_eq!((manifests.len(), proofs.len()), (2, 1), "{manifests:?} {proofs:?}");
    // The one that counts is the newer one.
    let newest = manifests.iter().max().unwrap().trim_end_matches(".manifest.json");
    assert!(proofs[0].starts_with(newest), "{manifests:?} {proofs:?}");
}
