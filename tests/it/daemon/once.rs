//! `sexton once` and `trigger --wait`: exit codes, history and alerts, with and without a daemon.

use serde_json::Value;
use sexton::{daemon::inbox::Inbox, outbox, queue};

use crate::support::{Database, eventually};

use super::{COUNT, site};

#[tokio::test]
async fn once_does_the_run_here_tells_people_and_exits_with_its_code() {
    let (queue, target, inbox) = (Database::new().await, Database::empty().await, Inbox::start().await.unwrap());
    let more = format!("[channels.hook]\nwebhook = {{ url = \"{}\" }}", inbox.http_url("/alerts"));
    let site = site(&queue.url(), &target.url(), &more);
    site.job("count", COUNT);
    site.job("fails", "alert = [\"hook\"]\ntimeout = \"5s\"\n[exec]\nargv = [\"false\"]\n");

    let done = site.sexton(&["once", "count", "--json"]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let run: Value = serde_json::from_str(&done.stdout).expect("JSON on standard output alone");
    assert_eq!((run["state"].as_str(), run["report"]["one"].as_f64()), (Some("done"), Some(1.0)), "{run}");

    let failed = site.sexton(&["once", "fails"]).await;
    assert_eq!(failed.status.code(), Some(6), "{failed:?}");
    let told = inbox.posts();
    assert_eq!(told.len(), 1, "the alert is delivered before it exits");
    let events = outbox::events(queue.pool(), 5).await.unwrap();
    assert_eq!((events.len(), events[0].kind.as_str()), (1, "failed"));
    let runs = queue::list(queue.pool(), &queue::Filter::default()).await.unwrap();
    assert!(runs.iter().all(|run| run.spent == 1 && run.is_over() && run.token.is_some()), "{runs:?}");
    assert_eq!(runs.len(), 2);

    let unknown = site.sexton(&["once", "cuont"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(&unknown.stderr.contains("did you mean `count`"), "{unknown:?}");
}

#[tokio::test]
async fn trigger_waits_for_the_daemons_and_exits_with_the_runs_code() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    site.job("count", COUNT);
    site.job("fails", "retry = { attempts = 1 }\ntimeout = \"5s\"\n[exec]\nargv = [\"false\"]\n");
    let early = site.sexton(&["trigger", "count"]).await;
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    assert_eq!(site.sexton(&["trigger", "count", "--wait"]).await.status.code(), Some(0));
    assert_eq!(site.sexton(&["trigger", "fails", "--wait"]).await.status.code(), Some(6));

    let list = site.sexton(&["runs", "list", "--json"]).await;
    let runs: Value = serde_json::from_str(&list.stdout).unwrap();
    let failed = runs.as_array().unwrap().iter().find(|run| run["state"] == "failed").expect("the failed one");
    let id = failed["id"].as_str().unwrap();
    let shown = site.sexton(&["runs", "show", id]).await;
    let text = &shown.stdout;
    assert!(text.contains("failed") && text.contains("why"), "{text}");
    let retried = site.sexton(&["runs", "retry", id, "--json"]).await;
    assert_eq!(retried.status.code(), Some(0), "{retried:?}");
    let over = site.sexton(&["runs", "cancel", runs[0]["id"].as_str().unwrap()]).await;
    assert!(over.status.code() == Some(1) || over.status.code() == Some(0), "{over:?}");
    daemon.terminate().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_named_without_its_password() {
    let site = site("postgres://sexton:s3cret@127.0.0.1:9/queue", "postgres://127.0.0.1:9/target", "");
    for args in [&["runs", "list"][..], &["db", "migrate"], &["once", "count"]] {
        let ended = site.sexton(args).await;
        let said = &ended.stderr;
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {said}");
        assert!(!said.contains("s3cret"), "{args:?}: {said}");
        assert!(said.contains("database"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_target_is_prepared_once_and_shown_first() {
    let (queue, target) = (Database::empty().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    for _ in 0..2 {
        assert_eq!(site.sexton(&["db", "migrate"]).await.status.code(), Some(0));
    }
    let install = |more: &'static [&'static str]| {
        let args: Vec<&str> = ["db", "install", "--target", "collector"].iter().chain(more).copied().collect();
        let site = &site;
        async move { site.sexton(&args).await.stdout }
    };
    let there = || async {
        sqlx::query_scalar::<_, bool>("select to_regclass('sexton.step') is not null")
            .fetch_one(target.pool())
            .await
            .unwrap()
    };
    assert!(install(&["--dry-run"]).await.contains("create table"));
    assert!(!there().await);
    install(&[]).await;
    assert!(there().await);
    assert!(install(&[]).await.contains("nothing changed"));
}

#[tokio::test]
async fn a_cancel_of_what_does_not_run_is_recorded_and_told_of() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "[worker]\ngrace = \"1s\"");
    site.job("count", COUNT);
    let daemon = site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    daemon.terminate().await;
    // No daemon: the run waits.
    assert_eq!(site.sexton(&["trigger", "count"]).await.status.code(), Some(0));
    let list = site.sexton(&["runs", "list", "--state", "ready", "--json"]).await;
    let runs: Value = serde_json::from_str(&list.stdout).unwrap();
    let id = runs[0]["id"].as_str().expect("the waiting run").to_owned();
    let cancelled = site.sexton(&["runs", "cancel", &id, "--why", "not tonight"]).await;
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let events = outbox::events(queue.pool(), 5).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["cancelled"]);
    assert_eq!(events[0].run.map(|run| run.to_string()), Some(id.clone()));
    let shown = site.sexton(&["runs", "show", &id]).await.stdout;
    assert!(shown.contains("cancelled") && shown.contains("not tonight"), "{shown}");
    let again = site.sexton(&["runs", "cancel", &id]).await;
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("nothing to cancel"), "{again:?}");
}

#[tokio::test]
async fn ctrl_c_cancels_a_run_in_the_foreground() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    let pid = site.path("pid");
    site.job(
        "long",
        &format!("timeout = \"1m\"\n[exec]\nargv = [\"sh\", \"-c\", \"echo $$ > {}; exec sleep 30\"]\n", pid.display()),
    );
    let once = site.daemon(&["once", "long"]).await;
    let child: i32 =
        eventually("the child runs", || async { std::fs::read_to_string(&pid).ok()?.trim().parse().ok() }).await;
    once.signal(rustix::process::Signal::INT);
    let ended = once.exit().await;
    assert_eq!(ended.status.code(), Some(8), "{:?}", ended.lines);
    assert!(!std::path::Path::new(&format!("/proc/{child}")).exists(), "the child lives on");
}

#[tokio::test]
async fn a_validation_says_what_is_new_since_the_job_s_last_run() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = site(&queue.url(), &target.url(), "");
    site.job(
        "look",
        "retry = { attempts = 1 }\n[params]\nids = { type = \"strings\", default = [] }\n[validate]\ntarget = \"collector\"\n\
         [[validate.check]]\nname = \"bad\"\nfail = \"new > 0\"\nkey = [\"i\"]\nsql = \"select i from generate_series(1, 3) i\"\n\
         [[validate.check]]\nname = \"named\"\nsql = \"select unnest(:ids) as i\"\n",
    );
    let once = async |ids: &str| {
        let ended = site.sexton(&["once", "look", "--param", ids, "--json"]).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).expect("JSON")["report"].clone()
    };
    let (first, second) = (once("ids=a").await, once("ids=a,b").await);
    assert_eq!((&first["check.bad"], &first["new.bad"]), (&3.into(), &Value::Null));
    assert_eq!((&second["check.bad"], &second["new.bad"]), (&3.into(), &0.into()));
    assert_eq!((&first["check.named"], &second["check.named"]), (&1.into(), &2.into()));
    let shown = site.sexton(&["once", "look"]).await;
    assert!(!shown.stdout.contains("_known"), "what the next run knows is not for people: {shown:?}");
}
