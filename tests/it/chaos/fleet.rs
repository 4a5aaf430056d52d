//! Daemons, their wires and their server, and whatever is done to them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::Utc;
use rustix::process::Signal;
use sexton::{embedded::Options, ledger};
use sqlx::PgPool;

use super::{
    plan::{Fault, Plan},
    schedules::{self, Planned},
};
use crate::support::{
    self, Daemon, Member, OwnCluster, Proxy, RESTART, Site, Wire, clock, eventually, own_cluster_with,
};

/// What a planner says to the server, and nobody else.
const PLANNERS_SAY: &str = "sexton.slot";

/// Everything that takes part.
pub(super) struct Fleet {
    pub(super) pool: PgPool,
    cluster: OwnCluster,
    clock: Option<clock::Clock>,
    /// How far ahead the server's clock ever was.
    furthest: i64,
    files: Site,
    schedules: Vec<Planned>,
    edition: usize,
    members: Vec<Member>,
    /// Daemons that were told to stop and may still be at it.
    leaving: Vec<Daemon>,
    resume: Option<Instant>,
    tally: BTreeMap<&'static str, usize>,
    _clock_folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts the server and all daemons, and waits until the schedules are known.
    pub(super) async fn start(plan: &Plan, planned: &[Planned]) -> Self {
        let folder = support::open_folder("sexton-clock-");
        let first = (plan.start - Utc::now()).num_seconds();
        let clock = clock::Clock::new(folder.path(), first);
        let env = clock.as_ref().map(clock::Clock::env).unwrap_or_default();
        let options = Options { max_connections: 250, env, ..support::options(true) };
        let cluster = own_cluster_with(options).await;
        let (_, pool) = cluster.database("queue").await;
        cluster.cluster().create_database("work").await.expect("a target");
        let files = Site::new("");
        schedules::jobs().iter().for_each(|(name, text)| files.job(name, text));
        files.schedule("all", &schedules::file(planned, 0));
        let mut members = Vec::new();
        for skew in &plan.skews {
            let proxy = Proxy::unix_marking(cluster.socket_dir(), PLANNERS_SAY).await;
            let mut site = Site::new(&settings(&proxy.url("queue"), &cluster.cluster().url("work"), &files));
            let shifted = clock.as_ref().and_then(|_| clock::shifted(first + skew));
            shifted.iter().flatten().for_each(|(key, value)| site.env(key, value));
            members.push(Member::new(site, proxy));
        }
        let mut fleet = Self {
            pool,
            cluster,
            furthest: first,
            clock,
            files,
            schedules: planned.to_vec(),
            edition: 0,
            members,
            leaving: Vec::new(),
            resume: None,
            tally: BTreeMap::new(),
            _clock_folder: folder,
        };
        fleet.tend().await;
        eventually("the schedules are known", || async {
            let known: i64 =
                sqlx::query_scalar("select count(*) from sexton.schedule").fetch_one(&fleet.pool).await.ok()?;
            (known > 0).then_some(())
        })
        .await;
        fleet
    }

    /// Whether the server's clock can be set.
    pub(super) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Does what the plan says, when it says so.
    pub(super) async fn suffer(&mut self, plan: &Plan) {
        let begun = Instant::now();
        for (at, fault) in &plan.faults {
            while begun.elapsed() < *at {
                self.tend().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.somebody_is_up().await;
            self.strike(*fault).await;
        }
    }

    /// Waits until a daemon runs, so that a blow meets one: while the server is away, whoever starts gives up.
    async fn somebody_is_up(&mut self) {
        let begun = Instant::now();
        self.tend().await;
        while self.members.iter().all(|member| member.daemon.is_none()) && begun.elapsed() < support::PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.tend().await;
        }
    }

    async fn strike(&mut self, fault: Fault) {
        let now = Instant::now();
        let happened = match fault {
            Fault::Kill { daemon, away } => {
                let daemon = self.up(daemon);
                let member = &mut self.members[daemon];
                let Some(daemon) = member.leave(now + away) else { return };
                clock::forget(daemon.pid());
                daemon.kill_9().await;
                true
            }
            Fault::Terminate { daemon, away } => {
                let daemon = self.up(daemon);
                let Some(daemon) = self.members[daemon].leave(now + away) else { return };
                daemon.signal(Signal::CONT);
                daemon.signal(Signal::TERM);
                self.leaving.push(daemon);
                true
            }
            Fault::Freeze { daemon, length } => {
                let daemon = self.up(daemon);
                let member = &mut self.members[daemon];
                let Some(daemon) = &member.daemon else { return };
                daemon.signal(Signal::STOP);
                member.thaw = Some(now + length);
                true
            }
            Fault::Cut { daemon, length } => self.members[daemon].wire(Wire::Cut, Some(now + length)),
            Fault::Silence { daemon, length } => self.members[daemon].wire(Wire::Blackhole, Some(now + length)),
            // Whether these happen is counted where they do.
            Fault::LoseCommit { daemon } => !self.members[daemon].wire(Wire::LoseCommit, None),
            Fault::LoseReply { daemon } => !self.members[daemon].wire(Wire::LoseReply, None),
            Fault::Restart => self.restart(Signal::INT).await,
            Fault::RestartAtOnce => self.restart(Signal::QUIT).await,
            Fault::KillServer => self.restart(Signal::KILL).await,
            Fault::Forward(seconds) => self.step(seconds),
            Fault::Back(seconds) => self.step(-seconds),
            Fault::Reload { daemon } => {
                self.edition += 1;
                self.files.schedule("all", &schedules::file(&self.schedules, self.edition));
                let daemon = self.up(daemon);
                self.members[daemon].daemon.as_ref().is_some_and(|daemon| {
                    daemon.signal(Signal::HUP);
                    true
                })
            }
            Fault::Pause { length } => {
                let paused = ledger::pause(&self.pool, None, "chaos", "the campaign", None).await.is_ok();
                self.resume = paused.then_some(now + length);
                paused
            }
        };
        if happened {
            *self.tally.entry(fault.sort()).or_default() += 1;
        }
    }

    /// That daemon, or the first after it that is up: one whose answers were lost as it started is away for a while.
    fn up(&self, daemon: usize) -> usize {
        let all = self.members.len();
        (daemon..daemon + all).map(|nth| nth % all).find(|nth| self.members[*nth].daemon.is_some()).unwrap_or(daemon)
    }

    async fn restart(&mut self, signal: Signal) -> bool {
        self.cluster.cluster().pid().into_iter().for_each(clock::forget);
        self.cluster.signal(signal);
        self.cluster.restart().await;
        true
    }

    fn step(&mut self, seconds: i64) -> bool {
        let Some(clock) = &self.clock else { return false };
        clock.set(clock.ahead() + seconds);
        self.furthest = self.furthest.max(clock.ahead());
        true
    }

    /// Ends what is over by now, and starts who is due to come back.
    async fn tend(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            member.tend(now).await;
        }
        if self.resume.is_some_and(|at| at <= now) && ledger::resume(&self.pool, None, "the campaign").await.is_ok() {
            self.resume = None;
        }
        self.leaving.retain_mut(|daemon| !daemon.has_ended());
    }

    /// Ends all trouble: every daemon is there, and the server's clock is where it has been furthest.
    pub(super) async fn peace(&mut self) {
        if let Some(clock) = &self.clock {
            clock.set(self.furthest);
        }
        let now = Instant::now();
        self.resume = self.resume.map(|_| now);
        for member in &mut self.members {
            member.wire(Wire::Cut, Some(now + RESTART));
            member.thaw = member.thaw.map(|_| now);
            member.back = now;
        }
        tokio::time::sleep(RESTART).await;
        self.tend().await;
        eventually("nothing is paused", || async {
            ledger::resume(&self.pool, None, "the campaign").await.ok().map(drop)
        })
        .await;
        // A campaign may be so short that no planner met these.
        self.lose(Wire::LoseCommit, Proxy::lost_commits).await;
        self.lose(Wire::LoseReply, |proxy| proxy.lost() - proxy.lost_commits()).await;
    }

    /// Loses answers until one was lost.
    async fn lose(&mut self, wire: Wire, lost: fn(&Proxy) -> usize) {
        let begun = Instant::now();
        while self.members.iter().all(|member| lost(&member.proxy) == 0) && begun.elapsed() < support::PATIENCE {
            for member in self.members.iter_mut().filter(|member| member.mend.is_none()) {
                member.wire(wire.clone(), None);
            }
            self.tend().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for member in self.members.iter_mut().filter(|member| member.mend.is_none()) {
            member.wire(Wire::Pass, None);
        }
    }

    /// Keeps everybody going while `look` finds that something is left to do.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl AsyncFnMut(&PgPool) -> Result<Option<T>, sqlx::Error>,
    ) -> T {
        let begun = Instant::now();
        let mut last = None;
        loop {
            self.tend().await;
            match look(&self.pool).await {
                Ok(Some(seen)) => return seen,
                Ok(None) => {}
                Err(error) => last = Some(error),
            }
            if begun.elapsed() > patience {
                panic!(
                    "waited {patience:?} in vain: {what}; last error {last:?}; the daemons said {:#?}",
                    self.words()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The last that each daemon said.
    fn words(&self) -> Vec<Vec<String>> {
        let last = |daemon: &Daemon| daemon.lines().into_iter().rev().take(6).rev().collect();
        self.members.iter().filter_map(|member| member.daemon.as_ref()).map(last).collect()
    }

    /// Stops all daemons; what was done to them, by sort, and how many broke down.
    pub(super) async fn stop(mut self) -> (BTreeMap<&'static str, usize>, Vec<String>) {
        let daemons: Vec<_> = self.members.iter_mut().filter_map(|member| member.daemon.take()).collect();
        daemons.iter().for_each(|daemon| daemon.signal(Signal::TERM));
        let mut panics = Vec::new();
        for daemon in daemons.into_iter().chain(std::mem::take(&mut self.leaving)) {
            let ended = daemon.exit().await;
            panics.extend(ended.lines.into_iter().filter(|line| line.contains("panicked at")));
        }
        let cut: usize = self.members.iter().map(|member| member.proxy.cut()).sum();
        let lost: usize = self.members.iter().map(|member| member.proxy.lost()).sum();
        let commits: usize = self.members.iter().map(|member| member.proxy.lost_commits()).sum();
        self.tally.insert("connections cut", cut);
        self.tally.insert("reply to a COMMIT lost", commits);
        self.tally.insert("reply lost", lost - commits);
        self.pool.close().await;
        self.cluster.stop().await;
        (self.tally, panics)
    }
}

fn settings(queue: &str, work: &str, files: &Site) -> String {
    let [jobs, schedules] = ["jobs", "schedules"].map(|name| files.path(name).display().to_string());
    format!(
        "[database]\nurl = \"{queue}\"\nmax_connections = 4\n[targets.work]\nurl = \"{work}\"\n\
         [files]\njobs = \"{jobs}\"\nschedules = \"{schedules}\"\n[worker]\nslots = 4\ngrace = \"2s\"\n\
         [log]\nlevel = \"warn\"\n"
    )
}
