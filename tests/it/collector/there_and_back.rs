//! What is archived comes back as it was; what cannot come back stays where it is, with the reason.

use super::*;

/// What a call says: parents, retries, refusals.
type Said = (i32, i32, Vec<String>);

fn restore(ids: &str) -> String {
    format!("select * from public.restore_archived_exceptions({ids}, 'a person')")
}

const ARCHIVED: &str = "(select array_agg(transaction_id) from public.interface_exceptions_archive)";

async fn there_and_back(version: Version) {
    let collector = Collector::installed(version, 700).await;
    let main = collector.main_rows().await;
    let archive =
        "select archived_exceptions, archived_retry_attempts from public.archive_old_exceptions(365, 50, false)";
    for round in 0..3 {
        let gone: (i32, i32) = collector.one(archive).await;
        assert!(gone.0 > 200, "round {round}: {gone:?}");
        let back: Said = collector.one(&restore(ARCHIVED)).await;
        assert_eq!(back, (gone.0, gone.1, Vec::new()), "round {round}");
        assert_same(&collector.main_rows().await, &main);
        for table in TABLES {
            assert_eq!(collector.count(&format!("select count(*) from public.{table}_archive")).await, 0, "{table}");
        }
    }
    // The ids that came back are not given out again.
    let next =
        "select nextval('public.interface_exceptions_id_seq') > (select max(id) from public.interface_exceptions)";
    assert!(collector.one::<(bool,)>(next).await.0);
}

#[tokio::test]
async fn archive_and_restore_work_for_ever_and_change_no_row_on_v14() {
    there_and_back(Version::V14).await;
}

#[tokio::test]
async fn archive_and_restore_work_for_ever_and_change_no_row_on_v24() {
    there_and_back(Version::V24).await;
}

#[tokio::test]
async fn each_id_that_cannot_come_back_is_told_with_its_reason_and_the_others_do() {
    let collector = Collector::installed(Version::V14, 300).await;
    collector.run("select public.archive_old_exceptions(400, 50, false)").await;
    let names: Vec<(String, i64)> =
        collector.all("select transaction_id, id from public.interface_exceptions_archive order by id limit 4").await;
    // The second one's name is taken in main, the third one's id, the fourth one has a retry whose number is taken.
    collector
        .run(&format!(
            "insert into public.interface_exceptions (transaction_id, interface_type, exception_reason, operation, category, timestamp)
             values ('{}', 'ORDER', 'new', 'CREATE_ORDER', 'TIMEOUT', now());
             insert into public.interface_exceptions (id, transaction_id, interface_type, exception_reason, operation, category, timestamp)
             values ({}, 'TX-other', 'ORDER', 'new', 'CREATE_ORDER', 'TIMEOUT', now())",
            names[1].0, names[2].1
        ))
        .await;
    let before = collector.everything().await;
    let ids = format!("array['{}', 'TX-nowhere', '{}', '{}', '{0}', null, '']", names[0].0, names[1].0, names[2].0);
    let said: Said = collector.one(&restore(&ids)).await;
    assert_eq!(said.0, 1, "{said:?}");
    let told = |name: &str| {
        said.2.iter().filter(|line| line.contains(&format!("Transaction {name}"))).cloned().collect::<Vec<_>>()
    };
    assert!(told(&names[0].0).is_empty(), "{said:?}");
    assert_eq!(told("TX-nowhere"), ["Transaction TX-nowhere not found in archive"]);
    assert_eq!(told(&names[1].0), [format!("Transaction {} already exists in main table", names[1].0)]);
    let [taken] = &told(&names[2].0)[..] else { panic!("{said:?}") };
    assert!(taken.contains("interface_exceptions_pkey"), "{taken}");
    assert_same(&collector.everything().await, &before);
    let nobody: Said = collector.one(&restore("'{}'")).await;
    assert_eq!(nobody, (0, 0, Vec::new()));
}

#[tokio::test]
async fn a_row_that_comes_back_under_the_same_name_fails_no_run() {
    let collector = Collector::installed(Version::V24, 300).await;
    collector.run("select public.archive_old_exceptions(600, 50, false)").await;
    // The partner sends an old message again.
    collector
        .run(
            "insert into public.interface_exceptions (transaction_id, interface_type, exception_reason, operation, category, timestamp, processed_at)
             select transaction_id, interface_type, 'sent again', operation, category, now(), now() - interval '450 days'
             from public.interface_exceptions_archive order by id limit 5",
        )
        .await;
    let before = collector.everything().await;
    let due = collector
        .count("select count(*) from public.interface_exceptions where processed_at < now() - interval '400 days' and severity <> 'CRITICAL'")
        .await;
    let (moved,): (i32,) =
        collector.one("select archived_exceptions from public.archive_old_exceptions(400, 50, false)").await;
    assert!(i64::from(moved) >= due - 5 && moved > 20, "{moved} of {due}");
    assert_same(&collector.everything().await, &before);
    collector.assert_whole().await;
}

#[tokio::test]
async fn what_the_replaced_functions_left_in_both_places_stops_nothing() {
    let collector = Collector::with_upstream(Version::V14, 400).await;
    collector.run("select public.archive_old_exceptions(700, 1000, false)").await;
    collector.run(&format!("select public.restore_archived_exceptions(({ARCHIVED})[1:10])")).await;
    let twice = "select count(*) from public.interface_exceptions join public.interface_exceptions_archive using (id)";
    assert_eq!(collector.count(twice).await, 10);
    collector.install().await;
    let lossy = collector.count("select count(*) from public.interface_exceptions_archive").await;
    let due = collector
        .count("select count(*) from public.interface_exceptions where processed_at < now() - interval '365 days' and severity <> 'CRITICAL'")
        .await;
    let (moved,): (i32,) =
        collector.one("select archived_exceptions from public.archive_old_exceptions(365, 50, false)").await;
    assert_eq!(i64::from(moved), due - 10, "all but those that are there already");
    assert_eq!(collector.count("select count(*) from public.interface_exceptions_archive").await, lossy + due - 10);
    assert_eq!(collector.count(twice).await, 10);
    // What was archived without its later columns comes back with their defaults, where a value is needed.
    let rest = "(select array_agg(transaction_id) from public.interface_exceptions_archive a where not exists (select from public.interface_exceptions e where e.id = a.id))";
    let said: Said = collector.one(&restore(rest)).await;
    assert_eq!((i64::from(said.0), said.2), (lossy + due - 20, Vec::new()));
}

#[tokio::test]
async fn an_archive_that_must_change_while_the_call_reads_it_says_what_to_run() {
    let collector = Collector::with_upstream(Version::V14, 200).await;
    collector.run("select public.archive_old_exceptions(700, 1000, false)").await;
    collector.install().await;
    let archived = collector.count("select count(*) from public.interface_exceptions_archive").await;
    let (_, said, help) = collector.refused(&restore(ARCHIVED)).await;
    assert!(said.contains("while the query that calls this function reads it"), "{said}");
    let (_, statement) = help.split_once(": ").expect("a statement");
    collector.run(statement).await;
    let said: Said = collector.one(&restore(ARCHIVED)).await;
    assert_eq!((i64::from(said.0), said.2), (archived, Vec::new()));
}
