//! The kernel's OOM killer ends a child: the run fails with a word about it, and the daemon and all else go on.

use std::{fs, io::Write as _, path::PathBuf};

use crate::{
    daemon::{run_when, site},
    support::{Database, eventually},
};

/// A memory cgroup of 32 MiB, gone with the test; `None` where there may be none.
struct Small(PathBuf);

impl Small {
    fn new() -> Option<Self> {
        let (v1, v2) = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup");
        let (root, limit) = if PathBuf::from(v1).is_dir() { (v1, "memory.limit_in_bytes") } else { (v2, "memory.max") };
        let small = Self(PathBuf::from(root).join(format!("sexton-test-{}", std::process::id())));
        fs::create_dir(&small.0).ok()?;
        fs::write(small.0.join(limit), "33554432").ok()?;
        Some(small)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn a_child_that_eats_all_memory_fails_its_run_and_the_daemon_lives() {
    let small = Small::new();
    let eats = match &small {
        // `tail` keeps the last line of what has none.
        Some(small) => format!("echo $$ > {}/cgroup.procs && exec tail /dev/zero", small.0.display()),
        None => {
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: no memory cgroup may be made here; a kill -9 stands in for the OOM killer"
            );
            "kill -9 $$".to_owned()
        }
    };
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "[channels.ops]\nlog = {}\n");
    site.job(
        "eats",
        &format!(
            "alert = [\"ops\"]\ntimeout = \"1m\"\nretry = {{ attempts = 2, first = \"50ms\" }}\n[exec]\nargv = [\"sh\", \"-c\", \"{eats}\"]\n"
        ),
    );
    site.job(
        "waits",
        "timeout = \"5m\"\n[exec]\nargv = [\"sh\", \"-c\", \"while [ ! -e go ]; do sleep 0.05; done\"]\n"
            .replace("go ]", &format!("{}/go ]", site.folder().display()))
            .as_str(),
    );
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let pid = daemon.pid();
    for job in ["waits", "eats"] {
        assert!(site.sexton(&["trigger", job]).await.status.success());
    }
    let eaten = run_when(queue.pool(), "eats", "failed", |run| run.state == "failed").await;
    assert_eq!((eaten.spent, eaten.losses), (2, 0), "{eaten:?}");
    let said = eaten.why.clone().unwrap_or_default();
    assert!(said.contains("signal: 9"), "{said}");
    daemon.wait_for_line("alert: eats failed").await;
    site.write("go", "");
    let other = run_when(queue.pool(), "waits", "is done", |run| run.state == "done").await;
    assert_eq!((other.spent, other.losses), (1, 0), "{other:?}");
    assert_eq!(daemon.pid(), pid);
    println!("eaten: {said}");
    assert!(daemon.terminate().await.status.success());
    if let Some(small) = &small {
        eventually("nothing is left of it", || async {
            fs::read_to_string(small.0.join("cgroup.procs")).is_ok_and(|left| left.is_empty()).then_some(())
        })
        .await;
    }
}
