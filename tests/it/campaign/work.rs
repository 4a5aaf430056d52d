//! What runs do in a campaign, in a way that shows afterwards what they did, and when.
//!
//! `sql` writes a row for each attempt into the target; `exec` writes a line every tenth of a second into a file that
//! outlives every server, from a child's child; `archive` moves rows that are counted.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sexton::{
    dataset,
    queue::{self, NewRun},
    span::Span,
    spec::Spec,
    state::OnLost,
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Database, work};

/// What one run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Work {
    /// A row in the target, after this many milliseconds.
    Row(u64),
    /// Thirty rows of the data set to the archive, in steps of five.
    Archive,
    /// A child that ticks for so many tenths of a second, tried again when it is lost.
    Ticks(u64),
    /// A child's child that does, held for a person when it is lost: it outlives a daemon that is killed.
    HeldTicks(u64),
    /// A dump of the target, into the vault `main`.
    Backup,
    /// A program that fails.
    Fails,
    /// A snapshot that nobody can read.
    Unreadable,
    /// kill -9 of the daemon that it runs on.
    Killer,
}

/// Where the effects of runs are to be seen.
pub(super) struct Effects {
    /// The target.
    pub(super) target: Database,
    ticks: PathBuf,
    script: PathBuf,
    folder: tempfile::TempDir,
    dataset: Value,
    rows: u32,
}

/// Rows of the data set: in a long campaign as many more as its archives would not use up.
fn size() -> u32 {
    let seconds = super::number("SEXTON_TEST_SECONDS").unwrap_or_default();
    3000 + 200 * u32::try_from(seconds).unwrap_or(600).min(600)
}

impl Effects {
    pub(super) async fn new() -> Self {
        let (target, rows) = (Database::empty().await, size());
        assert!(dataset::sample::load(target.pool(), rows).await.expect("the sample"));
        dataset::install(target.pool(), false, &Default::default()).await.expect("the step table");
        sqlx::raw_sql(
            "create table effect (id bigserial, run uuid, attempt integer, at timestamptz default clock_timestamp())",
        )
        .execute(target.pool())
        .await
        .expect("a table");
        let folder = crate::support::open_folder("sexton-effects-");
        let (ticks, script) = (folder.path().join("ticks"), folder.path().join("tick.sh"));
        // The clock that all processes of a machine share; reading it starts no process.
        let text = format!(
            "n=0\nwhile [ $n -lt $1 ]; do\n  read up idle < /proc/uptime\n  \
             echo \"$SEXTON_RUN $2 $$ $up\" >> {}\n  n=$((n+1))\n  sleep 0.1\ndone\n",
            ticks.display()
        );
        std::fs::write(&script, text).expect("a script");
        let text = include_str!("../../../jobs/datasets/interface_exceptions.toml");
        let dataset = toml::from_str(text).expect("the shipped data set");
        Self { target, ticks, script, folder, dataset, rows }
    }

    /// A place beside the effects.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How many rows the data set has.
    pub(super) fn rows(&self) -> i64 {
        i64::from(self.rows)
    }

    /// Where ticks are.
    pub(super) fn ticks(&self) -> &Path {
        &self.ticks
    }

    /// The snapshot of a job that does this.
    pub(super) fn spec(&self, what: Work, lease: u64) -> Spec {
        let exec = |argv: Value| json!({ "argv": argv });
        let script = self.script.display();
        let ticks = |count: u64| exec(json!(["sh", "-c", format!("exec sh {script} {count} $PPID")]));
        // The daemon's child waits for its own child: the whole group has to go.
        let deep = |count: u64| exec(json!(["sh", "-c", format!("sh {script} {count} $PPID & wait $!")]));
        let (kind, table) = match what {
            Work::Row(millis) => {
                let pause = millis as f64 / 1000.0;
                let sql = format!(
                    "select pg_sleep({pause})::text; insert into effect (run, attempt) values (cast(:run as uuid), :attempt)"
                );
                ("sql", json!({ "target": "work", "sql": sql }))
            }
            Work::Archive => (
                "archive",
                json!({ "target": "work", "dataset": "interface_exceptions", "older_than": "365d", "dry_run": false,
                        "batch": { "rows": 5, "target": "10ms" }, "max_rows": 30, "vacuum": "never" }),
            ),
            Work::Ticks(count) => ("exec", ticks(count)),
            Work::HeldTicks(count) => ("exec", deep(count)),
            Work::Backup => (
                "backup",
                json!({ "target": "work", "vault": "main", "name": "shop", "waiver": "a test", "prove": "never",
                        "globals": false }),
            ),
            Work::Fails => ("exec", exec(json!(["false"]))),
            Work::Unreadable => ("exec", exec(json!(["true"]))),
            Work::Killer => ("exec", exec(json!(["sh", "-c", "kill -9 $PPID; sleep 60"]))),
        };
        let word = format!("{what:?}").to_lowercase();
        let mut spec = work::spec(word.split('(').next().unwrap_or_default(), kind, table);
        if what == Work::Fails {
            // The first failure of a job is news; one job's later ones would leave the alerts little to do.
            spec.job = format!("fails-{}", Uuid::now_v7());
        }
        spec.lease = Span::seconds(lease);
        spec.alert = if what == Work::Fails { vec!["ops".to_owned()] } else { Vec::new() };
        spec.on_lost = match what {
            Work::Row(_) | Work::HeldTicks(_) => OnLost::Hold,
            _ => OnLost::Retry,
        };
        spec.retry.attempts = match what {
            Work::Fails | Work::Unreadable | Work::Killer => 2,
            // Whatever happens to them, they are to be done in the end.
            _ => 50,
        };
        if what == Work::Archive {
            spec.dataset = Some(self.dataset.clone());
        }
        if matches!(kind, "exec" | "backup") {
            spec.timeout = Some(Span::seconds(600));
        }
        spec
    }

    /// Enqueues a run; an error leaves it unknown whether there is one.
    pub(super) async fn enqueue(&self, queue: &PgPool, what: Work, lease: u64) -> Result<Uuid, sqlx::Error> {
        let broken = |error: queue::EnqueueError| sqlx::Error::Protocol(error.to_string());
        let mut tx = queue.begin().await?;
        let id = queue::enqueue(&mut tx, &NewRun::now(self.spec(what, lease), "the campaign")).await.map_err(broken)?;
        if what == Work::Unreadable {
            sqlx::query("update sexton.run set own = '{\"kind\": 7}' where id = $1").bind(id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        queue::nudge(queue).await;
        Ok(id)
    }
}
