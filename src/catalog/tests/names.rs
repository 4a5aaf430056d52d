//! Names in files are held against the settings.

use super::{catalog, files, shipped};
use crate::catalog::Names;

#[test]
fn names_are_held_against_the_settings() {
    let files = files(&[]);
    let names = |known: &str| Names {
        targets: [known.to_owned()].into(),
        channels: ["opps".to_owned()].into(),
        ..Names::default()
    };
    let problems = catalog(&files).check_names(&names("colector"));
    let told: Vec<_> = problems.iter().map(|problem| problem.render(&files, false)).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
        error: the settings have no channel `ops`
         --> jobs/archive.toml:3:10
          |
        3 | alert = ["ops"]
          |          ^^^^^
          |
          = help: did you mean `opps`?

        error: the settings have no target `collector`
         --> jobs/archive.toml:9:10
          |
        9 | target = "collector"
          |          ^^^^^^^^^^^
          |
          = help: did you mean `colector`?

        warning: nobody is told when this job fails: it has no `alert`, and [alerts] has no default
        --> jobs/cleanup.toml
         = help: add alert = ["CHANNEL"] here, or default = ["CHANNEL"] to [alerts] in sexton.toml; alert = [] means the log only

        error: the settings have no target `collector`
         --> jobs/cleanup.toml:5:10
          |
        5 | target = "collector"
          |          ^^^^^^^^^^^
          |
          = help: did you mean `colector`?
    "#);
}

#[test]
fn a_source_that_the_settings_do_not_allow_is_told() {
    let job = |source: &str| {
        format!("[migrate]\ntarget = \"collector\"\ndataset = \"interface_exceptions\"\nsource = \"{source}\"\n")
    };
    let named = [("jobs/good.toml", job("public.legacy_a")), ("jobs/bad.toml", job("private.b"))];
    let mut all = shipped();
    all.0.extend(named.map(|(path, text)| (path.to_owned(), format!("alert = []\n{text}"))));
    let names = Names {
        targets: ["collector".to_owned()].into(),
        vaults: ["main".to_owned()].into(),
        sources: [("collector".to_owned(), crate::db::Sources::new(["public.legacy_*".to_owned()]))].into(),
        default_alert: true,
        ..Names::default()
    };
    let problems = catalog(&all).check_names(&names);
    let told: Vec<_> = problems.iter().map(|problem| problem.render(&all, false)).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
        error: the settings do not allow `private.b` as a source in target `collector`
         --> jobs/bad.toml:5:10
          |
        5 | source = "private.b"
          |          ^^^^^^^^^^^
          |
          = help: add sources = ["private.b"] to [targets.collector] in sexton.toml; allowed are: public.legacy_*
    "#);
}
