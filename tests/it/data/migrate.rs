//! Legacy rows come in once, whole and valid; what is wrong with the others is told exactly, before and after.

use sexton::db::Sources;

use super::*;
use crate::support::next_attempt;

/// Makes `public.legacy_exceptions` as the documented contract has it, with `rows` good rows.
pub fn legacy(rows: u32) -> String {
    format!(
        r#"create table public.legacy_exceptions (
            id bigint primary key, transaction_id text, interface_type text, exception_reason text, operation text,
            external_id text, status text, severity text, category text, retryable boolean, customer_id text,
            location_code text, "timestamp" timestamptz, created_at timestamptz, retry_count integer,
            acknowledged_at timestamptz, acknowledged_by text, resolved_at timestamptz, resolved_by text,
            resolution_method text, resolution_notes text, acknowledgment_notes text, last_retry_at timestamptz,
            updated_at timestamptz, max_retries integer, shoe_size integer
        );
        insert into public.legacy_exceptions
        select i * 3, 'L-' || i, (array['ORDER', 'COLLECTION', 'DISTRIBUTION', 'RECRUITMENT'])[1 + i % 4], 'reason ' || i,
               'CREATE_ORDER', 'ext ' || i, (array['NEW', 'ACKNOWLEDGED', 'RESOLVED', 'CLOSED'])[1 + i % 4], 'HIGH', 'TIMEOUT', i % 2 = 0,
               'Customer ' || i, 'HOSP', now() - i * interval '1 hour', now() - i * interval '59 minutes', i % 3,
               now() - i * interval '50 minutes', 'ann', case when i % 4 > 1 then now() - i * interval '40 minutes' end, 'bob', 'AUTOMATED',
               'notes ' || i, 'seen ' || i, now() - i * interval '45 minutes', now() - i * interval '30 minutes', 5, 44
        from generate_series(1, {rows}) i;"#
    )
}

/// Spoils rows in every way, and leaves values out that have a default: 12 are invalid, 2 are there already.
const SPOILT: &str = r#"
    update legacy_exceptions set transaction_id = '' where id = 30;
    update legacy_exceptions set transaction_id = null where id = 33;
    update legacy_exceptions set interface_type = null where id = 36;
    update legacy_exceptions set interface_type = 'PIGEON' where id = 39;
    update legacy_exceptions set status = 'SECRET-STATE' where id = 42;
    update legacy_exceptions set severity = 'DIRE' where id = 45;
    update legacy_exceptions set category = 'OTHER' where id = 48;
    update legacy_exceptions set operation = repeat('x', 101) where id = 51;
    update legacy_exceptions set exception_reason = e' \t' where id = 54;
    update legacy_exceptions set retry_count = -1 where id = 57;
    update legacy_exceptions set "timestamp" = now() + interval '1 day' where id = 60;
    update legacy_exceptions set resolution_notes = repeat('n', 1001) where id = 1503;
    update legacy_exceptions set transaction_id = 'L-1' where id in (63, 1506);
    update legacy_exceptions set exception_reason = null, operation = null, status = null, severity = null, category = null,
        retryable = null, "timestamp" = null, retry_count = null, max_retries = null, updated_at = null where id = 300;
"#;

/// What independent SQL says of the same rows: invalid, and valid ones with a name of their own.
const INVALID: &str = r#"select count(*) from legacy_exceptions where not (
    coalesce(transaction_id, '') <> '' and interface_type in ('ORDER', 'COLLECTION', 'DISTRIBUTION', 'RECRUITMENT')
    and interface_type is not null and coalesce(status, 'NEW') in ('NEW', 'ACKNOWLEDGED', 'RESOLVED', 'CLOSED')
    and coalesce(severity, 'HIGH') in ('HIGH') and coalesce(category, 'TIMEOUT') in ('TIMEOUT')
    and length(coalesce(operation, '')) <= 100 and exception_reason is distinct from e' \t' and coalesce(retry_count, 0) >= 0
    and coalesce("timestamp", created_at) <= now() and length(resolution_notes) <= 1000)"#;

async fn site(rows: u32) -> Site {
    let site = Site::new(20).await;
    site.run(&legacy(rows)).await;
    site
}

/// A first attempt on this target, where every `legacy` table of `public` may be read.
fn ctx(site: &Site) -> Ctx {
    let sources = Sources::new(["public.legacy*".to_owned()]);
    let mut ctx = support::ctx([site.database.target("collector").with_sources(sources)], Vaults::default());
    ctx.dataset = Some(site.definition.clone());
    ctx
}

/// Runs a `[migrate]` table.
pub async fn migrate(ctx: Ctx, table: &str) -> Result<Outcome, Broken> {
    let table = format!("target = 'collector'\ndataset = 'interface_exceptions'\n{table}");
    toml::from_str::<Migrate>(&table).expect("a [migrate] table").run(ctx).await
}

/// Calls the function.
async fn call(site: &Site, arguments: &str) -> (i64, i64, Vec<String>) {
    try_call(site, arguments).await.expect(arguments)
}

async fn try_call(site: &Site, arguments: &str) -> Result<(i64, i64, Vec<String>), sqlx::Error> {
    let sql = format!(
        "select migrated_count::bigint, error_count::bigint, validation_errors from migrate_legacy_exceptions({arguments})"
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_one(site.pool()).await
}

/// Why a call was refused.
async fn refused(site: &Site, arguments: &str) -> String {
    let error = try_call(site, arguments).await.expect_err(arguments);
    error.as_database_error().expect("the database's word").message().to_owned()
}

fn counts(report: &Report) -> [i64; 5] {
    ["rows_read", "rows_migrated", "rows_already_there", "rows_invalid", "rows_quarantined"]
        .map(|name| number(report, name))
}

async fn last_id(site: &Site) -> i64 {
    site.count("select pg_sequence_last_value(pg_get_serial_sequence('interface_exceptions', 'id'))").await
}

const SOURCE: &str = "source = 'legacy_exceptions'\nbatch = { rows = 70 }\n";

#[tokio::test]
async fn a_dry_run_predicts_the_real_run_and_changes_nothing() {
    let site = site(2_000).await;
    site.run(SPOILT).await;
    let invalid = site.count(INVALID).await;
    assert_eq!(invalid, 12);
    let (before, id) = (site.everything().await, last_id(&site).await);

    let predicted = call(&site, "'public.legacy_exceptions', 333").await;
    let dry = done(migrate(ctx(&site), SOURCE).await);
    assert_eq!(counts(&dry), [2_000, 2_000 - invalid - 2, 2, invalid, invalid]);
    assert_eq!((predicted.0, predicted.1), (2_000 - invalid - 2, invalid));
    assert_same(&site.everything().await, &before);
    assert_eq!(last_id(&site).await, id, "no number is drawn");
    assert_eq!(site.count("select count(*) from sexton.quarantine").await, 0);

    let real = done(migrate(ctx(&site), &format!("{SOURCE}dry_run = false")).await);
    assert_eq!(counts(&real), counts(&dry));
    assert_eq!(real.get("samples"), dry.get("samples"));
    assert!(number(&real, "steps") > 1 && real.number("duration_seconds").is_some());
    assert_eq!(
        site.count("select count(*) from interface_exceptions where transaction_id like 'L-%'").await,
        predicted.0
    );
    let told = real.get("samples").and_then(|told| told.as_str()).expect("samples");
    assert_eq!(told.lines().collect::<Vec<_>>(), predicted.2);
    assert_eq!(last_id(&site).await, id + predicted.0, "and each row drew one");
}

#[tokio::test]
async fn the_function_and_the_job_do_the_same_and_a_second_run_does_nothing() {
    let site = site(1_000).await;
    site.run(SPOILT).await;
    let first = call(&site, "'legacy_exceptions', 100, false").await;
    let rows = "select md5(string_agg(t::text, ',' order by id)) from interface_exceptions t";
    let kept = "select md5(string_agg(t::text, ',' order by id)) from sexton.quarantine t";
    let text =
        async |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(site.pool()).await.expect("a digest");
    let (before, quarantine, id) = (text(rows).await, text(kept).await, last_id(&site).await);

    let again = call(&site, "'legacy_exceptions', 100, false").await;
    let job = done(migrate(ctx(&site), &format!("{SOURCE}dry_run = false")).await);

    assert_eq!((again.0, again.1, &again.2), (0, first.1, &first.2));
    assert_eq!(counts(&job), [1_000, 0, 1_000 - first.1, first.1, 0]);
    assert_eq!((text(rows).await, text(kept).await, last_id(&site).await), (before, quarantine, id));
}

#[tokio::test]
async fn what_was_known_of_a_row_comes_with_it_and_its_age_goes_on() {
    let site = site(400).await;
    site.run(SPOILT).await;
    call(&site, "'legacy_exceptions', 1000, false").await;
    let same = r#"select count(*) from interface_exceptions e join legacy_exceptions l using (transaction_id)
        where l.id <> 300 and (e.interface_type, e.exception_reason, e.operation, e.external_id, e.status, e.severity, e.category, e.retryable,
            e.customer_id, e.location_code, e."timestamp", e.created_at, e.retry_count, e.acknowledged_at, e.acknowledged_by,
            e.resolution_method, e.resolution_notes, e.acknowledgment_notes, e.last_retry_at, e.updated_at, e.max_retries, e.resolved_by)
          = (l.interface_type, l.exception_reason, l.operation, l.external_id, l.status, l.severity, l.category, l.retryable,
            l.customer_id, l.location_code, l."timestamp", l.created_at, l.retry_count, l.acknowledged_at, l.acknowledged_by,
            l.resolution_method, l.resolution_notes, l.acknowledgment_notes, l.last_retry_at, l.updated_at, l.max_retries, l.resolved_by)
          and e.resolved_at is not distinct from l.resolved_at and e.processed_at = l.created_at"#;
    let migrated = site.count("select count(*) from interface_exceptions where transaction_id like 'L-%'").await;
    assert_eq!(site.count(same).await, migrated - 1);
    let defaults = r#"select count(*) from interface_exceptions e join legacy_exceptions l using (transaction_id)
        where l.id = 300 and e.exception_reason = 'Migrated legacy exception' and e.operation = 'UNKNOWN' and e.status = 'NEW'
          and e.severity = 'MEDIUM' and e.category = 'SYSTEM_ERROR' and e.retryable and e."timestamp" = l.created_at
          and e.retry_count = 0 and e.max_retries = 3 and e.updated_at is not null"#;
    assert_eq!(site.count(defaults).await, 1, "what is missing gets the documented value");
}

#[tokio::test]
async fn a_refused_row_is_kept_whole_with_the_exact_reason_and_nothing_else_is_told() {
    let site = site(600).await;
    site.run(SPOILT).await;
    let called = call(&site, "'legacy_exceptions', 1000, false").await;
    let told: Vec<(String, String)> =
        sqlx::query_as("select record, reason from sexton.quarantine order by record::bigint")
            .fetch_all(site.pool())
            .await
            .expect("the quarantine");
    let check =
        |column: &str| format!("column `{column}`: violates check constraint `interface_exceptions_{column}_check`");
    let expected: Vec<(&str, String)> = vec![
        ("30", "the transaction id is empty".into()),
        ("33", "column `transaction_id`: must not be null".into()),
        ("36", "column `interface_type`: must not be null".into()),
        ("39", check("interface_type")),
        ("42", check("status")),
        ("45", check("severity")),
        ("48", check("category")),
        ("51", "column `operation`: value too long for type character varying(100)".into()),
        ("54", "the exception reason is blank".into()),
        ("57", "the retry count is negative".into()),
        ("60", "a time lies in the future".into()),
        ("1503", "column `resolution_notes`: value too long for type character varying(1000)".into()),
    ];
    assert_eq!(told.iter().map(|(id, why)| (id.as_str(), why.clone())).collect::<Vec<_>>(), expected);
    assert_eq!(called.2, expected.iter().map(|(id, why)| format!("Record ID {id}: {why}")).collect::<Vec<_>>());
    let whole = "select count(*) from sexton.quarantine q join legacy_exceptions l on l.id = q.record::bigint
        where q.content = to_jsonb(l) and q.source = 'public.legacy_exceptions' and q.dataset = 'public.interface_exceptions' and q.found_by = session_user";
    assert_eq!(site.count(whole).await, 12);
    let open = "select count(*) from information_schema.role_table_grants where table_name = 'quarantine' and grantee = 'PUBLIC'";
    assert_eq!(site.count(open).await, 0);

    site.run("update legacy_exceptions set status = 'NEW' where id = 42; update legacy_exceptions set severity = 'WORSE' where id = 45;
        update sexton.quarantine set found_at = now() - interval '91 days' where record = '51'").await;
    let again = call(&site, "'legacy_exceptions', 7, false").await;
    assert_eq!((again.0, again.1), (1, 11), "a corrected row comes in");
    assert_eq!(site.count("select count(*) from sexton.quarantine where record = '42'").await, 0);
    assert_eq!(site.count("select count(*) from sexton.quarantine where record = '45'").await, 1);
    assert_eq!(site.count("select count(*) from sexton.quarantine where content ->> 'severity' = 'WORSE'").await, 1);
    let fresh = "select count(*) from sexton.quarantine where record = '51' and found_at > now() - interval '1 hour'";
    assert_eq!(site.count(fresh).await, 1, "what is old is removed; what is still wrong is found again");
}

#[tokio::test]
async fn errors_are_bounded_and_counts_are_not() {
    let site = site(300).await;
    site.run("update legacy_exceptions set status = 'BAD'").await;
    let (migrated, errors, told) = call(&site, "'legacy_exceptions', 64, null").await;
    assert_eq!((migrated, errors, told.len()), (0, 300, 101), "no word about a dry run means a dry run");
    assert_eq!(told[100], "… and 200 more");
    assert_eq!(site.count("select count(*) from sexton.quarantine").await, 0);
    let job = done(migrate(ctx(&site), SOURCE).await);
    let told = job.get("samples").and_then(|told| told.as_str()).expect("samples").lines().count();
    assert_eq!((counts(&job), told), ([300, 0, 0, 300, 300], 101));
}

#[tokio::test]
async fn arguments_that_nobody_can_mean_are_refused() {
    let site = site(3).await;
    assert_eq!(refused(&site, "'legacy_exceptions', 0").await, "p_batch_size is 0; it must be at least 1");
    assert_eq!(refused(&site, "'legacy_exceptions', null").await, "p_batch_size is null; it must be at least 1");
    assert_eq!(refused(&site, "'legacy_exceptions', -5, false").await, "p_batch_size is -5; it must be at least 1");
    assert!(refused(&site, "null").await.starts_with("there is no table"));
    assert!(refused(&site, "'legacy_exceptionz'").await.starts_with("there is no table `legacy_exceptionz`"));
    assert_eq!(call(&site, "'legacy_exceptions', 1").await.0, 3);
}

#[tokio::test]
async fn a_name_is_only_ever_compared() {
    let site = site(40).await;
    let odd = r#"x"; drop table interface_exceptions; --"#;
    let quoted = odd.replace('"', "\"\"");
    site.run(&format!(
        "create schema \"Old.Times\";
         create table public.\"{quoted}\" as select * from legacy_exceptions where id <= 30; alter table public.\"{quoted}\" add primary key (id);
         create table \"Old.Times\".\"T.1\" (like legacy_exceptions including all);
         insert into \"Old.Times\".\"T.1\" select * from legacy_exceptions where id > 30 and id <= 60;
         create table public.\"Legacy\" as select * from legacy_exceptions where id > 60;
         create schema a; create table a.b_c (like legacy_exceptions); create schema \"a.b\"; create table \"a.b\".c (like legacy_exceptions);
         create table public.\"a.b.c\" (like legacy_exceptions); create table a.\"b.c\" (like legacy_exceptions);"
    ))
    .await;
    for (name, rows) in [
        (odd.to_owned(), 10),
        (format!("public.{odd}"), 0),
        (format!("public.\"{quoted}\""), 0),
        ("Old.Times.T.1".to_owned(), 10),
        ("\"Old.Times\".\"T.1\"".to_owned(), 0),
        ("Legacy".to_owned(), 20),
        ("\"Legacy\"".to_owned(), 0),
        ("public.Legacy".to_owned(), 0),
    ] {
        let dry = call(&site, &format!("$q${name}$q$, 3")).await;
        let real = call(&site, &format!("$q${name}$q$, 3, false")).await;
        assert_eq!((real.0, real.1), (rows, 0), "{name}");
        assert_eq!(dry.0, real.0);
    }
    assert!(refused(&site, "'a.b.c'").await.contains("may mean"), "two tables are called so");
    assert_eq!(call(&site, r#"'a."b.c"'"#).await.0, 0);
    assert!(refused(&site, "'legacy'").await.starts_with("there is no table"), "letters count");
}

#[tokio::test]
async fn the_data_set_s_own_tables_are_no_source() {
    let site = site(5).await;
    done(archive(site.ctx(), "older_than = '1d'\nkeep_open = false\ndry_run = false").await);
    for own in ["interface_exceptions", "retry_attempts", "public.order_items", "interface_exceptions_archive"] {
        let why = refused(&site, &format!("'{own}', 100, false")).await;
        assert!(why.contains("belongs to the data set itself"), "{own}: {why}");
    }
}

#[tokio::test]
async fn missing_columns_are_told_at_once_and_before_anything_is_done() {
    let site = site(5).await;
    site.run("create table public.legacy_poor as select transaction_id, interface_type, status, created_at from legacy_exceptions").await;
    let why = refused(&site, "'legacy_poor', 100, false").await;
    assert_eq!(
        why,
        "`public.legacy_poor` lacks columns that a migration into `public.interface_exceptions` needs: id, \
         exception_reason, operation, external_id, severity, category, retryable, customer_id, location_code, timestamp, retry_count"
    );
    let failure = failed(migrate(ctx(&site), "source = 'legacy_poor'\ndry_run = false").await);
    assert_eq!(failure.why, format!("target `collector`: {why}"));
    let log = "select count(*) from data_migration_log where status = 'FAILED' and error_details like '%lacks columns%' and initiated_by = 'somebody' and source_table = 'legacy_poor'";
    assert_eq!(site.count(log).await, 1, "a job that fails leaves a line, a function that fails none");
    assert_eq!(site.count("select count(*) from data_migration_log").await, 1);
}

#[tokio::test]
async fn columns_of_another_name_and_type_are_understood() {
    let site = site(30).await;
    site.run(
        r#"create table public.legacy_other as
           select id as number, transaction_id as tx, interface_type, exception_reason, operation as op, external_id, status, severity, category,
                  case when retryable then 'yes' else 'no' end as retryable, customer_id, location_code,
                  to_char("timestamp" at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as "timestamp", created_at at time zone 'UTC' as created_at,
                  retry_count::text as retry_count
           from legacy_exceptions;
           alter table public.legacy_other add primary key (tx, number);
           update legacy_other set retry_count = 'ann@example.org' where number = 6;
           update legacy_other set "timestamp" = 'next "tuesday"' where number = 9;"#,
    )
    .await;
    let table = "source = 'legacy_other'\nrename = { tx = 'transaction_id', op = 'operation' }\nbatch = { rows = 4 }\n";
    let dry = done(migrate(ctx(&site), table).await);
    let real = done(migrate(ctx(&site), &format!("{table}dry_run = false")).await);
    assert_eq!(counts(&dry), [30, 28, 0, 2, 2]);
    assert_eq!(counts(&real), counts(&dry));
    let told = real.get("samples").and_then(|told| told.as_str()).expect("samples");
    assert_eq!(
        told,
        "Record ID L-2, 6: column `retry_count`: invalid input syntax for type integer: …\n\
         Record ID L-3, 9: column `timestamp`: invalid input syntax for type timestamp with time zone: …"
    );
    let same = r#"select count(*) from interface_exceptions e join legacy_exceptions l using (transaction_id)
        where e.operation = l.operation and e.retryable = l.retryable and e."timestamp" = date_trunc('second', l."timestamp")
          and e.created_at = l.created_at and e.retry_count = l.retry_count"#;
    assert_eq!(site.count(same).await, 28);
    let wrong = failed(migrate(ctx(&site), "source = 'legacy_other'\nrename = { nix = 'transaction_id' }").await);
    assert!(wrong.why.contains("has no column `nix`"), "{}", wrong.why);
    let wrong = failed(migrate(ctx(&site), "source = 'legacy_other'\nrename = { tx = 'transaction' }").await);
    assert!(wrong.why.contains("has no column `transaction`"), "{}", wrong.why);
}

#[tokio::test]
async fn rows_that_share_an_id_are_all_read() {
    let site = site(30).await;
    site.run(
        "create table public.legacy_twins as select * from legacy_exceptions; update legacy_twins set id = id / 12",
    )
    .await;
    assert_eq!(call(&site, "'legacy_twins', 3").await.0, 30);
    assert_eq!(call(&site, "'legacy_twins', 3, false").await.0, 30);
    site.run("insert into legacy_twins select * from legacy_exceptions where id = 9; update legacy_twins set id = null where id = 9").await;
    let why = refused(&site, "'legacy_twins', 3").await;
    assert_eq!(why, "`public.legacy_twins` has rows without `id`, by which rows are read in order");
    site.run("delete from legacy_twins where id is null").await;
    site.run("update legacy_twins set id = 8, status = 'BAD' where transaction_id in ('L-29', 'L-30')").await;
    site.run("delete from interface_exceptions where transaction_id in ('L-29', 'L-30')").await;
    assert_eq!(call(&site, "'legacy_twins', 1, false").await.1, 2);
    assert_eq!(site.count("select count(*) from sexton.quarantine where record = '8'").await, 2);
}

#[tokio::test]
async fn a_migrated_row_that_was_archived_does_not_come_back() {
    let site = site(200).await;
    call(&site, "'legacy_exceptions', 1000, false").await;
    done(archive(site.ctx(), "older_than = '2d'\ndry_run = false").await);
    let archived =
        site.count("select count(*) from interface_exceptions_archive where transaction_id like 'L-%'").await;
    assert!(archived > 20, "{archived}");
    let before = site.everything().await;
    assert_eq!(call(&site, "'legacy_exceptions', 1000").await.0, 0);
    let report = done(migrate(ctx(&site), &format!("{SOURCE}dry_run = false")).await);
    assert_eq!(counts(&report), [200, 0, 200, 0, 0]);
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn a_stopped_run_goes_on_from_its_checkpoint() {
    let site = site(2_000).await;
    site.run(SPOILT).await;
    let predicted = done(migrate(ctx(&site), SOURCE).await);
    let table = format!("{SOURCE}dry_run = false").replace("70", "10");
    let first = ctx(&site);
    let second = next_attempt(&first);
    let third = next_attempt(&second);
    let (stop, mut progress) = (first.stop.clone(), first.progress.subscribe());
    let begun = table.clone();
    let run = tokio::spawn(async move { migrate(first, &begun).await });
    progress.wait_for(|progress| progress.as_ref().is_some_and(|p| p.done > 0)).await.expect("progress");
    stop.cancel();
    assert!(matches!(run.await.expect("no panic"), Err(Broken::Stopped)));
    let there = site.count("select count(*) from interface_exceptions where transaction_id like 'L-%'").await;
    assert!(there > 0 && there < number(&predicted, "rows_migrated"), "stopped half way, at {there}");

    let report = done(migrate(second, &table).await);
    assert_eq!(counts(&report), counts(&predicted));
    assert_eq!(report.get("samples"), predicted.get("samples"));
    assert_eq!(done(migrate(third, &table).await), report, "one more attempt tells the same and does nothing");
    assert_eq!(
        site.count("select count(*) from data_migration_log where migration_type = 'LEGACY_MIGRATION'").await,
        1
    );
}

#[tokio::test]
async fn an_attempt_that_lost_its_lease_cannot_commit_a_batch() {
    use dataset::{Definition, Error, Fence, Migration, Migrator, Pace};
    let site = site(100).await;
    let definition: Definition = serde_json::from_value(site.definition.clone()).expect("a definition");
    let pace = Pace { rows: 10, target: std::time::Duration::from_millis(500) };
    let run = uuid::Uuid::now_v7();
    let attempt = |token| Migrator { fence: Some(Fence { run, token }), by: "somebody" };
    let rename = BTreeMap::new();
    let prepare = || Migration::prepare(site.pool(), &definition, "legacy_exceptions", &rename);
    let mut zombie = prepare().await.expect("a plan");
    let mut theirs = zombie.begin(attempt(1), pace).await.expect("the first attempt");
    assert!(zombie.step(attempt(1), &mut theirs, pace).await.expect("a batch"));

    let mut newer = prepare().await.expect("a plan");
    let mut ours = newer.begin(attempt(2), pace).await.expect("the second attempt");
    assert_eq!((ours.read, ours.migrated, ours.total), (10, 10, 100), "it goes on from the first one's batch");
    let refused = zombie.step(attempt(1), &mut theirs, pace).await;
    assert!(matches!(refused, Err(Error::Superseded)), "{refused:?}");
    assert_eq!(site.count("select count(*) from interface_exceptions where transaction_id like 'L-%'").await, 10);
    while newer.step(attempt(2), &mut ours, pace).await.expect("the newer attempt goes on") {}
    assert_eq!((ours.read, ours.migrated), (100, 100));
}

#[tokio::test]
async fn only_sources_that_the_settings_allow_are_read() {
    let site = site(5).await;
    site.run("create schema private; create table private.legacy_exceptions (like legacy_exceptions including all)")
        .await;
    let failure = failed(migrate(ctx(&site), "source = 'private.legacy_exceptions'").await);
    assert_eq!(
        failure.why,
        "target `collector`: the settings do not allow `private.legacy_exceptions` as a source of a migration"
    );
    let help = "add sources = [\"private.legacy_exceptions\"] to [targets.collector] in sexton.toml; allowed are: public.legacy*";
    assert_eq!(failure.help.as_deref(), Some(help));
    assert_eq!(
        failed(migrate(site.ctx(), SOURCE).await).help.as_deref(),
        Some("add sources = [\"public.legacy_exceptions\"] to [targets.collector] in sexton.toml")
    );
}

#[tokio::test]
async fn every_operation_leaves_a_line_with_its_user_and_counts() {
    let site = site(600).await;
    site.run(SPOILT).await;
    call(&site, "'legacy_exceptions'").await;
    call(&site, "'legacy_exceptions', 1000, false").await;
    done(migrate(ctx(&site), &format!("{SOURCE}dry_run = false")).await);
    let lines: Vec<(String, i32, i32, i32, String, bool)> = sqlx::query_as(
        "select migration_type, records_processed, records_migrated, records_failed, status, initiated_by = session_user
         from data_migration_log where source_table = 'public.legacy_exceptions' and completed_at > started_at order by id",
    )
    .fetch_all(site.pool())
    .await
    .expect("the log");
    let line = |what: &str, migrated, mine| (what.to_owned(), 600, migrated, 12, "COMPLETED".to_owned(), mine);
    assert_eq!(
        lines,
        [
            line("LEGACY_MIGRATION_DRY_RUN", 586, true),
            line("LEGACY_MIGRATION", 586, true),
            line("LEGACY_MIGRATION", 0, false)
        ]
    );
}

/// Main is partitioned, has a second unique column, a foreign key, an exclusion constraint and a computed column; the
/// source is a view.
const OTHER: &str = r#"
    create table public.region (code text primary key);
    insert into region values ('N'), ('S');
    create table public.thing (
        name text not null, day date not null, serial integer, region text references region, twice integer generated always as (serial * 2) stored,
        seat int4range, made timestamptz not null default now(),
        primary key (name), unique (serial), exclude using gist (seat with &&), check (twice < 2000)
    );
    insert into thing (name, day, serial, seat) values ('old', '2024-01-01', 1, '[900,910)');
    create table public.raw (id integer primary key, name text, day text, serial integer, region text, lo integer, hi integer);
    insert into raw
    select i, 'n' || i, '2024-02-' || (1 + i % 28), i + 100, (array['N', 'S'])[1 + i % 2], i * 10, i * 10 + 10 from generate_series(1, 50) i;
    update raw set serial = 1 where id = 5;
    update raw set serial = 103 where id = 6;
    update raw set region = 'X' where id = 7;
    update raw set lo = 905 where id = 8;
    update raw set hi = lo + 15 where id = 9;
    update raw set lo = hi + 1 where id = 12;
    update raw set serial = 1500 where id = 13;
    update raw set day = '2024-02-31' where id = 14;
    update raw set name = 'old' where id = 15;
    update raw set name = 'n5' where id = 16;
    update raw set hi = 1000 where id = 8;
    create view public.legacy_view as select * from raw;
"#;

const OTHER_SET: &str = r#"
    table = "public.thing"
    key = ["name"]
    age = "made"
    archive = { suffix = "_archive" }
    migrate = { required = ["name", "day"], columns = { seat = "int4range(lo, hi) -- a comment" } }
"#;

#[tokio::test]
async fn any_table_s_constraints_are_predicted() {
    let mut site = site(1).await;
    site.run(OTHER).await;
    site.definition = toml::from_str(OTHER_SET).expect("a data set");
    for batch in [1, 4, 100] {
        let table = format!("source = 'legacy_view'\nbatch = {{ rows = {batch} }}\n");
        let dry = done(migrate(ctx(&site), &table).await);
        let expected = [
            "Record ID 5: another row has the same serial (unique constraint `thing_serial_key`)",
            "Record ID 6: another row has the same serial (unique constraint `thing_serial_key`)",
            "Record ID 7: no row of `region` has this region (foreign key `thing_region_fkey`)",
            "Record ID 8: another row has the same seat (unique constraint `thing_seat_excl`)",
            "Record ID 10: another row has the same seat (unique constraint `thing_seat_excl`)",
            "Record ID 12: column `seat`: range lower bound must be less than or equal to range upper bound",
            "Record ID 13: column `twice`: violates check constraint `thing_twice_check`",
            "Record ID 14: column `day`: date/time field value out of range: …",
        ];
        let mut told: Vec<String> =
            dry.get("samples").and_then(|told| told.as_str()).expect("samples").lines().map(str::to_owned).collect();
        told.sort_by_key(|line| line[10..].split(':').next().and_then(|id| id.parse::<i32>().ok()));
        assert_eq!(told, expected, "{batch}");
        assert_eq!(counts(&dry), [50, 41, 1, 8, 8], "{batch}");
    }
    let real = done(migrate(ctx(&site), "source = 'legacy_view'\nbatch = { rows = 7 }\ndry_run = false").await);
    assert_eq!(counts(&real), [50, 41, 1, 8, 8]);
    let again = done(migrate(ctx(&site), "source = 'legacy_view'\nbatch = { rows = 9 }\ndry_run = false").await);
    // Row 16 had the name of row 5, which was refused: now that name is there.
    assert_eq!(counts(&again), [50, 0, 43, 7, 0]);
}

#[tokio::test]
async fn a_row_without_a_partition_is_refused() {
    let mut site = site(1).await;
    site.run(
        "create table public.event (name text primary key, made timestamptz not null default now()) partition by list (name);
         create table public.event_a partition of public.event for values in ('a', 'b'); create table public.event_c partition of public.event for values in ('c');
         create table public.legacy_events (id integer primary key, name text);
         insert into legacy_events values (1, 'a'), (2, 'c'), (3, 'd'), (4, 'a'), (5, null)",
    )
    .await;
    site.definition =
        toml::from_str("table = 'public.event'\nkey = ['name']\nage = 'made'\narchive = { suffix = '_archive' }")
            .expect("a data set");
    let dry = done(migrate(ctx(&site), "source = 'legacy_events'").await);
    assert_eq!(counts(&dry), [5, 2, 1, 2, 2], "{dry:?}");
    assert_eq!(
        dry.get("samples").and_then(|told| told.as_str()),
        Some("Record ID 3: `event` has no partition for it\nRecord ID 5: column `name`: must not be null")
    );
    let real = done(migrate(ctx(&site), "source = 'legacy_events'\ndry_run = false").await);
    assert_eq!(counts(&real), counts(&dry));
    let why = failed(migrate(ctx(&site), "source = 'event_a'").await).help.expect("help");
    assert!(why.contains("sources"), "{why}");
}

#[tokio::test]
async fn a_trigger_s_veto_is_kept_aside_and_the_others_come_in() {
    let site = site(50).await;
    site.run(
        "create function public.veto() returns trigger language plpgsql as $$ begin
             if new.external_id = 'ext 7' then raise check_violation using message = 'not \"Mr. Seven\"'; end if; return new;
         end $$;
         create trigger veto before insert on interface_exceptions for each row execute function veto()",
    )
    .await;
    let (migrated, errors, told) = call(&site, "'legacy_exceptions', 20, false").await;
    assert_eq!((migrated, errors), (49, 1));
    assert!(!told[0].contains("Seven"), "{told:?}");
}
