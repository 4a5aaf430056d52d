//! A run as it happens: `sexton runs watch`, and Server-Sent Events with a real client.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{logged, running, script, site, trigger};
use crate::{
    daemon::{
        http::{Api, with_http},
        run_when,
    },
    support::{Database, client},
};

/// A script that says `begun`, waits for the file `go`, and ends with `$END`.
fn waits(end: &str) -> String {
    format!("echo begun; while [ ! -e go ]; do sleep 0.05; done; echo ended; {end}")
}

#[tokio::test]
async fn watch_shows_a_run_as_it_happens_and_exits_with_its_code() {
    let queue = Database::new().await;
    let site = site(&queue.url());
    site.job("good", &script("", &waits("exit 0")));
    site.job("bad", &script("retry = { attempts = 1 }", &waits("exit 3")));
    let daemon = running(&site).await;
    let (good, bad) = (trigger(&site, "good").await.to_string(), trigger(&site, "bad").await.to_string());
    let watch = site.daemon(&["runs", "watch", &good]).await;
    let json = site.daemon(&["runs", "watch", "--json", &bad]).await;
    watch.wait_for_line("running: attempt 1 of").await;
    watch.wait_for_line("INFO  stdout: begun").await;
    json.wait_for_line("\"event\":\"log\"").await;
    assert!(!watch.lines().iter().any(|line| line.contains("ended")), "live, not at the end: {:?}", watch.lines());
    site.write("go", "");
    let ended = watch.exit().await;
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.lines);
    let place = |text: &str| ended.lines.iter().position(|line| line.contains(text)).unwrap_or(usize::MAX);
    assert!(place("stdout: begun") < place("stdout: ended"), "{:?}", ended.lines);
    assert!(place("stdout: ended") < place(&format!("run {good} of good: done")), "{:?}", ended.lines);
    let ended = json.exit().await;
    assert_eq!(ended.status.code(), Some(6), "{:?}", ended.lines);
    let last: Value = serde_json::from_str(ended.lines.last().expect("a line")).expect("JSON");
    assert_eq!((last["event"].as_str(), last["state"].as_str()), (Some("state"), Some("failed")));
    assert!(last["why"].as_str().is_some_and(|why| why.contains("exit status: 3")), "{last}");
    // Of a run that is over, the same in one look.
    let again = site.sexton(&["runs", "watch", &bad]).await;
    assert!(again.status.code() == Some(6) && again.stdout.contains("stdout: ended"), "{again:?}");
    let unknown = site.sexton(&["runs", "watch", &uuid::Uuid::now_v7().to_string()]).await;
    assert_eq!(unknown.status.code(), Some(1));
    daemon.terminate().await;
}

/// The events in a text: name, id, data.
fn events(text: &str) -> Vec<(String, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    blocks
        .map(|block| {
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
            };
            (field("event:"), field("id:"), serde_json::from_str(&field("data:")).expect("JSON"))
        })
        .collect()
}

#[tokio::test]
async fn events_come_as_they_happen_and_a_client_that_comes_back_misses_nothing() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    site.job("good", &script("", &waits("exit 0")));
    let daemon = running(&site).await;
    let api = Api::of(&daemon).await;
    let run = trigger(&site, "good").await;
    logged(&queue, run, "begun").await;
    let path = format!("/api/v1/runs/{run}/events");

    let mut response = api.get(&path).await;
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"text/event-stream".parse().unwrap())
    );
    let mut text = String::new();
    while !text.contains("begun") {
        text += std::str::from_utf8(&response.chunk().await.unwrap().expect("more")).unwrap();
    }
    drop(response);
    let seen = events(&text);
    assert_eq!((seen[0].0.as_str(), seen[0].2["state"].as_str()), ("state", Some("running")));
    let (_, id, _) = seen.iter().find(|event| event.0 == "log").expect("a line").clone();

    site.write("go", "");
    let back = api.with_header(Method::GET, &path, "last-event-id", &id).await;
    let rest = events(&tokio::time::timeout(Duration::from_secs(30), back.text()).await.expect("it ends").unwrap());
    let lines: Vec<_> = rest.iter().filter(|event| event.0 == "log").map(|event| event.2["message"].as_str()).collect();
    assert_eq!(lines, [Some("ended")], "{rest:?}");
    let last = rest.last().expect("an end");
    assert_eq!((last.0.as_str(), last.1.as_str(), last.2["state"].as_str()), ("end", "end", Some("done")));
    // A browser comes back after every end: it is told to stay away.
    assert_eq!(api.with_header(Method::GET, &path, "last-event-id", "end").await.status(), StatusCode::NO_CONTENT);

    let bad = api.with_header(Method::GET, &path, "last-event-id", "nonsense").await;
    api.problem(bad, StatusCode::BAD_REQUEST).await;
    let none = api.get(&format!("/api/v1/runs/{}/events", uuid::Uuid::now_v7())).await;
    api.problem(none, StatusCode::NOT_FOUND).await;
    daemon.terminate().await;
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_daemon() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let mut site = with_http(&queue, &target);
    site.env("SEXTON_WORKER__GRACE", "1s");
    site.job("long", &script("", "exec sleep 100"));
    let daemon = running(&site).await;
    let api = Api::of(&daemon).await;
    let run = trigger(&site, "long").await;
    run_when(queue.pool(), "long", "runs", |run| run.state == "running").await;
    let path = format!("/api/v1/runs/{run}/events");
    let mut streams = Vec::new();
    for _ in 0..64 {
        let response = api.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK);
        streams.push(response);
    }
    let refused = api.get(&path).await;
    let problem = api.problem(refused, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("too-many-streams")), "{problem}");
    let one = streams.pop().expect("a stream");
    drop(streams);
    let ended = tokio::time::timeout(Duration::from_secs(30), daemon.terminate()).await.expect("it stops");
    assert!(ended.status.success(), "{:?}", ended.lines);
    let seen = events(&one.text().await.expect("a whole answer"));
    assert_eq!(seen.last().and_then(|event| event.2["state"].as_str()), Some("ready"), "given back: {seen:?}");
}

#[tokio::test]
async fn the_log_comes_in_pages() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    site.job("counts", &script("", "for n in 1 2 3 4 5; do echo $n; done"));
    let daemon = running(&site).await;
    let api = Api::of(&daemon).await;
    let run = trigger(&site, "counts").await;
    run_when(queue.pool(), "counts", "is done", |run| run.state == "done").await;
    let (mut said, mut after) = (Vec::new(), String::new());
    loop {
        let page: Value = api.get(&format!("/api/v1/runs/{run}/log?limit=2{after}")).await.json().await.unwrap();
        let lines = page["lines"].as_array().expect("lines");
        said.extend(lines.iter().filter_map(|line| line["message"].as_str().map(str::to_owned)));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(said, ["1", "2", "3", "4", "5"]);
    for (query, status) in [
        ("?limit=0", StatusCode::BAD_REQUEST),
        ("?after=x", StatusCode::BAD_REQUEST),
        ("?color=red", StatusCode::BAD_REQUEST),
    ] {
        api.problem(api.get(&format!("/api/v1/runs/{run}/log{query}")).await, status).await;
    }
    let none = api.get(&format!("/api/v1/runs/{}/log", uuid::Uuid::now_v7())).await;
    api.problem(none, StatusCode::NOT_FOUND).await;
    let nobody = client().get(format!("{}/api/v1/runs/{run}/log", api.address())).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    daemon.terminate().await;
}
