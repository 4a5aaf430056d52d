//! The schema and the replaced functions are what the facts say: a fixture that flatters would prove nothing.

use super::*;

#[tokio::test]
async fn the_archive_is_mains_copy_of_long_ago() {
    for (version, columns) in [(Version::V14, 27), (Version::V24, 31)] {
        let collector = Collector::new(version, 50).await;
        let main =
            "select count(*) from pg_attribute where attrelid = 'public.interface_exceptions'::regclass and attnum > 0";
        assert_eq!(collector.count(main).await, columns);
        assert_eq!(collector.count(&main.replace("exceptions'", "exceptions_archive'")).await, 25 + 3);
        let indexes = "select count(*) from pg_indexes where tablename = 'interface_exceptions_archive'";
        assert_eq!(collector.count(indexes).await, 28);
        assert_eq!(collector.count(&format!("{indexes} and indexdef like '%gin%'")).await, 4);
        let default = "select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'public.interface_exceptions_archive'::regclass and adnum = 1";
        let (default,) = collector.one::<(String,)>(default).await;
        assert!(default.contains("interface_exceptions_id_seq"), "{default}");
    }
}

#[tokio::test]
async fn the_replaced_functions_skip_and_lose_what_they_are_known_for() {
    let collector = Collector::with_upstream(Version::V14, 400).await;
    let due = "select count(*) from public.interface_exceptions where processed_at < now() - interval '365 days' and severity <> 'CRITICAL'";
    let due = collector.count(due).await;
    let (archived, took): (i32, bool) = collector
        .one("select archived_exceptions, archive_duration > '0' from public.archive_old_exceptions(365, 10, false)")
        .await;
    assert!(i64::from(archived) < due && !took, "{archived} of {due}");
    let lost = "select count(*) from public.interface_exceptions_archive where resolution_method is not null";
    assert_eq!(collector.count(lost).await, 0);
    let restore = "select restored_exceptions from public.restore_archived_exceptions((select array_agg(transaction_id) from public.interface_exceptions_archive))";
    assert_eq!(collector.one::<(i32,)>(restore).await.0, archived);
    let (code, ..) = collector.refused("select public.archive_old_exceptions(365, 10, false)").await;
    assert_eq!(code, "23505", "the archive's copy is in the way for ever");
}
