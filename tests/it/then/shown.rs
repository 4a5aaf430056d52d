//! A chain is seen as one: its jobs in order, with those that did not start and why.

use std::path::Path;

use serde_json::{Value, json};
use sexton::{
    catalog::{Catalog, Files},
    queue::{self, NewRun},
    spec::{On, Spec},
};
use uuid::Uuid;

use super::{fails, link, noop};
use crate::{
    daemon::site,
    support::{
        Database, eventually,
        work::{enqueue, quick, spec, work},
    },
};

/// The shipped chain, whose jobs do nothing but end.
fn weekly(failing: &str) -> Spec {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (files, _) = Files::read(&here.join("jobs"), &here.join("schedules"));
    let catalog = Catalog::parse(&files).catalog.expect("the shipped files");
    let shipped = catalog.spec_for(catalog.schedule("weekly-data").expect("the schedule")).expect("a spec");
    let harmless = |real: &Spec| {
        let of = if real.job == failing { fails(&real.job) } else { noop(&real.job) };
        Spec { follows: real.follows.clone(), ..of }
    };
    harmless(&shipped).followed_by(shipped.then.iter().map(harmless).collect())
}

#[tokio::test]
async fn the_shipped_chain_stops_where_a_link_fails_and_says_what_did_not_run_and_why() {
    let database = Database::new().await;
    let pool = database.pool();
    let working = work(pool, quick());
    let sunday = NewRun {
        schedule: Some("weekly-data".to_owned()),
        nominal_at: Some(chrono::Utc::now()),
        ..NewRun::now(weekly("cleanup-old"), "schedule weekly-data")
    };
    let first = queue::enqueue(&mut pool.acquire().await.unwrap(), &sunday).await.unwrap();
    queue::nudge(pool).await;
    eventually("a link fails", async || {
        let failed = "select exists (select from sexton.history where job = 'cleanup-old' and state = 'failed')";
        sqlx::query_scalar::<_, bool>(failed).fetch_one(pool).await.ok()?.then_some(())
    })
    .await;
    working.drain().await;
    let run = queue::find(pool, first).await.unwrap().expect("the run");
    let links = queue::linked(pool, &run).await.unwrap();
    let told: Vec<_> = links.iter().map(|l| (l.job.as_str(), l.state.as_str(), l.why.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("archive-exceptions", "done", None),
            ("cleanup-resolved", "done", None),
            ("cleanup-old", "failed", Some("no such table")),
            ("validate-full", "not_started", Some("cleanup-old failed")),
            ("analyze", "not_started", Some("validate-full did not run")),
        ]
    );
    // Every run of it tells of the schedule and the slot that it is from.
    let slots: i64 =
        sqlx::query_scalar("select count(*) from sexton.history where nominal_at = $1 and schedule = 'weekly-data'")
            .bind(run.nominal_at)
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(slots, 3);

    let site = site(&database.url(), &database.url(), "");
    let failed = links[2].run.expect("its run").to_string();
    let shown = site.sexton(&["runs", "show", &failed]).await.stdout;
    let chain: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("chain")).collect();
    let first = first.to_string();
    assert_eq!(
        chain,
        [
            &format!("chain      archive-exceptions  done  (run {first})"),
            &format!("           cleanup-resolved    done  (run {})", links[1].run.expect("its run")),
            "         > cleanup-old         failed: no such table",
            "           validate-full       not started: cleanup-old failed",
            "           analyze             not started: validate-full did not run",
        ]
    );
    let json: Value = serde_json::from_str(&site.sexton(&["runs", "show", &failed, "--json"]).await.stdout).unwrap();
    assert_eq!(
        json["links"][3],
        json!({
            "job": "validate-full", "after": ["cleanup-old"], "on": "success", "state": "not_started", "why": "cleanup-old failed",
        })
    );
    let listed = site.sexton(&["runs", "list", "--chain", &failed, "--json"]).await.stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(listed.iter().all(|run| run["chain"] == json!(first)));

    // Once somebody has mended it, the rest goes on.
    assert!(site.sexton(&["runs", "retry", &failed]).await.status.success());
    let run = queue::find(pool, failed.parse::<Uuid>().unwrap()).await.unwrap().expect("the run");
    let links = queue::linked(pool, &run).await.unwrap();
    assert_eq!((links[3].state.as_str(), links[3].why.as_deref()), ("waits", Some("for cleanup-old")));
}

#[tokio::test]
async fn a_run_alone_shows_no_chain_and_one_that_lost_its_beginning_shows_the_rest() {
    let database = Database::new().await;
    let pool = database.pool();
    let alone = enqueue(pool, spec("alone", "noop", json!({}))).await;
    let run = queue::find(pool, alone).await.unwrap().expect("the run");
    assert_eq!(queue::linked(pool, &run).await.unwrap(), []);

    let working = work(pool, quick());
    let first = enqueue(
        pool,
        noop("first").followed_by(vec![
            link(fails("second"), &["first"], On::Success),
            link(noop("third"), &["second"], On::Success),
        ]),
    )
    .await;
    let second = eventually("the second fails", async || {
        sqlx::query_scalar::<_, Uuid>("select id from sexton.history where job = 'second'")
            .fetch_optional(pool)
            .await
            .ok()?
    })
    .await;
    sqlx::query("delete from sexton.history where id = $1").bind(first).execute(pool).await.unwrap();
    let mend = "update sexton.history set kind = 'noop', own = '{\"kind\": \"noop\", \"table\": {}}' where id = $1";
    sqlx::query(mend).bind(second).execute(pool).await.unwrap();
    assert_eq!(queue::retry(pool, second, "eva").await.unwrap(), queue::Retried::Ready);
    eventually("the third is done", async || {
        sqlx::query_scalar::<_, Uuid>("select id from sexton.history where job = 'third' and state = 'done'")
            .fetch_optional(pool)
            .await
            .ok()?
    })
    .await;
    working.drain().await;
    let run = queue::find(pool, second).await.unwrap().expect("the run");
    let links: Vec<_> = queue::linked(pool, &run).await.unwrap().into_iter().map(|link| link.job).collect();
    assert_eq!(links, ["second", "third"]);
}

#[test]
fn the_chains_of_the_guide_are_what_it_says() {
    let guide = include_str!("../../../docs/schedules.md");
    let blocks: Vec<&str> = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let of = |mark: &str| (*blocks.iter().find(|block| block.contains(mark)).expect(mark)).to_owned();
    let other = "[sql]\ntarget = \"collector\"\nsql = \"select 1\"\n";
    let dataset = include_str!("../../../jobs/datasets/interface_exceptions.toml");
    let jobs =
        ["cleanup", "validate", "analyze", "undo", "report"].map(|job| (format!("jobs/{job}.toml"), other.to_owned()));
    let files = jobs.into_iter().chain([
        ("jobs/archive.toml".to_owned(), of("# in jobs/archive.toml")),
        ("jobs/datasets/interface_exceptions.toml".to_owned(), dataset.to_owned()),
        ("schedules/weekly.toml".to_owned(), of("after = [")),
    ]);
    let parsed = Catalog::parse(&Files(files.collect()));
    let catalog = parsed.catalog.unwrap_or_else(|| panic!("{:?}", parsed.problems));
    let shape = |spec: Spec| {
        let link =
            |spec: &Spec| spec.follows.as_ref().map(|f| format!("{} {} {}", spec.job, f.on.word(), f.after.join(",")));
        spec.then.iter().filter_map(link).collect::<Vec<_>>()
    };
    assert_eq!(
        shape(catalog.spec_for(catalog.schedule("weekly").expect("it")).expect("a spec")),
        [
            "cleanup success archive",
            "validate success cleanup",
            "analyze success cleanup",
            "undo failure archive,cleanup",
            "report always validate,analyze,undo",
        ]
    );
    assert_eq!(shape(catalog.resolve("archive", &Default::default()).expect("a spec")), ["cleanup success archive"]);
}
