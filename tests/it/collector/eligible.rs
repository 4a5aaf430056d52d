//! Archive and cleanup take every row that they should, say so exactly, and nothing else.

use crate::support::eventually;

use super::*;

const OLD: &str = "processed_at < now() - interval '365 days'";

/// What a call says: parents, retries, critical ones that stayed.
type Said = (i32, i32, i32, bool);

async fn everything_due_is_archived(version: Version) {
    let collector = Collector::installed(version, 1_200).await;
    let before = collector.everything().await;
    let due = collector
        .count(&format!("select count(*) from public.interface_exceptions where {OLD} and severity <> 'CRITICAL'"))
        .await;
    let retries = collector
        .count(&format!(
            "select count(*) from public.retry_attempts r join public.interface_exceptions e on e.id = r.exception_id
             where {OLD} and severity <> 'CRITICAL'"
        ))
        .await;
    let critical = collector
        .count(&format!("select count(*) from public.interface_exceptions where {OLD} and severity = 'CRITICAL'"))
        .await;
    assert!(due > 400 && retries > 400 && critical > 40, "{due} {retries} {critical}");

    // A batch that divides nothing evenly.
    let call = "select archived_exceptions, archived_retry_attempts, preserved_critical, archive_duration > '0'
        from public.archive_old_exceptions(p_archive_days => 365, p_batch_size => 37, p_dry_run => false, p_archived_by => 'o''neill')";
    let said: Said = collector.one(call).await;
    assert_eq!(said, (due as i32, retries as i32, critical as i32, true));
    assert_same(&collector.everything().await, &before);
    collector.assert_whole().await;
    let left = format!("select count(*) from public.interface_exceptions where {OLD} and severity <> 'CRITICAL'");
    assert_eq!(collector.count(&left).await, 0);
    let signed = "select count(*) from public.interface_exceptions_archive where archived_by = 'o''neill' and archived_at > now() - interval '1 minute'";
    assert_eq!(collector.count(signed).await, due);
    let again: Said = collector.one(call).await;
    assert_eq!((again.0, again.1), (0, 0), "a second run has nothing left to do");
}

#[tokio::test]
async fn every_old_exception_is_archived_whole_on_v14() {
    everything_due_is_archived(Version::V14).await;
}

#[tokio::test]
async fn every_old_exception_is_archived_whole_on_v24() {
    everything_due_is_archived(Version::V24).await;
}

#[tokio::test]
async fn cleanup_deletes_what_is_due_with_all_that_belongs_to_it_and_counts_it_all() {
    let collector = Collector::installed(Version::V24, 900).await;
    let main = "select count(*) from public.interface_exceptions";
    let due = collector.count(&format!("{main} where {OLD}")).await;
    let critical = collector.count(&format!("{main} where {OLD} and severity = 'CRITICAL'")).await;
    let total = collector.count(main).await;
    let retries = collector.count("select count(*) from public.retry_attempts").await;
    let call = |critical: bool| {
        format!(
            "select deleted_exceptions, deleted_retry_attempts, preserved_critical, cleanup_duration > '0'
             from public.cleanup_old_exceptions(365, 23, false, {critical})"
        )
    };
    let first: Said = collector.one(&call(true)).await;
    assert_eq!((i64::from(first.0), i64::from(first.2), first.3), (due - critical, critical, true));
    let second: Said = collector.one(&call(false)).await;
    assert_eq!((i64::from(second.0), second.2), (critical, 0));
    assert_eq!(collector.count(main).await, total - due);
    assert_eq!(
        collector.count("select count(*) from public.retry_attempts").await,
        retries - i64::from(first.1 + second.1)
    );
    for (table, parent) in [
        ("retry_attempts", "exception_id"),
        ("order_items", "interface_exception_id"),
        ("exception_status_changes", "exception_id"),
    ] {
        let orphans = format!(
            "select count(*) from public.{table} t where not exists (select from public.interface_exceptions e where e.id = t.{parent})"
        );
        assert_eq!(collector.count(&orphans).await, 0, "{table}");
    }
    assert_eq!(
        collector.count("select count(*) from public.interface_exceptions_archive").await,
        0,
        "it deletes, as documented"
    );
}

#[tokio::test]
async fn cleanup_of_resolved_ones_ends_and_keeps_critical_ones_unless_told() {
    let collector = Collector::installed(Version::V14, 900).await;
    let due = "select count(*) from public.interface_exceptions
        where status in ('RESOLVED', 'CLOSED') and resolved_at < now() - interval '90 days'";
    let (all, harmless) =
        (collector.count(due).await, collector.count(&format!("{due} and severity <> 'CRITICAL'")).await);
    assert!(all > harmless && harmless > 100, "{all} {harmless}");
    let call = |rest: &str| {
        format!("select deleted_count, cleanup_duration > '0' from public.cleanup_resolved_exceptions({rest})")
    };
    let dry: (i32, bool) = collector.one(&call("")).await;
    assert_eq!(i64::from(dry.0), harmless, "90 days and a dry run are the defaults");
    let real: (i32, bool) = collector.one(&call("90, 17, false")).await;
    assert_eq!((i64::from(real.0), real.1), (harmless, true));
    let critical: (i32, bool) = collector.one(&call("90, 17, false, p_preserve_critical => false")).await;
    assert_eq!(i64::from(critical.0), all - harmless);
    assert_eq!(collector.count(due).await, 0);
}

#[tokio::test]
async fn a_dry_run_is_the_default_predicts_exactly_and_changes_nothing() {
    let collector = Collector::installed(Version::V24, 700).await;
    for (function, days, counts) in [
        (
            "archive_old_exceptions",
            "p_archive_days => 500",
            "archived_exceptions, archived_retry_attempts, preserved_critical",
        ),
        (
            "archive_old_exceptions",
            "p_archive_days => 300, p_preserve_critical => false",
            "archived_exceptions, archived_retry_attempts, preserved_critical",
        ),
        (
            "cleanup_old_exceptions",
            "p_retention_days => 200",
            "deleted_exceptions, deleted_retry_attempts, preserved_critical",
        ),
        ("cleanup_resolved_exceptions", "p_resolved_retention_days => 60", "deleted_count, 0, 0"),
    ] {
        let untouched = collector.everything().await;
        let columns = "select count(*) from pg_attribute where attrelid::regclass::text like '%archive'";
        let archive = collector.count(columns).await;
        let call = |rest: &str| format!("select {counts} from public.{function}({days}, p_batch_size => 19{rest})");
        let dry: (i32, i32, i32) = collector.one(&call("")).await;
        let nothing_said: (i32, i32, i32) = collector.one(&call(", p_dry_run => null")).await;
        assert_eq!(nothing_said, dry, "{function}: what is not clearly asked for is not done");
        assert_same(&collector.everything().await, &untouched);
        assert_eq!(collector.count(columns).await, archive, "a dry run makes no column");
        let real: (i32, i32, i32) = collector.one(&call(", p_dry_run => false")).await;
        assert_eq!(real, dry, "{function}");
        assert!(real.0 > 20, "{function}: {real:?}");
        assert_ne!(
            collector.count("select count(*) from public.interface_exceptions").await,
            untouched[TABLES[0]].len() as i64
        );
    }
}

#[tokio::test]
async fn days_and_batches_below_one_are_refused_by_name_and_leave_no_trace() {
    let collector = Collector::installed(Version::V14, 60).await;
    let before = collector.everything().await;
    for (call, name) in [
        ("archive_old_exceptions(0, 1000, false)", "p_archive_days"),
        ("archive_old_exceptions(-1, 1000, false)", "p_archive_days"),
        ("archive_old_exceptions(null, 1000, false)", "p_archive_days"),
        ("archive_old_exceptions(2147483647, 1000, false)", "p_archive_days"),
        ("archive_old_exceptions(365, 0, false)", "p_batch_size"),
        ("archive_old_exceptions(365, -5)", "p_batch_size"),
        ("archive_old_exceptions(365, null, false)", "p_batch_size"),
        ("cleanup_old_exceptions(0, 1000, false)", "p_retention_days"),
        ("cleanup_old_exceptions(365, 0, false)", "p_batch_size"),
        ("cleanup_resolved_exceptions(-90)", "p_resolved_retention_days"),
        ("cleanup_resolved_exceptions(90, 0)", "p_batch_size"),
        ("restore_archived_exceptions(null)", "p_transaction_ids"),
    ] {
        let (_, said, help) = collector.refused(&format!("select * from public.{call}")).await;
        assert!(said.contains(name), "{call}: {said}");
        assert!(!help.is_empty(), "{call}: says what to do");
    }
    assert_same(&collector.everything().await, &before);
    let lines =
        "select (select count(*) from public.data_archive_log) + (select count(*) from public.data_cleanup_log)";
    assert_eq!(collector.count(lines).await, 0);
}

#[tokio::test]
async fn the_statistics_are_what_anybody_counts() {
    let collector = Collector::installed(Version::V24, 800).await;
    collector.run("select public.archive_old_exceptions(600, 100, false)").await;
    let counted: (i64, i64, i64, i64, i64) = collector
        .one(
            "select count(*), count(*) filter (where processed_at < now() - interval '365 days'),
                    count(*) filter (where status in ('RESOLVED', 'CLOSED') and resolved_at < now() - interval '90 days'),
                    count(*) filter (where severity = 'CRITICAL'),
                    floor(extract(epoch from avg(now() - processed_at)) / 86400)::bigint
             from public.interface_exceptions",
        )
        .await;
    let said: Vec<(String, i64, String)> = collector.all("select * from public.get_cleanup_statistics()").await;
    let names: Vec<&str> = said.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(
        names,
        [
            "total_exceptions",
            "old_exceptions_1year",
            "resolved_exceptions_90days",
            "critical_exceptions",
            "average_age_days",
            "database_size_mb"
        ]
    );
    let values: Vec<i64> = said.iter().map(|row| row.1).collect();
    assert_eq!(values[..5], [counted.0, counted.1, counted.2, counted.3, counted.4]);
    assert!(said.iter().all(|row| !row.2.is_empty()));

    let said: Vec<(String, i64, i64, i64, String)> = collector
        .all("select metric_name, main_table_count, archive_table_count, total_count, archive_percentage::text from public.get_archive_statistics()")
        .await;
    let mut counted = Vec::new();
    for (name, table) in [("exceptions", "interface_exceptions"), ("retry_attempts", "retry_attempts")] {
        let counts: (i64, i64, String) = collector
            .one(&format!(
                "select main, archive, round(archive * 100.0 / (main + archive), 2)::text
                 from (select (select count(*) from public.{table}) main, (select count(*) from public.{table}_archive) archive) c"
            ))
            .await;
        counted.push((name.to_owned(), counts.0, counts.1, counts.0 + counts.1, counts.2));
    }
    assert_eq!(said, counted);
    assert!(said[0].2 > 100);
    collector.run("truncate public.interface_exceptions, public.interface_exceptions_archive, public.retry_attempts_archive cascade").await;
    let empty: Vec<(Option<i64>,)> = collector.all("select metric_value from public.get_cleanup_statistics()").await;
    assert!(empty.iter().all(|row| row.0.is_some()), "{empty:?}");
    let zero = "select count(*) from public.get_archive_statistics() where archive_percentage = 0";
    assert_eq!(collector.count(zero).await, 2);
}

#[tokio::test]
async fn children_are_found_by_their_index_however_many_rows_a_step_has() {
    let collector = Collector::installed(Version::V14, 1_500).await;
    let scans = "select coalesce(sum(seq_scan), 0)::bigint from pg_stat_user_tables
        where relname in ('retry_attempts', 'order_items', 'exception_status_changes')";
    let mut psql = collector.psql().await;
    sqlx::query("select public.archive_old_exceptions(2000, 1000, false)").execute(&mut psql).await.unwrap();
    sqlx::query("select pg_stat_reset()").execute(&mut psql).await.unwrap();
    sqlx::query("select public.archive_old_exceptions(365, 1000, false)").execute(&mut psql).await.unwrap();
    psql.close().await.unwrap();
    // The counts of a session are there once it is gone.
    eventually("the session's counts", || async {
        let deleted =
            "select coalesce(sum(n_tup_del), 0)::bigint from pg_stat_user_tables where relname = 'retry_attempts'";
        (collector.count(deleted).await > 500).then_some(())
    })
    .await;
    assert_eq!(collector.count(scans).await, 0);
}
