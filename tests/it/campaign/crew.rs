//! Daemons, their wires and their server, the runs that are asked for, and whatever is done to all of them.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use sexton::{
    queue::{self, Retried},
    requests,
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    plan::{Fault, Meddle, Plan, Step},
    record,
    work::{Effects, Work},
};
use crate::support::{self, Daemon, Member, OwnCluster, Proxy, RESTART, Site, Wire, own_cluster_with};

/// What a worker says to the server when it claims or settles.
const WORKERS_SAY: &str = "sexton.run";
/// How many runs may be ready when another is asked for: some more than all daemons take at a time.
const AHEAD: i64 = 60;
/// The same schedule in every campaign.
pub(super) const EACH: &str =
    "[[at]]\nname = \"each\"\njob = \"slot\"\ncron = \"* * * * * *\"\noverlap = \"allow_all\"\n";
pub(super) const SLOT: &str = "alert = []\n[sql]\ntarget = \"work\"\n\
                    sql = \"insert into effect (run, attempt) values (cast(:run as uuid), :attempt)\"\n";

/// A daemon's process whose children may go on although it does not know: frozen, or killed. From when, until when, in
/// seconds since the machine's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Senseless {
    pub(super) pid: u32,
    pub(super) from: f64,
    pub(super) until: f64,
    pub(super) killed: bool,
}

/// Everything that takes part.
pub(super) struct Crew {
    pub(super) pool: PgPool,
    pub(super) effects: Effects,
    /// Runs that exist for sure: their commit was heard of.
    pub(super) asked: Vec<(Uuid, Work)>,
    pub(super) senseless: Vec<Senseless>,
    cluster: OwnCluster,
    members: Vec<Member>,
    leaving: Vec<Daemon>,
    tally: BTreeMap<String, usize>,
    /// Blows that each daemon, or who takes its place, is still to be struck by.
    armed: Vec<Vec<String>>,
    /// A run for each thing that was asked for, if it was heard of.
    numbered: Vec<Option<Uuid>>,
    _files: Site,
}

/// Seconds since the machine's start, as the ticks tell them.
pub(super) fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").expect("proc is mounted");
    text.split_whitespace().next().and_then(|up| up.parse().ok()).expect("a number")
}

impl Crew {
    /// Starts the server and all daemons.
    pub(super) async fn start(daemons: usize) -> Self {
        let effects = Effects::new().await;
        let cluster =
            own_cluster_with(sexton::embedded::Options { max_connections: 200, ..support::options(true) }).await;
        let (_, pool) = cluster.database("queue").await;
        record::start(&pool).await;
        let files = Site::new("");
        files.job("slot", SLOT);
        files.schedule("each", EACH);
        let mut members = Vec::new();
        for number in 0..daemons {
            let proxy = Proxy::unix_marking(cluster.socket_dir(), WORKERS_SAY).await;
            let mut site = Site::new(&settings(&proxy.url("queue"), &effects.target.url(), &files));
            site.env("SEXTON_FAULT_SEEN", &effects.path(&format!("seen-{number}")).display().to_string());
            members.push(Member::new(site, proxy));
        }
        let mut crew = Self {
            pool,
            effects,
            asked: Vec::new(),
            senseless: Vec::new(),
            cluster,
            members,
            leaving: Vec::new(),
            tally: BTreeMap::new(),
            armed: vec![Vec::new(); daemons],
            numbered: Vec::new(),
            _files: files,
        };
        crew.tend().await;
        support::eventually("all daemons are known", async || {
            let known: i64 =
                sqlx::query_scalar("select count(*) from sexton.worker").fetch_one(&crew.pool).await.ok()?;
            (known == daemons as i64).then_some(())
        })
        .await;
        crew
    }

    /// Does what the plan says, when it says so.
    pub(super) async fn suffer(&mut self, plan: &Plan) {
        let begun = Instant::now();
        for (at, step) in &plan.steps {
            while begun.elapsed() < *at {
                self.tend().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            match *step {
                Step::Ask(what, lease) => self.ask(what, lease).await,
                Step::Meddle(meddle, nth) => self.meddle(meddle, nth).await,
                Step::Break(fault) => self.strike(fault).await,
            }
        }
    }

    /// Asks for a run, unless the daemons are behind: what they cannot do during the faults they could not do after them either,
    /// on a machine that is busy with something else.
    async fn ask(&mut self, what: Work, lease: u64) {
        let waiting =
            sqlx::query_scalar("select count(*) from sexton.run where state = 'ready'").fetch_one(&self.pool).await;
        let run = if waiting.is_ok_and(|runs: i64| runs >= AHEAD) {
            self.count("runs not asked for");
            None
        } else {
            self.effects.enqueue(&self.pool, what, lease).await.ok()
        };
        self.asked.extend(run.map(|run| (run, what)));
        self.numbered.push(run);
    }

    async fn meddle(&mut self, meddle: Meddle, nth: usize) {
        // It may come before what it is about.
        let Some(Some(run)) = self.numbered.get(nth.min(self.numbered.len().saturating_sub(1))).copied() else {
            return;
        };
        let by = "the campaign";
        let did = match meddle {
            Meddle::Cancel => requests::cancel(&self.pool, run, by, "chance").await.map(|said| format!("{said:?}")),
            Meddle::Pause => requests::pause(&self.pool, run, by, "chance").await.map(|said| format!("{said:?}")),
            Meddle::Resume => queue::resume(&self.pool, run, by).await.map(|said| format!("{said:?}")),
            Meddle::Retry => match queue::find(&self.pool, run).await {
                // What is held may still be at work in a frozen daemon: a person looks first, in peace.
                Ok(Some(found)) if found.state == "held" => Ok("Held".to_owned()),
                _ => queue::retry(&self.pool, run, by).await.map(|said| format!("{said:?}")),
            },
        };
        let said = did.unwrap_or_else(|_| "unheard".to_owned());
        self.count(&format!("{meddle:?}: {}", said.split('(').next().unwrap_or_default()));
    }

    fn count(&mut self, what: &str) {
        *self.tally.entry(what.to_owned()).or_default() += 1;
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
        self.somebody_is_up().await;
        let now = Instant::now();
        let happened = match fault {
            Fault::Kill { daemon, away } => self.kill(self.up(daemon), now + away).await,
            Fault::Terminate { daemon, away } => self.terminate(self.up(daemon), now + away, 1),
            Fault::TerminateTwice { daemon } => self.terminate(self.up(daemon), now + RESTART, 2),
            Fault::Freeze { daemon, length } => self.freeze(self.up(daemon), length),
            Fault::Cut { daemon, length } => self.members[daemon].wire(Wire::Cut, Some(now + length)),
            Fault::Silence { daemon, length } => self.members[daemon].wire(Wire::Blackhole, Some(now + length)),
            // Whether these happen is counted where they do.
            Fault::LoseCommit { daemon } => !self.members[daemon].wire(Wire::LoseCommit, None),
            Fault::LoseReply { daemon } => !self.members[daemon].wire(Wire::LoseReply, None),
            Fault::Restart => self.restart(Signal::INT).await,
            Fault::KillServer => self.restart(Signal::KILL).await,
            Fault::KillBackends => {
                let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                           where pid <> pg_backend_pid() and backend_type = 'client backend'";
                sqlx::query(sql).execute(&self.pool).await.is_ok()
            }
            Fault::Point { daemon, .. } => {
                self.kill(daemon, now + RESTART).await;
                self.armed[daemon].push(fault.sort());
                let all = self.armed[daemon].join(",");
                self.members[daemon].site.env("SEXTON_FAULT", &all);
                false
            }
        };
        if happened {
            self.count(&fault.sort());
        }
    }

    /// That daemon, or when it is not there the next one that is.
    fn up(&self, daemon: usize) -> usize {
        let all = self.members.len();
        (daemon..daemon + all)
            .map(|next| next % all)
            .find(|next| self.members[*next].daemon.is_some())
            .unwrap_or(daemon)
    }

    async fn kill(&mut self, daemon: usize, back: Instant) -> bool {
        let Some(daemon) = self.members[daemon].leave(back) else { return false };
        self.loses_its_senses(daemon.pid(), f64::INFINITY, true);
        daemon.kill_9().await;
        true
    }

    fn loses_its_senses(&mut self, pid: u32, length: f64, killed: bool) {
        let from = uptime();
        self.senseless.push(Senseless { pid, from, until: from + length, killed });
    }

    fn terminate(&mut self, daemon: usize, back: Instant, times: usize) -> bool {
        let Some(daemon) = self.members[daemon].leave(back) else { return false };
        daemon.signal(Signal::CONT);
        daemon.signal(Signal::TERM);
        if times > 1 {
            // It leaves at once, and its children with it; their children are nobody's.
            self.loses_its_senses(daemon.pid(), f64::INFINITY, true);
            std::thread::sleep(Duration::from_millis(50));
            daemon.signal(Signal::TERM);
        }
        self.leaving.push(daemon);
        true
    }

    fn freeze(&mut self, daemon: usize, length: Duration) -> bool {
        let member = &mut self.members[daemon];
        let Some(up) = &mut member.daemon else { return false };
        // One that has just ended by itself is seen to when it is tended.
        if up.has_ended() {
            return false;
        }
        up.signal(Signal::STOP);
        member.thaw = Some(Instant::now() + length);
        let pid = up.pid();
        // Once thawed it has a moment to notice.
        self.loses_its_senses(pid, length.as_secs_f64() + 2.0, false);
        true
    }

    async fn restart(&mut self, signal: Signal) -> bool {
        self.cluster.signal(signal);
        self.cluster.restart().await;
        true
    }

    async fn tend(&mut self) {
        let now = Instant::now();
        let mut gone = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            let armed = &mut self.armed[number];
            if !armed.is_empty() {
                let seen = fs::read_to_string(self.effects.path(&format!("seen-{number}"))).unwrap_or_default();
                // Who takes its place is not struck again.
                armed.retain(|blow| !seen.lines().any(|line| line == blow));
                member.site.env("SEXTON_FAULT", &armed.join(","));
            }
            let before = member.daemon.as_ref().filter(|_| member.thaw.is_none()).map(Daemon::pid);
            member.tend(now).await;
            // One that ended by itself was killed by a run, or at a point.
            gone.extend(before.filter(|pid| member.daemon.as_ref().is_none_or(|now| now.pid() != *pid)));
        }
        for pid in gone {
            self.senseless.push(Senseless { pid, from: 0.0, until: f64::INFINITY, killed: true });
        }
        self.leaving.retain_mut(|daemon| !daemon.has_ended());
    }

    /// Ends all trouble: every daemon is there, every wire is whole, and what waits for a person is let go.
    pub(super) async fn peace(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            member.wire(Wire::Cut, Some(now + RESTART));
            member.thaw = member.thaw.map(|_| now);
            member.back = now;
        }
        tokio::time::sleep(RESTART).await;
        self.tend().await;
        // A campaign may be so short that nobody met these.
        let begun = Instant::now();
        while self.armed.iter().any(|armed| !armed.is_empty()) && begun.elapsed() < support::PATIENCE {
            for what in [Work::Archive, Work::Fails, Work::Row(0)] {
                self.ask(what, 3).await;
            }
            for _ in 0..10 {
                self.tend().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.lose(Wire::LoseCommit, Proxy::lost_commits).await;
        self.lose(Wire::LoseReply, |proxy| proxy.lost() - proxy.lost_commits()).await;
    }

    /// Loses answers until one was lost.
    async fn lose(&mut self, wire: Wire, lost: fn(&Proxy) -> usize) {
        let begun = Instant::now();
        while self.members.iter().all(|member| lost(&member.proxy) == 0) && begun.elapsed() < support::PATIENCE {
            self.members.iter_mut().filter(|member| member.mend.is_none()).for_each(|member| {
                member.wire(wire.clone(), None);
            });
            self.ask(Work::Row(0), 3).await;
            self.tend().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for member in self.members.iter_mut().filter(|member| member.mend.is_none()) {
            member.wire(Wire::Pass, None);
        }
    }

    /// Waits, with every daemon kept going and every held or paused run let go, until all that was made before now is
    /// over; gives how long it took.
    pub(super) async fn settle(&mut self, patience: Duration) -> Result<Duration, String> {
        let begun = Instant::now();
        let mut quiet: Option<chrono::DateTime<chrono::Utc>> = None;
        loop {
            self.tend().await;
            if quiet.is_none() {
                quiet = sqlx::query_scalar("select now()").fetch_one(&self.pool).await.ok();
            }
            let left = self.left(quiet).await;
            match &left {
                Ok(left) if left.is_empty() && quiet.is_some() => return Ok(begun.elapsed()),
                _ if begun.elapsed() > patience => {
                    return Err(format!(
                        "waited {patience:?} in vain for {left:#?}; the daemons said {:#?}",
                        self.words()
                    ));
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Waits until every event is decided and every message delivered.
    pub(super) async fn told(&self) -> bool {
        let begun = Instant::now();
        let open = "select (select count(*) from sexton.event where decided_at is null)
                         + (select count(*) from sexton.delivery where state = 'pending')";
        // A message that was claimed by a daemon that died is sent again once that claim is over: not waited for.
        let hurry =
            "update sexton.delivery set next_at = now() where state = 'pending' and next_at > now() + interval '1 s'";
        while begun.elapsed() < support::PATIENCE {
            let _ = sqlx::query(hurry).execute(&self.pool).await;
            if sqlx::query_scalar::<_, i64>(open).fetch_one(&self.pool).await.is_ok_and(|open| open == 0) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// What is not over, after a person has let go what waits for one.
    async fn left(&mut self, quiet: Option<chrono::DateTime<chrono::Utc>>) -> Result<Vec<String>, sqlx::Error> {
        let held: Vec<Uuid> =
            sqlx::query_scalar("select id from sexton.run where state = 'held'").fetch_all(&self.pool).await?;
        for run in held {
            if queue::retry(&self.pool, run, "a person").await? == Retried::Ready {
                self.count("held runs let go");
            }
        }
        let paused: Vec<Uuid> = sqlx::query_scalar("select id from sexton.run where pause_requested_at is not null")
            .fetch_all(&self.pool)
            .await?;
        for run in paused {
            queue::resume(&self.pool, run, "a person").await?;
        }
        let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
            "select id, job, state::text from sexton.run where created_at <= coalesce($1, 'infinity') order by 1 limit 20",
        )
        .bind(quiet)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| format!("{row:?}")).collect())
    }

    /// The last that each daemon said.
    fn words(&self) -> Vec<Vec<String>> {
        let last = |daemon: &Daemon| daemon.lines().into_iter().rev().take(8).rev().collect();
        self.members.iter().filter_map(|member| member.daemon.as_ref()).map(last).collect()
    }

    /// Which points were reached, and which blows were struck.
    fn seen(&self) -> Vec<String> {
        let files = (0..self.members.len()).map(|number| self.effects.path(&format!("seen-{number}")));
        files
            .flat_map(|path| {
                fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Stops all daemons; what was done to them, by sort, and which broke down.
    pub(super) async fn stop(&mut self) -> (BTreeMap<String, usize>, Vec<String>) {
        let daemons: Vec<_> = self.members.iter_mut().filter_map(|member| member.daemon.take()).collect();
        daemons.iter().for_each(|daemon| daemon.signal(Signal::TERM));
        let mut panics = Vec::new();
        for daemon in daemons.into_iter().chain(std::mem::take(&mut self.leaving)) {
            let ended = daemon.exit().await;
            panics.extend(ended.lines.into_iter().filter(|line| line.contains("panicked at")));
        }
        for line in self.seen() {
            let struck = line.contains(':');
            self.count(&if struck { line } else { format!("{line} reached") });
        }
        let of = |count: fn(&Proxy) -> usize| self.members.iter().map(|member| count(&member.proxy)).sum::<usize>();
        let (lost, commits) = (of(Proxy::lost), of(Proxy::lost_commits));
        self.tally.insert("reply to a COMMIT lost".to_owned(), commits);
        self.tally.insert("reply lost".to_owned(), lost - commits);
        (std::mem::take(&mut self.tally), panics)
    }

    /// Ends the server.
    pub(super) async fn end(mut self) {
        self.pool.close().await;
        self.cluster.stop().await;
    }
}

fn settings(queue: &str, work: &str, files: &Site) -> String {
    let [jobs, schedules] = ["jobs", "schedules"].map(|name| files.path(name).display().to_string());
    format!(
        "[database]\nurl = \"{queue}\"\nmax_connections = 8\n[targets.work]\nurl = \"{work}\"\n\
         [files]\njobs = \"{jobs}\"\nschedules = \"{schedules}\"\n[worker]\nslots = 6\ngrace = \"1s\"\n\
         [channels.ops]\nlog = {{}}\n[log]\nlevel = \"warn\"\n"
    )
}
