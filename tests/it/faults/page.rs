//! `docs/reliability.md` names tests: each of them is there.

use std::{collections::BTreeSet, process::Command};

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = include_str!("../../../docs/reliability.md");
    let listed = Command::new(std::env::current_exe().expect("this program")).arg("--list").output().expect("a list");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let known: BTreeSet<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let words = page.split('`').skip(1).step_by(2);
    let named: Vec<&str> = words.filter(|word| word.contains("::") && !word.contains(' ')).collect();
    let unknown: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "docs/reliability.md names tests that are not there: {unknown:#?}");
    for row in (1..=9).chain([19, 20, 23, 25, 26]) {
        let line = page.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap_or_default();
        assert!(line.contains("::"), "row {row} of the matrix names no test");
    }
    // The long command is one that this file's neighbours read.
    assert!(page.contains("SEXTON_TEST_SECONDS=600 cargo test --test it campaign"));
}
