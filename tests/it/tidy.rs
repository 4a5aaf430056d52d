//! What reviewers should not have to look for: the floors, module cycles, one statement per SQL file, headers,
//! examples that parse, and README commands that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::support;

/// The floors, lowest first. A module may use the floors under its own.
const FLOORS: [&[&str]; 6] = [
    &[
        "causes", "expect", "fault", "lanes", "outcome", "pulse", "retry", "secret", "skew", "slots", "span", "spec",
        "speed", "state", "windows",
    ],
    &["backups", "child", "dataset", "db", "embedded", "kinds", "memory", "metrics", "settings", "vault"],
    &["catalog", "ledger", "outbox", "queue"],
    &["alerts", "planner", "requests", "worker"],
    &["cli", "http"],
    &["daemon"],
];

/// Within floor 1, kinds stand on the tools, backups on those that they are made with, and the embedded cluster starts
/// children.
const WITHIN: [(&str, &str); 12] = [
    ("backups", "child"),
    ("backups", "dataset"),
    ("backups", "db"),
    ("backups", "embedded"),
    ("backups", "vault"),
    ("kinds", "backups"),
    ("kinds", "child"),
    ("kinds", "dataset"),
    ("kinds", "db"),
    ("kinds", "embedded"),
    ("kinds", "vault"),
    ("embedded", "child"),
];

/// Everybody counts.
const ANYWHERE: &str = "metrics";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under `folder` with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The top-level module that a source file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("under src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Which top-level modules `text` names as `crate::module` or in `use crate::{a, b::…}`; comments and the part
/// from the first `#[cfg(test)]` on do not count.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(top_of_group(group));
        } else {
            found.insert(word(rest));
        }
    }
    found.remove("");
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of each item of `{a::b, c::{d, e}, f}`, without the opening brace.
fn top_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut found) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                found.push(word(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

/// Who imports whom, with one file that does it.
fn edges() -> BTreeMap<(String, String), String> {
    let mut edges = BTreeMap::new();
    for path in files("src", ".rs") {
        let from = module_of(&path);
        for to in imports(&fs::read_to_string(&path).expect("a source file")) {
            if to != from {
                edges.insert((from.clone(), to), shown(&path));
            }
        }
    }
    edges
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn the_import_reader_sees_every_form() {
    let text = "use crate::{\n    a::{b, c},\n    d,\n};\nuse crate::e::f;\nfn g() { crate::h::i() }\n// crate::no\n#[cfg(test)]\nuse crate::tests_only;";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["a", "d", "e", "h"]);
}

#[test]
fn a_module_imports_only_from_the_floors_under_it() {
    let mut broken = Vec::new();
    for ((from, to), file) in edges() {
        let (Some(upper), Some(lower)) = (floor(&from), floor(&to)) else {
            if !matches!(from.as_str(), "lib" | "main") {
                broken.push(format!("{file}: `{from}` or `{to}` has no floor; add it to FLOORS in tests/it/tidy.rs"));
            }
            continue;
        };
        // Words may be made of words.
        let words = upper == 0 && lower == 0;
        let within = words || WITHIN.contains(&(from.as_str(), to.as_str())) || to == ANYWHERE && lower <= upper;
        // Surfaces read and request through the shared truths, never a stage.
        let past = FLOORS[4].contains(&from.as_str()) && FLOORS[3].contains(&to.as_str()) && to != "requests";
        if (lower >= upper && !within) || past {
            broken.push(format!("{file}: `{from}` (floor {upper}) must not import `{to}` (floor {lower})"));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn there_is_no_module_cycle() {
    let edges: BTreeSet<_> = edges().into_keys().collect();
    let mut left: BTreeSet<String> = edges.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
    loop {
        let free = left.iter().find(|module| !edges.iter().any(|(from, to)| from == *module && left.contains(to)));
        match free.cloned() {
            Some(module) => left.remove(&module),
            None => break,
        };
    }
    assert!(left.is_empty(), "these modules import one another in a circle: {left:?}");
}

#[test]
fn every_source_file_says_what_it_answers() {
    let silent: Vec<_> = files("src", ".rs")
        .into_iter()
        .chain(files("tests", ".rs"))
        .filter(|path| !fs::read_to_string(path).expect("a source file").starts_with("//!"))
        .map(|path| shown(&path))
        .collect();
    assert!(silent.is_empty(), "no `//!` header: {silent:?}");
}

/// Folders whose files hold one statement each, that Sexton prepares.
const QUERIES: [&str; 4] = ["sql/queue", "sql/ledger", "sql/outbox", "sql/backups"];

/// How many statements a text has, by its semicolons outside of strings, dollar quotes and comments.
fn statements(text: &str) -> usize {
    let mut rest = text;
    let (mut count, mut begun) = (0, false);
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '\'' {
            begun = true;
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if let Some(body) = rest.strip_prefix("$$") {
            body.find("$$").map_or(rest.len(), |end| end + 4)
        } else {
            match c {
                ';' if begun => (count, begun) = (count + 1, false),
                c if !c.is_whitespace() && c != ';' => begun = true,
                _ => {}
            }
            c.len_utf8()
        };
        rest = &rest[skip..];
    }
    count + usize::from(begun)
}

#[tokio::test]
async fn every_query_file_is_one_statement_that_postgres_prepares() {
    use sqlx::{Executor, SqlSafeStr};
    let database = support::Database::new().await;
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in QUERIES.iter().flat_map(|folder| files(folder, ".sql")) {
        let text = fs::read_to_string(&path).expect("a query");
        seen += 1;
        if !text.starts_with("-- ") {
            wrong.push(format!("{}: begins without a `-- ` line that says what it does", shown(&path)));
        }
        if statements(&text) != 1 {
            wrong.push(format!("{}: {} statements, not one", shown(&path), statements(&text)));
        }
        if let Err(error) = database.pool().prepare(sqlx::AssertSqlSafe(text).into_sql_str()).await {
            wrong.push(format!("{}: {error}", shown(&path)));
        }
    }
    assert!(seen > 10, "only {seen} query files found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_query_file_is_used() {
    let sources: String =
        files("src", ".rs").iter().map(|path| fs::read_to_string(path).expect("a source file")).collect();
    let unused: Vec<_> = files("sql", ".sql")
        .into_iter()
        .filter(|path| !path.starts_with(root().join("sql/migrations")))
        .map(|path| shown(&path))
        .filter(|path| !sources.contains(path.as_str()))
        .collect();
    assert!(unused.is_empty(), "no source file includes {unused:?}");
}

#[test]
fn every_decision_and_dependency_has_its_reason() {
    let reasons = fs::read_to_string(root().join("docs/decisions/0005-dependencies.md")).expect("the page");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let mut section = "";
    let missing: Vec<_> = manifest
        .lines()
        .filter_map(|line| {
            if line.starts_with('[') {
                section = line;
            }
            let name = line.split(" = ").next().filter(|_| line.contains(" = "))?;
            (section.ends_with("dependencies]") && !reasons.contains(&format!("`{name}`"))).then_some(name)
        })
        .collect();
    assert!(missing.is_empty(), "docs/decisions/0005-dependencies.md gives no reason for {missing:?}");
}
