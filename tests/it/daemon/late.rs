//! A backup that is too old is told, whatever did not run; and figures are right from the start on.

use serde_json::{Value, json};
use sexton::{
    backups::name::{Stem, Verdict},
    vault::{Options, Vault},
};
use uuid::Uuid;

use crate::support::{Database, client, eventually};

use super::site;

/// A proven backup, as far as a listing and a manifest show one.
async fn put(vault: &Vault, hours: i64) {
    let (at, run) = (chrono::Utc::now() - chrono::TimeDelta::hours(hours), Uuid::now_v7());
    let stem = Stem::new("shop", at, run);
    let manifest = json!({
        "format": 1, "name": "shop", "created_at": at, "restore": "", "run": run, "job": "nightly", "seconds": 2.0,
        "source": {"database": "d", "host": "h", "server_version": "15", "system_identifier": null, "database_bytes": 9},
        "tools": {"sexton": "0", "pg_dump": "0"},
        "parts": [{"key": stem.dump(false), "role": "dump", "bytes": 5, "sha256": "0", "dump_bytes": 20}],
        "toc_entries": 3, "warnings": 0, "compression": "zstd:3", "recipients": [], "without_rows_of": [],
    });
    let proof = json!({
        "format": 1, "backup": stem.to_string(), "at": at, "run": run, "verdict": "proven", "why": null,
        "restore_seconds": 12.5,
    });
    vault.put_new(&stem.dump(false), b"12345".to_vec()).await.expect("stored");
    vault.put_new(&stem.manifest(), manifest.to_string().into_bytes()).await.expect("stored");
    vault.put_new(&stem.proof(at, run, Verdict::Proven), proof.to_string().into_bytes()).await.expect("stored");
}

#[tokio::test]
async fn a_proven_backup_that_is_too_old_is_told_and_figures_are_there_after_a_start() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let more = "[vaults.full]\ndir = \"full\"\nbudget = \"1 kB\"\n\n[http]\nlisten = \"127.0.0.1:0\"\n";
    let site = site(&queue.url(), &target.url(), more);
    std::fs::create_dir(site.path("full")).expect("a folder");
    let vault = Vault::new("full", Options::Dir(site.path("full")));
    put(&vault, 30).await;
    let job = |name: &str, max_age: &str| {
        format!(
            "timeout = \"5m\"\nalert = []\n[backup]\ntarget = \"collector\"\nvault = \"full\"\nname = \"{name}\"\n\
             waiver = \"a test\"\nmax_age = \"{max_age}\"\n"
        )
    };
    site.job("nightly", &job("shop", "25h"));
    site.job("never", &job("till", "1s"));
    let rotate = "alert = []\n[rotate]\nvault = \"full\"\nname = \"shop\"\nkeep = { days = 30 }\n";
    site.job("look", rotate);
    let daemon = site.daemon(&["run"]).await;
    let event = async |kind: &str, subject: &str| -> (String, Value) {
        eventually(&format!("{kind} is told of {subject}"), || async {
            sqlx::query_as(
                "select verdict, detail from sexton.event
                 where kind::text = $1 and subject = $2 and verdict like 'told:%'",
            )
            .bind(kind)
            .bind(subject)
            .fetch_optional(queue.pool())
            .await
            .ok()?
        })
        .await
    };
    let (_, detail) = event("late", ":proof shop in vault full").await;
    assert!(detail["why"].as_str().is_some_and(|why| why.contains("more than 25h ago")), "{detail}");
    // A backup that was never made is not silent either.
    let (_, detail) = event("late", ":proof till in vault full").await;
    assert!(detail["why"].as_str().is_some_and(|why| why.contains("no backup was proven")), "{detail}");

    let url = format!("{}/metrics", daemon.address().await);
    let text = client().get(url).send().await.expect("an answer").text().await.expect("text");
    for line in [
        "sexton_backup_restore_seconds{name=\"shop\"} 12.5",
        "sexton_backup_bytes{name=\"shop\"} 5",
        "sexton_backup_duration_seconds{name=\"shop\"} 2",
        "sexton_backup_bytes_per_second{name=\"shop\"} 10",
        "sexton_backup_count{name=\"shop\",state=\"proven\"} 1",
        "sexton_backup_count{name=\"shop\",state=\"failed\"} 0",
        "sexton_vault_bytes{vault=\"full\"} 5",
        "sexton_vault_budget_bytes{vault=\"full\"} 1000",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.contains("sexton_backup_last_proven_timestamp_seconds{name=\"shop\"} 1"), "{text}");

    // A fresh one is proven elsewhere; a run that looks into the vault is told of it.
    put(&vault, 0).await;
    assert_eq!(site.sexton(&["trigger", "look", "--wait"]).await.status.code(), Some(0));
    event("recovered", ":proof shop in vault full").await;
    let late: i64 =
        sqlx::query_scalar("select count(*) from sexton.event where kind = 'late' and subject like '%shop%'")
            .fetch_one(queue.pool())
            .await
            .expect("a count");
    assert_eq!(late, 1, "it is said once");
    daemon.terminate().await;
}
