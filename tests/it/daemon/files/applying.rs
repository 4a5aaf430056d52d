//! `sexton apply` and `sexton files`, removals that need a word, and daemons whose files differ.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sexton::ledger;

use super::{event, revisions};
use crate::{
    daemon::{COUNT, collector, site},
    support::{Captured, Database, Site, client, eventually},
};

const TOKEN: &str = "a-token-for-tests";

fn entry(name: &str, cron: &str) -> String {
    format!("[[at]]\nname = \"{name}\"\njob = \"count\"\ncron = \"{cron}\"\n")
}

fn entries(names: &[&str]) -> String {
    names.iter().map(|name| entry(name, "0 2 * * *")).collect()
}

fn with(queue: &Database, target: &Database, schedules: &str) -> Site {
    let site = site(&queue.url(), &target.url(), "[files]\nevery = \"100ms\"\ndrift_after = \"1s\"\n");
    site.job("count", COUNT);
    site.schedule("s", schedules);
    site
}

fn json(said: &Captured) -> Value {
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[tokio::test]
async fn a_person_sees_what_changes_before_it_is_applied() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with(&queue, &target, &entries(&["a", "b"]));
    let first = site.sexton(&["apply"]).await;
    assert!(first.status.success() && first.stdout.contains("+ schedule a\n"), "{first:?}");
    let again = site.sexton(&["apply"]).await;
    assert!(again.status.success() && again.stdout.contains("is active already"), "{again:?}");

    site.schedule("s", &(entry("a", "0 3 29 2 *") + &entries(&["b"])));
    let dry = site.sexton(&["apply", "--dry-run"]).await;
    assert!(dry.status.success(), "{dry:?}");
    for part in
        ["~ schedule a\n", "cron = \"0 3 29 2 *\", was \"0 2 * * *\"", "a fires next at ", "T03:00:00Z, not at "]
    {
        assert!(dry.stdout.contains(part), "{part} is missing: {}", dry.stdout);
    }
    assert_eq!(revisions(&queue).await, 1);
    let told = json(&site.sexton(&["apply", "--dry-run", "--json"]).await);
    assert_eq!((&told["applied"], &told["changes"][0]["keys"][0]["to"]), (&false.into(), &"0 3 29 2 *".into()));
    let applied = json(&site.sexton(&["apply", "--json"]).await);
    assert_eq!((&applied["applied"], revisions(&queue).await), (&true.into(), 2));

    site.schedule("s", &entries(&["a", "b"]).replace("0 2", "0 25"));
    let broken = site.sexton(&["apply"]).await;
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(broken.stdout.contains("schedules/s.toml:4:11") && broken.stdout.contains("stays active"), "{broken:?}");
    assert_eq!(revisions(&queue).await, 2);
    let by = ledger::revisions(queue.pool(), 1).await.unwrap().remove(0).applied_by;
    assert!(by.ends_with("at the command line"), "{by}");
}

#[tokio::test]
async fn most_schedules_go_only_when_a_person_says_so() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with(&queue, &target, &entries(&["a", "b", "c", "d"]));
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    // Not cut off, since the one that stays has changed.
    site.schedule("s", &entry("a", "0 3 * * *"));
    let told = "3 of the 4 schedules of the active revision are gone, and no more than 50% may go at once: b, c, d";
    daemon.wait_for_line(told).await;
    event(&queue, "files_broken").await;
    let refused = site.sexton(&["apply"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stdout.contains(told) && refused.stdout.contains("--allow-removals"), "{refused:?}");
    assert_eq!(revisions(&queue).await, 1);
    let applied = site.sexton(&["apply", "--allow-removals"]).await;
    assert!(applied.status.success() && applied.stdout.contains("b no longer fires"), "{applied:?}");
    // The daemon finds that its files are the active ones.
    event(&queue, "files_mended").await;
    assert_eq!(revisions(&queue).await, 2);
    // The last one, too, with its whole file.
    std::fs::remove_file(site.path("schedules/s.toml")).unwrap();
    daemon.wait_for_line("the active revision's only schedule is gone").await;
    assert_eq!(revisions(&queue).await, 2);
    daemon.terminate().await;
}

#[tokio::test]
async fn of_daemons_with_different_files_the_active_ones_fire_and_the_others_are_reported() {
    let (queue, target) = (Database::new().await, collector(1).await);
    let old = entry("old", "* * * * * *");
    let (here, there) = (with(&queue, &target, &old), with(&queue, &target, &old));
    let settings = std::fs::read_to_string(here.path("sexton.toml")).unwrap();
    here.write("sexton.toml", &format!("{settings}\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n"));
    let daemons = [here.daemon(&["run"]).await, there.daemon(&["run"]).await];
    for daemon in &daemons {
        daemon.wait_for_line("is at work").await;
    }
    let fired = |name: &'static str| {
        let pool = queue.pool().clone();
        async move { (!ledger::slots(&pool, Some(name), 1).await.ok()?.is_empty()).then_some(()) }
    };
    eventually("the old schedule fires", || fired("old")).await;

    let new = entry("new", "* * * * * *");
    here.schedule("s", &new);
    daemons[0].wait_for_line("now: 1 schedule added (new), 1 schedule removed (old)").await;
    eventually("the new schedule fires", || fired("new")).await;
    // The other's old files come to nothing, written anew or not; it says so.
    there.schedule("s", &old);
    event(&queue, "files_drifted").await;
    let said = there.sexton(&["files"]).await;
    let lines = |state: &str| said.stdout.lines().filter(|line| line.starts_with(state)).count();
    assert_eq!((lines("current "), lines("drifted ")), (1, 1), "{said:?}");
    assert!(said.stdout.contains("revision 2 is active: 1 schedule, 1 job"), "{said:?}");
    assert!(said.stdout.contains("are not those of revision 2"), "{said:?}");

    let address = daemons[0].address().await;
    let asked = client().get(format!("{address}/api/v1/files")).bearer_auth(TOKEN).send().await.unwrap();
    let told: Value = asked.json().await.unwrap();
    assert_eq!((&told["active"]["id"], &told["active"]["schedules"]), (&2.into(), &serde_json::json!(["new"])));
    assert_eq!((told["revisions"].as_array().unwrap().len(), told["daemons"].as_array().unwrap().len()), (2, 2));

    there.schedule("s", &new);
    event(&queue, "files_mended").await;
    assert_eq!(revisions(&queue).await, 2);
    let applied_at: DateTime<Utc> = ledger::revisions(queue.pool(), 1).await.unwrap()[0].applied_at;
    let newest = ledger::slots(queue.pool(), Some("old"), 1).await.unwrap().remove(0);
    assert!(newest.until <= applied_at, "{newest:?} was decided under files that were not active");
    for daemon in daemons {
        daemon.terminate().await;
    }
    let left = ledger::stations(queue.pool()).await.unwrap();
    assert!(left.is_empty(), "daemons that have left: {left:?}");
}
