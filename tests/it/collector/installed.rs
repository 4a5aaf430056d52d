//! What `sexton db install` puts over the functions that are there: names, parameters, grants and archive tables.

use super::*;

/// Each function with its parameters and results, as documented; one parameter is new.
const CONTRACT: [(&str, &str, &str); 8] = [
    (
        "archive_old_exceptions",
        "p_archive_days integer DEFAULT 730, p_batch_size integer DEFAULT 1000, p_dry_run boolean DEFAULT true, p_preserve_critical boolean DEFAULT true, p_archived_by character varying DEFAULT 'system'::character varying",
        "TABLE(archived_exceptions integer, archived_retry_attempts integer, preserved_critical integer, archive_duration interval)",
    ),
    (
        "cleanup_old_exceptions",
        "p_retention_days integer DEFAULT 365, p_batch_size integer DEFAULT 1000, p_dry_run boolean DEFAULT true, p_preserve_critical boolean DEFAULT true",
        "TABLE(deleted_exceptions integer, deleted_retry_attempts integer, preserved_critical integer, cleanup_duration interval)",
    ),
    (
        "cleanup_resolved_exceptions",
        "p_resolved_retention_days integer DEFAULT 90, p_batch_size integer DEFAULT 1000, p_dry_run boolean DEFAULT true, p_preserve_critical boolean DEFAULT true",
        "TABLE(deleted_count integer, cleanup_duration interval)",
    ),
    (
        "get_archive_statistics",
        "",
        "TABLE(metric_name text, main_table_count bigint, archive_table_count bigint, total_count bigint, archive_percentage numeric)",
    ),
    ("get_cleanup_statistics", "", "TABLE(metric_name text, metric_value bigint, recommendation text)"),
    (
        "migrate_legacy_exceptions",
        "p_source_table text, p_batch_size integer DEFAULT 1000, p_dry_run boolean DEFAULT true",
        "TABLE(migrated_count integer, error_count integer, validation_errors text[])",
    ),
    (
        "restore_archived_exceptions",
        "p_transaction_ids text[], p_restored_by character varying DEFAULT 'system'::character varying",
        "TABLE(restored_exceptions integer, restored_retry_attempts integer, failed_restorations text[])",
    ),
    ("validate_migrated_data", "", "TABLE(validation_type text, issue_count integer, sample_issues text[])"),
];

/// Of each of the eight: its name, arguments, results, owner and grantees.
const FUNCTIONS: &str = "select p.proname::text, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.proowner::regrole::text,
        (select string_agg(case grantee when 0 then 'public' else grantee::regrole::text end, ', ' order by grantee::regrole::text)
         from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) where privilege_type = 'EXECUTE')
    from pg_proc p where pronamespace = 'public'::regnamespace and prokind = 'f' and proname = any (array[
        'archive_old_exceptions', 'cleanup_old_exceptions', 'cleanup_resolved_exceptions', 'get_archive_statistics',
        'get_cleanup_statistics', 'migrate_legacy_exceptions', 'restore_archived_exceptions', 'validate_migrated_data'])
    order by 1";

type Function = (String, String, String, String, Option<String>);

#[tokio::test]
async fn the_replaced_functions_keep_their_names_owner_and_grants() {
    let collector = Collector::with_upstream(Version::V14, 60).await;
    let old: Vec<Function> = collector.all(FUNCTIONS).await;
    assert_eq!(old.len(), 8);
    collector.install().await;
    let new: Vec<Function> = collector.all(FUNCTIONS).await;
    for new in &new {
        let (_, arguments, results) = CONTRACT.iter().find(|function| function.0 == new.0).expect("one of the eight");
        assert_eq!((new.1.as_str(), new.2.as_str()), (*arguments, *results), "{}", new.0);
        let old = old.iter().find(|old| old.0 == new.0).expect("it was there");
        assert_eq!((&new.3, &new.4), (&old.3, &old.4), "{}: owner and grants", new.0);
    }
    let bodies =
        "select count(*) from pg_proc where pronamespace = 'public'::regnamespace and prosrc like '%offset v_batch%'";
    assert_eq!(collector.count(bodies).await, 0);
}

#[tokio::test]
async fn installing_twice_changes_nothing_and_a_dry_run_only_prints() {
    let collector = Collector::with_upstream(Version::V24, 60).await;
    let old: Vec<Function> = collector.all(FUNCTIONS).await;
    let dry = sexton::dataset::install(collector.database.pool(), true, &Default::default()).await.expect("a plan");
    assert!(dry.sql.contains("archive_old_exceptions"), "it prints the SQL");
    assert_eq!(collector.all::<Function>(FUNCTIONS).await, old);
    collector.install().await;
    let once: Vec<Function> = collector.all(FUNCTIONS).await;
    collector.install().await;
    assert_eq!(collector.all::<Function>(FUNCTIONS).await, once);
}

#[tokio::test]
async fn the_archive_is_healed_to_hold_all_that_main_has() {
    let collector = Collector::installed(Version::V24, 120).await;
    // A column that nobody has told anybody of.
    collector.run("alter table public.order_items add column lot text default 'L-1'").await;
    let before = collector.everything().await;
    collector.run("select public.archive_old_exceptions(200, 50, false)").await;
    assert_same(&collector.everything().await, &before);
    for table in TABLES {
        let missing = format!(
            "select count(*) from pg_attribute m where attrelid = 'public.{table}'::regclass and attnum > 0 and not attisdropped
             and not exists (select from pg_attribute a where a.attrelid = 'public.{table}_archive'::regclass and a.attname = m.attname
                             and a.atttypid = m.atttypid and a.atttypmod = m.atttypmod)"
        );
        assert_eq!(collector.count(&missing).await, 0, "{table}");
        let drawn = format!(
            "select count(*) from pg_attrdef where adrelid = 'public.{table}_archive'::regclass and pg_get_expr(adbin, adrelid) like '%nextval%'"
        );
        assert_eq!(collector.count(&drawn).await, 0, "{table}: the archive draws no id from main's sequence");
    }
}

#[tokio::test]
async fn a_changed_type_is_refused_before_a_row_moves_with_the_statement_to_run() {
    let collector = Collector::installed(Version::V14, 200).await;
    collector.run("alter table public.interface_exceptions alter column location_code type text").await;
    let before = collector.everything().await;
    let call = "select public.archive_old_exceptions(365, 20, false)";
    let (_, said, help) = collector.refused(call).await;
    assert!(said.contains("location_code"), "{said}");
    let statement =
        help.lines().flat_map(|line| line.split('`')).find(|part| part.to_lowercase().contains("alter table"));
    let statement = statement.unwrap_or_else(|| panic!("no statement in {help}"));
    let statement = &statement[statement.to_lowercase().find("alter table").unwrap()..];
    assert_same(&collector.everything().await, &before);
    collector.run(statement).await;
    collector.run(call).await;
    assert_same(&collector.everything().await, &before);
    assert!(collector.count("select count(*) from public.interface_exceptions_archive").await > 20);
}

#[tokio::test]
async fn every_call_leaves_its_line_with_the_real_user_and_a_failed_one_none() {
    let collector = Collector::installed(Version::V14, 200).await;
    let (me,): (String,) = collector.one("select session_user::text").await;
    let archived: (i32,) = collector
        .one("select archived_exceptions from public.archive_old_exceptions(365, 100, false, true, 'somebody else')")
        .await;
    let said: (i32,) = collector.one("select archived_exceptions from public.archive_old_exceptions(300)").await;
    let back: (i32,) = collector
        .one("select restored_exceptions from public.restore_archived_exceptions((select array_agg(transaction_id) from public.interface_exceptions_archive), 'x')")
        .await;
    let deleted: (i32, i32) = collector
        .one("select deleted_exceptions, preserved_critical from public.cleanup_old_exceptions(800, 100, false)")
        .await;
    let resolved: (i32,) = collector.one("select deleted_count from public.cleanup_resolved_exceptions()").await;
    type Line = (String, Option<i32>, i32, i32, String, bool, String, bool);
    let archive: Vec<Line> = collector
        .all("select archive_type, archive_days, records_archived, records_restored, status, dry_run, initiated_by, duration > '0' and completed_at > started_at from public.data_archive_log order by id")
        .await;
    let line = |kind: &str, days, archived, restored, dry| -> Line {
        (kind.to_owned(), days, archived, restored, "COMPLETED".to_owned(), dry, me.clone(), true)
    };
    assert_eq!(archive[0], line("OLD_EXCEPTIONS", Some(365), archived.0, 0, false));
    assert_eq!(archive[1], line("OLD_EXCEPTIONS", Some(300), said.0, 0, true));
    assert_eq!(archive[2], line("RESTORE_EXCEPTIONS", None, 0, back.0, false));
    let cleanup: Vec<Line> = collector
        .all("select cleanup_type, retention_days, records_deleted, records_preserved, status, dry_run, initiated_by, duration > '0' and completed_at > started_at from public.data_cleanup_log order by id")
        .await;
    assert_eq!(cleanup[0], line("OLD_EXCEPTIONS", Some(800), deleted.0, deleted.1, false));
    assert_eq!(
        (&cleanup[1].0, cleanup[1].1, cleanup[1].2, cleanup[1].5),
        (&"RESOLVED_EXCEPTIONS".to_owned(), Some(90), resolved.0, true)
    );

    let lines =
        "select (select count(*) from public.data_archive_log) + (select count(*) from public.data_cleanup_log)";
    let before = collector.count(lines).await;
    collector
        .run(
            "create function public.no() returns trigger language plpgsql as $$ begin raise 'not today'; end $$;
        create trigger no before delete on public.interface_exceptions for each row execute function public.no()",
        )
        .await;
    let (_, said, _) = collector.refused("select public.cleanup_old_exceptions(365, 100, false)").await;
    assert!(said.contains("not today"), "{said}");
    assert_eq!(collector.count(lines).await, before);
}
