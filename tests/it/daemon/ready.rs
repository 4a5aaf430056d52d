//! What a job lacks is found before its time comes, and told.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::support::{Database, Site, eventually};

use super::{collector, site};

fn backup(more: &str) -> String {
    format!(
        "timeout = \"5m\"\nalert = []\n[backup]\ntarget = \"collector\"\nvault = \"main\"\nwaiver = \"a test\"\n{more}"
    )
}

/// An old `pg_dump`, and nothing else.
fn old_programs(site: &Site) {
    let folder = site.path("old");
    fs::create_dir(&folder).unwrap();
    for name in ["pg_dump", "pg_restore"] {
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn ready_says_what_a_job_lacks_and_what_to_install() {
    let (queue, target) = (Database::new().await, collector(10).await);
    let more = format!(
        "[targets.newer]\nurl = \"{}\"\npg_bin = \"old\"\n\n[vaults.unmounted]\ndir = \"not-there\"\n",
        target.url()
    );
    let site = site(&queue.url(), &target.url(), &more);
    old_programs(&site);
    site.job("good", &backup(""));
    site.job("old-tools", &backup("").replace("\"collector\"", "\"newer\""));
    site.job("no-vault", &backup("").replace("\"main\"", "\"unmounted\""));
    site.job("no-room", &backup("mode = \"parallel\"\nscratch_budget = \"1 kB\"\n"));
    let said = site.sexton(&["ready", "--json"]).await;
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let all: Vec<Value> = serde_json::from_str(&said.stdout).expect("JSON");
    let of = |job: &str| all.iter().find(|one| one["job"] == job).unwrap_or_else(|| panic!("{job} in {all:?}"));
    assert_eq!(of("good")["ready"], true, "{all:?}");
    for (job, why, help) in [
        ("old-tools", "the newest here is of 9", "install PostgreSQL's client programs"),
        ("no-vault", "not-there", "mkdir -p"),
        ("no-room", "has room for 1000", "make room"),
    ] {
        let found = of(job);
        assert_eq!(found["ready"], false);
        assert!(found["why"].as_str().unwrap().contains(why), "{found}");
        assert!(found["help"].as_str().unwrap().contains(help), "{found}");
    }
    let said = site.sexton(&["ready", "good"]).await;
    assert_eq!((said.status.code(), said.stdout.as_str()), (Some(0), "ready      good\n"), "{said:?}");
}

#[tokio::test]
async fn a_daemon_tells_before_the_window_and_tells_again_when_it_is_mended() {
    let (queue, target) = (Database::new().await, collector(10).await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("nightly", &backup("mode = \"parallel\"\nscratch_budget = \"1 kB\"\n"));
    site.schedule("s", "[[at]]\nname = \"nightly\"\njob = \"nightly\"\ncron = \"0 2 1 1 *\"\n");
    let daemon = site.daemon(&["run"]).await;
    let told = |kind: &'static str| {
        let pool = queue.pool().clone();
        async move {
            eventually(&format!("people are told: {kind}"), || async {
                let row: Option<(String, String)> = sqlx::query_as(
                    "select subject, verdict from sexton.event where kind::text = $1 and verdict like 'told:%'",
                )
                .bind(kind)
                .fetch_optional(&pool)
                .await
                .ok()?;
                row
            })
            .await
        }
    };
    let (subject, _) = told("failed").await;
    assert!(subject.starts_with(":ready nightly on "), "{subject}");
    // Not the same text without its end: that would be taken for a file that is cut off.
    site.job("nightly", &backup("scratch_budget = \"1 GB\"\n"));
    daemon.signal(rustix::process::Signal::HUP);
    told("recovered").await;
    daemon.terminate().await;
}
