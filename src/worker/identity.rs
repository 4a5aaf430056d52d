//! Who this process is, and whether another one on this machine still lives.
//!
//! A dead process is known by boot, pid namespace, pid and start time: the first two say that a pid means the same
//! to both, the last that it was not given to somebody else.

use std::fs;

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use uuid::Uuid;

use crate::{kinds::Env, queue::WorkerInfo};

/// This process, under an id of its own for each call.
pub(super) fn me() -> WorkerInfo {
    let pid = std::process::id();
    WorkerInfo {
        id: Uuid::now_v7(),
        host: fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned()),
        pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: process(pid),
    }
}

/// What runs may need of a worker: its targets and vaults, and its labels.
pub(super) fn has(env: &Env, labels: &[String]) -> Vec<String> {
    let targets = env.targets.names().map(|name| format!("target:{name}"));
    let vaults = env.vaults.names().map(|name| format!("vault:{name}"));
    targets.chain(vaults).chain(labels.iter().cloned()).collect()
}

/// `BOOT/NAMESPACE/PID/START`.
fn process(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let Life::Alive(start) = life(pid) else { return None };
    Some(format!("{}/{}/{pid}/{start}", boot.trim(), namespace.display()))
}

/// The part that processes which can see one another share.
pub(super) fn neighbourhood(process: &str) -> Option<&str> {
    let end = process.match_indices('/').nth(1)?.0;
    Some(&process[..=end])
}

/// Whether a process of our neighbourhood is dead for sure.
pub(super) fn is_dead(process: &str) -> bool {
    let mut parts = process.rsplit('/');
    let (Some(start), Some(pid)) = (parts.next(), parts.next().and_then(|pid| pid.parse().ok())) else { return false };
    match life(pid) {
        Life::Alive(now) => now != start,
        Life::Dead => true,
        Life::Unknown => false,
    }
}

enum Life {
    Alive(String),
    Dead,
    Unknown,
}

fn life(pid: u32) -> Life {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Life::Unknown };
    let gone = test_kill_process(number) == Err(Errno::SRCH);
    if gone {
        return Life::Dead;
    }
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Life::Unknown };
    // The name in parentheses may hold anything; the state is the first field after it, the start the twentieth.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    match (fields.first(), fields.get(19)) {
        (Some(&("Z" | "X")), _) => Life::Dead,
        (Some(_), Some(start)) => Life::Alive((*start).to_owned()),
        _ => Life::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_ended_one_is_dead() {
        let mine = process(std::process::id()).expect("proc is mounted");
        assert!(!is_dead(&mine));
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let theirs = format!("{}{}/0", neighbourhood(&mine).expect("two parts"), child.id());
        child.wait().expect("its end");
        assert!(is_dead(&theirs));
    }

    #[test]
    fn a_pid_that_was_given_to_somebody_else_is_dead() {
        let mine = process(std::process::id()).expect("proc is mounted");
        assert!(is_dead(&format!("{mine}0")));
    }
}
