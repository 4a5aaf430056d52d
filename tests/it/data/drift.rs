//! The archive follows main, or says why it cannot before a row moves.

use super::*;

const RECENT: &str = "older_than = '300d'\ndry_run = false";

/// A site with an archive that has rows in it.
async fn archived() -> Site {
    let site = Site::new(400).await;
    done(archive(site.ctx(), "older_than = '600d'\ndry_run = false").await);
    site
}

#[tokio::test]
async fn a_column_added_to_main_follows_into_the_archive() {
    let site = archived().await;
    site.run("alter table interface_exceptions add column order_received jsonb; update interface_exceptions set order_received = jsonb_build_object('n', id)").await;
    let report = done(archive(site.ctx(), RECENT).await);
    let with = "select count(*) from interface_exceptions_archive where order_received ->> 'n' = id::text";
    assert_eq!(site.count(with).await, number(&report, "rows_archived"));
}

#[tokio::test]
async fn a_changed_type_is_refused_with_the_statement_to_run() {
    let site = archived().await;
    site.run("alter table interface_exceptions alter column resolution_notes type text").await;
    let before = site.main_rows().await;
    let dry = failed(archive(site.ctx(), "older_than = '300d'").await);
    let real = failed(archive(site.ctx(), RECENT).await);
    assert_eq!(dry.why, real.why, "a dry run predicts it");
    assert!(
        real.why.contains("column `resolution_notes` is text here and character varying(1000) there"),
        "{}",
        real.why
    );
    assert_same(&site.main_rows().await, &before);

    let help = real.help.expect("help");
    site.run(help.strip_prefix("run on the target: ").expect("a statement")).await;
    done(archive(site.ctx(), RECENT).await);
}

#[tokio::test]
async fn an_archive_made_as_a_copy_of_main_is_healed() {
    let site = Site::new(300).await;
    site.run(
        "create table public.retry_attempts_archive (like retry_attempts including all);
         alter table public.retry_attempts_archive drop column updated_at",
    )
    .await;
    let before = site.everything().await;
    done(archive(site.ctx(), RECENT).await);
    assert_same(&site.everything().await, &before);
    let own =
        "select count(*) from pg_attribute where attrelid = 'retry_attempts_archive'::regclass and attidentity <> ''";
    assert_eq!(site.count(own).await, 0, "it numbers no rows of its own");
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_named_with_what_to_do() {
    let mut site = Site::new(10).await;
    site.definition["table"] = "public.interface_exception".into();
    let failure = failed(archive(site.ctx(), "older_than = '365d'").await);
    let expected = format!(
        "target `collector`: there is no table `public.interface_exception` in database `{}`",
        site.database.name()
    );
    assert_eq!(failure.why, expected);
    assert!(failure.help.expect("help").starts_with("did you mean `public.interface_exceptions`? "));
    assert_eq!(failure.again, sexton::outcome::Again::Never);
    assert_eq!(site.count("select count(*) from data_archive_log where status = 'FAILED'").await, 1);
}

#[tokio::test]
async fn what_a_definition_gets_wrong_is_said_before_a_row_moves() {
    let site = Site::new(10).await;
    let wrong = [
        ("age", "procesed_at", "has no column `procesed_at` (the data set's `age`)", "did you mean `processed_at`?"),
        ("age", "status", "`status` of `public.interface_exceptions` is `character varying(50)`", "name another one"),
        ("key", "severity", "`severity` is no unique, non-null key", "primary key"),
        (
            "critical",
            "severty = 'CRITICAL'",
            "the data set's `critical` (`severty = 'CRITICAL'`) is no condition",
            "correct it",
        ),
        (
            "children",
            "public.retry_attempts",
            "`public.exception_status_changes` would be changed or deleted with their parent",
            "add \"public.exception_status_changes\"",
        ),
    ];
    for (key, value, why, help) in wrong {
        let mut ctx = site.ctx();
        let list = ["key", "children"].contains(&key);
        let value: serde_json::Value = if list { vec![value].into() } else { value.into() };
        ctx.dataset.as_mut().expect("a data set")[key] = value;
        let failure = failed(archive(ctx, "older_than = '365d'\ndry_run = false").await);
        assert!(failure.why.contains(why), "{key}: {}", failure.why);
        assert!(failure.help.as_ref().expect("help").contains(help), "{key}: {:?}", failure.help);
    }
    assert_eq!(site.count("select count(*) from interface_exceptions").await, 10);
}

#[tokio::test]
async fn a_foreign_key_without_an_index_is_refused_with_the_index_to_make() {
    let site = Site::new(50).await;
    site.run("drop index order_items_exception").await;
    let failure = failed(archive(site.ctx(), RECENT).await);
    let help = failure.help.expect("help");
    assert_eq!(help, "run on the target: create index concurrently on public.order_items (interface_exception_id);");
}
