//! What the API says of schedules: why a slot did or did not run, what is to come, and slots of the past run again.

use chrono::{SubsecRound, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Database, eventually};

use super::{
    COUNT,
    http::{Api, with_http},
};

#[tokio::test]
async fn slots_are_explained_previewed_and_run_again_over_the_api() {
    let (queue, target) = (Database::new().await, Database::empty().await);
    let site = with_http(&queue, &target);
    site.job("count", COUNT);
    site.schedule(
        "all",
        "[[at]]\nname = \"often\"\njob = \"count\"\ncron = \"* * * * * *\"\nsplay = \"500ms\"\n\n\
         [[at]]\nname = \"off\"\njob = \"count\"\ncron = \"0 * * * *\"\nenabled = false\n",
    );
    let daemon = site.daemon(&["run"]).await;
    let api = Api::of(&daemon).await;
    let read = async |path: &str| -> Value { api.get(path).await.json().await.unwrap() };

    let fired = eventually("a slot is decided", async || {
        sexton::ledger::slots(queue.pool(), Some("often"), 1).await.ok()?.pop()
    })
    .await;
    let at = fired.nominal_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let told = read(&format!("/api/v1/schedules/often/why?at={at}")).await;
    assert_eq!(told["explanations"][0]["verdict"], fired.decision.word(), "{told}");
    assert_eq!(told["explanations"][0]["slot"]["run"], json!(fired.run));
    assert_eq!(read("/api/v1/schedules/often/why").await["explanations"].as_array().map(Vec::len), Some(2));
    let unknown = api.problem(api.get("/api/v1/schedules/ofen/why").await, StatusCode::NOT_FOUND).await;
    assert!(unknown["detail"].as_str().unwrap().contains("did you mean `often`?"), "{unknown}");
    api.problem(api.get("/api/v1/schedules/often/why?at=noon").await, StatusCode::BAD_REQUEST).await;

    let coming = read("/api/v1/next?count=3").await;
    let slots = coming["slots"].as_array().unwrap();
    assert_eq!(
        (slots.len(), &slots[0]["schedule"], &slots[0]["touched"][0]["by"]),
        (3, &json!("often"), &json!("spread"))
    );
    assert_ne!(slots[0]["at"], slots[0]["starts_at"]);
    let off = read("/api/v1/schedules/off/next?count=1&from=2026-06-01T00:00:00Z").await;
    assert_eq!(off["slots"][0]["at"], "2026-06-01T01:00:00Z");
    api.ask(Method::POST, "/api/v1/pause", Some(json!({"reason": "month end"}))).await;
    let coming = read("/api/v1/schedules/often/next").await;
    assert!(coming.to_string().contains("paused by api: month end"), "{coming}");
    api.problem(api.get("/api/v1/next?count=0").await, StatusCode::BAD_REQUEST).await;
    api.problem(api.get("/api/v1/schedules/ofen/next").await, StatusCode::NOT_FOUND).await;

    let to = Utc::now().trunc_subsecs(0) - TimeDelta::hours(1);
    let mut body = json!({"from": (to - TimeDelta::seconds(5)).to_rfc3339(), "to": to.to_rfc3339(), "pace": "1s"});
    let path = "/api/v1/schedules/often/backfill";
    let shown = api.ask(Method::POST, path, Some(body.clone())).await;
    assert_eq!(shown.status(), StatusCode::OK);
    let shown: Value = shown.json().await.unwrap();
    assert_eq!((&shown["runs"], &shown["queued"]), (&json!(5), &json!([])), "{shown}");
    body["dry_run"] = json!(false);
    let done = api.ask(Method::POST, path, Some(body)).await;
    assert_eq!(done.status(), StatusCode::ACCEPTED);
    let done: Value = done.json().await.unwrap();
    assert_eq!(done["queued"].as_array().map(Vec::len), Some(5), "{done}");
    for run in done["queued"].as_array().unwrap() {
        let path = format!("/api/v1/runs/{}", run.as_str().unwrap());
        let run = eventually("it is done, one after the other", async || {
            Some(read(&path).await).filter(|run| run["state"] == "done")
        })
        .await;
        assert_eq!((&run["caught_up"], &run["requested_by"]), (&json!(true), &json!("api")), "{run}");
    }
    api.problem(api.ask(Method::POST, path, Some(json!({"from": "x"}))).await, StatusCode::BAD_REQUEST).await;
    daemon.terminate().await;
}
