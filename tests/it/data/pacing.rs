//! Moving work gives way: it waits while the database is under pressure, rests its share, and refuses too much at once.

use sexton::{
    db::{Login, Target},
    secret::Secret,
};
use sqlx::{Connection, PgConnection};

use super::*;

#[test]
fn the_guide_s_job_is_a_good_file() {
    let guide = include_str!("../../../docs/pacing.md");
    let job = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("a block");
    let mut files = BTreeMap::new();
    files.insert("jobs/archive-gently.toml".to_owned(), job.to_owned());
    let set = include_str!("../../../jobs/datasets/interface_exceptions.toml");
    files.insert("jobs/datasets/interface_exceptions.toml".to_owned(), set.to_owned());
    let parsed = sexton::catalog::Catalog::parse(&sexton::catalog::Files(files));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
}

/// Steps so small that there are many.
const SMALL: &str = "older_than = '200d'\ndry_run = false\nbatch = { rows = 10 }\n";

/// Archives beside the test until it waits for `why`; gives the attempt and how to see that it goes on.
async fn waiting(
    site: &Site,
    throttle: &str,
    why: &str,
) -> (tokio::task::JoinHandle<Result<Outcome, Broken>>, tokio_util::sync::CancellationToken) {
    let ctx = site.ctx();
    let (mut progress, stop) = (ctx.progress.subscribe(), ctx.stop.clone());
    let table = format!("{SMALL}throttle = {{ {throttle}, every = '100ms' }}");
    let run = tokio::spawn(async move { archive(ctx, &table).await });
    let said = progress.wait_for(|progress| {
        let note = progress.as_ref().and_then(|progress| progress.note.as_deref());
        note.is_some_and(|note| note.starts_with(why))
    });
    tokio::time::timeout(support::PATIENCE, said).await.expect("it says why it waits").expect("progress");
    (run, stop)
}

#[tokio::test]
async fn a_query_of_ones_own_stops_work_until_it_says_go() {
    let site = Site::new(300).await;
    site.run("create table brake as select 1 as n").await;
    let query = "query = 'select count(*) from brake -- a comment;'";
    let (run, _) = waiting(&site, query, "waiting: query 1 > 0").await;
    assert_eq!(site.count("select count(*) from interface_exceptions_archive").await, 0);
    let open = "select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null \
                and pid <> pg_backend_pid() and state <> 'active'";
    assert_eq!(site.count(open).await, 0, "it waits in no transaction");

    site.run("delete from brake").await;
    let report = done(run.await.expect("no panic"));
    assert!(number(&report, "rows_archived") > 0);
    assert!(report.number("throttled_seconds").is_some_and(|seconds| seconds >= 0.1), "{report:?}");
}

#[tokio::test]
async fn sessions_of_others_stop_work_until_they_are_fewer() {
    let site = Site::new(300).await;
    let mut busy = Vec::new();
    for _ in 0..8 {
        let mut session = PgConnection::connect_with(&site.database.login().options().application_name("busy"))
            .await
            .expect("a session");
        busy.push(tokio::spawn(async move {
            let _ = sqlx::query("select pg_sleep(600)").execute(&mut session).await;
        }));
    }
    support::eventually("all are busy", async || {
        let sql = "select count(*) from pg_stat_activity where application_name = 'busy' and state = 'active' \
                   and datname = current_database()";
        (site.count(sql).await == 8).then_some(())
    })
    .await;
    let (run, _) = waiting(&site, "active_sessions = 7", "waiting: active_sessions ").await;
    site.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'busy' and datname = current_database()")
        .await;
    assert!(number(&done(run.await.expect("no panic")), "rows_archived") > 0);
}

#[tokio::test]
async fn a_stop_ends_the_wait() {
    let site = Site::new(100).await;
    let (run, stop) = waiting(&site, "query = 'select true'", "waiting: query is true").await;
    stop.cancel();
    assert!(matches!(run.await.expect("no panic"), Err(Broken::Stopped)));
}

#[tokio::test]
async fn every_signal_can_be_read_and_calm_is_no_reason_to_wait() {
    let site = Site::new(300).await;
    let throttle = "throttle = { replica_lag = '10s', replica_lag_bytes = '64 MiB', slot_wal = '100 GiB', \
                    slot_wal_left = '1 B', wal_rate = '100 GiB/s', active_sessions = 10_000, xmin_age = 2_000_000_000, \
                    query = 'select 0', every = '100ms' }";
    let report = done(archive(site.ctx(), &format!("{SMALL}{throttle}")).await);
    assert_eq!(report.number("throttled_seconds"), Some(0.0));
}

#[tokio::test]
async fn the_rate_of_the_log_slows_work_down() {
    let site = Site::new(300).await;
    // Any step writes more than a byte a second, so every look after a step waits for one that saw nothing written.
    let report = done(archive(site.ctx(), &format!("{SMALL}throttle = {{ wal_rate = 1_000, every = '100ms' }}")).await);
    assert!(report.number("throttled_seconds").is_some_and(|seconds| seconds > 0.0), "{report:?}");
}

#[tokio::test]
async fn work_takes_no_more_than_its_share_of_the_time() {
    let site = Site::new(300).await;
    let begun = std::time::Instant::now();
    let report = done(archive(site.ctx(), &format!("{SMALL}throttle = {{ share = 0.5 }}")).await);
    let rested = report.number("rested_seconds").expect("a rest");
    assert!(rested > 0.0 && rested < begun.elapsed().as_secs_f64(), "{report:?}");
}

#[tokio::test]
async fn a_query_that_cannot_be_asked_fails_before_a_row_moves() {
    let site = Site::new(100).await;
    let before = site.everything().await;
    for (query, word) in [
        ("select n from nowhere", "relation \"nowhere\" does not exist"),
        ("select 1, 2", "subquery must return only one column"),
        ("select 'many'", "gave \"many\""),
        ("delete from interface_exceptions returning 1", "syntax error"),
        ("select pg_advisory_lock(1); drop table interface_exceptions", "syntax error"),
        ("select nextval('interface_exceptions_id_seq')", "read-only transaction"),
    ] {
        for dry_run in [true, false] {
            let table =
                format!("older_than = '200d'\ndry_run = {dry_run}\nthrottle = {{ query = \"\"\"{query}\"\"\" }}");
            let failure = failed(archive(site.ctx(), &table).await);
            assert!(failure.why.contains(word), "{query}: {failure:?}");
            assert!(failure.help.is_some(), "{failure:?}");
        }
    }
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn what_the_user_may_not_see_is_said_before_a_row_moves() {
    let site = Site::new(100).await;
    let user = format!("pacing_{}", site.database.name());
    site.run(&format!("create role {user} login")).await;
    // The cluster knows its users by their system names, so it is entered as its owner, who then is somebody else.
    let mut url = url::Url::parse(&site.database.login().to_string()).expect("a URL");
    url.query_pairs_mut().append_pair("options[role]", &user);
    let login = Login::new(&Secret::new(url.to_string()), None).expect("a login");
    let mut ctx = support::ctx([Target::new("collector", login, None)], Vaults::default());
    ctx.dataset = Some(site.definition.clone());

    let failure = failed(archive(ctx, "older_than = '200d'\nthrottle = { active_sessions = 20 }").await);
    site.run(&format!("drop role {user}")).await;
    assert!(failure.why.contains("may not see"), "{failure:?}");
    assert_eq!(failure.help, Some(format!("run on the target: grant pg_monitor to \"{user}\";")));
}

#[tokio::test]
async fn a_run_that_would_take_too_much_at_once_is_refused_and_the_dry_run_says_so() {
    let site = Site::new(400).await;
    let before = site.main_rows().await;
    let table = "older_than = '1d'\nkeep_open = false\nkeep_critical = false\nmax_fraction = 0.3\n";
    let foretold = done(archive(site.ctx(), table).await);
    let refuses = foretold.get("refuses").and_then(serde_json::Value::as_str).expect("a finding");
    assert!(refuses.contains("of 400 rows") && refuses.contains("max_rows = 120"), "{refuses}");

    let failure = failed(archive(site.ctx(), &format!("{table}dry_run = false")).await);
    assert!(failure.why.contains("of 400 rows") && failure.why.contains("30 %"), "{failure:?}");
    assert!(failure.help.as_ref().is_some_and(|help| help.contains("max_fraction = ")), "{failure:?}");
    assert_same(&site.main_rows().await, &before);

    // Less at a time is no danger.
    let report = done(archive(site.ctx(), &format!("{table}dry_run = false\nmax_rows = 120")).await);
    assert_eq!((number(&report, "rows_archived"), report.get("refuses")), (120, None));
    // The share is of the table that rows leave; so few rows are refused only where the job says a share.
    let purge = "from = 'archive'\ndisposal = 'delete'\nolder_than = '1d'\nkeep_open = false\nkeep_critical = false\ndry_run = false\n";
    let failure = failed(cleanup(site.ctx(), &format!("{purge}max_fraction = 0.5")).await);
    assert!(failure.why.contains("120 of 120 rows (100 %) out of the archive"), "{failure:?}");
    let report = done(cleanup(site.ctx(), purge).await);
    assert_eq!(number(&report, "rows_deleted"), 120);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_a_reason_to_wait_and_a_stop_ends_it() {
    let site = Site::new(100).await;
    let (run, stop) = waiting(&site, "query = 'select pg_sleep(60) is null'", "waiting: query gave nothing").await;
    stop.cancel();
    let ended = tokio::time::timeout(support::PATIENCE, run).await.expect("it ends").expect("no panic");
    assert!(matches!(ended, Err(Broken::Stopped)));
}

/// Tables of a data set that many rows leave, and the order to archive them.
async fn many_rows() -> (Site, &'static str) {
    let mut site = Site::new(10).await;
    site.run(
        "create table public.note (id bigint primary key, at timestamptz not null, text text);
         create table public.word (id bigint primary key, note bigint not null references public.note);
         create index on public.word (note);
         insert into public.note select n, now() - interval '2 years', repeat('x', 100) from generate_series(1, 12000) n;
         insert into public.note select n, now(), repeat('x', 100) from generate_series(12001, 20000) n;
         insert into public.word select n, n from generate_series(1, 500) n;",
    )
    .await;
    site.run("vacuum analyze public.note, public.word").await;
    site.definition = serde_json::json!({
        "table": "public.note", "key": ["id"], "age": "at", "children": "foreign keys", "archive": { "suffix": "_archive" },
    });
    (site, "older_than = '365d'\ndry_run = false\nmax_fraction = 1.0\n")
}

#[tokio::test]
async fn many_moved_rows_are_vacuumed_afterwards_and_the_room_is_told_honestly() {
    let (site, table) = many_rows().await;
    let vacuums = "select pg_stat_get_vacuum_count('public.note'::regclass)";
    let before = site.count(vacuums).await;
    let size = site.count("select pg_relation_size('public.note')").await;

    let report = done(archive(site.ctx(), table).await);

    assert_eq!(report.get("vacuumed").and_then(|v| v.as_str()), Some("public.note"), "{report:?}");
    assert_eq!(report.get("analyzed").and_then(|v| v.as_str()), Some("public.note_archive"), "few words moved");
    assert!(site.count(vacuums).await > before);
    assert_eq!(site.count("select pg_relation_size('public.note')").await, size, "it keeps its room");
    assert_eq!(number(&report, "space_returned_bytes"), 0);
    let reusable = number(&report, "space_reusable_bytes");
    // How much exactly depends on who else looked at these pages meanwhile.
    assert!(reusable > 0 && reusable <= size, "{reusable} of {size}");
    assert_eq!(report.get("vacuum_notes"), None);
}

#[tokio::test]
async fn rows_that_an_old_transaction_still_sees_are_no_usable_room() {
    let (site, table) = many_rows().await;
    let mut old = site.pool().begin().await.expect("a transaction");
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *old).await.expect("a mode");
    sqlx::query("select count(*) from public.note").execute(&mut *old).await.expect("a snapshot");

    let report = done(archive(site.ctx(), table).await);

    assert_eq!(number(&report, "space_reusable_bytes"), 0, "{report:?}");
    let notes = report.get("vacuum_notes").and_then(|v| v.as_str()).expect("a note");
    // At least the rows that left; a step that was tried again leaves more.
    assert!(notes.contains(" dead rows of public.note are still seen by an old transaction"), "{notes}");
}

#[tokio::test]
async fn a_vacuum_that_cannot_be_is_a_note_and_no_failure() {
    let (site, table) = many_rows().await;
    // Never means never.
    let report = done(archive(site.ctx(), &format!("{table}vacuum = 'never'\nmax_rows = 100")).await);
    assert_eq!((report.get("vacuumed"), report.get("vacuum_notes")), (None, None));

    // Somebody has just what a vacuum needs.
    let mut other = site.pool().begin().await.expect("a transaction");
    sqlx::query("lock table public.note in share update exclusive mode").execute(&mut *other).await.expect("a lock");
    let report = done(archive(site.ctx(), &format!("{table}max_rows = 11_000")).await);
    other.rollback().await.expect("a rollback");
    assert_eq!((number(&report, "rows_archived"), report.get("vacuumed")), (11_000, None));
    let notes = report.get("vacuum_notes").and_then(|v| v.as_str()).expect("a note");
    assert!(notes.starts_with("public.note is left to autovacuum: somebody held it locked"), "{notes}");
}

#[tokio::test]
async fn tables_of_somebody_else_are_left_to_autovacuum_with_a_note() {
    let (site, table) = many_rows().await;
    let user = format!("keeper_{}", site.database.name());
    site.run(&format!("create role {user} login; grant create on schema public to {user}")).await;
    let wanted = dataset::Wanted { roles: vec![user.clone()], ..Default::default() };
    dataset::install(site.pool(), false, &wanted).await.expect("grants");
    site.run(&format!("grant all on all tables in schema public to {user}")).await;
    let mut url = url::Url::parse(&site.database.login().to_string()).expect("a URL");
    url.query_pairs_mut().append_pair("options[role]", &user);
    let login = Login::new(&Secret::new(url.to_string()), None).expect("a login");
    let mut ctx = support::ctx([Target::new("collector", login, None)], Vaults::default());
    ctx.dataset = Some(site.definition.clone());

    let report = done(archive(ctx, table).await);

    let notes = report.get("vacuum_notes").and_then(|v| v.as_str()).expect("a note");
    assert!(notes.contains("public.note is left to autovacuum: it belongs to `sexton`"), "{notes}");
    assert_eq!(report.get("analyzed").and_then(|v| v.as_str()), Some("public.note_archive"), "its own it may");
    site.run(&format!("drop owned by {user}; drop role {user}")).await;
}
