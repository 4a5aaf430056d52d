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
