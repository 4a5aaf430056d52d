//! Claims about slots and revisions: one decision for each slot, whatever happens to planners, files and the wire.

mod overlap;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::json;
use sexton::{
    catalog::Names,
    daemon::files::{Occasion, ReloadError, Reloaded, Source, reload},
    db::{self, Login},
    ledger::{self, Decided, RecentSlot},
    outbox,
    planner::{self, Options, Planner},
    queue::{self, Filter, NewRun},
    secret::Secret,
    settings::Share,
};
use sqlx::PgPool;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Database, Proxy, Wire, eventually, open_folder, work::spec};

const JOB: &str = "about = \"Does nothing\"\ntimeout = \"1m\"\nalert = [\"ops\"]\n[exec]\nargv = [\"true\"]\n";

/// Files on disk.
struct Disk {
    folder: tempfile::TempDir,
    source: Source,
}

impl Disk {
    /// One job, `tidy`, and a file of schedules.
    fn new(schedules: &str) -> Self {
        let folder = open_folder("sexton-files-");
        let source = Source {
            jobs: folder.path().join("jobs"),
            schedules: folder.path().join("schedules"),
            names: Names { channels: ["ops".to_owned()].into(), ..Names::default() },
            default_alert: vec!["ops".to_owned()],
            most_removed: Share::percent(50),
            me: Uuid::now_v7(),
        };
        std::fs::create_dir(&source.jobs).unwrap();
        std::fs::create_dir(&source.schedules).unwrap();
        let disk = Self { folder, source };
        disk.write("jobs/tidy.toml", JOB);
        disk.write("schedules/all.toml", schedules);
        disk
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join(path), text).unwrap();
    }

    async fn try_take(&self, pool: &PgPool, occasion: Occasion) -> Result<Reloaded, ReloadError> {
        reload(pool, &self.source, occasion, "a test").await
    }

    /// Makes the files the current revision.
    async fn take(&self, pool: &PgPool) -> i64 {
        match self.try_take(pool, Occasion::Asked).await.unwrap() {
            Reloaded::Applied { revision } => revision,
            other => panic!("expected a revision, got {other:?}"),
        }
    }
}

fn schedule(name: &str, cron: &str, more: &str) -> String {
    format!("[[at]]\nname = \"{name}\"\ncron = \"{cron}\"\njob = \"tidy\"\n{more}\n")
}

/// A cron expression that was due ten minutes ago, once an hour.
fn ten_minutes_ago() -> (String, DateTime<Utc>) {
    let slot = (Utc::now() - TimeDelta::minutes(10)).with_second(0).unwrap().with_nanosecond(0).unwrap();
    (format!("{} * * * *", slot.minute()), slot)
}

/// Sets every watermark back.
async fn back(pool: &PgPool, seconds: f64) {
    sqlx::query("update sexton.schedule set watermark = now() - make_interval(secs => $1)")
        .bind(seconds)
        .execute(pool)
        .await
        .unwrap();
}

fn planner(pool: &PgPool) -> Planner {
    Planner::new(pool.clone(), Options::new())
}

async fn slots(pool: &PgPool, schedule: &str) -> Vec<RecentSlot> {
    let mut slots = ledger::slots(pool, Some(schedule), 10_000).await.unwrap();
    slots.reverse();
    slots
}

/// The decisions in words, oldest first.
async fn words(pool: &PgPool, schedule: &str) -> Vec<(&'static str, i64)> {
    slots(pool, schedule).await.iter().map(|slot| (slot.decision.word(), slot.slots)).collect()
}

async fn runs(pool: &PgPool) -> Vec<queue::Run> {
    queue::list(pool, &Filter { limit: 10_000, ..Filter::default() }).await.unwrap()
}

async fn events(pool: &PgPool) -> Vec<String> {
    outbox::events(pool, 100).await.unwrap().into_iter().rev().map(|event| event.kind).collect()
}

/// Checks that the schedule, due every second, has one decision for every second and one run for each that fired.
async fn assert_exactly_once(pool: &PgPool, schedule: &str) -> i64 {
    let slots = slots(pool, schedule).await;
    let mut fired = BTreeMap::new();
    for (before, after) in slots.iter().zip(&slots[1..]) {
        assert_eq!(after.nominal_at - before.until, TimeDelta::seconds(1), "{before:?} {after:?}");
    }
    for slot in &slots {
        assert_eq!(slot.slots, (slot.until - slot.nominal_at).num_seconds() + 1, "{slot:?}");
        if slot.decision == Decided::Fired {
            fired.insert(slot.nominal_at, slot.run.expect("a run"));
        }
    }
    let made: Vec<_> = runs(pool).await.into_iter().filter(|run| run.schedule.as_deref() == Some(schedule)).collect();
    let made_by_slot: BTreeMap<_, _> = made.iter().map(|run| (run.nominal_at.expect("a slot"), run.id)).collect();
    assert_eq!(made.len(), made_by_slot.len(), "two runs for one slot");
    assert_eq!(made_by_slot, fired);
    slots.iter().map(|slot| slot.slots).sum()
}

/// A planner that runs by itself.
struct Running {
    stop: CancellationToken,
    poke: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(pool: PgPool, patience: Duration) -> Self {
        let (stop, poke) = (CancellationToken::new(), Arc::new(Notify::new()));
        let options = Options { patience, ..Options::new() };
        let task = tokio::spawn(planner::run(pool, options, poke.clone(), stop.clone()));
        Self { stop, poke, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("it ends by itself");
    }
}

const USUAL: Duration = Duration::from_secs(10);

/// Waits until so many slots are decided.
async fn decided(pool: &PgPool, schedule: &str, count: i64) {
    eventually(&format!("{count} slots of {schedule} are decided"), async || {
        let decided: i64 = slots(pool, schedule).await.iter().map(|slot| slot.slots).sum();
        (decided >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn planners_side_by_side_make_exactly_one_run_for_each_slot() {
    let database = Database::new().await;
    let pool = database.pool();
    let disk = Disk::new(&schedule("each", "* * * * * *", "overlap = \"allow_all\""));
    disk.take(pool).await;
    let other = || db::queue_pool(database.login(), 3);
    let (one, two) = (Running::start(other(), USUAL), Running::start(other(), USUAL));
    decided(pool, "each", 2).await;
    // One is gone without a goodbye, and another takes its place.
    one.task.abort();
    let three = Running::start(other(), USUAL);
    decided(pool, "each", 6).await;
    two.stop().await;
    three.stop().await;
    assert!(assert_exactly_once(pool, "each").await >= 6);
    assert!(slots(pool, "each").await.iter().all(|slot| slot.decision == Decided::Fired && slot.lateness < 5.0));
}

#[tokio::test]
async fn edits_and_planners_at_once_lose_no_slot_and_double_none() {
    let database = Database::new().await;
    let pool = database.pool();
    let text = |about: u32| {
        let all = "overlap = \"allow_all\"";
        let third = if about.is_multiple_of(2) { schedule("c", "0 0 1 1 *", "") } else { String::new() };
        format!("# {about}\n{}{}{third}", schedule("a", "* * * * * *", all), schedule("b", "* * * * * *", ""))
    };
    let disk = Disk::new(&text(0));
    disk.take(pool).await;
    let other = || db::queue_pool(database.login(), 3);
    let planners = [Running::start(other(), USUAL), Running::start(other(), USUAL)];
    for edit in 1..=6 {
        disk.write("schedules/all.toml", &text(edit));
        disk.take(pool).await;
        planners.iter().for_each(|planner| planner.poke.notify_one());
    }
    let so_far: i64 = slots(pool, "a").await.iter().map(|slot| slot.slots).sum();
    decided(pool, "a", so_far + 2).await;
    for planner in planners {
        planner.stop().await;
    }
    assert_exactly_once(pool, "a").await;
    assert_exactly_once(pool, "b").await;
    // Nothing works the runs off: the second schedule's job was live from the first slot on.
    let overlaps = slots(pool, "b").await;
    assert!(overlaps.iter().filter(|slot| slot.decision == Decided::Fired).count() <= 1, "{overlaps:?}");
}

#[tokio::test]
async fn of_missed_slots_the_latest_fires_and_says_that_it_was_caught_up() {
    let database = Database::new().await;
    let pool = database.pool();
    let (cron, newest) = ten_minutes_ago();
    Disk::new(&schedule("hourly", &cron, "catch_up = \"latest\"")).take(pool).await;
    back(pool, 3.5 * 3600.0).await;
    let tick = planner(pool).tick().await.unwrap();
    assert_eq!(tick.decisions.len(), 2);
    assert_eq!(words(pool, "hourly").await, [("coalesced", 3), ("fired", 1)]);
    let run = runs(pool).await.pop().expect("a run");
    assert_eq!((run.nominal_at, run.caught_up, run.state.as_str()), (Some(newest), true, "ready"));
    assert_eq!(run.requested_by, "schedule hourly");
    assert!(run.due_at > newest);
    assert_eq!(planner(pool).tick().await.unwrap().decisions, []);
}

#[tokio::test]
async fn catch_up_skip_leaves_one_row_and_an_event() {
    let database = Database::new().await;
    let pool = database.pool();
    let (cron, _) = ten_minutes_ago();
    Disk::new(&schedule("hourly", &cron, "catch_up = \"skip\"")).take(pool).await;
    back(pool, 3.5 * 3600.0).await;
    planner(pool).tick().await.unwrap();
    assert_eq!(words(pool, "hourly").await, [("missed_expired", 4)]);
    assert!(runs(pool).await.is_empty());
    let events = outbox::events(pool, 10).await.unwrap();
    let missed = events.iter().find(|event| event.kind == "missed").expect("an event");
    assert_eq!((missed.subject.as_str(), missed.detail["slots"].as_i64()), ("tidy", Some(4)));
}

#[tokio::test]
async fn a_week_of_missed_seconds_is_one_row() {
    let database = Database::new().await;
    let pool = database.pool();
    Disk::new(&schedule("each", "* * * * * *", "overlap = \"skip\"")).take(pool).await;
    back(pool, 7.0 * 86_400.0).await;
    planner(pool).tick().await.unwrap();
    let words = words(pool, "each").await;
    assert_eq!(words.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["coalesced", "fired", "skipped_overlap"]);
    assert!(words[0].1 > 604_000, "{words:?}");
    assert_exactly_once(pool, "each").await;
}

#[tokio::test]
async fn overlap_skip_looks_at_every_live_run_of_the_job() {
    let database = Database::new().await;
    let pool = database.pool();
    Disk::new(&schedule("each", "* * * * * *", "overlap = \"skip\"")).take(pool).await;
    // A person's run, due in an hour, is live too.
    let later = NewRun {
        due_at: Some(Utc::now() + TimeDelta::hours(1)),
        ..NewRun::now(spec("tidy", "exec", json!({"argv": ["true"]})), "a person")
    };
    let theirs = queue::enqueue(&mut pool.acquire().await.unwrap(), &later).await.unwrap();
    back(pool, 3.0).await;
    let mut planner = planner(pool);
    planner.tick().await.unwrap();
    let skipped = slots(pool, "each").await;
    assert!(skipped.len() == 1 && skipped[0].decision == Decided::SkippedOverlap, "{skipped:?}");
    assert!(skipped[0].reason.contains("tidy"), "{}", skipped[0].reason);

    sqlx::query("delete from sexton.run where id = $1").bind(theirs).execute(pool).await.unwrap();
    let fired = loop {
        let tick = planner.tick().await.unwrap();
        if !tick.decisions.is_empty() {
            break tick.decisions;
        }
        tokio::time::sleep(tick.sleep).await;
    };
    assert_eq!(fired[0].1.decided, Decided::Fired);
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_fires_nothing_twice() {
    let database = Database::new().await;
    let pool = database.pool();
    let (cron, newest) = ten_minutes_ago();
    Disk::new(&schedule("hourly", &cron, "overlap = \"allow_all\"")).take(pool).await;
    back(pool, 1800.0).await;
    let proxy = Proxy::unix(database.socket_dir()).await;
    let login = Login::new(&Secret::new(proxy.url(database.name())), None).unwrap();
    let mut planner = planner(&db::queue_pool(&login, 2));
    proxy.set(Wire::LoseReplyTo("COMMIT"));
    planner.tick().await.expect_err("the reply is lost");
    proxy.struck().await;
    assert_eq!(planner.tick().await.unwrap().decisions, []);
    let slots = slots(pool, "hourly").await;
    assert_eq!(
        slots.iter().map(|slot| (slot.nominal_at, slot.decision)).collect::<Vec<_>>(),
        [(newest, Decided::Fired)]
    );
    assert_eq!(runs(pool).await.len(), 1);
}

#[tokio::test]
async fn a_silent_database_does_not_wedge_the_planner() {
    let database = Database::new().await;
    let pool = database.pool();
    Disk::new(&schedule("each", "* * * * * *", "overlap = \"allow_all\"")).take(pool).await;
    let proxy = Proxy::unix(database.socket_dir()).await;
    let login = Login::new(&Secret::new(proxy.url(database.name())), None).unwrap();
    let planner = Running::start(db::queue_pool(&login, 2), Duration::from_millis(500));
    decided(pool, "each", 1).await;
    proxy.set(Wire::Blackhole);
    // Long enough that a tick meets the silence.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before: i64 = slots(pool, "each").await.iter().map(|slot| slot.slots).sum();
    proxy.set(Wire::Pass);
    decided(pool, "each", before + 2).await;
    planner.stop().await;
    assert_exactly_once(pool, "each").await;
}

#[tokio::test]
async fn files_become_one_revision_whole_or_not_at_all() {
    let database = Database::new().await;
    let pool = database.pool();
    let disk = Disk::new("[[at]]\nname = \"x\"\n");
    let refused = disk.try_take(pool, Occasion::Start).await.expect_err("nothing to go on with");
    assert!(matches!(refused, ReloadError::FirstStart { problems, .. } if problems.len() >= 2));

    disk.write("schedules/all.toml", &schedule("a", "0 3 * * *", ""));
    let first = match disk.try_take(pool, Occasion::Start).await.unwrap() {
        Reloaded::Applied { revision } => revision,
        other => panic!("{other:?}"),
    };
    assert_eq!(disk.try_take(pool, Occasion::Start).await.unwrap(), Reloaded::Unchanged { revision: first });

    // One bad file keeps the whole revision, also at a start, and the good file beside it changes nothing.
    disk.write("schedules/more.toml", &schedule("b", "0 4 * * *", ""));
    disk.write("schedules/bad.toml", &schedule("c", "0 99 * * *", "zone = \"Mars\""));
    for occasion in [Occasion::Asked, Occasion::Start] {
        match disk.try_take(pool, occasion).await.unwrap() {
            Reloaded::Kept { revision, problems } => {
                assert_eq!(revision, first);
                assert!(problems.iter().all(|problem| problem.file == "schedules/bad.toml"), "{problems:?}");
                assert!(problems.len() >= 2 && problems.iter().all(|problem| problem.line.is_some()), "{problems:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ledger::schedules(pool).await.unwrap().len(), 1);
    assert_eq!(events(pool).await, ["files_broken", "files_broken"]);

    std::fs::remove_file(disk.folder.path().join("schedules/bad.toml")).unwrap();
    assert!(disk.take(pool).await > first);
    let names: Vec<_> = ledger::schedules(pool).await.unwrap().into_iter().map(|known| known.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(events(pool).await, ["files_broken", "files_broken", "files_mended"]);
}

#[tokio::test]
async fn a_start_with_an_old_copy_keeps_the_current_revision_and_a_reload_goes_back() {
    let database = Database::new().await;
    let pool = database.pool();
    let old = schedule("a", "0 3 * * *", "");
    let disk = Disk::new(&old);
    disk.take(pool).await;
    disk.write("schedules/all.toml", &schedule("a", "0 4 * * *", ""));
    let current = disk.take(pool).await;
    disk.write("schedules/all.toml", &old);
    assert_eq!(disk.try_take(pool, Occasion::Start).await.unwrap(), Reloaded::Drifted { revision: current });
    assert_eq!(events(pool).await, ["files_drifted"]);
    assert!(disk.take(pool).await > current);
    assert_eq!(events(pool).await, ["files_drifted", "files_mended"]);
}

#[tokio::test]
async fn daemons_that_start_together_make_one_revision() {
    let database = Database::new().await;
    let pool = database.pool();
    let disk = Disk::new(&schedule("a", "0 3 * * *", ""));
    let takes = (0..4).map(|_| disk.try_take(pool, Occasion::Start));
    let taken = futures::future::try_join_all(takes).await.unwrap();
    assert_eq!(taken.iter().filter(|taken| matches!(taken, Reloaded::Applied { .. })).count(), 1, "{taken:?}");
    assert_eq!(ledger::revisions(pool, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_half_written_is_waited_for() {
    let database = Database::new().await;
    let pool = database.pool();
    let disk = Disk::new(&schedule("a", "0 3 * * *", ""));
    disk.take(pool).await;
    let whole = schedule("a", "0 3 * * *", "") + &schedule("b", "0 4 * * *", "");
    // Even a half that would be good by itself.
    disk.write("schedules/all.toml", &whole[..whole.find("[[at]]\nname = \"b\"").unwrap()]);
    let writing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        disk.write("schedules/all.toml", &whole);
    };
    let (revision, ()) = tokio::join!(disk.take(pool), writing);
    assert_eq!(ledger::schedules(pool).await.unwrap().len(), 2);
    assert_eq!(ledger::current(&mut pool.acquire().await.unwrap()).await.unwrap().unwrap().id, revision);
}

#[tokio::test]
async fn what_was_due_before_an_edit_is_decided_by_the_old_words() {
    let database = Database::new().await;
    let pool = database.pool();
    let (cron, newest) = ten_minutes_ago();
    let disk = Disk::new(&schedule("edited", &cron, ""));
    disk.take(pool).await;
    back(pool, 3.5 * 3600.0).await;
    disk.write("schedules/all.toml", &schedule("edited", "*/5 * * * *", "overlap = \"allow_all\""));
    let second = disk.take(pool).await;
    assert_eq!(words(pool, "edited").await, [("coalesced", 3), ("fired", 1)]);
    let decided = slots(pool, "edited").await;
    assert_eq!(decided[1].nominal_at, newest);
    assert!(decided.iter().all(|slot| slot.revision < second));

    // The new words say nothing about the time before the edit.
    let applied = ledger::current(&mut pool.acquire().await.unwrap()).await.unwrap().unwrap().applied_at;
    planner(pool).tick().await.unwrap();
    let after = slots(pool, "edited").await;
    assert!(after.iter().skip(2).all(|slot| slot.nominal_at > applied), "{after:?}");
}

#[tokio::test]
async fn a_schedule_that_is_off_or_gone_decides_nothing_and_comes_back_from_now() {
    let database = Database::new().await;
    let pool = database.pool();
    let (cron, _) = ten_minutes_ago();
    let text = |more: &str| schedule("a", &cron, more) + &schedule("z", "0 0 1 1 *", "");
    let disk = Disk::new(&text("enabled = false"));
    disk.take(pool).await;
    for (now, next) in [("enabled = false", "enabled = true"), ("gone", "")] {
        back(pool, 3.5 * 3600.0).await;
        assert_eq!(planner(pool).tick().await.unwrap().decisions, [], "{now}");
        disk.write("schedules/all.toml", &(text(next) + &format!("# after {now}\n")));
        disk.take(pool).await;
        assert_eq!(planner(pool).tick().await.unwrap().decisions, [], "after {now}");
        disk.write("schedules/all.toml", &schedule("z", "0 0 1 1 *", ""));
        disk.take(pool).await;
    }
    assert_eq!(words(pool, "a").await, []);
}

#[tokio::test]
async fn planners_follow_a_new_revision_without_a_restart() {
    let database = Database::new().await;
    let pool = database.pool();
    let disk = Disk::new(&schedule("a", "0 0 1 1 *", ""));
    disk.take(pool).await;
    let planner = Running::start(db::queue_pool(database.login(), 2), USUAL);
    disk.write("schedules/all.toml", &schedule("b", "* * * * * *", "overlap = \"allow_all\""));
    disk.take(pool).await;
    planner.poke.notify_one();
    decided(pool, "b", 1).await;
    planner.stop().await;
}

#[tokio::test]
async fn another_sextons_words_are_not_guessed_at() {
    let database = Database::new().await;
    let pool = database.pool();
    Disk::new(&schedule("each", "* * * * * *", "")).take(pool).await;
    sqlx::query("insert into sexton.revision (digest, files, applied_by) values ('d', $1, 'a newer sexton')")
        .bind(json!({"schedules/all.toml": "[[every]]\n"}))
        .execute(pool)
        .await
        .unwrap();
    back(pool, 3.0).await;
    let error = planner(pool).tick().await.expect_err("it cannot read them").to_string();
    assert!(error.contains("schedules/all.toml:1") && error.contains("newer"), "{error}");
    assert_eq!(words(pool, "each").await, []);
}

#[tokio::test]
async fn a_pause_stops_every_planner_at_once_and_its_slots_are_skipped_as_one() {
    let database = Database::new().await;
    let pool = database.pool();
    let all = "overlap = \"allow_all\"";
    let disk = Disk::new(&format!("{}{}", schedule("each", "* * * * * *", all), schedule("other", "* * * * * *", all)));
    disk.take(pool).await;
    let other = || db::queue_pool(database.login(), 3);
    let planners = [Running::start(other(), USUAL), Running::start(other(), USUAL)];
    decided(pool, "each", 2).await;
    let pause = ledger::pause(pool, None, "a deploy", "ann", None).await.unwrap();
    let fired = runs(pool).await.len();
    assert!(runs(pool).await.iter().all(|run| run.nominal_at.unwrap() < pause.made_at));
    // Paused alone, too: the switch for all does not touch it.
    ledger::pause(pool, Some("other"), "too loud", "bob", None).await.unwrap();
    // An edit in a pause ends the revision, and what was due by then is decided.
    disk.write(
        "schedules/all.toml",
        &format!("# edited\n{}{}", schedule("each", "* * * * * *", all), schedule("other", "* * * * * *", all)),
    );
    disk.take(pool).await;
    eventually("the pause lasts a while", || async {
        (Utc::now() - pause.made_at > TimeDelta::seconds(3)).then_some(())
    })
    .await;
    assert_eq!(runs(pool).await.len(), fired, "something fired in the pause");
    let ended = ledger::resume(pool, None, "ann").await.unwrap();
    assert_eq!(ended.len(), 1);
    planners.iter().for_each(|planner| planner.poke.notify_one());
    eventually("it fires again", || async { (runs(pool).await.len() > fired + 1).then_some(()) }).await;
    for planner in planners {
        planner.stop().await;
    }
    assert_exactly_once(pool, "each").await;
    let decisions = slots(pool, "each").await;
    let skipped: Vec<_> = decisions.iter().filter(|slot| slot.decision == Decided::SkippedPaused).collect();
    assert!(
        (1..=2).contains(&skipped.len()) && skipped.iter().map(|slot| slot.slots).sum::<i64>() >= 2,
        "{decisions:?}"
    );
    assert_eq!(skipped[0].reason, "paused by ann: a deploy");
    let made: Vec<_> = runs(pool).await.into_iter().filter(|run| run.schedule.as_deref() == Some("other")).collect();
    assert!(made.iter().all(|run| run.nominal_at.unwrap() < pause.made_at), "one that is paused alone fired");
}

#[tokio::test]
async fn a_pause_with_an_end_ends_by_itself() {
    let database = Database::new().await;
    let pool = database.pool();
    Disk::new(&schedule("each", "* * * * * *", "overlap = \"allow_all\"")).take(pool).await;
    let until = Utc::now() + TimeDelta::seconds(2);
    ledger::pause(pool, Some("each"), "a moment", "ann", Some(until)).await.unwrap();
    let planner = Running::start(db::queue_pool(database.login(), 3), USUAL);
    eventually("it fires again", || async { (!runs(pool).await.is_empty()).then_some(()) }).await;
    planner.stop().await;
    assert!(runs(pool).await.iter().all(|run| run.nominal_at.unwrap() >= until), "it fired in its pause");
    assert_exactly_once(pool, "each").await;
}
