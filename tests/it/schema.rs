//! The published JSON Schemas: they are what the binary prints, they take every file that is shipped or shown, and what
//! they refuse the daemon refuses as well.

use std::{fs, path::Path};

use clap::Parser;
use jsonschema::Validator;
use serde_json::Value;
use sexton::{
    catalog::{Catalog, Files},
    cli::{self, Cli},
    kinds,
};

/// The kinds of files, each with its schema's name and a place where such a file lies.
const SORTS: [(&str, &str); 3] =
    [("job", "jobs/x.toml"), ("schedule", "schedules/x.toml"), ("dataset", "jobs/datasets/x.toml")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn published(sort: &str) -> Value {
    serde_json::from_str(&read(format!("docs/schema/{sort}.schema.json"))).expect("JSON")
}

fn validator(sort: &str) -> Validator {
    jsonschema::validator_for(&published(sort)).expect("a schema")
}

/// As a language server sees it: a date is a text.
fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
        other => serde_json::to_value(other).expect("JSON"),
    }
}

fn parsed(text: &str) -> Value {
    json(&toml::Value::Table(text.parse().unwrap_or_else(|error| panic!("{error} in\n{text}"))))
}

fn wrong(schema: &Validator, text: &str) -> Vec<String> {
    schema.iter_errors(&parsed(text)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[tokio::test]
async fn the_published_schemas_are_what_the_binary_prints() {
    for (sort, _) in SORTS {
        let cli = Cli::try_parse_from(["sexton", "schema", sort]).expect("a command");
        let mut out = Vec::new();
        assert_eq!(cli::ask(&cli, &mut out).await.expect("an answer"), 0);
        let printed = String::from_utf8(out).expect("text");
        let path = root().join(format!("docs/schema/{sort}.schema.json"));
        if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            fs::write(&path, &printed).expect("written");
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == printed,
            "{} is not what the types say: cargo run -- schema {sort} > docs/schema/{sort}.schema.json",
            path.display()
        );
        assert!(jsonschema::draft7::meta::is_valid(&parsed_json(&printed)), "{sort} is no schema of draft 7");
    }
}

fn parsed_json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Every file of a folder that ends with `.toml`.
fn shipped(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let paths = entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.map(|path| path.strip_prefix(root()).expect("inside").display().to_string()).collect()
}

#[test]
fn every_shipped_file_keeps_its_schema_and_names_it() {
    let mut seen = 0;
    for (sort, place) in SORTS {
        let schema = validator(sort);
        let folder = place.trim_end_matches("/x.toml");
        for path in shipped(folder) {
            let text = read(&path);
            let up = "../".repeat(folder.split('/').count());
            let line = format!("#:schema {up}docs/schema/{sort}.schema.json");
            assert_eq!(text.lines().next(), Some(line.as_str()), "the first line of {path}");
            assert_eq!(wrong(&schema, &text), Vec::<String>::new(), "{path}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} files");
}

/// What a block of TOML in the docs is, if it is a whole file.
fn sort_of(text: &str) -> Option<&'static str> {
    let value = parsed(text);
    let table = value.as_object()?;
    if table.contains_key("at") || table.contains_key("window") {
        return Some("schedule");
    }
    if table.contains_key("table") && table.contains_key("key") {
        return Some("dataset");
    }
    // `[http]` is a table of the settings, too.
    if table.contains_key("database") {
        return None;
    }
    kinds::ALL.iter().any(|kind| table.get(kind.name).is_some_and(Value::is_object)).then_some("job")
}

#[test]
fn every_example_in_the_docs_keeps_its_schema() {
    let mut pages: Vec<String> = fs::read_dir(root().join("docs"))
        .expect("docs")
        .map(|entry| format!("docs/{}", entry.expect("an entry").file_name().display()))
        .filter(|page| page.ends_with(".md"))
        .collect();
    pages.push("README.md".to_owned());
    let mut seen = [0; SORTS.len()];
    for page in pages {
        for block in read(&page).split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let Some(place) = sort_of(block).and_then(|sort| SORTS.iter().position(|(name, _)| *name == sort)) else {
                continue;
            };
            assert_eq!(wrong(&validator(SORTS[place].0), block), Vec::<String>::new(), "{page}:\n{block}");
            seen[place] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 0) && seen.iter().sum::<usize>() >= 6, "{seen:?}");
}

const CALL: &str = "timeout = \"1m\"\nalert = []\n[exec]\nargv = [\"true\"]\n";
const KEPT: &str = "alert = []\n[archive]\ntarget = \"t\"\ndataset = \"things\"\nolder_than = \"365d\"\n";
const THINGS: &str = "table = \"public.things\"\nkey = [\"id\"]\nage = \"made_at\"\narchive = { suffix = \"_old\" }\n";

fn at(more: &str) -> String {
    format!("[[at]]\nname = \"x\"\njob = \"call\"\ncron = \"0 3 * * *\"\n{more}\n")
}

/// Whether the daemon refuses a set of files in which this one takes its place.
fn refused(place: &str, text: &str) -> bool {
    let good = [("jobs/call.toml", CALL), ("jobs/kept.toml", KEPT), ("jobs/datasets/things.toml", THINGS)];
    let files: Files = good.into_iter().chain([(place, text)]).collect();
    Catalog::parse(&files).catalog.is_none()
}

#[test]
fn good_files_are_taken_by_both() {
    let dry = "[params]\nolder_than = { type = \"duration\", default = \"365d\" }\n[archive]\ntarget = \"t\"\ndataset = \"things\"\n";
    for (sort, text) in [
        ("job", CALL.to_owned()),
        ("job", KEPT.to_owned()),
        // What a kind needs may come from a parameter.
        ("job", dry.to_owned()),
        ("schedule", at("then = [\"kept\"]\ndst = { gap = \"skip\" }\ncatch_up = \"skip\"\ncatch_up_window = \"6h\"")),
        (
            "schedule",
            at("windows = [\"night\"]") + "[[window]]\nname = \"night\"\ncron = \"0 1 * * *\"\nlasts = \"4h\"\n",
        ),
        ("dataset", THINGS.to_owned()),
    ] {
        let place = SORTS.iter().find(|(name, _)| *name == sort).expect("a sort").1;
        assert_eq!(wrong(&validator(sort), &text), Vec::<String>::new(), "{text}");
        assert!(!refused(place, &text), "{text}");
    }
}

#[test]
fn a_mistake_is_refused_by_the_schema_and_by_the_daemon() {
    let job = |text: &str| ("job", text.to_owned());
    let schedule = |more: &str| ("schedule", at(more));
    let window = |more: &str| ("schedule", format!("{}[[window]]\nname = \"w\"\n{more}\n", at("")));
    let dataset = |more: &str| ("dataset", format!("{THINGS}{more}\n"));
    let mistakes = [
        // A key that there is not.
        job("abuot = \"x\"\ntimeout = \"1m\"\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\n[exec]\nargv = [\"true\"]\nshell = true\n"),
        job("retry = { tries = 3 }\ntimeout = \"1m\"\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\n[params]\nx = { type = \"text\", defualt = \"a\" }\n[exec]\nargv = [\"true\"]\n"),
        job("[vacuum]\ntarget = \"t\"\n"),
        schedule("overlp = \"skip\""),
        schedule("dst = { gaps = \"skip\" }"),
        ("schedule", "[at]\nname = \"x\"\n".to_owned()),
        ("schedule", "[[att]]\nname = \"x\"\n".to_owned()),
        dataset("colour = \"red\""),
        dataset("[[check]]\nname = \"a\"\nsql = \"select 1\"\nseverty = \"info\""),
        // A wrong type.
        job("timeout = 60\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1 minute\"\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\n[exec]\nargv = \"true\"\n"),
        job("timeout = \"1m\"\nexpect = { bytes = \"1 MiB\" }\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\nalert = \"ops\"\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\nretry = { attempts = 0 }\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\n[params]\nx = \"text\"\n[exec]\nargv = [\"true\"]\n"),
        job(
            "[archive]\ntarget = \"t\"\ndataset = \"things\"\nolder_than = \"365d\"\nthrottle = { wal_rate = \"fast\" }\n",
        ),
        schedule("enabled = \"yes\""),
        schedule("then = \"kept\""),
        schedule("catch_up_window = 6"),
        ("schedule", "[[at]]\nname = 1\njob = \"call\"\ncron = \"0 3 * * *\"\n".to_owned()),
        dataset("children = \"all\""),
        dataset("[[check]]\nname = \"a\"\nsql = \"select 1\"\nfail = \"many\""),
        window("cron = \"0 1 * * *\"\nlasts = 4"),
        // A window in two ways, and in none.
        window("cron = \"0 1 * * *\"\nlasts = \"4h\"\nfrom = 2026-12-24T18:00:00Z\nuntil = 2027-01-02T06:00:00Z"),
        window("slots = \"defer\""),
        window("cron = \"0 1 * * *\"\nlasts = \"4h\"\nslots = \"wait\""),
        window("cron = \"0 1 * * *\"\nlasts = \"4h\"\nquiet = true"),
        // A word that there is not.
        job("timeout = \"1m\"\non_lost = \"restart\"\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\non_breach = \"panic\"\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\n[params]\nx = { type = \"string\" }\n[exec]\nargv = [\"true\"]\n"),
        job("[cleanup]\ntarget = \"t\"\ndataset = \"things\"\nolder_than = \"365d\"\ndisposal = \"shred\"\n"),
        schedule("catch_up = \"newest\""),
        schedule("overlap = \"allow\""),
        schedule("dst = { overlap = \"twice\" }"),
        dataset("[[check]]\nname = \"a\"\nsql = \"select 1\"\nseverity = \"fatal\""),
        // A key that is needed.
        job("alert = []\n[exec]\nargv = [\"true\"]\n"),
        job("timeout = \"1m\"\n[exec]\nsuccess = [0]\n"),
        job("[archive]\ntarget = \"t\"\ndataset = \"things\"\n"),
        job("timeout = \"1m\"\n[params]\nx = { default = \"a\" }\n[exec]\nargv = [\"true\"]\n"),
        ("schedule", "[[at]]\nname = \"x\"\njob = \"call\"\n".to_owned()),
        ("schedule", "[[at]]\njob = \"call\"\ncron = \"0 3 * * *\"\n".to_owned()),
        ("dataset", "table = \"public.things\"\nkey = [\"id\"]\narchive = { suffix = \"_old\" }\n".to_owned()),
        // Nothing to do, and two things.
        job("about = \"x\"\n"),
        job(&format!("{CALL}[sql]\ntarget = \"t\"\nsql = \"select 1\"\n")),
        ("dataset", THINGS.replace("{ suffix = \"_old\" }", "{ suffix = \"_old\", schema = \"old\" }")),
    ];
    let mut taken = Vec::new();
    for (sort, text) in mistakes {
        let place = SORTS.iter().find(|(name, _)| *name == sort).expect("a sort").1;
        taken.extend(wrong(&validator(sort), &text).is_empty().then(|| format!("the schema takes\n{text}")));
        taken.extend((!refused(place, &text)).then(|| format!("the daemon takes\n{text}")));
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}
