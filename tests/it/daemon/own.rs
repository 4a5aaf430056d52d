//! docs/own-database.md: the queue's database is backed up and restored, and what happens then is what the page says.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use sexton::{
    catalog::{Catalog, Files},
    child::Spawner,
};
use sqlx::PgPool;
use tokio::process::Command;
use uuid::Uuid;

use crate::support::{Database, Site, eventually};

use super::{COUNT, every_second_is_decided_once, pool, run_when, site};

/// A block of the page, by the path in its first line.
fn blocks() -> BTreeMap<String, String> {
    let text = include_str!("../../../docs/own-database.md");
    let bodies = text.split("```toml\n# ").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    // Of the blocks for `sexton.toml` the first one counts: the target.
    let mut found = BTreeMap::new();
    for (path, body) in bodies.filter_map(|body| body.split_once('\n')) {
        found.entry(path.to_owned()).or_insert_with(|| body.to_owned());
    }
    found
}

/// PostgreSQL's own programs.
async fn programs() -> PathBuf {
    let spawner = Spawner::start().expect("a spawner");
    let fetched = crate::support::options(false).programs.unwrap_or_default();
    sexton::embedded::find(&fetched, &spawner).await.expect("PostgreSQL").remove(0).dir
}

async fn stock(site: &Site, program: &str, arguments: &[&str]) {
    let mut command = Command::new(programs().await.join(program));
    command.args(arguments);
    let done = site.captured(command).await;
    assert!(done.status.success(), "{program}: {done:?}");
}

/// Every decision, whole.
async fn decided(pool: &PgPool) -> Vec<(String, i64, i64, i64, String, Option<Uuid>)> {
    sqlx::query_as(
        "select schedule, extract(epoch from nominal_at)::bigint, extract(epoch from until)::bigint, slots,
                decision::text, run
         from sexton.slot order by 1, 2",
    )
    .fetch_all(pool)
    .await
    .expect("the slots")
}

/// How many slots of a schedule are decided.
async fn covered(pool: &PgPool, schedule: &str) -> i64 {
    sqlx::query_scalar("select coalesce(sum(slots), 0)::bigint from sexton.slot where schedule = $1")
        .bind(schedule)
        .fetch_one(pool)
        .await
        .expect("a count")
}

async fn more(pool: &PgPool, schedule: &str, than: i64) {
    eventually(&format!("{schedule} has more than {than} decisions"), async || {
        (covered(pool, schedule).await > than).then_some(())
    })
    .await;
}

/// The policies that are told apart, a schedule of every second each. Late from a second on, as after hours with the
/// usual grace.
const POLICIES: [&str; 3] = ["skip", "latest", "all"];

#[tokio::test]
async fn a_restored_queue_decides_what_lies_between_by_policy_and_nothing_twice() {
    let (queue, restored, target) = (Database::new().await, Database::empty().await, Database::empty().await);
    let before = site(&queue.url(), &target.url(), "");
    before.job("count", COUNT);
    // It is live when the dump is taken, and is held for a person once its worker is lost.
    before.job("long", "timeout = \"5m\"\n[exec]\nargv = [\"/bin/sleep\", \"120\"]\n");
    before.job("again", "timeout = \"5m\"\non_lost = \"retry\"\n[exec]\nargv = [\"/bin/sh\", \"-c\", \"test $SEXTON_ATTEMPT = 2 || exec sleep 120\"]\n");
    let entry = |policy: &&str| {
        format!(
            "[[at]]\nname = \"{policy}\"\njob = \"count\"\ncron = \"* * * * * *\"\ncatch_up = \"{policy}\"\n\
             grace = \"1s\"\noverlap = \"allow_all\"\n{}\n",
            if *policy == "all" { "catch_up_max = 1000" } else { "" }
        )
    };
    let schedules = POLICIES.iter().map(entry).collect::<String>();
    before.schedule("s", &schedules);
    let daemon = before.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    for job in ["long", "again"] {
        assert!(before.sexton(&["trigger", job]).await.status.success());
        run_when(queue.pool(), job, "runs", |run| run.state == "running").await;
    }
    for policy in POLICIES {
        more(queue.pool(), policy, 2).await;
    }
    let dump = before.path("sexton.dump").display().to_string();
    stock(&before, "pg_dump", &["--format=custom", "--file", &dump, &queue.url()]).await;
    // It goes on for a while, and that is lost.
    let at_dump = covered(queue.pool(), "skip").await;
    more(queue.pool(), "skip", at_dump + 5).await;
    daemon.kill_9().await;

    stock(&before, "pg_restore", &["--exit-on-error", "--no-owner", "--dbname", &restored.url(), &dump]).await;
    let pool = restored.pool();
    let known = decided(pool).await;
    assert!(!known.is_empty());
    let after = site(&restored.url(), &target.url(), "");
    for job in ["count", "long", "again"] {
        after.job(job, &fs::read_to_string(before.path(&format!("jobs/{job}.toml"))).expect("a job"));
    }
    after.schedule("s", &schedules);
    assert!(after.sexton(&["pause", "--all", "--reason", "restored"]).await.status.success());
    let daemon = after.daemon(&["run"]).await;
    // What was live is lost to its worker: tried again, or held. Behind closed gates no slot is decided.
    run_when(pool, "again", "is done by its second attempt", |run| run.state == "done" && run.losses == 1).await;
    run_when(pool, "long", "is held", |run| run.state == "held").await;
    let long = "select clock_timestamp() > made_at + interval '2 seconds' from sexton.schedule_pause";
    eventually("slots lie in the pause", async || {
        sqlx::query_scalar::<_, bool>(long).fetch_one(pool).await.ok().filter(|long| *long)
    })
    .await;
    assert_eq!(decided(pool).await, known, "a pause decides nothing");
    assert!(after.sexton(&["resume", "--all"]).await.status.success());
    for policy in POLICIES {
        let seen = covered(pool, policy).await;
        more(pool, policy, seen + 2).await;
    }
    daemon.terminate().await;

    let all = decided(pool).await;
    for decision in &known {
        assert!(all.contains(decision), "{decision:?} was in the dump and is another now");
    }
    for policy in POLICIES {
        // Every second from the first decision to the last has one, and each that fired one run.
        every_second_is_decided_once(pool, policy).await;
        let last = known.iter().filter(|row| row.0 == policy).map(|row| row.2).max().expect("a decision");
        let paused = all
            .iter()
            .find(|row| row.0 == policy && row.4 == "skipped_paused")
            .unwrap_or_else(|| panic!("no pause of {policy}: {all:?}"));
        let between: Vec<_> = all.iter().filter(|row| row.0 == policy && row.1 > last && row.2 < paused.1).collect();
        let words: Vec<&str> = between.iter().map(|row| row.4.as_str()).collect();
        match policy {
            "skip" => assert_eq!(words, ["missed_expired"], "{between:?}"),
            // The newest stands for them, or one after the pause does.
            "latest" => assert!(matches!(words[..], ["coalesced"] | ["coalesced", "fired"]), "{between:?}"),
            _ => assert!(words.len() > 3 && words.iter().all(|word| *word == "fired"), "{between:?}"),
        }
    }
}

#[tokio::test]
async fn sexton_backs_up_its_own_database_and_goes_on_with_the_copy() {
    let (queue, other) = (Database::new().await, Database::empty().await);
    let blocks = blocks();
    let named = |path: &str| blocks.get(path).unwrap_or_else(|| panic!("{path} in {blocks:?}")).clone();
    let target = named("sexton.toml").replace("postgres://sexton@db.example.org/sexton", &queue.url());
    let mut site = site(&queue.url(), &other.url(), &target);
    let scratch = site.path("scratch");
    fs::create_dir(&scratch).expect("a folder");
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o711)).expect("chmod");
    site.env("TMPDIR", &scratch.display().to_string());
    site.job("count", COUNT);
    site.job("backup-sexton", &named("jobs/backup-sexton.toml"));
    // Not due while the test runs, whatever the minute.
    site.schedule("own", &named("schedules/own.toml").replace("30 * * * *", "30 3 29 2 *"));
    site.schedule("s", "[[at]]\nname = \"each\"\njob = \"count\"\ncron = \"* * * * * *\"\ngrace = \"1s\"\n");
    let daemon = site.daemon(&["run"]).await;
    more(queue.pool(), "each", 1).await;
    let backup = site.sexton(&["trigger", "backup-sexton", "--wait", "--json"]).await;
    assert!(backup.status.success(), "{backup:?}");
    let run = run_when(queue.pool(), "backup-sexton", "is done", |run| run.state == "done").await;
    assert_eq!(run.report["state"], "proven", "{}", run.report);
    daemon.kill_9().await;
    let name = format!("{}_restored", queue.name());
    let restore = ["backups", "restore", "latest", "--target", "sexton", "--database", &name, "--confirm"];
    let restored = site.sexton(&restore).await;
    assert!(restored.status.success(), "{restored:?}");

    let url = queue.url().replace(queue.name(), &name);
    let copy = pool(&url);
    let known = decided(&copy).await;
    let settings = fs::read_to_string(site.path("sexton.toml")).expect("settings");
    site.write("sexton.toml", &settings.replace(&queue.url(), &url));
    let daemon = site.daemon(&["run"]).await;
    let seen = covered(&copy, "each").await;
    more(&copy, "each", seen + 2).await;
    // The run that took the backup is in it, and lives; its lease decides what becomes of it.
    let own = run_when(&copy, "backup-sexton", "is there", |_| true).await;
    assert_eq!(own.id, run.id);
    daemon.terminate().await;
    let all = decided(&copy).await;
    assert!(known.iter().all(|decision| all.contains(decision)), "{known:?}\n{all:?}");
    every_second_is_decided_once(&copy, "each").await;
    copy.close().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("drop database {name} with (force)")))
        .execute(queue.pool())
        .await
        .expect("it is dropped");
}

#[test]
fn every_file_of_the_page_is_a_good_one() {
    let files: BTreeMap<String, String> = blocks().into_iter().filter(|(path, _)| path != "sexton.toml").collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let parsed = Catalog::parse(&Files(files));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
}
