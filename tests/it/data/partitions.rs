//! A partitioned parent with children on two levels: old partitions change hands whole, the rest goes row by row.

use super::*;

const TABLES: &str = r#"
    create schema m;
    create table m.event (
        id bigint not null,
        at timestamptz not null,
        kind text not null,
        size int,
        twice int generated always as (size * 2) stored,
        primary key (id, at)
    ) partition by range (at);
    create table m.detail (
        id bigint generated always as identity primary key,
        event bigint not null,
        event_at timestamptz not null,
        note text,
        foreign key (event, event_at) references m.event (id, at)
    );
    create index on m.detail (event, event_at);
    create table m.part (detail bigint references m.detail on delete cascade, n int, primary key (detail, n));
    do $$
    declare
        year date := date_trunc('year', now());
    begin
        for back in 0 .. 3 loop
            execute format('create table m.event_%s partition of m.event for values from (%L) to (%L)',
                back, (year - back * interval '1 year')::date, (year - (back - 1) * interval '1 year')::date);
        end loop;
    end $$;
    insert into m.event
    select i, date_trunc('year', now()) - interval '3 years' + i * interval '1 day',
           case when i % 50 = 0 and i between 366 and 740 then 'open' else 'done' end, i
    from generate_series(0, 1000) i;
    insert into m.detail (event, event_at, note)
    select id, at, repeat('n', (id % 7)::int) from m.event, generate_series(1, 2);
    insert into m.part select id, n from m.detail, generate_series(1, 2) n where id % 3 = 0;
"#;

const DEFINITION: &str = r#"
    table = "m.event"
    key = ["id", "at"]
    age = "at"
    open = "kind = 'open'"
    archive = { schema = "cold" }
"#;

async fn site() -> Site {
    let database = Database::empty().await;
    dataset::install(database.pool(), false, &Default::default()).await.expect("an installation");
    let site = Site { database, definition: toml::from_str(DEFINITION).expect("a data set") };
    site.run(TABLES).await;
    site
}

/// Every row of main and archive together, whole.
async fn everything(site: &Site) -> BTreeMap<&'static str, Vec<String>> {
    let mut all = BTreeMap::new();
    for table in ["event", "detail", "part"] {
        let archived = site.count(&format!("select count(to_regclass('cold.{table}'))")).await == 1;
        let archive = match archived {
            true => format!("union all select (to_jsonb(a) {OWN})::text from cold.{table} a"),
            false => String::new(),
        };
        let sql = format!("select to_jsonb(t)::text from m.{table} t {archive} order by 1");
        all.insert(table, sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(site.pool()).await.expect("rows"));
    }
    all
}

#[tokio::test]
async fn whole_old_partitions_change_hands_and_the_rest_goes_row_by_row() {
    let site = site().await;
    let before = everything(&site).await;
    let oldest = site.count("select 'm.event_3'::regclass::oid::bigint").await;
    let dry = done(archive(site.ctx(), "older_than = '1d'").await);

    let report = done(archive(site.ctx(), "older_than = '1d'\ndry_run = false\nbatch = { rows = 50 }").await);

    assert_same(&everything(&site).await, &before);
    assert_eq!(number(&report, "partitions_archived"), 2, "the first and the third year; the second has open rows");
    assert!(number(&report, "archive_bytes_after") > 0 && number(&report, "main_bytes_after") > 0, "{report:?}");
    for name in ["rows_archived", "detail_archived", "part_archived", "rows_kept_open"] {
        assert_eq!(report.get(name), dry.get(name), "{name}");
    }
    let parent = "select inhparent::regclass::text = 'cold.event' from pg_inherits where inhrelid = ";
    let moved: bool = sqlx::query_scalar(AssertSqlSafe(format!("{parent}{oldest}")))
        .fetch_one(site.pool())
        .await
        .expect("its new parent");
    assert!(moved, "the very table now belongs to the archive");
    let signed = "select count(*) from cold.event where archived_by is distinct from 'somebody'";
    assert_eq!(site.count(signed).await, 0);
    assert_eq!(site.count("select count(*) from pg_constraint where conname = 'sexton_bounds'").await, 0);

    // Rows that were still open go into the archive's partition of their range.
    site.run("update m.event set kind = 'done'").await;
    let all = everything(&site).await;
    done(archive(site.ctx(), "older_than = '1d'\ndry_run = false").await);
    assert_eq!(site.count("select count(*) from m.event where at < now() - interval '1 day'").await, 0);
    assert_same(&everything(&site).await, &all);
}

#[tokio::test]
async fn a_partition_in_use_is_left_to_steps_and_nothing_is_lost() {
    let site = site().await;
    let before = everything(&site).await;
    let mut reader = site.pool().begin().await.expect("a transaction");
    sqlx::query("select count(*) from m.event_3").execute(&mut *reader).await.expect("a reader");
    let report = done(archive(site.ctx(), "older_than = '1d'\ndry_run = false").await);
    assert_eq!(number(&report, "partitions_archived"), 1, "the other one");
    assert_eq!(site.count("select count(*) from m.event_3").await, 0, "its rows went step by step");
    reader.rollback().await.expect("the end");
    assert_same(&everything(&site).await, &before);
}
