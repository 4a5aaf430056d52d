//! kill -9 of the daemon at every stage of a backup, seen from its vault: nothing visible that is not whole, nothing left
//! behind, and the next daemon ends what was begun.

use serde_json::Value;
use sexton::backups::{manifest::Manifest, shelf::shelf};

use crate::support::{Database, Site, eventually, faulty::Fault, s3::S3};

use super::{collector, run_when};

fn site(queue: &Database, target: &Database, s3: &S3) -> Site {
    let options = s3.options();
    let (key, secret) = options.credentials.clone().expect("credentials");
    let site = Site::new(&format!(
        "[database]\nurl = \"{}\"\n\n[targets.collector]\nurl = \"{}\"\n\n[vaults.main]\n\
         s3 = {{ bucket = \"{}\", region = \"us-west-2\", endpoint = \"{}\", path_style = true, \
         access_key_id = \"{}\", secret_access_key = \"{}\" }}\n",
        queue.url(),
        target.url(),
        options.bucket,
        s3.endpoint(),
        key.reveal(),
        secret.reveal(),
    ));
    site.job(
        "backup",
        "timeout = \"5m\"\n[backup]\ntarget = \"collector\"\nvault = \"main\"\nname = \"shop\"\nwaiver = \"a test\"\n\
         prove = \"never\"\nglobals = false\n",
    );
    site
}

/// Where in the calls of a backup each stage is.
fn stages(calls: &[String]) -> Vec<(&'static str, usize)> {
    let of = |what: &'static str, is: &dyn Fn(&str) -> bool| {
        (what, calls.iter().position(|call| is(call)).unwrap_or_else(|| panic!("no {what} in {calls:?}")))
    };
    vec![
        of("the upload is begun", &|call| call.starts_with("POST") && call.ends_with("?uploads")),
        of("a part is sent", &|call| call.starts_with("PUT") && call.contains("partNumber=1")),
        of("the upload is completed", &|call| call.starts_with("POST") && call.contains("uploadId=")),
        of("the manifest is written", &|call| call.starts_with("PUT") && call.contains(".manifest.json")),
    ]
}

#[tokio::test]
async fn wherever_the_daemon_is_killed_the_next_one_ends_the_backup() {
    let target = collector(200).await;
    let s3 = S3::start().await;
    s3.faults.end();
    let queue = Database::new().await;
    let first = site(&queue, &target, &s3);
    let once = first.sexton(&["once", "backup"]).await;
    assert!(once.status.success(), "{once:?}");
    let calls = s3.faults.calls();
    let mut backups = 1;
    // The reply is lost and the daemon dies before it can ask again: done, and not known.
    for (fault, done) in [(Fault::Silence, false), (Fault::LoseReply, true)] {
        for (stage, after) in stages(&calls) {
            let queue = Database::new().await;
            let site = site(&queue, &target, &s3);
            let daemon = site.daemon(&["run"]).await;
            daemon.wait_for_line("is at work").await;
            s3.faults.plan(fault, after, 1);
            let triggered = site.sexton(&["trigger", "backup"]).await;
            assert!(triggered.status.success(), "{triggered:?}");
            eventually(stage, || async { (s3.faults.calls().len() > after).then_some(()) }).await;
            daemon.kill_9().await;
            s3.faults.end();
            let vault = s3.vault("", true);
            let seen = shelf(&vault, Some("shop")).await.unwrap().len();
            assert!(seen == backups || (done && seen == backups + 1), "{stage}: {seen} are seen, {backups} were there");
            let daemon = site.daemon(&["run"]).await;
            let run = run_when(queue.pool(), "backup", "is done", |run| run.state == "done").await;
            daemon.terminate().await;
            backups += 1;
            let all = shelf(&vault, Some("shop")).await.unwrap();
            assert_eq!(all.len(), backups, "{stage}: {all:?}");
            let newest = Manifest::read(&vault, &all[0].stem).await.unwrap();
            assert_eq!(run.report.get("sha256").and_then(Value::as_str), Some(newest.parts[0].sha256.as_str()));
            let objects = vault.list("").await.unwrap();
            assert_eq!(objects.len(), backups * 2, "{stage} left something: {objects:?}");
        }
    }
}
