//! The queue's database fails over for minutes while children work.
//!
//! ```text
//! SEXTON_TEST_SECONDS=120 cargo test --test it faults::failover -- --nocapture     the true two minutes
//! ```

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use sexton::{child::Spawner, kinds, queue, span::Span};

use super::{ticked, ticks};
use crate::{
    daemon::{collector, pool},
    support::{Site, eventually, server::Server, work},
};

/// How long the failover is meant to take, and the lease that outlives it.
const FAILOVER: u64 = 120;
const LEASE: u64 = 300;

/// A `pg_dump` that stalls in the middle until the file `go` is there.
async fn stalling_pg_dump(site: &Site) {
    let spawner = Spawner::start().expect("a spawner");
    let fetched = crate::support::options(false).programs.unwrap_or_default();
    let real = sexton::embedded::find(&fetched, &spawner).await.expect("PostgreSQL").remove(0).dir;
    fs::create_dir(site.path("pg")).expect("a folder");
    for entry in fs::read_dir(&real).expect("the programs").flatten() {
        if entry.file_name() != "pg_dump" {
            std::os::unix::fs::symlink(entry.path(), site.path("pg").join(entry.file_name())).expect("a link");
        }
    }
    let (real, here) = (real.display(), site.folder().display());
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*|*-V*) exec {real}/pg_dump \"$@\" ;; esac\n\
         {real}/pg_dump \"$@\" > {here}/whole || exit 1\nhead -c 200000 {here}/whole\n\
         echo begun >> {here}/dumps\nwhile [ ! -e {here}/go ]; do sleep 0.1; done\ntail -c +200001 {here}/whole\n"
    );
    site.write("pg/pg_dump", &script);
    fs::set_permissions(site.path("pg/pg_dump"), fs::Permissions::from_mode(0o755)).expect("chmod");
}

fn manifests(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |all| {
        all.flatten()
            .map(|entry| match entry.path() {
                path if path.is_dir() => manifests(&path),
                path => usize::from(path.to_string_lossy().ends_with(".manifest.json")),
            })
            .sum()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_of_two_minutes_kills_loses_and_doubles_no_run_that_starts_children() {
    for kind in kinds::ALL.iter().filter(|kind| kind.children) {
        assert!(kind.lease >= Span::seconds(LEASE), "{}: {:?}", kind.name, kind.lease);
    }
    // In the suite both are shorter, in the same proportion.
    let outage =
        std::env::var("SEXTON_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10).min(FAILOVER);
    let lease = Span::seconds(outage * LEASE / FAILOVER);
    let mut old = Server::start(&["synchronous_standby_names=*", "synchronous_commit=local"]).await;
    old.sql("postgres", "create database q").await;
    let new = old.standby().await;
    // From here on nothing is committed that the standby has not got.
    old.sql("postgres", "alter system set synchronous_commit = 'on'; select pg_reload_conf()").await;
    let target = collector(500).await;
    let site = Site::new(&format!(
        "[database]\nurl = \"postgres://sexton:one@127.0.0.1:{},127.0.0.1:{}/q?sslmode=disable\"\n\
         [targets.work]\nurl = \"{}\"\npg_bin = \"pg\"\n[vaults.main]\ndir = \"vault\"\n",
        new.port,
        old.port,
        target.url()
    ));
    stalling_pg_dump(&site).await;
    let daemons = [site.daemon(&["run"]).await, site.daemon(&["run"]).await];
    for daemon in &daemons {
        daemon.wait_for_line("is at work").await;
    }
    let before = pool(&old.url("q"));
    let mut backup = work::spec(
        "backup",
        "backup",
        json!({ "target": "work", "vault": "main", "name": "shop", "waiver": "a test", "prove": "never",
                "globals": false }),
    );
    (backup.lease, backup.timeout, backup.alert) = (lease, Some(Span::seconds(900)), Vec::new());
    // Two that outlive the outage, one that ends in its middle, and a dump.
    let mut runs = vec![work::enqueue(&before, backup).await];
    for (job, go) in [("long", "go"), ("longer", "go"), ("short", "go-short")] {
        runs.push(work::enqueue(&before, ticks(&site, job, go, lease)).await);
    }
    eventually("all are at work", || async {
        let dumps = fs::read_to_string(site.path("dumps")).unwrap_or_default().lines().count();
        (ticked(&site).0.len() == 3 && dumps == 1).then_some(())
    })
    .await;
    let mut held = Vec::new();
    for run in &runs {
        held.push(queue::find(&before, *run).await.expect("the queue").expect("the run"));
    }

    let begun = Instant::now();
    old.crash().await;
    for daemon in &daemons {
        daemon.wait_for_line("cannot be used, waiting for it").await;
    }
    site.write("go-short", "");
    eventually("one ends with nobody to tell", || async { (ticked(&site).1 == [runs[3]]).then_some(()) }).await;
    // The length of the outage is the claim.
    tokio::time::sleep(Duration::from_secs(outage).saturating_sub(begun.elapsed())).await;
    new.sql("postgres", "alter system set synchronous_standby_names = ''; select pg_promote()").await;
    for daemon in &daemons {
        daemon.wait_for_line(&format!("takes writes at 127.0.0.1:{} now", new.port)).await;
    }
    let away = begun.elapsed();
    let after = pool(&new.url("q"));
    eventually("what ended meanwhile is settled", || async {
        queue::find(&after, runs[3]).await.ok()?.filter(|run| run.state == "done")
    })
    .await;
    site.write("go", "");
    let mut told = Vec::new();
    for (run, held) in runs.iter().zip(&held) {
        let run = eventually("it is done", || async {
            queue::find(&after, *run).await.ok()?.filter(|run| run.state == "done" || run.state == "failed")
        })
        .await;
        told.push(format!("{} {}: spent {}, losses {}", run.job, run.state, run.spent, run.losses));
        assert_eq!((run.state.as_str(), run.spent, run.losses), ("done", 1, 0), "{run:?}");
        // No other attempt, and nobody else's.
        assert_eq!((run.worker, run.token), (held.worker, held.token), "{run:?} was {held:?}");
    }
    let (ticked, mut ends) = ticked(&site);
    ends.sort();
    let mut wanted = runs[1..].to_vec();
    wanted.sort();
    assert_eq!((ticked.len(), ends), (3, wanted), "each child worked once and to its end: {ticked:?}");
    let dumps = fs::read_to_string(site.path("dumps")).expect("a dump");
    assert_eq!((dumps.lines().count(), manifests(&site.path("vault"))), (1, 1), "one dump, one backup");
    println!("the database was away for {away:.1?}, leases were {lease}: {told:#?}");
    for daemon in daemons {
        let ended = daemon.terminate().await;
        assert!(ended.status.success(), "{:?}", ended.lines);
        let lost = ended.lines.iter().filter(|line| line.contains("lost its worker") || line.contains("declared dead"));
        assert_eq!(lost.count(), 0, "{:?}", ended.lines);
    }
}
