//! Claims about `sexton.enqueue` and idempotency keys, held against a real PostgreSQL, the real daemon and its API.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sexton::{
    db::forget::forget,
    queue::forget::{KEYS, KEYS_AFTER},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    daemon::{
        http::{Api, with_http},
        run_when,
    },
    support::{BOUND, Daemon, Database, Site, client, eventually, work::over},
};

const PAGE: &str = include_str!("../../docs/enqueue.md");
const SHIP: &str = "[params]\nnumber = { type = \"integer\", min = 1 }\ncarrier = { type = \"text\", one_of = [\"post\", \"bike\"] }\n\
                    [sql]\ntarget = \"collector\"\nsql = \"select :number::int as number\"\n";

/// A job whose parameters are keys of its table, keys of limits, of every sort, and handed on.
const MANY: &str = r#"
then = ["after"]
concurrency = { key = "ids", most = 1 }
rate = { key = "share", most = 5, per = "1m" }
needs = []
[params]
ids = { type = "strings", default = ["a"] }
share = { type = "number", default = 1.5, max = 5e20 }
target = { type = "text", one_of = ["collector", "other"], default = "collector" }
older = { type = "duration", default = "90d", min = "1h", max = "4000d" }
dry = { type = "boolean", default = true }
count = { type = "integer", default = 3, min = -5, max = 900 }
[exec]
argv = ["true"]
"#;

struct Stand {
    queue: Database,
    _target: Database,
    site: Site,
    daemon: Daemon,
    api: Api,
}

impl Stand {
    async fn new(jobs: &[(&str, &str)], more: &str) -> Self {
        let (queue, target) = (Database::new().await, Database::empty().await);
        let site = with_http(&queue, &target);
        if !more.is_empty() {
            let text = std::fs::read_to_string(site.path("sexton.toml")).expect("settings");
            site.write("sexton.toml", &format!("{text}\n{more}"));
        }
        jobs.iter().for_each(|(name, text)| site.job(name, text));
        let daemon = site.daemon(&["run"]).await;
        let api = Api::of(&daemon).await;
        daemon.wait_for_line("is at work").await;
        Self { queue, _target: target, site, daemon, api }
    }

    fn pool(&self) -> &PgPool {
        self.queue.pool()
    }
}

async fn enqueue(pool: &PgPool, job: &str, params: Value) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar("select sexton.enqueue($1, $2)").bind(job).bind(params).fetch_one(pool).await
}

async fn keyed(connection: &mut PgConnection, job: &str, params: Value, key: &str) -> Result<Uuid, sqlx::Error> {
    let call = sqlx::query_scalar("select sexton.enqueue($1, $2, key => $3)").bind(job).bind(params).bind(key);
    call.fetch_one(connection).await
}

async fn carried(pool: &PgPool, run: Uuid) -> Value {
    sqlx::query_scalar("select spec from sexton.runs where id = $1").bind(run).fetch_one(pool).await.unwrap()
}

/// What it was refused with: SQLSTATE, message and hint.
fn refused(result: Result<Uuid, sqlx::Error>) -> (String, String, String) {
    let error = result.expect_err("refused");
    let error = error.as_database_error().expect("by the database");
    let hint = error.downcast_ref::<sqlx::postgres::PgDatabaseError>().hint().unwrap_or_default().to_owned();
    (error.code().unwrap().into_owned(), error.message().to_owned(), hint)
}

fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    PAGE.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from sexton.runs").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn the_guide_does_what_it_says_with_no_right_on_a_table() {
    let stand = Stand::new(&[("ship-order", SHIP)], "").await;
    let [grants, order] = blocks("sql")[..] else { panic!("the guide has changed") };
    // Roles are the whole cluster's, where other tests are at work.
    let role = format!("enqueuer_{}", Uuid::now_v7().simple());
    let mut owner = stand.pool().acquire().await.unwrap();
    for one in grants.replace("sexton_enqueuer", &role).split(';').filter(|one| !one.trim().is_empty()) {
        sqlx::query(AssertSqlSafe(one.to_owned())).execute(&mut *owner).await.unwrap();
    }
    let own = format!("create schema own authorization {role}");
    sqlx::query(AssertSqlSafe(own)).execute(&mut *owner).await.unwrap();

    let mut app = PgConnection::connect_with(&stand.pool().connect_options()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("set role {role}; set search_path = own"))).execute(&mut app).await.unwrap();
    for table in ["run", "job", "idempotency_key", "history", "revision"] {
        let look = sqlx::query(AssertSqlSafe(format!("select from sexton.{table}"))).execute(&mut app).await;
        assert_eq!(look.expect_err(table).as_database_error().unwrap().code().unwrap(), "42501");
    }
    for helper in ["sexton.uuid_v7(now())", "sexton.take_key('a', 'b', '{}', gen_random_uuid())"] {
        let call = sqlx::query(AssertSqlSafe(format!("select {helper}"))).execute(&mut app).await;
        assert_eq!(call.expect_err(helper).as_database_error().unwrap().code().unwrap(), "42501");
    }
    sqlx::raw_sql(order).execute(&mut app).await.expect("the guide's example");
    let run = run_when(stand.pool(), "ship-order", "is done", |run| run.state == "done").await;
    assert_eq!(run.report["number"], json!(4711));
    let lines: i32 =
        sqlx::query_scalar("select lines from orders where number = 4711").fetch_one(&mut app).await.unwrap();
    assert_eq!(lines, 3);
    assert_eq!(
        keyed(&mut app, "ship-order", json!({"number": 4711, "carrier": "post"}), "order-4711").await.unwrap(),
        run.id
    );
    app.close().await.unwrap();
    let gone = format!("drop owned by {role} cascade; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(gone)).execute(&mut *owner).await.unwrap();
    stand.daemon.terminate().await;
}

#[tokio::test]
async fn a_rollback_leaves_no_run_and_a_commit_wakes_a_worker() {
    let stand = Stand::new(&[("ship-order", SHIP)], "").await;
    let mut tx = stand.pool().begin().await.unwrap();
    keyed(&mut tx, "ship-order", json!({"number": 1, "carrier": "bike"}), "k").await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(count(stand.pool()).await, 0);

    let mut tx = stand.pool().begin().await.unwrap();
    let mut made = Vec::new();
    for number in 1..=20 {
        made.push(
            keyed(&mut tx, "ship-order", json!({"number": number, "carrier": "bike"}), &format!("k{number}"))
                .await
                .unwrap(),
        );
    }
    assert_eq!(count(stand.pool()).await, 0, "nothing is to be seen of it before");
    tx.commit().await.unwrap();
    assert!(made.is_sorted() && made.iter().all(|id| id.get_version_num() == 7), "{made:?}");
    for run in &made {
        assert_eq!(over(stand.pool(), *run).await.state, "done");
    }
    let later: Uuid = sqlx::query_scalar(
        "select sexton.enqueue('ship-order', '{\"number\": 1, \"carrier\": \"post\"}', due_at => now() + interval '1 day', \
         priority => 60, requested_by => 'the shop')",
    )
    .fetch_one(stand.pool())
    .await
    .unwrap();
    let run = sexton::queue::find(stand.pool(), later).await.unwrap().unwrap();
    assert_eq!((run.state.as_str(), run.requested_by.as_str(), run.priority), ("waiting", "the shop", 60));
    stand.daemon.terminate().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_says_what_to_do() {
    let stand = Stand::new(&[("ship-order", SHIP)], "").await;
    let good = json!({"number": 1, "carrier": "post"});
    for (job, params, message, hint) in [
        ("ship-ordr", good, "no job `ship-ordr` is active", "Did you mean `ship-order`?"),
        ("anything", json!({}), "no job `anything` is active", "The jobs are: "),
        (
            "ship-order",
            json!({"number": 1, "carrier": "post", "colour": 1}),
            "`ship-order` has no parameter `colour`",
            "What may be set: carrier, number",
        ),
        ("ship-order", json!({"number": 1}), "`ship-order` needs the parameter `carrier`", "Give it a value"),
        (
            "ship-order",
            json!({"number": "x", "carrier": "post"}),
            "`number` must be a whole number, not \"x\"",
            "[params]",
        ),
        ("ship-order", json!({"number": 0, "carrier": "post"}), "`number` must be at least 1, not 0", "[params]"),
        (
            "ship-order",
            json!({"number": 1, "carrier": "ship"}),
            "`carrier` must be one of post, bike, not ship",
            "[params]",
        ),
        ("ship-order", json!([1]), "params must be an object", "Write params"),
    ] {
        let (code, said, help) = refused(enqueue(stand.pool(), job, params).await);
        assert_eq!(code, "22023", "{said}");
        assert!(said.contains(message) && help.contains(hint), "{said} / {help}");
    }
    for call in ["priority => 101", "due_at => 'infinity'", "key => ''", "requested_by => ''"] {
        let call = format!("select sexton.enqueue('ship-order', '{{\"number\": 1, \"carrier\": \"post\"}}', {call})");
        let result = sqlx::query_scalar(AssertSqlSafe(call)).fetch_one(stand.pool()).await;
        assert_eq!(refused(result).0, "22023");
    }
    assert_eq!(count(stand.pool()).await, 0);
    stand.daemon.terminate().await;
}

#[tokio::test]
async fn before_a_daemon_has_published_its_jobs_nothing_is_enqueued() {
    let queue = Database::new().await;
    assert_eq!(refused(enqueue(queue.pool(), "ship-order", json!({})).await).0, "55000");
    // As an older binary applies files.
    sqlx::query("insert into sexton.revision (digest, files, applied_by) values ('x', '{}', 'a test')")
        .execute(queue.pool())
        .await
        .unwrap();
    assert_eq!(refused(enqueue(queue.pool(), "ship-order", json!({})).await).0, "55000");
}

/// The same parameters by both ways give the same snapshot, or are refused by both.
#[tokio::test]
async fn a_run_is_the_same_as_over_http() {
    let thing = "table = \"public.things\"\nkey = [\"id\"]\nage = \"made_at\"\narchive = { suffix = \"_old\" }\n";
    let kept = "exclusive = \"moves\"\n[params]\ntarget = { type = \"text\", one_of = [\"collector\", \"other\"] }\nolder_than = { type = \"duration\", default = \"365d\" }\n\
                \"throttle.replica_lag\" = { type = \"duration\", default = \"10s\" }\n[archive]\ndataset = \"things\"\n";
    let after = "[params]\nshare = { type = \"number\", default = 2.5 }\ntarget = { type = \"text\", default = \"none\" }\n[exec]\nargv = [\"true\"]\n";
    let free = "[params]\ntarget = { type = \"text\", default = \"collector\" }\n[archive]\ndataset = \"things\"\nolder_than = \"365d\"\n";
    let timed = |text: &str| format!("timeout = \"1m\"\n{text}");
    let (many, after) = (timed(MANY), timed(after));
    let stand = Stand::new(
        &[("many", &many), ("after", &after), ("kept", kept), ("datasets/things", thing), ("free", free)],
        "[targets.other]\nurl = \"postgres:///nothing?host=/nowhere\"\n",
    )
    .await;
    let long = "x".repeat(90);
    let many = [
        json!({}),
        json!({"ids": ["b", "c \"d\""], "share": 2, "dry": "false", "count": "+7", "older": "120m"}),
        json!({"ids": " b ,,c\u{a0}", "share": "1e-7", "target": "other", "count": -5}),
        json!({"ids": 12, "share": 5e20, "older": "48h"}),
        json!({"ids": [long], "share": "2.50", "older": "5400s"}),
        json!({"ids": [], "share": 1e20}),
        json!({"share": 1e21}),
        json!({"ids": [1]}),
        json!({"share": "inf"}),
        json!({"share": ".5", "older": "3600s"}),
        json!({"count": 1.5}),
        json!({"count": 901}),
        json!({"count": "9223372036854775808"}),
        json!({"dry": "yes"}),
        json!({"older": 5}),
        json!({"older": "59m"}),
        json!({"older": "4001d"}),
        json!({"target": "third"}),
        json!({"target": null}),
    ];
    let kept = [
        json!({"target": "collector"}),
        json!({"target": "other", "older_than": "8760h", "throttle.replica_lag": "5s"}),
        json!({"older_than": "365d"}),
    ];
    let all = many.iter().map(|params| ("many", params)).chain(kept.iter().map(|params| ("kept", params)));
    let (mut same, mut refusals) = (0, 0);
    let mut needs = BTreeSet::new();
    for (job, params) in all {
        let posted =
            stand.api.ask(Method::POST, &format!("/api/v1/jobs/{job}/runs"), Some(json!({"params": params}))).await;
        let called = enqueue(stand.pool(), job, params.clone()).await;
        if posted.status() == StatusCode::ACCEPTED {
            let posted: Value = posted.json().await.unwrap();
            let posted = carried(stand.pool(), posted["id"].as_str().unwrap().parse().unwrap()).await;
            let called = carried(stand.pool(), called.unwrap_or_else(|error| panic!("{job} {params}: {error}"))).await;
            assert_eq!(called, posted, "{job} {params}");
            needs.insert(called["needs"].to_string());
            same += 1;
        } else {
            assert_eq!(posted.status(), StatusCode::UNPROCESSABLE_ENTITY, "{job} {params}");
            assert_eq!(refused(called).0, "22023", "{job} {params}");
            refusals += 1;
        }
    }
    assert!(same == 9 && refusals == 13, "{same} the same, {refusals} refused");
    assert!(needs.len() >= 3, "{needs:?}");
    // What it needs cannot be known beforehand, but for the default.
    enqueue(stand.pool(), "free", json!({"target": "collector"})).await.unwrap();
    let (code, said, hint) = refused(enqueue(stand.pool(), "free", json!({"target": "other"})).await);
    assert!(code == "0A000" && said.contains("`target`") && hint.contains("one_of"), "{code} {said} {hint}");
    stand.daemon.terminate().await;
}

#[tokio::test]
async fn one_key_makes_one_run_from_every_side() {
    let stand = Stand::new(&[("ship-order", SHIP)], "").await;
    let params = json!({"number": 5, "carrier": "post"});
    let mut connection = stand.pool().acquire().await.unwrap();
    let run = keyed(&mut connection, "ship-order", params.clone(), "order-5").await.unwrap();
    assert_eq!(keyed(&mut connection, "ship-order", params.clone(), "order-5").await.unwrap(), run);
    let (code, said, hint) =
        refused(keyed(&mut connection, "ship-order", json!({"number": 6, "carrier": "post"}), "order-5").await);
    assert!(code == "22023" && said.contains(&run.to_string()) && hint.contains("a new key"), "{code} {said} {hint}");

    let url = format!("{}/api/v1/jobs/ship-order/runs", stand.api.address());
    let post = async |number: i32, key: &str| {
        let request = client().post(&url).bearer_auth(crate::daemon::http::TOKEN).header("Idempotency-Key", key);
        request.json(&json!({"params": {"number": number, "carrier": "post"}})).send().await.unwrap()
    };
    let again = post(5, "order-5").await;
    assert_eq!(
        (again.status(), again.headers()["idempotency-replayed"].to_str().unwrap()),
        (StatusCode::ACCEPTED, "true")
    );
    assert_eq!(again.headers()["location"].to_str().unwrap(), format!("/api/v1/runs/{run}"));
    assert_eq!(again.json::<Value>().await.unwrap()["id"], run.to_string());
    let other = stand.api.problem(post(6, "order-5").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(other["type"], "urn:sexton:problem:key-used");
    let first = post(7, "order-7").await;
    assert!(first.status() == StatusCode::ACCEPTED && !first.headers().contains_key("idempotency-replayed"));
    let long = stand.api.problem(post(7, &"k".repeat(256)).await, StatusCode::BAD_REQUEST).await;
    assert!(long["detail"].as_str().unwrap().contains("255"), "{long}");

    let args =
        ["--json", "trigger", "ship-order", "--param", "number=5", "--param", "carrier=post", "--key", "order-5"];
    let told = stand.site.sexton(&args).await;
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|error| panic!("{error}: {}", told.stderr));
    assert_eq!((told["id"].as_str(), told["replayed"].as_bool()), (Some(run.to_string().as_str()), Some(true)));
    assert_eq!(count(stand.pool()).await, 2);

    let forgotten = async || forget(stand.pool(), KEYS, KEYS_AFTER).await.unwrap();
    assert_eq!(forgotten().await, 0);
    sqlx::query("update sexton.idempotency_key set made_at = now() - interval '8 days' where key = 'order-5'")
        .execute(&mut *connection)
        .await
        .unwrap();
    assert_eq!(forgotten().await, 1);
    assert_ne!(keyed(&mut connection, "ship-order", params, "order-5").await.unwrap(), run);
    stand.daemon.terminate().await;
}

/// The second waits for the first, and takes its run or, after a rollback, makes one.
#[tokio::test]
async fn two_transactions_with_one_key_make_one_run() {
    let stand = Stand::new(&[("ship-order", SHIP)], "").await;
    let params = json!({"number": 5, "carrier": "post"});
    for (key, commits) in [("a", true), ("b", false)] {
        let mut first = stand.pool().begin().await.unwrap();
        let one = keyed(&mut first, "ship-order", params.clone(), key).await.unwrap();
        let (pool, given) = (stand.pool().clone(), params.clone());
        let second = tokio::spawn(async move {
            let mut second = pool.begin().await.unwrap();
            let run = keyed(&mut second, "ship-order", given, key).await.unwrap();
            second.commit().await.unwrap();
            run
        });
        eventually("the second waits", async || {
            let waits: bool = sqlx::query_scalar(
                "select exists (select from pg_stat_activity where datname = current_database() \
                 and wait_event_type = 'Lock' and query like '%sexton.enqueue%')",
            )
            .fetch_one(stand.pool())
            .await
            .ok()?;
            waits.then_some(())
        })
        .await;
        if commits {
            first.commit().await.unwrap()
        } else {
            first.rollback().await.unwrap()
        }
        let two = tokio::time::timeout(BOUND, second).await.expect("in time").unwrap();
        assert_eq!(one == two, commits);
    }
    assert_eq!(count(stand.pool()).await, 2);
    stand.daemon.terminate().await;
}

#[tokio::test]
async fn an_edited_job_counts_from_its_revision_on_and_one_that_is_gone_is_unknown() {
    let stand = Stand::new(&[("ship-order", SHIP), ("other", SHIP)], "").await;
    let params = json!({"number": 5, "carrier": "post"});
    let mut connection = stand.pool().acquire().await.unwrap();
    let old = keyed(&mut connection, "ship-order", params.clone(), "k").await.unwrap();
    stand.site.job("ship-order", &format!("priority = 7\n{}", SHIP.replace("min = 1", "min = 6")));
    std::fs::remove_file(stand.site.path("jobs/other.toml")).unwrap();
    let applied = stand.site.sexton(&["apply"]).await;
    assert!(applied.status.success(), "{}", applied.stderr);
    let (_, said, _) = refused(enqueue(stand.pool(), "ship-order", params.clone()).await);
    assert!(said.contains("at least 6"), "{said}");
    let (_, said, _) = refused(enqueue(stand.pool(), "other", params.clone()).await);
    assert!(said.contains("no job `other`"), "{said}");
    let new = enqueue(stand.pool(), "ship-order", json!({"number": 6, "carrier": "post"})).await.unwrap();
    assert_eq!(sexton::queue::find(stand.pool(), new).await.unwrap().unwrap().priority, 7);
    assert_eq!(carried(stand.pool(), old).await["priority"], 0, "the old run keeps its snapshot");
    // A request that is sent again has its answer, whatever the file says by now.
    assert_eq!(keyed(&mut connection, "ship-order", params, "k").await.unwrap(), old);
    stand.daemon.terminate().await;
}

/// A queue whose files were applied by a binary that did not know of it.
#[tokio::test]
async fn a_daemon_that_starts_publishes_the_jobs_of_the_current_revision() {
    let stand = Stand::new(&[("ship-order", SHIP)], "").await;
    stand.daemon.terminate().await;
    let forget = "delete from sexton.job; update sexton.revision set default_alert = null";
    sqlx::raw_sql(forget).execute(stand.queue.pool()).await.unwrap();
    let params = json!({"number": 5, "carrier": "post"});
    assert_eq!(refused(enqueue(stand.queue.pool(), "ship-order", params.clone()).await).0, "55000");
    let daemon = stand.site.daemon(&["run"]).await;
    daemon.wait_for_line("is at work").await;
    let run = enqueue(stand.queue.pool(), "ship-order", params).await.unwrap();
    assert_eq!(over(stand.queue.pool(), run).await.state, "done");
    daemon.terminate().await;
}
