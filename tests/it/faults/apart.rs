//! Three daemons on networks of their own, one of which is cut off in the middle of its work.

use std::time::Duration;

use sexton::{queue, span::Span};
use tokio::process::Command;

use super::{private::inside, ticked, ticks};
use crate::{
    daemon::pool,
    support::{Daemon, PATIENCE, Site, eventually, server::Server, work},
};

/// Long enough that a heartbeat of the others, which a busy machine holds up, is no lease that is lost.
const LEASE: u64 = 12;
const RUNS: usize = 6;

/// A network of networks: a bridge here, where the server is, and a namespace for each daemon. All of it is this process's
/// own, and ends with it.
const NETWORK: &str = "
mount -t tmpfs sexton /run
ip link set lo up
ip link add bridge type bridge
ip address add 10.77.0.1/24 dev bridge
ip link set bridge up
for n in 1 2 3; do
  ip netns add daemon$n
  ip link add wire$n type veth peer name eth0 netns daemon$n
  ip link set wire$n master bridge up
  ip -n daemon$n link set lo up
  ip -n daemon$n address add 10.77.0.1$n/24 dev eth0
  ip -n daemon$n link set eth0 up
done
";

async fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().await.expect("ip");
    assert!(done.status.success(), "ip {args:?}: {done:?}");
}

fn up() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("proc is mounted");
    text.split(' ').next().and_then(|up| up.parse().ok()).expect("a number")
}

/// Whether a process is there and not dead.
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

async fn daemon(site: &Site, number: usize) -> Daemon {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("daemon{number}"), env!("CARGO_BIN_EXE_sexton"), "run"]);
    command.current_dir(site.folder()).env("NO_COLOR", "1");
    let daemon = site.watch(command).await;
    daemon.wait_for_line("is at work").await;
    daemon
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_network_is_cut_stops_itself_and_the_others_take_over_and_nothing_runs_twice() {
    let name =
        "faults::apart::a_daemon_whose_network_is_cut_stops_itself_and_the_others_take_over_and_nothing_runs_twice";
    if !inside(name, &["--net", "--mount"], NETWORK) {
        return;
    }
    let server = Server::start(&["listen_addresses=*"]).await;
    server.allow("10.77.0.0/24").await;
    server.sql("postgres", "create database q").await;
    let url = format!("postgres://sexton:one@10.77.0.1:{}/q?sslmode=disable", server.port);
    // Any two of them have room for all runs.
    let site = Site::new(&format!("[database]\nurl = \"{url}\"\n[worker]\nslots = 3\n"));
    let daemons = [daemon(&site, 1).await, daemon(&site, 2).await, daemon(&site, 3).await];
    let pool = pool(&server.url("q"));
    let mut runs = Vec::new();
    for nth in 0..RUNS {
        let mut spec = ticks(&site, &format!("job-{nth}"), "go", Span::seconds(LEASE));
        spec.retry.attempts = 20;
        runs.push(work::enqueue(&pool, spec).await);
    }
    let all = eventually("all are at work", || async { Some(ticked(&site).0).filter(|all| all.len() == RUNS) }).await;
    let cut = all[0].daemon;
    let number = 1 + daemons.iter().position(|daemon| daemon.pid() == cut).expect("one of the three");
    let theirs: Vec<_> = all.iter().filter(|one| one.daemon == cut).cloned().collect();
    let wire = format!("wire{number}");
    let cut_at = up();
    ip(&["link", "set", &wire, "down"]).await;

    // Whole process groups: the child, and its child which ticks.
    let dead_at =
        eventually("its children are dead", || async { theirs.iter().all(|one| !lives(one.child)).then(up) }).await;
    let seen = "select (extract(epoch from now() - seen_at))::float8 from sexton.worker where pid = $1";
    let silent: f64 = sqlx::query_scalar(seen)
        .bind(i32::try_from(cut).expect("a pid"))
        .fetch_one(&pool)
        .await
        .expect("the server has not forgotten it");
    assert!(silent < LEASE as f64, "they were dead {silent} s after the last heartbeat, and the lease is {LEASE} s");
    let taken = async {
        loop {
            let (now, _) = ticked(&site);
            let others = |one: &&super::Ticked| one.daemon != cut && theirs.iter().any(|old| old.run == one.run);
            let taken: Vec<_> = now.iter().filter(others).cloned().collect();
            if theirs.iter().all(|old| taken.iter().any(|one| one.run == old.run)) {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let Ok(taken) = tokio::time::timeout(PATIENCE, taken).await else {
        let rows: Vec<(String, String, i32)> =
            sqlx::query_as("select job, state::text, losses from sexton.runs").fetch_all(&pool).await.expect("runs");
        let said: Vec<_> = daemons.iter().map(Daemon::lines).collect();
        panic!("nobody went on with {theirs:#?}: {rows:#?} {said:#?} {:#?}", ticked(&site).0);
    };
    let (last, first) = (
        ticked(&site).0.iter().filter(|one| one.daemon == cut).map(|one| one.last).fold(0.0, f64::max),
        taken.iter().map(|one| one.first).fold(f64::INFINITY, f64::min),
    );
    assert!(last < first, "its last sign of life at {last}, theirs from {first} on");
    println!(
        "daemon {number} had {} of {RUNS} runs; cut at 0 s, its last child's tick at {:.1} s, all dead by {:.1} s, \
         {silent:.1} s after its last heartbeat; the lease is {LEASE} s, and the others began at {:.1} s",
        theirs.len(),
        last - cut_at,
        dead_at - cut_at,
        first - cut_at
    );
    // It lives, and says what is the matter; and it is back once its network is.
    daemons[number - 1].wait_for_line("the heartbeat did not reach the database").await;
    ip(&["link", "set", &wire, "up"]).await;
    daemons[number - 1].wait_for_line("the heartbeat arrives again").await;
    site.write("go", "");
    for run in &runs {
        let run = eventually("it is done", || async {
            queue::find(&pool, *run).await.ok()?.filter(|run| run.state == "done" || run.state == "failed")
        })
        .await;
        let lost = theirs.iter().any(|one| one.run == run.id);
        assert_eq!((run.state.as_str(), run.losses > 0), ("done", lost), "{run:?}");
    }
    let (ticked, mut ends) = ticked(&site);
    for (nth, one) in ticked.iter().enumerate() {
        let twice = ticked[nth + 1..].iter().find(|other| other.run == one.run && other.first <= one.last);
        assert_eq!(twice, None, "at the same time as {one:?}");
    }
    ends.sort();
    runs.sort();
    assert_eq!(ends, runs, "each came to its end once");
    for daemon in daemons {
        let ended = daemon.terminate().await;
        assert!(ended.status.success(), "{:?}", ended.lines);
    }
}
