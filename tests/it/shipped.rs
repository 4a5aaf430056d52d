//! What ships beside the code is held against the code: units, manifests, README commands, help texts.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

fn shipped(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sexton(args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_sexton")).args(args).env_remove("SEXTON_CONFIG").output().expect("sexton");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Sections of a unit file, each with its keys.
fn unit(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut sections = BTreeMap::<String, Vec<_>>::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no key and value: {line}"));
        sections.entry(section.clone()).or_default().push((key.to_owned(), value.to_owned()));
    }
    sections
}

#[test]
fn the_unit_starts_a_command_that_exists() {
    let sections = unit(&shipped("systemd/sexton.service"));
    assert_eq!(sections.keys().collect::<Vec<_>>(), ["Install", "Service", "Unit"]);
    let start = &sections["Service"].iter().find(|(key, _)| key == "ExecStart").expect("ExecStart").1;
    let words: Vec<&str> = start.split_whitespace().collect();
    assert!(words[0].ends_with("/sexton"));
    assert_parses(&words[1..]);
}

#[test]
fn the_deployment_starts_a_command_that_exists_and_probes_paths_that_answer() {
    let text = shipped("k8s/deployment.yaml");
    let deployment: serde_json::Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let container = deployment.pointer("/spec/template/spec/containers/0").expect("a container");
    let args: Vec<&str> = container["args"].as_array().expect("args").iter().filter_map(|arg| arg.as_str()).collect();
    assert_parses(&args);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().expect("a path");
        assert!(["/healthz", "/readyz"].contains(&path), "{probe} asks {path}");
    }
    let volumes = deployment.pointer("/spec/template/spec/volumes").and_then(|v| v.as_array()).expect("volumes");
    let files = volumes.iter().find(|volume| volume["name"] == "files").expect("the files");
    let mut projected = Vec::new();
    for source in files["projected"]["sources"].as_array().expect("sources") {
        for item in source["configMap"]["items"].as_array().expect("items") {
            projected.push(item["path"].as_str().expect("a path").to_owned());
        }
    }
    for path in &projected {
        shipped(path);
    }
    let here = ["jobs", "jobs/datasets", "schedules"].iter().flat_map(|folder| {
        let folder = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
        folder.flatten().filter(|entry| entry.path().is_file())
    });
    assert_eq!(here.count(), projected.len(), "the Deployment has all shipped files: {projected:?}");
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "no volume for {mount}");
    }
}

/// The command line is understood, up to files that are not here.
fn assert_parses(args: &[&str]) {
    use clap::Parser;
    let line = std::iter::once("sexton").chain(args.iter().copied());
    if let Err(error) = sexton::cli::Cli::try_parse_from(line) {
        panic!("sexton does not understand {args:?}: {error}");
    }
}

#[test]
fn every_command_in_the_readme_is_understood() {
    let readme = shipped("README.md");
    let mut seen = 0;
    for line in readme.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let args = line.strip_prefix("sexton ").or_else(|| line.strip_prefix("cargo run --release -- "));
        if let Some(args) = args {
            assert_parses(&args.split_whitespace().collect::<Vec<_>>());
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} commands found in README.md");
    assert!(readme.lines().any(|line| line == "cargo test"), "the README has the test command that CI runs");
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = shipped("README.md");
    let block = |mark: &str| {
        let from = readme.find(mark).unwrap_or_else(|| panic!("no {mark} in README.md"));
        readme[from..].split("```").next().expect("a block").to_owned()
    };
    let site = tempfile::tempdir().expect("a folder");
    let place = |name: &str, text: String| {
        let path = site.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    place("sexton.toml", block("# sexton.toml"));
    place("jobs/backup-collector.toml", block("# jobs/backup-collector.toml"));
    place("schedules/nightly.toml", block("# schedules/nightly.toml"));
    let config = site.path().join("sexton.toml");
    let (code, out, err) = sexton(&["check", "--config", config.to_str().expect("a path")]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn the_shipped_files_have_no_problem() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = |name: &str| root.join(name).to_str().expect("a path").to_owned();
    let (code, out, err) = sexton(&["check", "--jobs", &path("jobs"), "--schedules", &path("schedules"), "--json"]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn help_says_what_every_command_does() {
    let (code, out, _) = sexton(&["--help"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(out);
}

#[test]
fn a_command_line_that_makes_no_sense_exits_with_2() {
    let (code, _, err) = sexton(&["rnus"]);
    assert_eq!(code, 2);
    assert!(err.contains("rnus"), "{err}");
}

#[test]
fn settings_that_are_missing_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_sexton"))
        .args(["runs", "list"])
        .current_dir(folder.path())
        .env_remove("SEXTON_CONFIG")
        .output()
        .expect("sexton");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("database"), "{err}");
}

/// The kind that ARCHITECTURE.md shows is a kind: it is this file, but for where its imports come from.
#[tokio::test]
async fn the_kind_in_the_architecture_page_works() {
    use sexton::{kinds::Kind, outcome::Outcome, vault::Vaults};
    let shown = shipped("tests/it/example_kind.rs")
        .replace("use sexton::kinds::{", "use super::{")
        .replace("use sexton::{", "use crate::{");
    assert!(
        shipped("docs/ARCHITECTURE.md").contains(&shown),
        "docs/ARCHITECTURE.md shows another kind than tests/it/example_kind.rs"
    );
    let kind: crate::example_kind::Wait =
        serde_json::from_value(serde_json::json!({"length": "1ms"})).expect("a table");
    let ended = kind.run(crate::support::ctx([], Vaults::default())).await;
    assert!(matches!(ended, Ok(Outcome::Done(_))), "{ended:?}");
}

#[test]
fn the_guide_to_runs_says_commands_that_exist() {
    let guide = shipped("docs/runs.md");
    let block = guide.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    assert!(block.lines().count() >= 5, "{block}");
    for line in block.lines() {
        assert_parses(&line.split_whitespace().skip(1).collect::<Vec<_>>());
    }
}

#[test]
fn the_guide_to_files_says_settings_and_commands_that_exist() {
    let guide = shipped("docs/files.md");
    let block = |mark: &str| guide.split(mark).nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let site = tempfile::tempdir().expect("a folder");
    let config = site.path().join("sexton.toml");
    let whole = |files: &str| format!("[database]\nurl = \"postgres://db/sexton\"\n{files}");
    fs::write(&config, whole(block("```toml\n"))).expect("written");
    let said = sexton::settings::Settings::load(Some(&config)).expect("the guide's settings").files;
    fs::write(&config, whole("")).expect("written");
    assert_eq!(
        said,
        sexton::settings::Settings::load(Some(&config)).expect("no settings").files,
        "they are the defaults"
    );
    for line in block("```console\n").lines() {
        assert_parses(&line.split_whitespace().skip(1).collect::<Vec<_>>());
    }
    let sources =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/metrics.rs")).expect("metrics");
    for name in guide.split('`').filter(|word| word.starts_with("sexton_")) {
        assert!(sources.contains(&format!("\"{name}\"")), "there is no metric {name}");
    }
}
