//! A row that is held neither moves nor goes, whoever asks; a row whose place in the archive is taken stays, and is told.

use super::*;

const REAL: &str = "older_than = '365d'\ndry_run = false";

#[tokio::test]
async fn a_held_row_stays_until_it_is_released() {
    let mut site = Site::new(300).await;
    let old =
        "processed_at < now() - interval '365 days' and severity <> 'CRITICAL' and status in ('RESOLVED', 'CLOSED')";
    let held = format!("select transaction_id from interface_exceptions where {old} order by id limit 3");
    site.run(&format!("insert into sexton.hold (dataset, name, reason) select 'public.interface_exceptions', transaction_id, 'case 17' from ({held}) t")).await;
    // One hold has ended already.
    site.run(
        "update sexton.hold set until = now() - interval '1 day' where name = (select min(name) from sexton.hold)",
    )
    .await;
    site.definition["hold"] = "customer_id = 'held' -- under audit".into();
    site.run(&format!("update interface_exceptions set customer_id = 'held' where id = (select max(id) from interface_exceptions where {old})")).await;

    let dry = done(archive(site.ctx(), "older_than = '365d'").await);
    let report = done(archive(site.ctx(), REAL).await);
    assert_eq!(number(&report, "rows_kept_held"), 3, "two by name, one by condition");
    assert_eq!(dry.get("rows_archived"), report.get("rows_archived"));
    let gone = "older_than = '365d'\ndisposal = 'delete'\nkeep_open = false\nkeep_critical = false\ndry_run = false";
    assert_eq!(number(&done(cleanup(site.ctx(), gone).await), "rows_kept_held"), 3, "nor is one deleted");
    assert_eq!(
        site.count("select count(*) from interface_exceptions where processed_at < now() - interval '365 days'").await,
        3
    );
    let by_hand = "select deleted_exceptions from cleanup_old_exceptions(365, 1000, false, false)";
    assert_eq!(
        site.count(&by_hand.replace("deleted_exceptions from", "deleted_exceptions::bigint from")).await,
        1,
        "a function knows the list; the condition is the job's own"
    );

    site.run("delete from sexton.hold").await;
    assert_eq!(number(&done(archive(site.ctx(), REAL).await), "rows_archived"), 2);
}

#[tokio::test]
async fn a_row_whose_place_in_the_archive_is_taken_stays_whole_and_is_told() {
    let site = Site::new(300).await;
    done(archive(site.ctx(), REAL).await);
    // Two come back behind our back, as copies: their keys are in both places now.
    site.run("insert into interface_exceptions select (jsonb_populate_record(null::interface_exceptions, to_jsonb(a))).* from (select * from interface_exceptions_archive order by id limit 2) a").await;
    site.run("update interface_exceptions set transaction_id = 'again-' || id, processed_at = now() - interval '2 years' where id in (select id from interface_exceptions_archive)").await;
    site.run("insert into interface_exceptions (transaction_id, interface_type, exception_reason, operation, status, category, \"timestamp\", processed_at) values ('new', 'ORDER', 'r', 'o', 'CLOSED', 'TIMEOUT', now(), now() - interval '2 years')").await;
    let before = site.main_rows().await;

    let dry = done(archive(site.ctx(), "older_than = '365d'").await);
    let report = done(archive(site.ctx(), REAL).await);

    assert_eq!(number(&dry, "rows_archived"), 1, "a dry run knows");
    assert_eq!(number(&report, "rows_archived"), 1, "the others go on");
    assert_eq!(number(&report, "rows_stuck"), 2);
    assert_eq!(number(&report, "rows_skipped_locked"), 0);
    let stuck = format!("{:?}", report.get("stuck"));
    assert!(stuck.contains("duplicate key value violates unique constraint"), "{stuck}");
    let after = site.main_rows().await;
    assert_eq!(after["interface_exceptions"].len(), before["interface_exceptions"].len() - 1);
}

#[tokio::test]
async fn holds_are_made_listed_and_released_by_name() {
    let site = Site::new(50).await;
    let definition = serde_json::from_value(site.definition.clone()).expect("a definition");
    let names = ["TX-1".to_owned(), "TX-2".to_owned()];
    dataset::hold(site.pool(), &definition, &names, "case 17", None).await.expect("held");
    dataset::hold(site.pool(), &definition, &names[..1], "case 18", None).await.expect("held for another reason");
    let held = dataset::holds(site.pool(), &definition).await.expect("the list");
    let told: Vec<_> = held.iter().map(|hold| (hold.name.as_str(), hold.reason.as_str())).collect();
    assert_eq!(told, [("TX-2", "case 17"), ("TX-1", "case 18")]);
    assert_eq!(dataset::release(site.pool(), &definition, &names).await.expect("released"), 2);
    assert_eq!(dataset::holds(site.pool(), &definition).await.expect("the list"), []);
}

#[tokio::test]
async fn a_survey_counts_what_is_where_for_any_data_set() {
    let site = Site::new(300).await;
    let definition = serde_json::from_value(site.definition.clone()).expect("a definition");
    let report = done(archive(site.ctx(), REAL).await);
    let survey = dataset::survey(site.pool(), &definition).await.expect("a survey");
    let exceptions = &survey.tables[0];
    assert_eq!(
        (exceptions.label.as_str(), exceptions.archive),
        ("interface_exceptions", number(&report, "rows_archived"))
    );
    assert_eq!(exceptions.main + exceptions.archive, 300);
    assert_eq!(survey.tables.len(), 4);
    let critical = site.count("select count(*) from interface_exceptions where severity = 'CRITICAL'").await;
    assert_eq!(survey.statistics.critical, critical);
}
