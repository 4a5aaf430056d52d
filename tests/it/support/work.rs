//! Workers in the test's own process, and kinds that do nothing but end in every way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use sexton::{
    child::Spawner,
    db::Targets,
    kinds::{self, Broken, Ctx, Entry, Env, Kind, Uses},
    outcome::{Failure, Outcome, Report},
    queue::{self, NewRun},
    retry::Retry,
    span::Span,
    spec::{FORMAT, Spec},
    state::OnLost,
    vault::Vaults,
    worker::{self, Options, Worker, WorkerError},
};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::eventually;

/// A snapshot of a job that is tried three times, 50 ms apart.
pub fn spec(job: &str, kind: &str, table: serde_json::Value) -> Spec {
    Spec {
        format: FORMAT,
        job: job.to_owned(),
        kind: kind.to_owned(),
        table,
        dataset: None,
        params: BTreeMap::new(),
        timeout: None,
        retry: Retry { attempts: 3, first: Span(Duration::from_millis(50)), most: Span(Duration::from_millis(100)) },
        on_lost: OnLost::Retry,
        lease: Span::seconds(45),
        priority: 0,
        alert: vec!["ops".to_owned()],
        expect: BTreeMap::new(),
        fail_on_breach: false,
        follows: None,
        then: Vec::new(),
        needs: Vec::new(),
        limits: Vec::new(),
        pause_on_failure: None,
    }
}

/// Enqueues a run that is due now, and wakes workers.
pub async fn enqueue(pool: &PgPool, spec: Spec) -> Uuid {
    let mut connection = pool.acquire().await.unwrap();
    let id = queue::enqueue(&mut connection, &NewRun::now(spec, "a test")).await.unwrap();
    queue::nudge(pool).await;
    id
}

/// Waits until the run is over.
pub async fn over(pool: &PgPool, run: Uuid) -> queue::Run {
    eventually("the run is over", async || queue::find(pool, run).await.ok()?.filter(queue::Run::is_over)).await
}

/// Waits until the run is in this state.
pub async fn in_state(pool: &PgPool, run: Uuid, state: &str) -> queue::Run {
    eventually(&format!("the run is {state}"), async || {
        queue::find(pool, run).await.ok()?.filter(|run| run.state == state)
    })
    .await
}

/// Waits until an attempt of the run has begun in a worker of this process. That the row says `running` comes earlier: the
/// claim's reply may still be on its way, and what befalls the worker then befalls one that does not know of the run.
pub async fn begun(run: Uuid) {
    eventually("an attempt begins", async || BEGUN.lock().unwrap().contains(&run).then_some(())).await;
}

/// What test kinds may use.
pub fn env() -> Arc<Env> {
    Arc::new(Env {
        targets: Targets::default(),
        vaults: Vaults::default(),
        spawner: Spawner::start().expect("a spawner"),
        http: super::client(),
        pg_bin: None,
        catalogue: None,
    })
}

/// Options for tests: a quick heart.
pub fn quick() -> Options {
    Options {
        slots: 4,
        grace: Duration::from_millis(300),
        stop_grace: Duration::from_millis(300),
        beat: Duration::from_millis(300),
        poll: Duration::from_millis(500),
        labels: Vec::new(),
        listen: true,
    }
}

/// A worker of the test's own process.
pub struct Working {
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

/// A worker with the test kinds, not yet started.
pub fn worker(pool: &PgPool, options: Options) -> Worker {
    Worker { kinds: find, options, ..Worker::new(pool.clone(), pool.clone(), env()) }
}

/// Starts a worker.
pub fn work(pool: &PgPool, options: Options) -> Working {
    Working::of(worker(pool, options))
}

impl Working {
    /// Starts this one.
    pub fn of(worker: Worker) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker::run(worker, stop.clone()));
        Self { stop, task }
    }

    /// As SIGTERM does: waits until it has drained.
    pub async fn drain(self) {
        self.stop.cancel();
        tokio::time::timeout(super::BOUND, self.task)
            .await
            .expect("it drains")
            .expect("no panic")
            .expect("a clean end");
    }
}

/// Which attempts did their work to the end, by run.
static EFFECTS: Mutex<BTreeMap<Uuid, usize>> = Mutex::new(BTreeMap::new());

/// The runs of which an attempt has begun.
static BEGUN: Mutex<BTreeSet<Uuid>> = Mutex::new(BTreeSet::new());

/// How often the run's work was done to the end.
pub fn effects(run: Uuid) -> usize {
    EFFECTS.lock().unwrap().get(&run).copied().unwrap_or_default()
}

fn effect(ctx: &Ctx) {
    *EFFECTS.lock().unwrap().entry(ctx.run.id).or_default() += 1;
}

fn find(name: &str) -> Option<&'static Entry> {
    static ALL: &[Entry] = &[
        kinds::entry::<Noop>(),
        kinds::entry::<Slow>(),
        kinds::entry::<Stubborn>(),
        kinds::entry::<Panics>(),
        kinds::entry::<Flaky>(),
        kinds::entry::<Spawns>(),
        kinds::entry::<Says>(),
        kinds::entry::<Steps>(),
    ];
    ALL.iter().find(|entry| entry.name == name)
}

macro_rules! kind {
    ($kind:ident, $name:literal, |$it:ident, $ctx:ident| $run:expr) => {
        impl Kind for $kind {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $name;
            const ON_LOST: OnLost = OnLost::Retry;
            fn uses(&self) -> Uses {
                Uses::default()
            }
            async fn run(self, $ctx: Ctx) -> Result<Outcome, Broken> {
                let $it = self;
                BEGUN.lock().unwrap().insert($ctx.run.id);
                $run
            }
        }
    };
}

/// Done at once.
#[derive(Deserialize, JsonSchema)]
struct Noop {}
kind!(Noop, "noop", |_it, ctx| {
    effect(&ctx);
    Ok(Outcome::Done(Report::new().with("things", 1)))
});

/// Takes its time, tells how far it is, and stops when it is told to.
#[derive(Deserialize, JsonSchema)]
struct Slow {
    millis: u64,
}
kind!(Slow, "slow", |it, ctx| {
    ctx.progress(1, Some(2), "naps", Some("napping"));
    tokio::select! {
        () = ctx.stop.cancelled() => Err(Broken::Stopped),
        () = tokio::time::sleep(Duration::from_millis(it.millis)) => {
            effect(&ctx);
            Ok(Outcome::Done(Report::new()))
        }
    }
});

/// Never ends and never listens.
#[derive(Deserialize, JsonSchema)]
struct Stubborn {}
kind!(Stubborn, "stubborn", |_it, ctx| std::future::pending().await);

#[derive(Deserialize, JsonSchema)]
struct Panics {}
kind!(Panics, "panics", |_it, ctx| {
    assert!(ctx.run.attempt > 99, "oh no, attempt {}", ctx.run.attempt);
    Ok(Outcome::Done(Report::new()))
});

/// Fails so many times, then is done.
#[derive(Deserialize, JsonSchema)]
struct Flaky {
    fails: i32,
}
kind!(Flaky, "flaky", |it, ctx| {
    if ctx.run.attempt <= it.fails {
        return Err(Failure::later("not yet").help("wait").into());
    }
    effect(&ctx);
    Ok(Outcome::Done(Report::new().with("attempt", ctx.run.attempt)))
});

/// Starts a child that starts another, writes that one's pid to a file, and waits for ever.
#[derive(Deserialize, JsonSchema)]
struct Spawns {
    pid_file: String,
}
kind!(Spawns, "spawns", |it, ctx| {
    let mut command = tokio::process::Command::new("sh");
    command.arg("-c").arg(format!("sleep 600 & echo $! > {}.new; mv {0}.new {0}; wait", it.pid_file));
    let mut child = ctx.env.spawner.spawn(command).await.map_err(|error| Failure::later(error.to_string()))?;
    let status = child.wait().await.map_err(|error| Failure::later(error.to_string()))?;
    Err(Failure::later(format!("the child ended: {status}")).into())
});

/// Ends as it is told.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Says {
    Skipped(String),
    SnoozedOnceMillis(u64),
    Never(String),
    AZeroByte,
}
kind!(Says, "says", |it, ctx| match it {
    Says::Skipped(why) => Ok(Outcome::Skipped(why)),
    Says::Never(why) => Ok(Outcome::Failed(Failure::never(why))),
    Says::AZeroByte => Ok(Outcome::Done(Report::new().with("text", "\0"))),
    Says::SnoozedOnceMillis(millis) if effects(ctx.run.id) == 0 => {
        effect(&ctx);
        Ok(Outcome::Snoozed(Duration::from_millis(millis)))
    }
    Says::SnoozedOnceMillis(_) => Ok(Outcome::Done(Report::new())),
});

/// Takes steps of 20 ms, and goes on where the attempt before it was.
#[derive(Deserialize, JsonSchema)]
pub struct Steps {
    steps: usize,
}

impl Kind for Steps {
    const NAME: &'static str = "steps";
    const ABOUT: &'static str = "steps";
    const ON_LOST: OnLost = OnLost::Retry;
    const RESUMES: bool = true;
    fn uses(&self) -> Uses {
        Uses::default()
    }
    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        while effects(ctx.run.id) < self.steps {
            ctx.go_on()?;
            effect(&ctx);
            ctx.progress(effects(ctx.run.id) as u64, Some(self.steps as u64), "steps", None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Outcome::Done(Report::new()))
    }
}

const PROCESS: &str = "SEXTON_TEST_WORKER";

/// A worker in a process of its own, so that it can be killed and frozen for real; ends with the test.
pub struct Process(std::process::Child);

/// Starts one on this database.
pub fn process(url: &str) -> Process {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "--ignored", "--nocapture", "support::work::work_until_killed"]).env(PROCESS, url);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    Process(command.spawn().expect("a worker process"))
}

impl Process {
    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.0.id().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("it is there");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "not a test: the process of a worker that tests kill"]
fn work_until_killed() {
    let Ok(url) = std::env::var(PROCESS) else { return };
    let login = sexton::db::Login::new(&sexton::secret::Secret::new(url), None).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sexton::db::queue_pool(&login, 4);
        let (parent, stop) = (std::os::unix::process::parent_id(), CancellationToken::new());
        let orphaned = stop.clone();
        tokio::spawn(async move {
            while std::os::unix::process::parent_id() == parent {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            orphaned.cancel();
        });
        worker::run(worker(&pool, quick()), stop).await.unwrap();
    });
}
