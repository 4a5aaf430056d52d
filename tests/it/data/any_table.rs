//! Any table becomes a data set: a composite key, two levels of children, awkward names, an archive schema.

use super::*;

const TABLES: &str = r#"
    create schema shop;
    create type shop.state as enum ('open', 'done');
    create table shop."Order ""A"" ; --" (
        tenant uuid not null,
        number integer not null,
        placed date not null,
        state shop.state not null,
        total numeric(12, 2),
        twice numeric generated always as (total * 2) stored,
        primary key (tenant, number)
    );
    create table shop.line (
        id bigint generated always as identity primary key,
        order_number integer not null,
        order_tenant uuid not null,
        tags text[] not null default '{}',
        foreign key (order_tenant, order_number) references shop."Order ""A"" ; --" (tenant, number)
    );
    create index on shop.line (order_number, order_tenant);
    create table shop."Part" (
        line bigint not null references shop.line on delete cascade,
        payload bytea,
        primary key (line, payload)
    );
    insert into shop."Order ""A"" ; --"
    select md5(i::text)::uuid, i, current_date - i, (case when i % 5 = 0 then 'open' else 'done' end)::shop.state, i / 3.0
    from generate_series(1, 200) i;
    insert into shop.line (order_number, order_tenant, tags)
    select number, tenant, array['a "quoted" tag', n::text, null]
    from shop."Order ""A"" ; --", generate_series(1, number % 3) n;
    insert into shop."Part"
    select id, decode(lpad(to_hex(n), 2, '0') || '00ff', 'hex') from shop.line, generate_series(1, 2) n;
"#;

const DEFINITION: &str = r#"
    table = "shop.Order \"A\" ; --"
    key = ["tenant", "number"]
    age = "placed"
    open = "state = 'open' -- still in use"
    archive = { schema = "kept" }
"#;

async fn union(site: &Site, main: &str, archive: &str) -> Vec<String> {
    let sql = format!(
        "select to_jsonb(t)::text from {main} t union all select (to_jsonb(a) {OWN})::text from {archive} a order by 1"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(site.pool()).await.expect("rows")
}

#[tokio::test]
async fn a_composite_key_and_two_levels_of_children_move_whole() {
    let database = Database::empty().await;
    dataset::install(database.pool(), false, &Default::default()).await.expect("the step table");
    let site = Site { database, definition: toml::from_str(DEFINITION).expect("a data set") };
    site.run(TABLES).await;
    let tables = [r#""Order ""A"" ; --""#, "line", r#""Part""#];
    let mut before = Vec::new();
    for table in tables {
        let rows = format!("select to_jsonb(t)::text from shop.{table} t order by 1");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(site.pool()).await.expect("rows");
        before.push(rows);
    }

    let dry = done(archive(site.ctx(), "older_than = '50d'").await);
    let real = done(archive(site.ctx(), "older_than = '50d'\ndry_run = false\nbatch = { rows = 7 }").await);

    assert_eq!(number(&real, "rows_archived"), 120, "150 are older than 50 days, every fifth of them is open");
    assert_eq!(number(&real, "rows_kept_open"), 30);
    assert!(number(&real, "line_archived") > 0);
    assert_eq!(number(&real, "Part_archived"), 2 * number(&real, "line_archived"));
    for name in ["rows_archived", "line_archived", "Part_archived", "rows_kept_open"] {
        assert_eq!(real.get(name), dry.get(name), "{name}");
    }
    for (table, before) in tables.into_iter().zip(before) {
        assert_eq!(union(&site, &format!("shop.{table}"), &format!("kept.{table}")).await, before, "{table}");
    }
    let purge = "older_than = '100d'\ndisposal = 'delete'\nfrom = 'archive'\ndry_run = false\nbatch = { rows = 11 }";
    let purged = done(cleanup(site.ctx(), purge).await);
    assert_eq!(number(&purged, "rows_deleted"), 80);
    let orphans =
        r#"select count(*) from kept."Part" p where not exists (select from kept.line l where l.id = p.line)"#;
    assert_eq!(site.count(orphans).await, 0);
}

#[tokio::test]
async fn a_table_that_references_itself_is_refused() {
    let database = Database::empty().await;
    let mut site = Site { database, definition: toml::from_str(DEFINITION).expect("a data set") };
    site.run(
        "create table node (id int primary key, up int references node, at timestamptz); create index on node (up)",
    )
    .await;
    site.definition = toml::from_str("table = 'public.node'\nkey = ['id']\nage = 'at'\narchive = { suffix = '_old' }")
        .expect("a data set");
    let failure = failed(archive(site.ctx(), "older_than = '50d'").await);
    assert!(failure.why.contains("`public.node` references itself"), "{}", failure.why);
}
