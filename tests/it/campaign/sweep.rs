//! kill -9 of the daemon at every point that the product names: the first time that it comes by, and in a long campaign the
//! second, the third, until nobody comes by that often. What was begun is ended by the next daemon, once.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use sexton::{
    backups::shelf::shelf,
    fault::POINTS,
    queue,
    vault::{Options, Vault},
};
use uuid::Uuid;

use super::{
    crew::{EACH, SLOT, Senseless},
    record,
    verdict::Evidence,
    work::{Effects, Work},
};
use crate::support::{Daemon, Database, PATIENCE, Site, eventually};

/// How often a long campaign strikes at one point: what goes on for ever is reached any number of times.
const MOST: usize = 8;
/// How many daemons are killed side by side.
const STANDS: usize = 4;

/// One queue and one place where one daemon after another is killed.
struct Stand {
    queue: Database,
    effects: Effects,
    site: Site,
    asked: Vec<(Uuid, Work)>,
    senseless: Vec<Senseless>,
}

impl Stand {
    async fn new() -> Self {
        let (queue, effects) = (Database::new().await, Effects::new().await);
        record::start(queue.pool()).await;
        let mut site = Site::new(&format!(
            "[database]\nurl = \"{}\"\n[targets.work]\nurl = \"{}\"\n[vaults.main]\ndir = \"vault\"\n\
             [worker]\ngrace = \"1s\"\n[channels.ops]\nlog = {{}}\n[log]\nlevel = \"warn\"\n",
            queue.url(),
            effects.target.url()
        ));
        site.job("slot", SLOT);
        // A job for people, whose run has nothing to do.
        site.job("asked", SLOT);
        site.schedule("each", EACH);
        site.env("SEXTON_FAULT_SEEN", &effects.path("seen").display().to_string());
        // The files become active, so that a person can ask before any daemon is killed here.
        let daemon = site.daemon(&["run"]).await;
        eventually("the files are active", async || {
            let known = sqlx::query_scalar("select exists (select from sexton.revision)").fetch_one(queue.pool()).await;
            known.is_ok_and(|known: bool| known).then_some(())
        })
        .await;
        assert!(daemon.terminate().await.status.success());
        Self { queue, effects, site, asked: Vec::new(), senseless: Vec::new() }
    }

    /// Whether anybody came by that point that often; if so, he was killed, and the next one ended everything.
    async fn strike(&mut self, point: &str, nth: usize) -> bool {
        let blow = format!("{point}:{nth}:kill");
        let _ = fs::remove_file(self.effects.path("seen"));
        let begun = self.asked.len();
        if point.starts_with("rescue") {
            self.leave_an_orphan().await;
        }
        if point.starts_with("outbox") {
            // So that a failure is news again.
            sqlx::raw_sql("delete from sexton.health").execute(self.queue.pool()).await.expect("forgotten");
        }
        self.site.env("SEXTON_FAULT", &blow);
        for what in [Work::Row(0), Work::Archive, Work::Ticks(3), Work::Fails] {
            self.ask(what).await;
        }
        if point.starts_with("backup") {
            self.ask(Work::Backup).await;
        }
        let mut daemon = None;
        if point.starts_with("enqueue") {
            self.a_person_asks(point, nth).await;
        } else {
            let mut first = self.site.daemon(&["run"]).await;
            let pid = first.pid();
            let waiting = Instant::now();
            while !first.has_ended() && self.left(begun).await > 0 {
                assert!(waiting.elapsed() < PATIENCE, "{blow}: neither struck nor over: {:?}", first.lines());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if first.has_ended() {
                self.senseless.push(Senseless { pid, from: 0.0, until: f64::INFINITY, killed: true });
            } else {
                daemon = Some(first);
            }
        }
        let seen = fs::read_to_string(self.effects.path("seen")).unwrap_or_default();
        let struck = seen.lines().any(|line| line == blow);
        let said = daemon.as_ref().map(Daemon::lines).unwrap_or_default();
        assert!(
            daemon.is_some() || struck || point.starts_with("enqueue"),
            "{blow}: it died of something else: {said:?}"
        );
        self.site.env("SEXTON_FAULT", "");
        let daemon = match daemon {
            Some(daemon) => daemon,
            None => self.site.daemon(&["run"]).await,
        };
        eventually(&format!("{blow}: all is over"), async || {
            self.let_go().await;
            (self.left(begun).await == 0 && self.told().await).then_some(())
        })
        .await;
        assert!(daemon.terminate().await.status.success());
        self.judge(&blow).await;
        struck
    }

    async fn ask(&mut self, what: Work) {
        let run = self.effects.enqueue(self.queue.pool(), what, 3).await.expect("a run");
        self.asked.push((run, what));
    }

    /// A daemon dies and leaves a run behind.
    async fn leave_an_orphan(&mut self) {
        self.site.env("SEXTON_FAULT", "");
        self.ask(Work::Ticks(20)).await;
        let orphan = self.asked.last().expect("it was asked for").0;
        let daemon = self.site.daemon(&["run"]).await;
        eventually("it runs", async || {
            queue::find(self.queue.pool(), orphan).await.ok()?.filter(|run| run.state == "running")
        })
        .await;
        daemon.kill_9().await;
    }

    /// `sexton trigger` is killed: there is a run if and only if it was committed.
    async fn a_person_asks(&self, point: &str, nth: usize) {
        let count = || async {
            let sql = "select count(*) from sexton.runs where job = 'asked'";
            sqlx::query_scalar::<_, i64>(sql).fetch_one(self.queue.pool()).await.expect("a count")
        };
        let before = count().await;
        let said = self.site.sexton(&["trigger", "asked"]).await;
        assert_eq!(said.status.success(), nth > 1, "{point}: {said:?}");
        let made = i64::from(nth > 1 || point == "enqueue.committed");
        assert_eq!(count().await - before, made, "{point}: {said:?}");
    }

    /// How many of the runs that were asked for since then are not over.
    async fn left(&self, begun: usize) -> i64 {
        let runs: Vec<Uuid> = self.asked[begun..].iter().map(|(run, _)| *run).collect();
        sqlx::query_scalar("select count(*) from sexton.run where id = any($1)")
            .bind(runs)
            .fetch_one(self.queue.pool())
            .await
            .expect("a count")
    }

    /// What a person does: lets go what is held. Nobody here waits until a dead daemon's hold on a message is over.
    async fn let_go(&self) {
        let pool = self.queue.pool();
        let held: Vec<Uuid> =
            sqlx::query_scalar("select id from sexton.run where state = 'held'").fetch_all(pool).await.expect("runs");
        for run in held {
            queue::retry(pool, run, "a person").await.expect("it is let go");
        }
        let hurry =
            "update sexton.delivery set next_at = now() where state = 'pending' and next_at > now() + interval '1 s'";
        sqlx::query(hurry).execute(pool).await.expect("hurried");
    }

    async fn told(&self) -> bool {
        let open = "select (select count(*) from sexton.event where decided_at is null)
                         + (select count(*) from sexton.delivery where state = 'pending')";
        sqlx::query_scalar::<_, i64>(open).fetch_one(self.queue.pool()).await.expect("a count") == 0
    }

    async fn judge(&self, blow: &str) {
        let mut evidence = Evidence::read(self.queue.pool(), &self.effects).await.expect("the tables");
        evidence.asked.clone_from(&self.asked);
        evidence.senseless.clone_from(&self.senseless);
        let problems = evidence.problems();
        assert!(problems.is_empty(), "{blow}: {problems:#?}");
        // Each backup that a run made is whole, and nothing else is in the vault.
        let backups = self.asked.iter().filter(|(_, what)| *what == Work::Backup).count();
        let vault = Vault::new("main", Options::Dir(self.site.path("vault")));
        let made = shelf(&vault, Some("shop")).await.expect("the shelf");
        let objects = vault.list("").await.expect("a list");
        assert_eq!((made.len(), objects.len()), (backups, backups * 2), "{blow}: {objects:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_daemon_is_killed_the_next_one_ends_what_it_began() {
    let most = if super::number("SEXTON_TEST_SECONDS").is_some() { MOST } else { 1 };
    let mut stands = tokio::task::JoinSet::new();
    for number in 0..STANDS {
        stands.spawn(async move {
            let mut stand = Stand::new().await;
            let mut reached = BTreeSet::new();
            for point in POINTS.iter().skip(number).step_by(STANDS) {
                for nth in 1..=most {
                    if !stand.strike(point, nth).await {
                        break;
                    }
                    reached.insert(*point);
                }
            }
            reached
        });
    }
    let reached: BTreeSet<_> = tokio::time::timeout(Duration::from_secs(1800), stands.join_all())
        .await
        .expect("it ends")
        .into_iter()
        .flatten()
        .collect();
    let never: Vec<_> = POINTS.iter().filter(|point| !reached.contains(*point)).collect();
    assert!(never.is_empty(), "nobody came by {never:?}");
}
