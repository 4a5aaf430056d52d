//! Disks that are full: the vault's, and that of the queue's own server. Nothing half-written counts, people are told, the
//! daemon goes on, and everything comes to its end once there is room.

use std::{fs, io::Write as _, path::Path};

use serde_json::json;
use sexton::{queue, span::Span};

use super::private::inside;
use crate::{
    daemon::{collector, pool, run_when, site},
    support::{Database, Site, eventually, server::Server, work},
};

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path.display().to_string()),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_is_full_fails_the_backup_and_the_next_one_is_whole() {
    let name = "faults::full_disk::a_vault_that_is_full_fails_the_backup_and_the_next_one_is_whole";
    if !inside(name, &["--mount"], "mount -t tmpfs -o size=8m,mode=755 sexton \"$PLACE\"") {
        return;
    }
    let place = std::path::PathBuf::from(std::env::var_os("PLACE").expect("the small disk"));
    let (queue, target) = (Database::new().await, collector(2_000).await);
    let site = site(&queue.url(), &target.url(), "[channels.ops]\nlog = {}\n");
    let text = fs::read_to_string(site.path("sexton.toml")).unwrap();
    let vault = place.join("vault");
    fs::create_dir(&vault).unwrap();
    site.write("sexton.toml", &text.replace("dir = \"vault\"", &format!("dir = \"{}\"", vault.display())));
    site.job("backup", "alert = [\"ops\"]\ntimeout = \"5m\"\nretry = { attempts = 2, first = \"50ms\" }\n[backup]\ntarget = \"collector\"\nvault = \"main\"\nwaiver = \"a test\"\nglobals = false\nprove = \"never\"\n");
    site.job("other", "timeout = \"1m\"\n[exec]\nargv = [\"true\"]\n");
    fill(&place.join("ballast"));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert!(site.sexton(&["trigger", "backup"]).await.status.success());
    let failed = run_when(queue.pool(), "backup", "failed", |run| run.state == "failed").await;
    let why = failed.why.clone().unwrap_or_default();
    assert!(why.contains("No space left") && why.contains(&vault.display().to_string()), "{failed:?}");
    println!("full: {why} / {:?}", failed.help);
    daemon.wait_for_line("alert: backup failed").await;
    assert_eq!(files(&vault), Vec::<String>::new(), "nothing is left of it");
    // Everything else goes on meanwhile.
    assert!(site.sexton(&["trigger", "other"]).await.status.success());
    run_when(queue.pool(), "other", "is done", |run| run.state == "done").await;
    fs::remove_file(place.join("ballast")).unwrap();
    assert!(site.sexton(&["trigger", "backup"]).await.status.success());
    run_when(queue.pool(), "backup", "is done once there is room", |run| run.state == "done").await;
    let kept = files(&vault);
    let manifests = kept.iter().filter(|name| name.ends_with(".manifest.json")).count();
    assert_eq!((manifests, kept.len()), (1, 2), "{kept:?}");
    assert!(daemon.terminate().await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_whose_server_has_no_room_loses_and_doubles_nothing_and_goes_on() {
    let name = "faults::full_disk::a_queue_whose_server_has_no_room_loses_and_doubles_nothing_and_goes_on";
    let script = "mount -t tmpfs -o size=256m,mode=777 sexton \"$PLACE\"; export TMPDIR=\"$PLACE\"";
    if !inside(name, &["--mount"], script) {
        return;
    }
    let place = std::path::PathBuf::from(std::env::var_os("PLACE").expect("the small disk"));
    let mut server = Server::start(&["wal_recycle=off", "max_wal_size=32MB", "wal_init_zero=on"]).await;
    server.sql("postgres", "create database q").await;
    // The daemon has a disk of its own.
    let (home, url) = (tempfile::tempdir_in("/dev/shm").expect("a folder"), server.url("q"));
    let effects = home.path().join("effects");
    let site = Site::new(&format!("[database]\nurl = \"{url}\"\n"));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let pool = pool(&url);
    let spec = |nth: usize| {
        let script = format!("echo $SEXTON_RUN >> {}; sleep 0.05", effects.display());
        let mut spec = work::spec(&format!("job-{nth}"), "exec", json!({ "argv": ["sh", "-c", script] }));
        (spec.timeout, spec.alert, spec.retry.attempts) = (Some(Span::seconds(60)), Vec::new(), 50);
        spec
    };
    let ask = async |nth: usize| {
        let mut transaction = pool.begin().await?;
        let run = queue::enqueue(&mut transaction, &queue::NewRun::now(spec(nth), "a test"))
            .await
            .map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(run)
    };
    let mut runs = Vec::new();
    for nth in 0..20 {
        runs.push(ask(nth).await.expect("there is room"));
    }
    fill(&place.join("ballast"));
    // People go on asking until the server has nothing left to write with.
    let mut refused = String::new();
    let filler = format!(
        "create table filler{} as select repeat(md5(n::text), 40) as n from generate_series(1, 20000) n",
        runs.len()
    );
    for nth in 20..400 {
        match ask(nth).await {
            Ok(run) => runs.push(run),
            Err(error) => refused = error.to_string(),
        }
        if let Err(error) = sqlx::raw_sql(sqlx::AssertSqlSafe(filler.clone())).execute(&pool).await
            && refused.is_empty()
        {
            refused = error.to_string();
        }
        if !refused.is_empty() && nth > 60 {
            break;
        }
    }
    assert!(!refused.is_empty(), "the disk never was full");
    let before = runs.len();
    fs::remove_file(place.join("ballast")).expect("room");
    // A server that had no room for its WAL has ended; a person starts it again.
    let died = server.has_ended();
    if died {
        server.launch().await;
    }
    runs.push(eventually("people are heard again", || async { ask(1000).await.ok() }).await);
    for run in &runs {
        let run = eventually("it is done", || async {
            queue::find(&pool, *run).await.ok()?.filter(|run| run.state == "done" || run.state == "failed")
        })
        .await;
        assert_eq!((run.state.as_str(), run.losses), ("done", 0), "{run:?}");
    }
    let text = fs::read_to_string(&effects).expect("effects");
    let mut done: Vec<&str> = text.lines().collect();
    let all = done.len();
    done.sort();
    done.dedup();
    // A commit whose answer was lost may have made a run that this test does not know of.
    assert_eq!(done.len(), all, "something ran twice");
    assert!(runs.iter().all(|run| done.contains(&run.to_string().as_str())), "something never ran");
    println!("full with {before} runs asked for: {refused}; the server ended: {died}; {all} runs, each once");
    let ended = daemon.terminate().await;
    assert!(ended.status.success(), "{:?}", ended.lines);
}
