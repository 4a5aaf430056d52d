//! What a run needs, its gates and its limits.

use std::{collections::BTreeMap, path::Path};

use crate::catalog::{Catalog, Files, Names};

#[test]
fn a_run_carries_what_it_needs_and_its_gates() {
    let files: Files = [
        (
            "jobs/limits.toml",
            "[kind.sql]\nconcurrency = 2\n[target.main]\nconcurrency = 4\nrate = { most = 10, per = \"1m\" }\n",
        ),
        (
            "jobs/a.toml",
            "concurrency = { key = \"tenant\", most = 1 }\nrate = { most = 5, per = \"1s\" }\nexclusive = \"night\"\n\
             needs = [\"region=eu\"]\n[params]\ntenant = { type = \"text\", default = \"x\" }\n\
             [sql]\ntarget = \"main\"\nsql = \"select :tenant\"\n",
        ),
        ("jobs/b.toml", "timeout = \"1h\"\n[exec]\nargv = [\"true\"]\n"),
    ]
    .into_iter()
    .collect();
    let parsed = Catalog::parse(&files);
    let catalog = parsed.catalog.unwrap_or_else(|| panic!("{:?}", parsed.problems));
    let spec = catalog.resolve("a", &BTreeMap::from([("tenant".to_owned(), "acme".into())])).expect("it resolves");
    assert_eq!(spec.needs, ["region=eu", "target:main"]);
    let gates: Vec<_> = spec.limits.iter().map(|gate| (gate.name.as_str(), gate.most, gate.rate.is_some())).collect();
    assert_eq!(
        gates,
        [
            ("exclusive:night", Some(1), false),
            ("job:a", None, true),
            ("key:a:acme", Some(1), false),
            ("kind:sql", Some(2), false),
            ("target:main", Some(4), true),
        ]
    );
    let plain = catalog.resolve("b", &BTreeMap::new()).expect("it resolves");
    assert!(plain.needs.is_empty() && plain.limits.is_empty(), "it has the lane of all that is free");
}

#[test]
fn limits_that_mean_nothing_are_refused_with_what_to_write() {
    let files: Files = [
        ("jobs/limits.toml", "[kind.sqll]\nconcurrency = 2\n[target.main]\nconcurrency = 0\nexclusive = 1\n[pool.x]\n"),
        (
            "jobs/a.toml",
            "concurrency = { key = \"tenent\", most = 1 }\nrate = { most = 0, per = \"0s\" }\nexclusive = true\n\
             needs = [\"target:x\"]\n[params]\ntenant = { type = \"text\", default = \"x\" }\n\
             [sql]\ntarget = \"main\"\nsql = \"select :tenant\"\n",
        ),
    ]
    .into_iter()
    .collect();
    let parsed = Catalog::parse(&files);
    assert!(parsed.catalog.is_none());
    let told: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    for part in [
        "jobs/a.toml:1:23: `tenent` is no parameter of this job",
        "jobs/a.toml:2:17: 0 would let nothing run, ever",
        "jobs/a.toml:2:26: must be longer than nothing",
        "jobs/a.toml:3:13: must be the name of a group, or false",
        "jobs/a.toml:4:10: `target:x` is no label",
        "jobs/limits.toml:1:7: `sqll` is no kind",
        "jobs/limits.toml:4:15: 0 would let nothing run, ever",
        "jobs/limits.toml:5:1: `exclusive` is not a key of a limit",
        "jobs/limits.toml:6:2: `pool` is not a key of limits.toml",
    ] {
        assert!(told.iter().any(|problem| problem == part), "{part} is not in {told:#?}");
    }
}

/// The page for ops is what the files take.
#[test]
fn the_page_about_limits_shows_files_that_are_taken() {
    let page = include_str!("../../../docs/limits.md");
    let shown = page.split("```toml\n").skip(1).map(|part| part.split("```").next().expect("an end"));
    let files: Files = shown
        .map(|text| {
            let path = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the path");
            (path.to_owned(), text.to_owned())
        })
        .collect();
    assert_eq!(files.0.len(), 2);
    let mut parsed = Catalog::parse(&files);
    parsed.check_names(&Names { targets: ["collector".to_owned()].into(), default_alert: true, ..Names::default() });
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let catalog = parsed.catalog.expect("a catalog");
    let spec =
        catalog.resolve("export-tenant", &BTreeMap::from([("tenant".to_owned(), "acme".into())])).expect("it resolves");
    let text = |wait: crate::lanes::Wait| wait.to_string();
    let rate =
        spec.limits.iter().find(|gate| gate.name == "job:export-tenant").and_then(|gate| gate.rate).expect("a rate");
    let until = chrono::DateTime::parse_from_rfc3339("2026-01-01T14:03:10Z").expect("a time").to_utc();
    for said in [
        text(crate::lanes::Wait::Full { gate: "kind:backup".into(), most: 2 }),
        text(crate::lanes::Wait::Side { gate: "data:collector".into(), theirs: "dump".into(), own: "move".into() }),
        text(crate::lanes::Wait::Rate { gate: "job:export-tenant".into(), rate, until }),
        text(crate::lanes::Wait::Nobody { needs: spec.needs[..1].to_vec() }),
    ] {
        assert!(page.contains(&said), "{said}");
    }
}

#[test]
fn what_dumps_and_what_moves_rows_are_on_two_sides_of_their_target() {
    let read =
        |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a shipped file");
    let shipped = ["backup-collector", "archive-exceptions", "cleanup-old", "analyze"];
    let texts = |more: &'static str| -> Files {
        let jobs = shipped
            .iter()
            .map(|name| format!("jobs/{name}.toml"))
            .map(|path| (path.clone(), format!("{more}{}", read(&path))));
        let dataset = "jobs/datasets/interface_exceptions.toml";
        jobs.chain([(dataset.to_owned(), read(dataset))]).collect()
    };
    let side = |catalog: &Catalog, job: &str| {
        let spec = catalog.resolve(job, &BTreeMap::new()).expect("it resolves");
        spec.limits.iter().find(|gate| gate.name == "data:collector").and_then(|gate| gate.side.clone())
    };
    let usual = Catalog::parse(&texts("")).catalog.expect("a catalog");
    let sides = shipped.map(|job| side(&usual, job));
    assert_eq!(sides.each_ref().map(Option::as_deref), [Some("dump"), Some("move"), Some("move"), None]);
    let overlapping = Catalog::parse(&texts("exclusive = false\n")).catalog.expect("a catalog");
    assert_eq!(side(&overlapping, "backup-collector"), None);
    let spec = usual.resolve("backup-collector", &BTreeMap::new()).expect("it resolves");
    assert_eq!(spec.needs, ["target:collector", "vault:main"]);
}
