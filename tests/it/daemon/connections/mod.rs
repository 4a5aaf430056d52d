//! The daemon keeps its connections where they belong: on the host that takes writes, with the password of now, few
//! enough, and never so many that people, schedules, work or the heartbeat wait for one another.

mod bouncer;
mod crowded;
mod failover;
mod idle;
mod quiet;
mod rotated;

use crate::support::{Daemon, Site};

/// A site with these settings, an API, and a job that needs nothing but the queue.
fn site(settings: &str) -> Site {
    let site = Site::new(&format!("{settings}\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"a-token-for-tests\"\n"));
    site.job("nap", "timeout = \"1m\"\n[exec]\nargv = [\"true\"]\n");
    site
}

/// How many lines say this.
fn count(daemon: &Daemon, text: &str) -> usize {
    daemon.lines().iter().filter(|line| line.contains(text)).count()
}
