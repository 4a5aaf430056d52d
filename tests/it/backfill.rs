//! `sexton backfill`: shown first, queued once, never in the planner's way.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sexton::{
    ledger::{self, Decided},
    queue::{self, Filter, Run},
    requests::{
        RequestError,
        backfill::{Asked, Backfill, backfill},
    },
    span::Span,
};

use crate::{
    support::Site,
    why::{Files, minutes_ago, schedule},
};

/// From so many minutes ago up to so many, 0 being now.
async fn fill(
    files: &Files,
    from: i64,
    to: i64,
    by: Option<&str>,
    change: impl Fn(&mut Asked<'_>),
) -> Result<Backfill, RequestError> {
    let to = if to == 0 { Utc::now() } else { minutes_ago(to) };
    let (from, to) = (minutes_ago(from).to_rfc3339(), to.to_rfc3339());
    let mut asked =
        Asked { schedule: "minutely", from: &from, to: &to, again: false, overlap: false, pace: Span::seconds(10) };
    change(&mut asked);
    backfill(files.pool(), &asked, by).await
}

/// The runs that `anna` asked for, in the order of their slots.
async fn hers(files: &Files) -> Vec<Run> {
    let runs = queue::list(files.pool(), &Filter { limit: 2000, ..Filter::default() }).await.unwrap();
    let mut hers: Vec<_> = runs.into_iter().filter(|run| run.requested_by == "anna").collect();
    hers.sort_by_key(|run| run.nominal_at);
    hers
}

fn slots(runs: &[Run]) -> Vec<DateTime<Utc>> {
    runs.iter().filter_map(|run| run.nominal_at).collect()
}

/// A schedule of every minute, whose last half hour was decided at once: one slot fired, the others were coalesced.
async fn half_an_hour() -> Files {
    let files = Files::new(&schedule("minutely", "* * * * *", "then = [\"sweep\"]")).await;
    files.age(TimeDelta::minutes(30)).await;
    files.plan().await;
    files
}

#[tokio::test]
async fn a_backfill_is_shown_first_then_queued_at_its_pace_and_only_once() {
    let files = half_an_hour().await;
    let ledger_before = ledger::slots(files.pool(), None, 1000).await.unwrap();
    let shown = fill(&files, 20, 10, None, |_| ()).await.unwrap();
    assert_eq!((shown.plan.runs, shown.plan.slots.len(), shown.queued.len()), (10, 10, 0));
    assert_eq!((shown.plan.slots[0].at, shown.plan.slots[0].decision), (minutes_ago(20), Some(Decided::Coalesced)));
    assert_eq!(shown.then, ["sweep"]);
    assert!(hers(&files).await.is_empty());

    let done = fill(&files, 20, 10, Some("anna"), |_| ()).await.unwrap();
    let runs = hers(&files).await;
    assert_eq!(slots(&runs), (11..=20).rev().map(minutes_ago).collect::<Vec<_>>());
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), done.queued);
    for (before, after) in runs.iter().zip(&runs[1..]) {
        assert_eq!(after.due_at - before.due_at, TimeDelta::seconds(10));
    }
    for run in &runs {
        assert!(run.caught_up && run.schedule.as_deref() == Some("minutely") && run.state == "waiting", "{run:?}");
    }
    // What was decided stays decided, and the same words again find the runs.
    assert_eq!(ledger::slots(files.pool(), None, 1000).await.unwrap(), ledger_before);
    let twice = fill(&files, 20, 10, Some("anna"), |asked| asked.again = true).await.unwrap();
    assert_eq!((twice.plan.runs, twice.queued.len(), hers(&files).await.len()), (0, 0, 10));
    assert!(twice.plan.slots[0].why.ends_with("is waiting"), "{:?}", twice.plan.slots[0]);
}

#[tokio::test]
async fn two_who_backfill_at_once_make_each_run_once() {
    let files = half_an_hour().await;
    let one = fill(&files, 20, 10, Some("anna"), |_| ());
    let other = fill(&files, 20, 10, Some("anna"), |_| ());
    let (one, other) = tokio::join!(one, other);
    assert_eq!(one.unwrap().queued.len() + other.unwrap().queued.len(), 10);
    assert_eq!(hers(&files).await.len(), 10);
}

#[tokio::test]
async fn what_is_done_is_left_out_unless_again() {
    let files = half_an_hour().await;
    let fired = ledger::fired_after(files.pool(), "minutely", minutes_ago(60)).await.unwrap().unwrap();
    let at = |to: i64| ((Utc::now() - fired.nominal_at).num_minutes() + to).max(0);
    let only = |item: &Backfill| item.plan.slots.iter().find(|item| item.at == fired.nominal_at).cloned().unwrap();
    let live = only(&fill(&files, at(1), 0, None, |_| ()).await.unwrap());
    assert!(!live.runs && live.why.contains("is ready"), "{live:?}");
    sqlx::query(
        "with gone as (delete from sexton.run where id = $1 returning *) \
         insert into sexton.history (id, job, kind, state, due_at, priority, spec, own, lease, most_attempts, on_lost, \
             schedule, nominal_at, caught_up, chain, requested_by, created_at, spent, losses, started_at, finished_at, \
             attempts) \
         select id, job, kind, 'done', due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at, \
             caught_up, chain, requested_by, created_at, 1, 0, now() - interval '3 seconds', now(), attempts from gone",
    )
    .bind(fired.run)
    .execute(files.pool())
    .await
    .unwrap();
    let done = fill(&files, at(1), 0, None, |_| ()).await.unwrap();
    assert!(!only(&done).runs && only(&done).why.ends_with("is done"), "{:?}", only(&done));
    assert!(done.plan.usual_seconds.is_some_and(|seconds| (2.9..3.1).contains(&seconds)), "{:?}", done.plan);
    let again = fill(&files, at(1), 0, Some("anna"), |asked| asked.again = true).await.unwrap();
    assert!(only(&again).runs && slots(&hers(&files).await).contains(&fired.nominal_at));
}

#[tokio::test]
async fn a_slot_that_is_not_decided_stays_the_planner_s() {
    let files = Files::new(&schedule("minutely", "* * * * *", "")).await;
    files.age(TimeDelta::minutes(30)).await;
    let done = fill(&files, 40, 20, Some("anna"), |_| ()).await.unwrap();
    let left = done.plan.slots.iter().filter(|item| item.why.contains("planner's")).count();
    assert!((9..=10).contains(&left) && done.plan.runs == 20 - left, "{:?}", done.plan);
    // The planner meets no run of a slot that is its own.
    files.plan().await;
    let rows = ledger::slots(files.pool(), Some("minutely"), 1000).await.unwrap();
    assert!(rows[0].until >= minutes_ago(1), "{rows:?}");
}

#[tokio::test]
async fn a_newer_slot_does_not_take_a_backfill_s_place() {
    let files = Files::new(&schedule("minutely", "* * * * *", "overlap = \"buffer_latest\"")).await;
    files.age(TimeDelta::minutes(30)).await;
    let done = fill(&files, 40, 32, Some("anna"), |_| ()).await.unwrap();
    files.plan().await;
    assert!(ledger::fired_after(files.pool(), "minutely", minutes_ago(60)).await.unwrap().is_some());
    assert_eq!(hers(&files).await.iter().filter(|run| run.state == "waiting").count(), done.queued.len());
}

#[tokio::test]
async fn a_backfill_that_makes_no_sense_is_refused() {
    let files = half_an_hour().await;
    for (from, to, words) in [(10, 10, "must lie before"), (10, -60, "lies in the future")] {
        let refused = fill(&files, from, to, Some("anna"), |_| ()).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let refused = fill(&files, 10, 5, None, |asked| asked.schedule = "minuteli").await.unwrap_err().to_string();
    assert!(refused.contains("did you mean `minutely`?"), "{refused}");
    let refused = fill(&files, 10, 5, None, |asked| asked.from = "noon").await.unwrap_err().to_string();
    assert!(refused.contains("`noon` is no time"), "{refused}");
}

#[tokio::test]
async fn the_command_line_only_shows_without_yes() {
    let files = half_an_hour().await;
    let site = Site::new(&format!("[database]\nurl = \"{}\"\n", files.queue.url()));
    let (from, to) = (minutes_ago(20).to_rfc3339(), minutes_ago(10).to_rfc3339());
    let words = ["backfill", "minutely", "--from", &from, "--to", &to];
    let shown = site.sexton(&words).await;
    assert!(shown.status.success() && shown.stdout.contains("nothing was queued yet; --yes does it"), "{shown:?}");
    assert!(shown.stdout.contains("10 runs, one after the other, 10s apart at least: about 1m 30s"), "{shown:?}");
    let done = site.sexton(&[&words[..], &["--yes", "--overlap", "--pace", "1s", "--json"]].concat()).await;
    let done: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((done["queued"].as_array().map(Vec::len), done["runs"].as_u64()), (Some(10), Some(10)), "{done}");
    let runs = queue::list(files.pool(), &Filter { limit: 100, ..Filter::default() }).await.unwrap();
    let asked = runs.iter().filter(|run| run.requested_by.ends_with("at the command line")).count();
    assert_eq!(asked, 10);
}
