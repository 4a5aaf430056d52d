//! Edits that nobody announces: in place, by rename, by a link that is swapped, in pieces, and broken.

use std::{fs, io::Write, os::unix::fs::symlink};

use rustix::process::Signal;

use super::{BROKEN, GOOD, event, revisions};
use crate::{
    daemon::{COUNT, site},
    support::{Daemon, Database, Site, client, eventually},
};

/// Both databases and a site whose daemon looks often.
async fn watched(more: &str) -> (Database, Database, Site) {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), &format!("{more}\n[files]\nevery = \"100ms\"\n"));
    site.job("count", COUNT);
    (queue, target, site)
}

fn entry(name: &str, cron: &str) -> String {
    format!("[[at]]\nname = \"{name}\"\njob = \"count\"\ncron = \"{cron}\"\n")
}

async fn at_work(site: &Site) -> Daemon {
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    daemon
}

#[tokio::test]
async fn edits_in_place_and_by_rename_are_taken_in_by_themselves() {
    let (queue, _target, site) = watched("").await;
    site.schedule("s", &entry("a", "0 2 * * *"));
    let daemon = at_work(&site).await;
    fs::write(site.path("schedules/s.toml"), entry("a", "0 3 * * *")).unwrap();
    daemon.wait_for_line("now: 1 schedule changed (a: cron)").await;
    site.schedule("s", &(entry("a", "0 3 * * *") + &entry("b", "0 4 * * *")));
    daemon.wait_for_line("now: 1 schedule added (b)").await;
    // Written anew as it was: read, and nothing comes of it.
    site.schedule("s", &(entry("a", "0 3 * * *") + &entry("b", "0 4 * * *")));
    daemon.wait_for_nth_line("the files change;", 3).await;
    site.job("other", COUNT);
    daemon.wait_for_line("now: 1 job added (other)").await;
    assert_eq!(revisions(&queue).await, 4);
    assert!(daemon.terminate().await.status.success());
}

#[tokio::test]
async fn a_config_map_that_is_swapped_is_taken_in_as_a_whole() {
    let (queue, _target, site) = watched("").await;
    let at = |name: &str| site.path("schedules").join(name);
    for (version, hour) in [("..v1", 2), ("..v2", 3)] {
        fs::create_dir(at(version)).unwrap();
        for name in ["a", "b"] {
            fs::write(at(version).join(format!("{name}.toml")), entry(name, &format!("0 {hour} * * *"))).unwrap();
        }
    }
    symlink("..v1", at("..data")).unwrap();
    for name in ["a.toml", "b.toml"] {
        symlink(format!("..data/{name}"), at(name)).unwrap();
    }
    let daemon = at_work(&site).await;
    symlink("..v2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..v1")).unwrap();
    daemon.wait_for_line("now: 2 schedules changed (a: cron, b: cron)").await;
    assert_eq!(revisions(&queue).await, 2);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_file_that_is_written_in_two_halves_is_never_taken_in_half() {
    let (queue, _target, site) = watched("").await;
    let (kept, edited) = (entry("a", "0 2 * * *"), entry("b", "0 3 * * *"));
    site.schedule("s", &(kept.clone() + &edited));
    let daemon = at_work(&site).await;
    // The half is good by itself and stands still for as long as anybody likes; even a person's SIGHUP in the middle
    // does not take it.
    let mut file = fs::File::create(site.path("schedules/s.toml")).unwrap();
    file.write_all(kept.as_bytes()).unwrap();
    file.sync_all().unwrap();
    daemon.wait_for_line("the files change;").await;
    daemon.signal(Signal::HUP);
    daemon.wait_for_line("schedules/s.toml: is cut off").await;
    assert_eq!(revisions(&queue).await, 1);
    file.write_all((edited.replace("0 3", "0 4") + &entry("c", "0 5 * * *")).as_bytes()).unwrap();
    drop(file);
    daemon.wait_for_line("now: 1 schedule changed (b: cron), 1 schedule added (c)").await;
    assert_eq!(revisions(&queue).await, 2);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_broken_edit_that_nobody_announces_keeps_the_last_good_revision_and_is_told() {
    let (queue, _target, site) = watched("[http]\nlisten = \"127.0.0.1:0\"\n").await;
    site.schedule("s", GOOD);
    let daemon = at_work(&site).await;
    let (url, client) = (&format!("{}/metrics", daemon.address().await), &client());
    let good = |value: &'static str| async move {
        let text = client.get(url).send().await.ok()?.text().await.ok()?;
        text.lines().any(|line| line == format!("sexton_config_last_reload_successful {value}")).then_some(())
    };
    site.schedule("s", BROKEN);
    event(&queue, "files_broken").await;
    eventually("the metric says so", || good("0")).await;
    let said = site.sexton(&["files"]).await;
    assert!(said.stdout.contains("broken ") && said.stdout.contains("there is no job `cuont`"), "{said:?}");
    assert_eq!(revisions(&queue).await, 1);
    site.schedule("s", &GOOD.replace("0 2", "0 3"));
    event(&queue, "files_mended").await;
    eventually("the metric says so", || good("1")).await;
    assert_eq!(revisions(&queue).await, 2);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_daemon_that_shall_not_watch_waits_for_a_signal() {
    let (queue, _target, site) = watched("").await;
    let settings = fs::read_to_string(site.path("sexton.toml")).unwrap();
    site.write("sexton.toml", &settings.replace("[files]", "[files]\nwatch = false"));
    site.schedule("s", &entry("each", "* * * * * *"));
    let daemon = at_work(&site).await;
    site.schedule("s", &(entry("each", "* * * * * *") + &entry("b", "0 4 * * *")));
    let slots = || async {
        sqlx::query_scalar::<_, i64>("select count(*) from sexton.slot").fetch_one(queue.pool()).await.unwrap()
    };
    let before = slots().await;
    eventually("more slots than an edit needs to stand still", || async { (slots().await > before + 3).then_some(()) })
        .await;
    assert_eq!(revisions(&queue).await, 1);
    daemon.signal(Signal::HUP);
    daemon.wait_for_line("now: 1 schedule added (b)").await;
    daemon.terminate().await;
}
