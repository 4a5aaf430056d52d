//! What a user lacks is said before a row moves, with the statements that grant it; installing grants no more.

use sexton::{db::Target, secret::Secret, vault::Vaults};

use super::*;

/// A target whose user may do nothing but connect.
async fn limited(site: &Site) -> (Target, String) {
    let user = format!("limited_{}", site.database.name());
    site.run(&format!("create role {user} login")).await;
    let wanted = dataset::Wanted { roles: vec![user.clone()], ..Default::default() };
    dataset::install(site.pool(), false, &wanted).await.expect("grants");
    let target = site.database.target("collector");
    // The cluster knows its users by their system names, so it is entered as its owner, who then is somebody else.
    let mut url = url::Url::parse(&target.login.to_string()).expect("a URL");
    url.query_pairs_mut().append_pair("options[role]", &user);
    let login = sexton::db::Login::new(&Secret::new(url.to_string()), None).expect("a login");
    (Target::new("collector", login, None), user)
}

#[tokio::test]
async fn missing_privileges_are_all_named_before_a_row_moves() {
    let site = Site::new(100).await;
    let (target, user) = limited(&site).await;
    site.run(&format!("grant select, update on all tables in schema public to {user}")).await;
    let before = site.everything().await;
    let mut ctx = support::ctx([target.clone()], Vaults::default());
    ctx.dataset = Some(site.definition.clone());

    let failure = failed(archive(ctx, "older_than = '365d'\ndry_run = false").await);

    assert!(failure.why.contains(&format!("user `{user}` may not do this")), "{}", failure.why);
    for lacks in
        ["delete on public.interface_exceptions", "delete on public.order_items", "insert on public.data_archive_log"]
    {
        assert!(failure.why.contains(lacks), "{lacks}: {}", failure.why);
    }
    assert_eq!(failure.again, sexton::outcome::Again::Never);
    let help = failure.help.expect("help");
    let grants = help.strip_prefix("run as the tables' owner: ").expect("grants");
    site.run(grants).await;

    let mut ctx = support::ctx([target.clone()], Vaults::default());
    ctx.dataset = Some(site.definition.clone());
    let failure = failed(archive(ctx, "older_than = '365d'\ndry_run = false").await);
    assert!(failure.why.contains("may not change schema `public`, in which the archive is made"), "{}", failure.why);
    let help = failure.help.expect("help");
    site.run(help.strip_prefix("run as its owner: ").expect("statements")).await;
    site.run(&format!("grant select, insert on all tables in schema public to {user}")).await;
    assert_same(&site.everything().await, &before);

    let mut ctx = support::ctx([target], Vaults::default());
    ctx.dataset = Some(site.definition.clone());
    let report = done(archive(ctx, "older_than = '365d'\ndry_run = false").await);
    assert!(number(&report, "rows_archived") > 0);
    assert_same(&site.everything().await, &before);
}

#[tokio::test]
async fn a_migration_names_what_its_user_lacks_and_works_with_just_that() {
    let site = Site::new(5).await;
    site.run(&super::migrate::legacy(20)).await;
    site.run("create sequence numbers; alter table interface_exceptions alter id drop identity, alter id set default nextval('numbers') + 1000").await;
    let (target, _) = limited(&site).await;
    let attempt = || {
        let sources = sexton::db::Sources::new(["public.legacy_*".to_owned()]);
        let mut ctx = support::ctx([target.clone().with_sources(sources)], Vaults::default());
        ctx.dataset = Some(site.definition.clone());
        ctx
    };
    let table = "source = 'legacy_exceptions'\ndry_run = false";
    let failure = failed(super::migrate::migrate(attempt(), table).await);
    for lacks in [
        "select on public.legacy_exceptions",
        "insert on public.interface_exceptions",
        "insert on public.data_migration_log",
    ] {
        assert!(failure.why.contains(lacks), "{lacks}: {}", failure.why);
    }
    let help = failure.help.expect("help");
    site.run(help.strip_prefix("run as the tables' owner: ").expect("grants")).await;
    let report = done(super::migrate::migrate(attempt(), table).await);
    assert_eq!(number(&report, "rows_migrated"), 20);
    let line = "select count(*) from data_migration_log where status = 'COMPLETED' and records_migrated = 20";
    assert_eq!(site.count(line).await, 1);
}
