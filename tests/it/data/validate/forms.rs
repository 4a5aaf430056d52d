//! Every form of check, and every sort of threshold.

use super::{super::*, validate};

/// A small table of its own, with everything that checks look for.
async fn site() -> Site {
    let site = Site::new(50).await;
    site.run(
        r#"create type public.mood as enum ('good', 'bad');
        create table public."Odd ""one" (id int primary key, parent int, word text, mood public.mood, level text check (level in ('a', 'b')),
                                  n numeric, at timestamp, on_day date);
        insert into public."Odd ""one" values
            (1, null, 'x', 'good', 'a', 1, (now() at time zone 'UTC') - interval '2 hours', current_date - 2),
            (2, 1, ' ', 'bad', 'b', 5, (now() at time zone 'UTC') - interval '3 hours', current_date - 2),
            (3, 9, 'x', null, null, -2, null, null),
            (4, 8, 'y', 'good', 'a', 11, (now() at time zone 'UTC') + interval '1 hour', current_date + 2);"#,
    )
    .await;
    site
}

/// How many bad rows one check finds.
async fn bad(site: &Site, form: &str) -> i64 {
    let check = format!("[[check]]\nname = 'one'\nwarn = '> 0'\n{form}");
    number(&done(validate(site.ctx(), &check).await), "check.one")
}

const ODD: &str = r#"'public.Odd "one'"#;

#[tokio::test]
async fn every_form_finds_its_bad_rows() {
    let site = site().await;
    let cases = [
        (format!("reference = {{ from = {ODD}, along = ['parent'], to = {ODD} }}"), 2),
        (
            format!(
                "reference = {{ from = {ODD}, along = ['parent'], to = {ODD}, key = ['id'], when = 'id < 4 -- not 4' }}"
            ),
            1,
        ),
        (format!("unique = {{ table = {ODD}, columns = ['word'] }}"), 1),
        (format!("unique = {{ table = {ODD}, columns = ['word', 'id'] }}"), 0),
        (format!("unique = {{ table = {ODD}, columns = ['mood'], when = 'id > 1' }}"), 0),
        (format!("not_null = {{ table = {ODD}, columns = ['mood', 'parent'] }}"), 2),
        (format!("not_null = {{ table = {ODD}, columns = ['word'] }}"), 0),
        (format!("not_null = {{ table = {ODD}, columns = ['word'], blank = true }}"), 1),
        (
            format!("accepted = {{ table = {ODD}, column = 'word', values = ['x', 'it''s'] }}")
                .replace("'it''s'", "\"it's\""),
            2,
        ),
        (format!("accepted = {{ table = {ODD}, column = 'mood' }}"), 0),
        (format!("accepted = {{ table = {ODD}, column = 'level' }}"), 0),
        (format!("range = {{ table = {ODD}, columns = ['n'], min = -1, max = 10.5 }}"), 2),
        (format!("range = {{ table = {ODD}, columns = ['at'], max = 'now' }}"), 1),
        (format!("range = {{ table = {ODD}, columns = ['at'], max = 'now + 2h' }}"), 0),
        (format!("range = {{ table = {ODD}, columns = ['at', 'on_day'], min = 'now - 30m', max = '2999-01-01' }}"), 2),
        (format!("freshness = {{ table = {ODD}, column = 'at', within = '1h', when = 'at < now()' }}"), 1),
        (format!("freshness = {{ table = {ODD}, column = 'at', within = '1d' }}"), 0),
        (format!("freshness = {{ table = {ODD}, column = 'at', within = '1d', when = 'false' }}"), 1),
        (format!("volume = {{ table = {ODD}, min = 4, max = 4 }}"), 0),
        (format!("volume = {{ table = {ODD}, min = 5 }}"), 1),
        (format!("volume = {{ table = {ODD}, max = 1, when = 'n > 0' }}"), 1),
        ("sql = 'select id from order_items where false;'".to_owned(), 0),
    ];
    for (form, expected) in cases {
        assert_eq!(bad(&site, &form).await, expected, "{form}");
    }
}

#[tokio::test]
async fn the_catalog_knows_which_values_are_accepted_even_where_a_constraint_was_not_validated() {
    let site = site().await;
    site.run(
        r#"alter table public."Odd ""one" drop constraint "Odd ""one_level_check";
        update public."Odd ""one" set level = 'z' where id = 1;
        alter table public."Odd ""one" add check (level in ('a', 'b')) not valid;"#,
    )
    .await;
    assert_eq!(bad(&site, &format!("accepted = {{ table = {ODD}, column = 'level' }}")).await, 1);
    let check = format!("[[check]]\nname = 'one'\naccepted = {{ table = {ODD}, column = 'word' }}");
    let failure = failed(validate(site.ctx(), &check).await);
    assert!(failure.why.contains("the catalog does not say which values"), "{}", failure.why);
}

#[tokio::test]
async fn a_missing_table_skips_a_check_and_a_missing_column_fails_it_unless_it_is_needed() {
    let site = site().await;
    let form = "not_null = { table = 'public.order_items', columns = ['colour'] }";
    let missing = "[[check]]\nname = 'gone'\nnot_null = { table = 'public.gone', columns = ['x'] }\n";
    let needed = format!("[[check]]\nname = 'needed'\nneeds = ['public.order_items.colour']\n{form}\n");
    let report = done(validate(site.ctx(), &format!("{missing}{needed}")).await);
    assert_eq!(number(&report, "checks_skipped"), 2);
    let samples = report.get("samples").and_then(|text| text.as_str()).expect("samples");
    assert!(samples.contains("gone: skipped, there is no public.gone"), "{samples}");
    assert!(samples.contains("needed: skipped, there is no public.order_items.colour"), "{samples}");

    let failure = failed(validate(site.ctx(), &format!("[[check]]\nname = 'one'\n{form}")).await);
    assert!(failure.why.contains("one could not be run: public.order_items has no column `colour`"), "{}", failure.why);
    assert!(failure.help.expect("help").contains("blood_type"), "it names the columns that there are");
}

#[tokio::test]
async fn a_share_is_of_the_rows_looked_at() {
    let site = site().await;
    let check = |fail: &str| {
        format!(
            "[[check]]\nname = 'one'\nfail = '{fail}'\nnot_null = {{ table = {ODD}, columns = ['mood'], when = 'id > 2' }}"
        )
    };
    done(validate(site.ctx(), &check("> 50%")).await);
    let failure = failed(validate(site.ctx(), &check("> 49.9%")).await);
    assert!(failure.why.contains("one: 1 bad rows of 2, fails at > 49.9%"), "{}", failure.why);
    let of = "[[check]]\nname = 'one'\nfail = '> 1%'\nof = 'public.interface_exceptions'\nsql = 'select id from interface_exceptions where id = 1'";
    let failure = failed(validate(site.ctx(), of).await);
    assert!(failure.why.contains("1 bad rows of 50"), "{}", failure.why);
}

#[tokio::test]
async fn the_job_s_thresholds_go_before_the_check_s() {
    let site = site().await;
    let check =
        "[[check]]\nname = 'one'\nseverity = 'error'\nvolume = { table = 'public.order_items', min = 1_000_000 }";
    failed(validate(site.ctx(), check).await);
    done(validate(site.ctx(), &format!("thresholds.one.fail = '> 1'\n{check}")).await);
}

#[test]
fn what_is_wrong_with_a_check_is_said_before_it_runs() {
    let said = |check: &str| {
        let table = format!("target = 'collector'\n[[check]]\nname = 'one'\n{check}");
        let table: sexton::kinds::Validate = toml::from_str(&table).expect("a shape");
        table.check().into_iter().map(|finding| finding.message).collect::<Vec<_>>().join("|")
    };
    assert!(said("").contains("checks nothing"));
    assert!(said("sql = 'select 1'\nvolume = { table = 't', min = 1 }").contains("several forms (volume, sql)"));
    assert!(said("range = { table = 't', columns = ['a'] }").contains("has no bound"));
    assert!(said("range = { table = 't', columns = ['a'], max = 'now or never' }").contains("is no bound"));
    assert!(said("volume = { table = 't', min = 2, max = 1 }").contains("`min` is more than `max`"));
    assert!(said("sql = 'select 1'\nfail = '> 1%'").contains("a share needs to know of what"));
    assert!(said("unique = { columns = [] }").contains("`columns` is empty"));
    assert!(said("archive_consistency = { find = 'wrong counts' }").contains("needs `child`"));
    assert_eq!(said("unique = { columns = ['a'] }"), "");
}
