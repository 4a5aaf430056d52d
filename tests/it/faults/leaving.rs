//! SIGTERM: who asks whether the daemon is ready hears first that it leaves, while its work may still end.

use reqwest::StatusCode;

use crate::{
    daemon::{http::Api, run_when, site},
    support::{Database, eventually},
};

#[tokio::test]
async fn at_sigterm_it_is_not_ready_at_once_while_what_runs_may_end() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let token = crate::daemon::http::TOKEN;
    let site = site(&queue.url(), &target.url(), &format!("[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{token}\"\n"));
    let script = format!("while [ ! -e {}/go ]; do sleep 0.05; done", site.folder().display());
    site.job("long", &format!("timeout = \"5m\"\n[exec]\nargv = [\"sh\", \"-c\", \"{script}\"]\n"));
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    eventually("it is ready", || async { (api.get("/readyz").await.status() == StatusCode::OK).then_some(()) }).await;
    assert!(site.sexton(&["trigger", "long"]).await.status.success());
    run_when(queue.pool(), "long", "is running", |run| run.state == "running").await;
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_for_line("stopping: no new runs are claimed").await;
    eventually("it says that it leaves", || async {
        (api.get("/readyz").await.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    // It lives, its run goes on, and people are still answered.
    assert_eq!(api.get("/healthz").await.status(), StatusCode::OK);
    assert_eq!(api.get("/api/v1/runs").await.status(), StatusCode::OK);
    run_when(queue.pool(), "long", "still runs", |run| run.state == "running").await;
    // What is asked for now is nobody's here.
    assert!(site.sexton(&["trigger", "long"]).await.status.success());
    site.write("go", "");
    let ended = daemon.exit().await;
    assert!(ended.status.success(), "{:?}", ended.lines);
    let states: Vec<String> = sqlx::query_scalar("select state::text from sexton.runs where job = 'long' order by id")
        .fetch_all(queue.pool())
        .await
        .unwrap();
    assert_eq!(states, ["done", "ready"]);
}
