//! `sexton why`, over a real ledger: each way in which a slot can have gone is told as it was.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::Value;
use sexton::{
    catalog::Names,
    daemon::files::{Occasion, Reloaded, Source, reload},
    ledger,
    planner::{Options, Planner},
    queue::{self, NewRun},
    requests::why::{Explanation, why},
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Database, Site, open_folder, work::spec};

const JOB: &str = "timeout = \"1m\"\nalert = []\n[exec]\nargv = [\"true\"]\n";

/// Files on disk, and the queue that follows them.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    pub(crate) queue: Database,
}

impl Files {
    pub(crate) async fn new(schedules: &str) -> Self {
        let files = Self { folder: open_folder("sexton-why-"), queue: Database::new().await };
        std::fs::create_dir(files.folder.path().join("jobs")).unwrap();
        std::fs::create_dir(files.folder.path().join("schedules")).unwrap();
        for job in ["tidy", "sweep"] {
            std::fs::write(files.folder.path().join(format!("jobs/{job}.toml")), JOB).unwrap();
        }
        files.take(schedules).await;
        files
    }

    /// Makes these the current schedules; gives the revision.
    pub(crate) async fn take(&self, schedules: &str) -> i64 {
        std::fs::write(self.folder.path().join("schedules/all.toml"), schedules).unwrap();
        let source = Source {
            jobs: self.folder.path().join("jobs"),
            schedules: self.folder.path().join("schedules"),
            names: Names::default(),
            default_alert: Vec::new(),
            most_removed: sexton::settings::Share::percent(50),
            me: Uuid::now_v7(),
        };
        let reloaded = reload(self.pool(), &source, Occasion::Asked, "a test").await.unwrap();
        // A daemon that applied them and left.
        ledger::forget_station(self.pool(), source.me).await.unwrap();
        match reloaded {
            Reloaded::Applied { revision } => revision,
            other => panic!("expected a revision, got {other:?}"),
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.queue.pool()
    }

    /// As if the files had been applied, and all been decided, an hour and more ago.
    pub(crate) async fn age(&self, length: TimeDelta) {
        for statement in [
            "update sexton.revision set applied_at = applied_at - make_interval(secs => $1)",
            "update sexton.schedule set watermark = watermark - make_interval(secs => $1)",
        ] {
            sqlx::query(statement).bind(length.num_seconds() as f64).execute(self.pool()).await.unwrap();
        }
    }

    /// Decides all that is due.
    pub(crate) async fn plan(&self) {
        Planner::new(self.pool().clone(), Options::new()).tick().await.unwrap();
    }

    async fn why(&self, schedule: &str, time: &str) -> Explanation {
        let mut explained = why(self.pool(), schedule, Some(time)).await.unwrap();
        assert_eq!(explained.len(), 1, "{explained:?}");
        explained.remove(0)
    }
}

pub(crate) fn schedule(name: &str, cron: &str, more: &str) -> String {
    format!("[[at]]\nname = \"{name}\"\ncron = \"{cron}\"\njob = \"tidy\"\n{more}\n")
}

/// So many whole minutes ago.
pub(crate) fn minutes_ago(minutes: i64) -> DateTime<Utc> {
    (Utc::now() - TimeDelta::minutes(minutes)).with_second(0).unwrap().with_nanosecond(0).unwrap()
}

fn has(explanation: &Explanation, words: &[&str]) {
    for word in words {
        assert!(explanation.words.iter().any(|line| line.contains(word)), "no {word:?} in {:#?}", explanation.words);
    }
}

#[tokio::test]
async fn a_missed_night_is_told_slot_by_slot() {
    let files = Files::new(&schedule("minutely", "* * * * *", "")).await;
    files.age(TimeDelta::minutes(30)).await;
    files.plan().await;
    let missed = files.why("minutely", &minutes_ago(10).to_rfc3339()).await;
    assert_eq!(missed.verdict, "coalesced");
    has(&missed, &["a newer slot stands for it", "one decision for", "in its place: the slot of", "revision 1 "]);
    let stand_in = ledger::fired_after(files.pool(), "minutely", minutes_ago(10)).await.unwrap().unwrap();
    let fired = files.why("minutely", &stand_in.nominal_at.to_rfc3339()).await;
    assert_eq!((fired.verdict, fired.run.as_ref().map(|run| run.id)), ("fired", stand_in.run));
    has(&fired, &["it fired, and its run waits for a worker", "reason: ", "daemon"]);
    let between = files.why("minutely", &(minutes_ago(10) + TimeDelta::seconds(20)).to_rfc3339()).await;
    assert_eq!((between.verdict, between.slot.clone()), ("no_slot", None));
    assert_eq!(between.before, Some(minutes_ago(10)));
    has(&between, &["that is no slot of it", "the slot before it", "the slot after it"]);
    // The run ends, and the answer says how.
    let run = fired.run.unwrap().id;
    sqlx::query("update sexton.run set state = 'ready' where id = $1").bind(run).execute(files.pool()).await.unwrap();
    queue::cancel(files.pool(), run, "anna", "not tonight").await.unwrap();
    let cancelled = files.why("minutely", &stand_in.nominal_at.to_rfc3339()).await;
    has(&cancelled, &["its run was cancelled", "by anna", "because: not tonight"]);
}

#[tokio::test]
async fn what_was_in_the_way_is_named() {
    let files = Files::new(&schedule("minutely", "* * * * *", "")).await;
    let mut connection = files.pool().acquire().await.unwrap();
    let run = NewRun::now(spec("tidy", "exec", serde_json::json!({})), "anna");
    let run = queue::enqueue(&mut connection, &run).await.unwrap();
    files.age(TimeDelta::minutes(5)).await;
    files.plan().await;
    let rows = ledger::slots(files.pool(), Some("minutely"), 1).await.unwrap();
    let skipped = files.why("minutely", &rows[0].nominal_at.to_rfc3339()).await;
    assert_eq!(skipped.verdict, "skipped_overlap");
    has(&skipped, &["it was skipped, as the job was still live", &format!("in the way: run {run}"), "by anna"]);
}

#[tokio::test]
async fn a_pause_is_told_while_it_is_open_and_when_it_is_over() {
    let files = Files::new(&schedule("minutely", "* * * * *", "")).await;
    files.age(TimeDelta::minutes(20)).await;
    files.plan().await;
    ledger::pause(files.pool(), Some("minutely"), "month end", "anna", None).await.unwrap();
    sqlx::query("update sexton.schedule_pause set made_at = made_at - interval '15 minutes'")
        .execute(files.pool())
        .await
        .unwrap();
    sqlx::query("delete from sexton.slot").execute(files.pool()).await.unwrap();
    files.age(TimeDelta::minutes(18)).await;
    files.plan().await;
    let time = minutes_ago(5).to_rfc3339();
    let open = files.why("minutely", &time).await;
    assert_eq!(open.verdict, "undecided");
    has(&open, &["not decided yet", "it was paused by anna", "month end", "it is skipped once the pause is over"]);
    let [_, to_come] = &why(files.pool(), "minutely", None).await.unwrap()[..] else { panic!("not two") };
    assert_eq!(to_come.verdict, "to_come");
    has(to_come, &["it is skipped unless somebody resumes before"]);
    ledger::resume(files.pool(), Some("minutely"), "anna").await.unwrap();
    files.plan().await;
    let over = files.why("minutely", &time).await;
    assert_eq!(over.verdict, "skipped_paused");
    has(&over, &["as the schedule was paused", "reason: paused by anna: month end", "one decision for"]);
}

#[tokio::test]
async fn files_are_told_as_they_were_then() {
    let files = Files::new(&schedule("other", "0 0 1 1 *", "")).await;
    files.age(TimeDelta::minutes(30)).await;
    files
        .take(&[schedule("other", "0 0 1 1 *", ""), schedule("minutely", "* * * * *", "enabled = false")].concat())
        .await;
    files.age(TimeDelta::minutes(30)).await;
    let on = files.take(&[schedule("other", "0 0 1 1 *", ""), schedule("minutely", "* * * * *", "")].concat()).await;
    files.age(TimeDelta::minutes(30)).await;
    // An hour and a half ago there was only `other`, an hour ago `minutely` was off, half an hour ago it was switched on.
    let absent = files.why("minutely", &minutes_ago(75).to_rfc3339()).await;
    assert_eq!(absent.verdict, "absent");
    has(&absent, &["revision 1 ", "which does not have it", "revision 2 "]);
    let off = files.why("minutely", &minutes_ago(45).to_rfc3339()).await;
    assert_eq!(off.verdict, "off");
    has(&off, &["it is switched off", "enabled = false in revision 2 "]);
    let early = files.why("minutely", &minutes_ago(120).to_rfc3339()).await;
    assert_eq!(early.verdict, "absent");
    has(&early, &["no files were active"]);
    let waiting = files.why("minutely", &minutes_ago(10).to_rfc3339()).await;
    assert_eq!(waiting.verdict, "undecided");
    has(&waiting, &["no slot of any schedule was ever decided", "`sexton run`", "nothing is lost"]);
    files.plan().await;
    // Edited and then removed, it is still told in the words that decided it.
    files.take(&schedule("other", "0 0 1 1 *", "")).await;
    let decided = files.why("minutely", &minutes_ago(10).to_rfc3339()).await;
    assert_eq!((decided.verdict, decided.slot.as_ref().map(|slot| slot.revision)), ("coalesced", Some(on)));
    has(&decided, &["followed revision 3 ", "`* * * * *` in UTC, job tidy", "today it is not in the files"]);
    let gone = files.why("minutely", "2099-01-01T00:00:00Z").await;
    assert_eq!(gone.verdict, "absent");
    has(&gone, &["it was removed from the files at"]);
}

#[tokio::test]
async fn the_command_line_says_it_and_an_unknown_name_exits_with_1() {
    let files = Files::new(&schedule("minutely", "* * * * *", "zone = \"Europe/Berlin\"")).await;
    files.age(TimeDelta::minutes(30)).await;
    files.plan().await;
    let site = Site::new(&format!("[database]\nurl = \"{}\"\n", files.queue.url()));
    let told = site.sexton(&["why", "minutely"]).await;
    let text = told.stdout;
    assert!(told.status.success() && text.contains("\n\nminutely, ") && text.contains("it is due in"), "{text}");
    let told = site.sexton(&["why", "minutely", "2026-10-25 02:30", "--json"]).await;
    let json: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let both: Vec<_> = json["explanations"].as_array().unwrap().iter().map(|one| one["at"].as_str().unwrap()).collect();
    assert_eq!(both, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
    let unknown = site.sexton(&["why", "minuteli"]).await;
    let said = unknown.stderr.clone();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said.contains("no schedule `minuteli`") && said.contains("did you mean `minutely`?"), "{said}");
    let no_time = site.sexton(&["why", "minutely", "noon"]).await;
    assert_eq!(no_time.status.code(), Some(1));
    assert!(no_time.stderr.contains("`noon` is no time"));
}
