//! The HTTP surface of the real daemon: triggers, looks, cancels, problems, and being watched.

use std::path::Path;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Daemon, Database, Site, client, eventually, own_cluster};

use super::{run_when, site};

pub(crate) const TOKEN: &str = "a-token-for-tests";

pub(crate) struct Api {
    client: Client,
    address: String,
}

impl Api {
    pub(crate) async fn of(daemon: &Daemon) -> Self {
        Self { client: client(), address: daemon.address().await }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.address)).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer")
    }

    /// With one header more.
    pub(crate) async fn with_header(&self, method: Method, path: &str, name: &str, value: &str) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.address)).bearer_auth(TOKEN);
        request.header(name, value).send().await.expect("an answer")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path, None).await
    }

    /// A problem of RFC 9457 with this status; gives its body.
    pub(crate) async fn problem(&self, response: Response, status: StatusCode) -> Value {
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.expect("JSON");
        assert_eq!(problem["status"], status.as_u16());
        assert!(
            problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        problem
    }
}

pub(crate) fn with_http(queue: &Database, target: &Database) -> Site {
    site(&queue.url(), &target.url(), &format!("[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\""))
}

#[tokio::test]
async fn a_run_is_shown_with_its_chain() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    let job = |then: &str, argv: &str| {
        format!("{then}timeout = \"1m\"\nretry = {{ attempts = 1 }}\n[exec]\nargv = [\"{argv}\"]\n")
    };
    site.job("first", &job("then = [\"second\", \"third\"]\n", "true"));
    site.job("second", &job("", "false"));
    site.job("third", &job("", "true"));
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    let run: Value = api.ask(Method::POST, "/api/v1/jobs/first/runs", None).await.json().await.unwrap();
    run_when(queue.pool(), "second", "has failed", |run| run.state == "failed").await;
    let shown: Value = api.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).await.json().await.unwrap();
    let links = shown["links"].as_array().expect("its chain");
    let told: Vec<_> = links.iter().map(|link| (link["job"].as_str(), link["state"].as_str())).collect();
    assert_eq!(
        told,
        [(Some("first"), Some("done")), (Some("second"), Some("failed")), (Some("third"), Some("not_started"))]
    );
    assert_eq!(links[2]["why"], "second failed");
    daemon.terminate().await;
}

#[tokio::test]
async fn a_trigger_is_checked_queued_and_shown() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    site.job(
        "count-rows",
        "[params]\nmost = { type = \"integer\", default = 3, max = 9 }\n\n[sql]\ntarget = \"collector\"\nsql = \"select :most::int as most\"\n",
    );
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;

    let response = api.ask(Method::POST, "/api/v1/jobs/count-rows/runs", Some(json!({"params": {"most": 7}}))).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let run: Value = response.json().await.unwrap();
    assert_eq!(place, format!("/api/v1/runs/{}", run["id"].as_str().unwrap()));
    run_when(queue.pool(), "count-rows", "is done", |run| run.state == "done").await;
    let run: Value = api.get(&place).await.json().await.unwrap();
    assert_eq!((run["state"].as_str(), run["report"]["most"].as_f64()), (Some("done"), Some(7.0)), "{run}");

    let trigger = |name: &'static str, body: Value| api.ask(Method::POST, name, Some(body));
    let refused = trigger("/api/v1/jobs/count-rows/runs", json!({"params": {"most": 70, "other": 1}})).await;
    let problem = api.problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/params/most", "/params/other"], "{problem}");
    let unknown = trigger("/api/v1/jobs/count-row/runs", json!({})).await;
    let problem = api.problem(unknown, StatusCode::NOT_FOUND).await;
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `count-rows`"), "{problem}");
    let odd = trigger("/api/v1/jobs/count-rows/runs", json!({"parameters": {}})).await;
    api.problem(odd, StatusCode::BAD_REQUEST).await;
    let large = trigger("/api/v1/jobs/count-rows/runs", json!({"params": {"most": "x".repeat((1 << 20) + 10)}})).await;
    api.problem(large, StatusCode::PAYLOAD_TOO_LARGE).await;

    for _ in 0..3 {
        trigger("/api/v1/jobs/count-rows/runs", json!({})).await;
    }
    let page: Value = api.get("/api/v1/runs?job=count-rows&limit=3").await.json().await.unwrap();
    let next = page["next"].as_str().expect("a next page");
    assert_eq!(page["runs"].as_array().unwrap().len(), 3);
    let page: Value =
        api.get(&format!("/api/v1/runs?job=count-rows&limit=3&before={next}")).await.json().await.unwrap();
    assert_eq!((page["runs"].as_array().unwrap().len(), page.get("next")), (1, None), "{page}");
    for bad in ["/api/v1/runs?limit=0", "/api/v1/runs?colour=red"] {
        api.problem(api.get(bad).await, StatusCode::BAD_REQUEST).await;
    }
    api.problem(api.get("/api/v1/runs/nothing").await, StatusCode::NOT_FOUND).await;
    api.problem(api.get("/nowhere").await, StatusCode::NOT_FOUND).await;
    api.problem(api.ask(Method::DELETE, "/api/v1/runs", None).await, StatusCode::METHOD_NOT_ALLOWED).await;
    daemon.terminate().await;
}

#[tokio::test]
async fn only_the_token_opens_the_api() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    for header in [None, Some("Bearer wrong"), Some("Basic abc")] {
        let mut request = api.client.get(format!("{}/api/v1/runs", api.address));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        api.problem(response, StatusCode::UNAUTHORIZED).await;
    }
    assert_eq!(api.get("/api/v1/runs").await.status(), StatusCode::OK);
    assert_eq!(api.client.get(format!("{}/healthz", api.address)).send().await.unwrap().status(), StatusCode::OK);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_cancel_ends_the_child_and_says_who_asked() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    let pid = site.path("pid");
    site.job(
        "long",
        &format!(
            "timeout = \"1m\"\n[exec]\nargv = [\"sh\", \"-c\", \"sleep 30 & echo $$ $! > {}; wait\"]\n",
            pid.display()
        ),
    );
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    let run: Value = api.ask(Method::POST, "/api/v1/jobs/long/runs", None).await.json().await.unwrap();
    let group: Vec<i32> = eventually("the child and its own run", || async {
        let text = std::fs::read_to_string(&pid).ok()?;
        Some(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
            .filter(|pids: &Vec<_>| pids.len() == 2)
    })
    .await;
    let path = format!("/api/v1/runs/{}/cancel", run["id"].as_str().unwrap());
    let response = api.ask(Method::POST, &path, Some(json!({"why": "a test"}))).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let run = run_when(queue.pool(), "long", "is cancelled", |run| run.state == "cancelled").await;
    assert_eq!(run.cancel_by.as_deref(), Some("api"), "{run:?}");
    assert!(run.why.as_deref().unwrap_or_default().contains("a test"), "{run:?}");
    let gone = |pid: &i32| !Path::new(&format!("/proc/{pid}")).exists();
    assert!(gone(&group[0]), "the child lives on");
    eventually("what the child started is gone, too", || async { gone(&group[1]).then_some(()) }).await;
    let shown: Value = api.get(&format!("/api/v1/runs/{}", run.id)).await.json().await.unwrap();
    let tries = shown["tries"].as_array().expect("its attempts");
    assert_eq!((tries.len(), &tries[0]["outcome"], &tries[0]["cancel_by"]), (1, &json!("cancelled"), &json!("api")));
    assert_eq!(tries[0]["why"], "a test");
    assert!(tries[0]["seconds"].is_number() && tries[0]["worker"].is_string(), "{shown}");
    api.problem(api.ask(Method::POST, &path, None).await, StatusCode::CONFLICT).await;
    daemon.terminate().await;
}

#[tokio::test]
async fn a_run_is_paused_and_resumed_over_the_api_and_at_the_command_line() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    site.job("long", "timeout = \"1m\"\n[exec]\nargv = [\"sleep\", \"30\"]\n");
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    let id = |run: &Value| run["id"].as_str().unwrap().to_owned();

    // A child cannot go on where it was.
    let run: Value = api.ask(Method::POST, "/api/v1/jobs/long/runs", None).await.json().await.unwrap();
    run_when(queue.pool(), "long", "runs", |run| run.state == "running").await;
    let path = format!("/api/v1/runs/{}/pause", id(&run));
    let problem = api.problem(api.ask(Method::POST, &path, None).await, StatusCode::CONFLICT).await;
    assert!(problem["detail"].as_str().unwrap().contains("`exec` cannot go on where it was"), "{problem}");
    let refused = site.sexton(&["runs", "pause", &id(&run)]).await;
    assert!(refused.status.code() == Some(1) && refused.stderr.contains("cannot go on where it was"), "{refused:?}");
    site.sexton(&["runs", "cancel", &id(&run)]).await;

    // One that does not run can rest, whatever its kind.
    sqlx::query("insert into sexton.run (id, job, kind, state, due_at, rank, spec, lease, most_attempts, on_lost, chain, requested_by) \
                 select gen_random_uuid(), 'later', 'exec', 'waiting', now() + interval '1 day', now(), gen_random_uuid(), '1 min', 1, 'retry', gen_random_uuid(), 'a test'")
        .execute(queue.pool())
        .await
        .unwrap();
    let run = run_when(queue.pool(), "later", "waits", |run| run.state == "waiting").await;
    let path = |what: &str| format!("/api/v1/runs/{}/{what}", run.id);
    let response = api.ask(Method::POST, &path("pause"), Some(json!({"why": "a test"}))).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let paused: Value = response.json().await.unwrap();
    assert_eq!((&paused["pause_by"], &paused["pause_why"]), (&json!("api"), &json!("a test")));
    let shown = site.sexton(&["runs", "show", &run.id.to_string()]).await.stdout;
    assert!(shown.contains("paused     since ") && shown.contains("by api: a test"), "{shown}");
    assert_eq!(api.ask(Method::POST, &path("resume"), None).await.status(), StatusCode::ACCEPTED);
    api.problem(api.ask(Method::POST, &path("resume"), None).await, StatusCode::CONFLICT).await;
    let paused = site.sexton(&["runs", "pause", &run.id.to_string(), "--reason", "month end"]).await;
    assert!(paused.status.code() == Some(0) && paused.stdout.contains("starts once it is resumed"), "{paused:?}");
    let list = site.sexton(&["runs", "list"]).await.stdout;
    assert!(list.contains("at the command line: month end"), "{list}");
    let resumed = site.sexton(&["runs", "resume", &run.id.to_string()]).await;
    assert!(resumed.status.code() == Some(0) && resumed.stdout.contains("goes on"), "{resumed:?}");
    daemon.terminate().await;
}

#[tokio::test]
async fn readiness_and_metrics_tell_the_truth() {
    let mut cluster = own_cluster(false).await;
    let (url, _) = cluster.database("queue").await;
    let site = site(&url, &url, &format!("[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\""));
    site.job("count", super::COUNT);
    site.schedule("often", "[[at]]\nname = \"often\"\njob = \"count\"\ncron = \"* * * * * *\"\n");
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    eventually("it is ready", || async { (api.get("/readyz").await.status() == StatusCode::OK).then_some(()) }).await;
    let text = eventually("a run is counted", || async {
        let text = api.get("/metrics").await.text().await.ok()?;
        text.contains("sexton_runs_total{job=\"count\",kind=\"sql\",outcome=\"done\"}").then_some(text)
    })
    .await;
    for name in ["sexton_build_info", "sexton_queue_depth{state=\"ready\"}", "sexton_slots_total{decision=\"fired\"}"] {
        assert!(text.contains(name), "{name} is missing:\n{text}");
    }
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let value = line.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(!text.contains(TOKEN), "a secret is in the metrics");

    cluster.stop().await;
    eventually("it is not ready any more", || async {
        (api.get("/readyz").await.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    assert_eq!(api.get("/healthz").await.status(), StatusCode::OK);
    api.problem(api.get("/api/v1/runs").await, StatusCode::SERVICE_UNAVAILABLE).await;
}
