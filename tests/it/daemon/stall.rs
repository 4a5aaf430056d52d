//! A site whose dump stalls for as long as it is told to, and what must not begin meanwhile.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::support::{Database, Site, eventually};

use super::{DATASET, collector, run_when, site};

/// A `pg_dump` that stalls after some of its output for as long as the file `hold` exists.
fn stalling_pg_dump(site: &Site, real: &Path) {
    let folder = site.path("pg");
    fs::create_dir_all(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
    for entry in fs::read_dir(real).expect("the programs").flatten() {
        if entry.file_name() != "pg_dump" {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).expect("a link");
        }
    }
    let (real, here) = (real.display(), site.folder().display());
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*|*-V*) exec {real}/pg_dump \"$@\" ;; esac\n\
         {real}/pg_dump \"$@\" > {here}/whole || exit 1\n\
         head -c 200000 {here}/whole\n\
         if [ -e {here}/hold ]; then echo $$ > {here}/pid; exec sleep 60; fi\n\
         tail -c +200001 {here}/whole\n"
    );
    let path = folder.join("pg_dump");
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// A site with a job `backup`, whose dump stalls while the file `hold` exists, as it does.
pub(super) async fn stalling_backup(queue: &Database, target: &Database) -> Site {
    let spawner = sexton::child::Spawner::start().expect("a spawner");
    let fetched = crate::support::options(false).programs.unwrap_or_default();
    let programs = sexton::embedded::find(&fetched, &spawner).await.expect("PostgreSQL").remove(0).dir;
    let site = site(&queue.url(), &target.url(), "");
    let text = fs::read_to_string(site.path("sexton.toml")).unwrap();
    site.write("sexton.toml", &text.replace("[vaults.main]", "pg_bin = \"pg\"\n\n[vaults.main]"));
    stalling_pg_dump(&site, &programs);
    site.write("hold", "");
    site.job("backup", "timeout = \"5m\"\n[backup]\ntarget = \"collector\"\nvault = \"main\"\nwaiver = \"a test\"\nglobals = false\nprove = \"never\"\n");
    site
}

#[tokio::test]
async fn while_a_dump_runs_nothing_moves_rows_in_its_database() {
    let (queue, target) = (Database::new().await, collector(500).await);
    let site = stalling_backup(&queue, &target).await;
    site.write("jobs/datasets/interface_exceptions.toml", DATASET);
    let moves = "target = \"collector\"\ndataset = \"interface_exceptions\"\nolder_than = \"365d\"\ndry_run = false\n";
    site.job("archive", &format!("timeout = \"5m\"\n[archive]\n{moves}"));
    site.job("cleanup", &format!("timeout = \"5m\"\n[cleanup]\n{moves}disposal = \"archive\"\n"));
    site.job("looks", "[sql]\ntarget = \"collector\"\nsql = \"select 1 as one\"\n");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let trigger = async |job: &str| assert!(site.sexton(&["trigger", job]).await.status.success());
    trigger("backup").await;
    eventually("the dump stalls", || async { Path::new(&site.path("pid")).exists().then_some(()) }).await;
    for job in ["archive", "cleanup", "looks"] {
        trigger(job).await;
    }
    // The daemon had the others before it.
    run_when(queue.pool(), "looks", "is done", |run| run.state == "done").await;
    for job in ["archive", "cleanup"] {
        let run = run_when(queue.pool(), job, "waits", |run| run.state == "ready").await;
        let shown = site.sexton(&["runs", "show", &run.id.to_string()]).await.stdout;
        assert!(shown.contains("the data of collector is being dumped"), "{shown}");
    }
    fs::remove_file(site.path("hold")).unwrap();
    stop(fs::read_to_string(site.path("pid")).unwrap().trim().parse().unwrap());
    let over = async |job: &str| run_when(queue.pool(), job, "is over", sexton::queue::Run::is_over).await;
    let (backup, archive, cleanup) = (over("backup").await, over("archive").await, over("cleanup").await);
    daemon.terminate().await;
    let ended = backup.attempts.as_array().into_iter().flatten().filter_map(|attempt| attempt["ended_at"].as_str());
    let ended = ended.map(|at| at.parse().unwrap()).chain(backup.finished_at).min().expect("it ended");
    for run in [archive, cleanup] {
        assert_eq!(run.state, "done", "{run:?}");
        assert!(
            run.started_at.expect("it started") >= ended,
            "{} began at {:?}, in a dump until {ended}",
            run.job,
            run.started_at
        );
    }
}

/// Ends the stalled dump.
fn stop(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
